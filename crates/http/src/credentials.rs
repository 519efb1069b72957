//! A user name and password in a URL become a secret header, so that no message, log or answer shows them.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::Request;

/// Takes the credentials out of the request's URL; they go along as `Authorization` unless there is one.
pub(crate) fn hide_credentials(request: &mut Request) {
    if !has_credentials(&request.url) {
        return;
    }
    let mut pair: Vec<u8> = percent_decode_str(request.url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(request.url.password().unwrap_or_default()));
    strip_credentials(&mut request.url);
    let taken =
        request.headers.contains_key(AUTHORIZATION) || request.secret_headers.contains_key(AUTHORIZATION);
    if taken {
        return;
    }
    if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", base64(&pair))) {
        value.set_sensitive(true);
        request.secret_headers.insert(AUTHORIZATION, value);
    }
}

/// Removes user name and password, as from a redirect's target: a server has none to give.
pub(crate) fn strip_credentials(url: &mut Url) {
    // Only URLs without a host refuse this, and they hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let six = (word >> (18 - 6 * place)) & 63;
            out.push(if place <= group.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(url: &str) -> Request {
        let mut request = Request::get(url.parse().unwrap());
        hide_credentials(&mut request);
        request
    }

    #[test]
    fn base64_agrees_with_the_test_vectors_of_rfc_4648() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in table {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn credentials_move_from_the_url_to_a_secret_header() {
        let request = hidden("https://Aladdin:open%20sesame@a.example/x");
        assert_eq!(request.url.as_str(), "https://a.example/x");
        let value = &request.secret_headers[AUTHORIZATION];
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(value.is_sensitive());
    }

    #[test]
    fn a_url_without_credentials_is_left_alone() {
        let request = hidden("https://a.example/x");
        assert!(request.secret_headers.is_empty());
    }

    #[test]
    fn a_header_that_is_given_wins() {
        let mut request = Request::get("https://u:p@a.example/".parse().unwrap());
        request.secret_headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        hide_credentials(&mut request);
        assert_eq!(request.secret_headers[AUTHORIZATION], "Bearer t");
        assert_eq!(request.url.as_str(), "https://a.example/");
    }
}
