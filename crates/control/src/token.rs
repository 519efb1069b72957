//! The token that only the user's own processes can read, and that every request must bring.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// How many random bytes a token has.
const BYTES: usize = 32;

/// A secret of one run of an engine. It appears in `engine.json` (0600) and nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Token(String);

impl Token {
    /// A new one from the system's random numbers. Blocking, for a moment.
    pub(crate) fn make() -> io::Result<Self> {
        let mut bytes = [0; BYTES];
        fill(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The value of the Authorization header that proves knowledge of the token (RFC 6750, section 2.1).
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether the value of an Authorization header proves it. How long this takes tells nothing about
    /// where a wrong one differs.
    pub(crate) fn is_proven_by(&self, authorization: &[u8]) -> bool {
        is_same(self.authorization().as_bytes(), authorization)
    }

    /// Whether this text is the secret itself; as for [`Token::is_proven_by`], the time it takes tells nothing.
    pub(crate) fn is(&self, secret: &[u8]) -> bool {
        is_same(self.0.as_bytes(), secret)
    }

    /// The secret itself: for the user's own eyes, and for what the user alone can read.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// A secret that was written down; none if it cannot be one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn is_same(wanted: &[u8], given: &[u8]) -> bool {
    wanted.len() == given.len()
        && wanted.iter().zip(given).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

#[cfg(unix)]
fn fill(bytes: &mut [u8]) -> io::Result<()> {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")?.read_exact(bytes)
}

/// Not verified on such systems: the standard library seeds its hash keys from the system's random numbers.
#[cfg(not(unix))]
fn fill(bytes: &mut [u8]) -> io::Result<()> {
    use std::hash::{BuildHasher, RandomState};
    for (number, chunk) in bytes.chunks_mut(8).enumerate() {
        let random = RandomState::new().hash_one(number).to_le_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_proves_itself() {
        let token = Token::make().unwrap();
        let proof = token.authorization();
        assert_eq!(proof.len(), "Bearer ".len() + 2 * BYTES);
        assert!(token.is_proven_by(proof.as_bytes()));
        let mut other = proof.clone().into_bytes();
        *other.last_mut().unwrap() ^= 1;
        let shorter = &proof.as_bytes()[..proof.len() - 1];
        let bare = &proof.as_bytes()["Bearer ".len()..];
        for wrong in [&other[..], shorter, bare, b"", b"Bearer "] {
            assert!(!token.is_proven_by(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn no_two_tokens_are_alike_and_none_is_shown() {
        let (one, two) = (Token::make().unwrap(), Token::make().unwrap());
        assert_ne!(one, two);
        assert_eq!(format!("{one:?}"), "Token");
    }
}
