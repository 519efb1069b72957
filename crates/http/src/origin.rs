//! How a host is named: as the key of its gate and in messages.

use url::Url;

/// `host`, or `host:port` where the port is not the scheme's own.
///
/// `http` and `https` of one host share the name, and with it one gate: a server is as busy with both.
pub(crate) fn host_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether two URLs have scheme, host and port in common (RFC 6454 section 4).
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_default_port_is_not_part_of_the_name() {
        assert_eq!(host_name(&url("https://a.example:443/x")), "a.example");
        assert_eq!(host_name(&url("http://a.example:8080/x")), "a.example:8080");
        assert_eq!(host_name(&url("http://[::1]:8080/x")), "[::1]:8080");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let base = url("https://a.example/x");
        assert!(same_origin(&base, &url("https://A.example:443/y?z")));
        for other in ["http://a.example/x", "https://b.example/x", "https://a.example:8443/x"] {
            assert!(!same_origin(&base, &url(other)), "{other}");
        }
    }
}
