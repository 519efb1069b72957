//! What a server's header says the whole file's digest is. Pure.
//!
//! `Repr-Digest` (RFC 9530 section 3) and the older `Digest` (RFC 3230) speak of the whole representation,
//! on a 206 as well. `Content-Digest` (RFC 9530 section 2) and `Content-MD5` (RFC 1864) speak of what this
//! message carries, and an object store's header may be of a part: those are believed on a 200 alone.
//! With a content coding they are not believed at all, for servers differ on which side of it they count.

use http::{HeaderMap, StatusCode};

use super::base64::decode_base64;
use super::{Algorithm, Digest};

/// How a header tells digests.
enum Form {
    /// A dictionary of byte sequences: `sha-256=:…:` (RFC 9530, RFC 9651).
    Dictionary,
    /// A list of `SHA-256=…` (RFC 3230).
    List,
    /// One digest of this algorithm.
    Bare(Algorithm),
}

/// Headers that speak of the whole file on every answer.
const OF_THE_WHOLE: [(&str, Form); 2] = [("repr-digest", Form::Dictionary), ("digest", Form::List)];

/// Headers that speak of it where the answer is the whole file.
const OF_THE_CONTENT: [(&str, Form); 7] = [
    ("x-amz-checksum-sha256", Form::Bare(Algorithm::Sha256)),
    ("x-amz-checksum-sha1", Form::Bare(Algorithm::Sha1)),
    ("x-amz-checksum-crc32c", Form::Bare(Algorithm::Crc32c)),
    ("x-amz-checksum-crc32", Form::Bare(Algorithm::Crc32)),
    ("x-goog-hash", Form::List),
    ("content-digest", Form::Dictionary),
    ("content-md5", Form::Bare(Algorithm::Md5)),
];

/// The whole file's digest as the server tells it, by the best algorithm that it names; none where it tells
/// none in a form that can be read.
#[must_use]
pub fn server_digest(status: StatusCode, headers: &HeaderMap) -> Option<Digest> {
    let content: &[_] = if speaks_of_the_whole(status, headers) { &OF_THE_CONTENT } else { &[] };
    let told = OF_THE_WHOLE.iter().chain(content).flat_map(|(name, form)| read(headers, name, form));
    // Of equally good ones the first, which is the one whose meaning is the clearest.
    told.min_by_key(Digest::algorithm)
}

/// Whether the answer's content is the whole file, as it lies at the server.
fn speaks_of_the_whole(status: StatusCode, headers: &HeaderMap) -> bool {
    // A store that unpacks what it keeps packed tells the packed form's digest.
    let codings = ["content-encoding", "x-goog-stored-content-encoding"];
    let plain = codings
        .iter()
        .all(|name| list(headers, name).iter().all(|coding| matches!(*coding, "identity" | "none" | "")));
    let composite =
        list(headers, "x-amz-checksum-type").iter().any(|kind| kind.eq_ignore_ascii_case("COMPOSITE"));
    status == StatusCode::OK && plain && !composite
}

fn read(headers: &HeaderMap, name: &str, form: &Form) -> Vec<Digest> {
    let members = list(headers, name);
    match form {
        Form::Dictionary => members.into_iter().filter_map(dictionary_member).collect(),
        Form::List => members.into_iter().filter_map(list_member).collect(),
        Form::Bare(algorithm) => {
            members.into_iter().filter_map(|text| Digest::new(*algorithm, decode_base64(text)?)).collect()
        }
    }
}

fn dictionary_member(member: &str) -> Option<Digest> {
    let (name, value) = member.split_once('=')?;
    let sequence = value.split(';').next()?.trim().strip_prefix(':')?.strip_suffix(':')?;
    Digest::new(named(name)?, decode_base64(sequence)?)
}

fn list_member(member: &str) -> Option<Digest> {
    let (name, value) = member.split_once('=')?;
    Digest::new(named(name)?, decode_base64(value.split(';').next()?.trim())?)
}

/// The names of RFC 9530 section 7.1.2 and of RFC 3230, as far as their values are digests.
fn named(name: &str) -> Option<Algorithm> {
    match name.trim().to_ascii_lowercase().as_str() {
        "sha-256" => Some(Algorithm::Sha256),
        "sha-512" => Some(Algorithm::Sha512),
        "sha" => Some(Algorithm::Sha1),
        "md5" => Some(Algorithm::Md5),
        "crc32c" => Some(Algorithm::Crc32c),
        _ => None,
    }
}

/// The members of a header that is a list, over all its lines.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// SHA-256, SHA-512, SHA-1, MD5, CRC-32C and CRC-32 of nothing, in base64.
    const SHA256: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const SHA512: &str =
        "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
    const SHA1: &str = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
    const MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";
    const CRC: &str = "AAAAAA==";

    fn told(status: u16, lines: &[(&'static str, &str)]) -> Option<Algorithm> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        server_digest(StatusCode::from_u16(status).unwrap(), &headers).map(|digest| digest.algorithm())
    }

    #[test]
    fn rule_69_which_headers_speak_of_the_whole() {
        let (sha256, sha512) = (format!("sha-256=:{SHA256}:"), format!("sha-512=:{SHA512}:"));
        /// Header, value, what is believed on a 200, what on a 206.
        type Row = (&'static str, String, Option<Algorithm>, Option<Algorithm>);
        let table: [Row; 13] = [
            ("repr-digest", sha256.clone(), Some(Algorithm::Sha256), Some(Algorithm::Sha256)),
            ("repr-digest", sha512.clone(), Some(Algorithm::Sha512), Some(Algorithm::Sha512)),
            ("repr-digest", format!("md5=:{MD5}:;a=1"), Some(Algorithm::Md5), Some(Algorithm::Md5)),
            ("digest", format!("SHA-256={SHA256}"), Some(Algorithm::Sha256), Some(Algorithm::Sha256)),
            ("digest", format!("SHA={SHA1}"), Some(Algorithm::Sha1), Some(Algorithm::Sha1)),
            ("content-digest", sha256, Some(Algorithm::Sha256), None),
            ("content-md5", MD5.into(), Some(Algorithm::Md5), None),
            ("x-amz-checksum-sha256", SHA256.into(), Some(Algorithm::Sha256), None),
            ("x-amz-checksum-sha1", SHA1.into(), Some(Algorithm::Sha1), None),
            ("x-amz-checksum-crc32", CRC.into(), Some(Algorithm::Crc32), None),
            ("x-amz-checksum-crc32c", CRC.into(), Some(Algorithm::Crc32c), None),
            ("x-goog-hash", format!("crc32c={CRC}, md5={MD5}"), Some(Algorithm::Md5), None),
            ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=".into(), None, None),
        ];
        for (name, value, whole, part) in table {
            assert_eq!(told(200, &[(name, &value)]), whole, "{name}: {value} on a 200");
            assert_eq!(told(206, &[(name, &value)]), part, "{name}: {value} on a 206");
        }
    }

    #[test]
    fn rule_69_the_best_of_several_counts_wherever_it_stands() {
        let (sha256, sha512) = (format!("sha-256=:{SHA256}:"), format!("sha-512=:{SHA512}:"));
        let both = format!("unixsum=:AAAA:, {sha512} , {sha256}");
        assert_eq!(told(206, &[("repr-digest", &both)]), Some(Algorithm::Sha256));
        assert_eq!(told(206, &[("repr-digest", &sha512), ("repr-digest", &sha256)]), Some(Algorithm::Sha256));
        assert_eq!(told(200, &[("content-md5", MD5), ("repr-digest", &sha512)]), Some(Algorithm::Sha512));
        let split = [("x-goog-hash", format!("crc32c={CRC}")), ("x-goog-hash", format!("md5={MD5}"))];
        assert_eq!(
            told(200, &split.each_ref().map(|(name, value)| (*name, value.as_str()))),
            Some(Algorithm::Md5)
        );
    }

    #[test]
    fn rule_70_a_parts_checksum_is_not_the_wholes() {
        assert_eq!(told(200, &[("x-amz-checksum-sha256", &format!("{SHA256}-3"))]), None);
        let composite = [("x-amz-checksum-crc32", CRC), ("x-amz-checksum-type", "COMPOSITE")];
        assert_eq!(told(200, &composite), None);
        let full = [("x-amz-checksum-crc32", CRC), ("x-amz-checksum-type", "FULL_OBJECT")];
        assert_eq!(told(200, &full), Some(Algorithm::Crc32));
    }

    #[test]
    fn a_coding_puts_the_contents_digest_in_doubt() {
        for coding in ["gzip", "x-gzip"] {
            assert_eq!(told(200, &[("content-md5", MD5), ("content-encoding", coding)]), None);
            let stored =
                [("x-goog-hash", &*format!("md5={MD5}")), ("x-goog-stored-content-encoding", coding)];
            assert_eq!(told(200, &stored), None);
            let whole = [("repr-digest", &*format!("sha-256=:{SHA256}:")), ("content-encoding", coding)];
            assert_eq!(told(200, &whole), Some(Algorithm::Sha256));
        }
        let identity = [("content-md5", MD5), ("content-encoding", "identity")];
        assert_eq!(told(200, &identity), Some(Algorithm::Md5));
    }

    #[test]
    fn what_cannot_be_read_is_no_digest() {
        for bad in
            ["sha-256=::", "sha-256=:!!!!:", "sha-256=:47DE:", "sha-256", "", "sha-999=:AAAA:", "=", "é"]
        {
            assert_eq!(
                told(200, &[("repr-digest", bad), ("digest", bad), ("content-md5", bad)]),
                None,
                "{bad}"
            );
        }
    }
}
