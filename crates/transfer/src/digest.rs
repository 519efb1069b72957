//! The whole file's SHA-256 as a server tells it. Pure.
//!
//! `Repr-Digest` (RFC 9530) and the older `Digest` (RFC 3230) speak of the whole representation, on a 206
//! as well; an object store's own checksum header is believed on a 200 alone, where it cannot be a part's.

use http::{HeaderMap, StatusCode};

/// The SHA-256 of the whole file, where the server tells it in a form that can be read.
pub(crate) fn server_sha256(status: StatusCode, headers: &HeaderMap) -> Option<[u8; 32]> {
    let values = |name: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|text| text.split(',')).map(str::trim).collect::<Vec<_>>()
    };
    let named = |member: &str| {
        let (name, value) = member.split_once('=')?;
        name.eq_ignore_ascii_case("sha-256").then(|| value.to_owned())
    };
    let repr = values("repr-digest").into_iter().filter_map(named).find_map(|value| {
        let inner = value.split(';').next()?.trim().strip_prefix(':')?.strip_suffix(':')?.to_owned();
        decode(&inner)
    });
    let old = || values("digest").into_iter().filter_map(named).find_map(|value| decode(&value));
    let store = || match status {
        StatusCode::OK => values("x-amz-checksum-sha256").into_iter().find_map(decode),
        _ => None,
    };
    repr.or_else(old).or_else(store)
}

/// Base64 (RFC 4648 section 4) of exactly 32 bytes.
fn decode(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=')?;
    if digits.len() != 43 {
        return None;
    }
    let mut bytes = Vec::with_capacity(33);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        bits = bits << 6 | u32::from(sextet(digit)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes.try_into().ok()
}

fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of nothing (FIPS 180-4), in base64.
    const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn read(status: u16, name: &'static str, value: &str) -> Option<u8> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        server_sha256(StatusCode::from_u16(status).unwrap(), &headers).map(|digest| digest[0])
    }

    #[test]
    fn rule_69_digests_of_the_whole() {
        let first = Some(0xe3);
        assert_eq!(read(200, "repr-digest", &format!("sha-256=:{EMPTY}:")), first);
        assert_eq!(read(206, "repr-digest", &format!("md5=:AAAA:, sha-256=:{EMPTY}:")), first);
        assert_eq!(read(206, "digest", &format!("SHA-256={EMPTY}")), first);
        assert_eq!(read(200, "x-amz-checksum-sha256", EMPTY), first);
        assert_eq!(read(206, "x-amz-checksum-sha256", EMPTY), None);
        assert_eq!(read(200, "content-digest", &format!("sha-256=:{EMPTY}:")), None);
        for bad in ["sha-256=::", "sha-256=:!!!!:", "sha-256=:47DE:", "sha-256", "", "sha-512=:AAAA:"] {
            assert_eq!(read(200, "repr-digest", bad), None, "{bad}");
        }
        assert_eq!(read(200, "x-amz-checksum-sha256", &format!("{EMPTY}-3")), None);
    }
}
