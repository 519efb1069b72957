//! Who is answered at all: whoever brings the token, names our host, and is no web page.
//!
//! A web page can make a browser send requests to loopback ports, and by DNS rebinding can even make them
//! same-origin; it can neither leave out Origin on a request that changes something, nor name our Host,
//! nor know the token.

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;

use crate::engine_file::Address;
use crate::token::Token;
use crate::wire::{ErrorBody, ErrorCode};

/// Decides who is answered.
#[derive(Debug)]
pub(crate) struct Guard {
    token: Token,
    hosts: Vec<String>,
}

impl Guard {
    pub(crate) fn new(token: Token, address: &Address) -> Self {
        let mut hosts = vec![address.host()];
        if let Address::Tcp(address) = address {
            hosts.push(format!("localhost:{}", address.port()));
        }
        Self { token, hosts }
    }

    /// Lets a request pass, or says why not. What it says tells nothing about the engine.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), ErrorBody> {
        if request.headers.contains_key(ORIGIN) {
            return Err(ErrorBody::new(ErrorCode::Forbidden, "requests of web pages are not answered"));
        }
        if !self.is_for_us(request) {
            return Err(ErrorBody::new(ErrorCode::Forbidden, "this host is not served here"));
        }
        let mut proofs = request.headers.get_all(AUTHORIZATION).iter();
        match (proofs.next(), proofs.next()) {
            (Some(proof), None) if self.token.is_proven_by(proof.as_bytes()) => Ok(()),
            _ => Err(ErrorBody::new(
                ErrorCode::Unauthorized,
                "the token of engine.json is needed: Authorization: Bearer TOKEN",
            )),
        }
    }

    /// RFC 9112, section 3.2: one Host, and where the request target has an authority, that one counts.
    fn is_for_us(&self, request: &Parts) -> bool {
        let is_ours = |name: &[u8]| self.hosts.iter().any(|host| host.as_bytes().eq_ignore_ascii_case(name));
        let mut hosts = request.headers.get_all(HOST).iter();
        let named = matches!((hosts.next(), hosts.next()), (Some(host), None) if is_ours(host.as_bytes()));
        named && request.uri.authority().is_none_or(|authority| is_ours(authority.as_str().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn guard(address: &Address) -> (Guard, String) {
        let token = Token::make().unwrap();
        let proof = token.authorization();
        (Guard::new(token, address), proof)
    }

    fn verdict(guard: &Guard, uri: &str, headers: Headers<'_>) -> Option<ErrorCode> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.check(&parts).err().map(|body| body.code)
    }

    #[test]
    fn over_a_socket() {
        use ErrorCode::{Forbidden, Unauthorized};
        let (guard, proof) = guard(&Address::Socket("/s".into()));
        let (host, token) = (("host", "skyhaul"), ("authorization", proof.as_str()));
        let table: [(Headers<'_>, Option<ErrorCode>); 10] = [
            (&[host, token], None),
            (&[("host", "SkyHaul"), token], None),
            (&[host], Some(Unauthorized)),
            (&[host, ("authorization", "Bearer 0")], Some(Unauthorized)),
            (&[host, ("authorization", "")], Some(Unauthorized)),
            (&[host, token, token], Some(Unauthorized)),
            (&[token], Some(Forbidden)),
            (&[host, host, token], Some(Forbidden)),
            (&[("host", "evil.example"), token], Some(Forbidden)),
            (&[host, token, ("origin", "null")], Some(Forbidden)),
        ];
        for (headers, expected) in table {
            assert_eq!(verdict(&guard, "/v1/jobs", headers), expected, "{headers:?}");
        }
        assert_eq!(verdict(&guard, "http://evil.example/v1/jobs", &[host, token]), Some(Forbidden));
    }

    #[test]
    fn over_loopback() {
        let (guard, proof) = guard(&Address::Tcp(([127, 0, 0, 1], 4711).into()));
        let with = |host| verdict(&guard, "/v1/jobs", &[("host", host), ("authorization", &proof)]);
        assert_eq!((with("127.0.0.1:4711"), with("localhost:4711")), (None, None));
        for host in ["127.0.0.1", "localhost", "skyhaul", "127.0.0.1:80", "rebound.example:4711"] {
            assert_eq!(with(host), Some(ErrorCode::Forbidden), "{host}");
        }
        assert_eq!(verdict(&guard, "/", &[("host", "localhost:4711")]), Some(ErrorCode::Unauthorized));
    }
}
