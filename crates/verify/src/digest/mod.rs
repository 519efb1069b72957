//! Digests: what is claimed of a file's bytes, and what they really give.
//!
//! A claim is a [`Digest`]; [`Hashers`] computes what the claims at hand need while the bytes pass, SHA-256
//! always, and [`Digests`] compares. Nothing here is durable.

mod algorithm;
mod base64;
mod hasher;
mod headers;

use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::algorithm::{Algorithm, Strength};
pub use self::hasher::{Digests, Hashers};
pub use self::headers::server_digest;

/// What somebody says a file's digest is. Its text form is `sha256:` and hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// A text that is no digest, as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no digest of the form ALGORITHM:HEX")]
pub struct NoDigest(String);

impl Digest {
    /// A claim; none when the algorithm gives another number of bytes.
    #[must_use]
    pub fn new(algorithm: Algorithm, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == algorithm.length()).then_some(Self { algorithm, bytes })
    }

    /// A claim from hexadecimal digits of either case; none when they are not, or too few, or too many.
    #[must_use]
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        Self::new(algorithm, decode_hex(hex)?)
    }

    /// A SHA-256.
    #[must_use]
    pub fn sha256(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, bytes: bytes.to_vec() }
    }

    /// By which algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm)?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let parsed = text.split_once(':').and_then(|(name, hex)| {
            let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)?;
            Self::from_hex(algorithm, hex)
        });
        parsed.ok_or_else(|| NoDigest(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        let mut text = Self::new();
        // Writing to a String cannot fail.
        let _ = write!(text, "{digest}");
        text
    }
}

/// Pairs of hexadecimal digits as bytes.
pub(crate) fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_as_it_was_written() {
        for algorithm in Algorithm::ALL {
            let digest = Digest::new(algorithm, vec![0xa7; algorithm.length()]).unwrap();
            let text = digest.to_string();
            assert_eq!(text.parse(), Ok(digest.clone()), "{text}");
            assert_eq!(Digest::try_from(text), Ok(digest));
        }
    }

    #[test]
    fn what_is_no_digest_is_said_so() {
        for text in ["", "sha256", "sha256:", "sha256:0g", "sha999:00", "md5:00", "md5:é"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        assert_eq!(decode_hex("0aFF"), Some(vec![10, 255]));
        assert_eq!(decode_hex("0aF"), None);
        assert_eq!(Digest::new(Algorithm::Md5, vec![0; 15]), None);
    }
}
