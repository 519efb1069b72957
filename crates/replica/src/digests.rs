//! Digest headers: what a server says its bytes hash to, truly or not.

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::faults::DigestHeaders;

/// Which part of the file an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Part,
}

/// Adds the digest headers of a `whole` file to an answer that carries `sent` of it.
pub(crate) fn add(
    headers: &mut HeaderMap,
    whole: &Bytes,
    (sent, extent): (&Bytes, Extent),
    kind: DigestHeaders,
) {
    let wanted = |one| kind == one || kind == DigestHeaders::All;
    let mut put = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if wanted(DigestHeaders::Repr) {
        put("repr-digest", format!("sha-256=:{}:", base64(&Sha256::digest(whole))));
    }
    if wanted(DigestHeaders::Content) {
        put("content-digest", format!("sha-256=:{}:", base64(&Sha256::digest(sent))));
    }
    if wanted(DigestHeaders::Legacy) {
        put("digest", format!("SHA-256={}", base64(&Sha256::digest(whole))));
    }
    if extent == Extent::Part {
        return;
    }
    if wanted(DigestHeaders::Md5) {
        put("content-md5", base64(&Md5::digest(whole)));
    }
    if wanted(DigestHeaders::Amz) {
        put("x-amz-checksum-crc32", base64(&crc32fast::hash(whole).to_be_bytes()));
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_its_padding() {
        // The cases of RFC 4648, section 10.
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (raw, expected) in cases {
            assert_eq!(base64(raw.as_bytes()), expected);
        }
    }

    #[test]
    fn digests_are_those_of_the_standards_examples() {
        // RFC 9530, appendix B.1: the digest of this very content.
        let whole = Bytes::from_static(b"{\"hello\": \"world\"}\n");
        let mut headers = HeaderMap::new();
        add(&mut headers, &whole, (&whole, Extent::Whole), DigestHeaders::All);
        let expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(
            (&headers["repr-digest"], &headers["content-digest"]),
            (&expected.parse().unwrap(), &expected.parse().unwrap())
        );
        assert_eq!(headers.len(), 5);
        let mut headers = HeaderMap::new();
        add(&mut headers, &whole, (&whole.slice(..5), Extent::Part), DigestHeaders::All);
        assert_eq!((headers.len(), &headers["repr-digest"]), (3, &expected.parse().unwrap()));
        assert_ne!(headers["content-digest"], headers["repr-digest"]);
    }
}
