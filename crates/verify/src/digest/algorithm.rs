//! The algorithms that a claim may name, how long their digests are, and what they are worth.

use std::fmt;

/// How a digest was made. The order is the one in which a server's claims are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4), which is computed of every file in any case.
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// SHA-384 (FIPS 180-4).
    Sha384,
    /// SHA-224 (FIPS 180-4).
    Sha224,
    /// BLAKE2b with 512 bits (RFC 7693), what `b2sum` gives.
    Blake2b512,
    /// BLAKE2b with 256 bits (RFC 7693), what `b2sum --length 256` gives.
    Blake2b256,
    /// 512 bits of which nobody says whether they are SHA-512's or BLAKE2b's: the lists of `sha512sum`
    /// and `b2sum` look the same. Either will do.
    Sha512OrBlake2b,
    /// SHA-1 (FIPS 180-4): good against accidents, no longer against forgers.
    Sha1,
    /// MD5 (RFC 1321): likewise.
    Md5,
    /// CRC-32C (RFC 9260 appendix A), big-endian: good against accidents alone.
    Crc32c,
    /// CRC-32 as gzip has it (RFC 1952), big-endian: likewise.
    Crc32,
}

/// What agreement of a digest proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// That the bytes are the ones meant, whoever may have meddled.
    Strong,
    /// That no accident changed them.
    Weak,
}

impl Algorithm {
    /// Every algorithm, in order of preference.
    pub const ALL: [Self; 11] = [
        Self::Sha256,
        Self::Sha512,
        Self::Sha384,
        Self::Sha224,
        Self::Blake2b512,
        Self::Blake2b256,
        Self::Sha512OrBlake2b,
        Self::Sha1,
        Self::Md5,
        Self::Crc32c,
        Self::Crc32,
    ];

    /// How many bytes its digests have.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Crc32c | Self::Crc32 => 4,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 | Self::Blake2b256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 | Self::Blake2b512 | Self::Sha512OrBlake2b => 64,
        }
    }

    /// What its agreement proves.
    #[must_use]
    pub fn strength(self) -> Strength {
        match self {
            Self::Sha1 | Self::Md5 | Self::Crc32c | Self::Crc32 => Strength::Weak,
            _ => Strength::Strong,
        }
    }

    /// The name in a digest's text form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Sha384 => "sha384",
            Self::Sha224 => "sha224",
            Self::Blake2b512 => "blake2b-512",
            Self::Blake2b256 => "blake2b-256",
            Self::Sha512OrBlake2b => "sha512-or-blake2b",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
