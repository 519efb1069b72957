//! Computes digests while the bytes pass: SHA-256 always, the others only where a claim needs them.

use blake2::{Blake2b256, Blake2b512};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::{Algorithm, Digest};

/// Digests in the making.
#[derive(Clone, Debug, Default)]
pub struct Hashers {
    sha256: Sha256,
    others: Vec<Hasher>,
}

/// What a file's bytes gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    sha256: [u8; 32],
    /// By single algorithms, never by [`Algorithm::Sha512OrBlake2b`].
    others: Vec<Digest>,
}

#[derive(Clone, Debug)]
enum Hasher {
    Sha512(Sha512),
    Sha384(Sha384),
    Sha224(Sha224),
    Blake2b512(Blake2b512),
    Blake2b256(Blake2b256),
    Sha1(Sha1),
    Md5(Md5),
    Crc32c(u32),
    Crc32(crc32fast::Hasher),
}

impl Hashers {
    /// What these claims need in order to be compared.
    pub fn for_claims<'a>(claims: impl IntoIterator<Item = &'a Digest>) -> Self {
        let mut algorithms: Vec<_> = claims.into_iter().flat_map(|claim| singles(claim.algorithm)).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let others = algorithms.into_iter().filter_map(|&algorithm| Hasher::of(algorithm)).collect();
        Self { sha256: Sha256::new(), others }
    }

    /// The next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.others.iter_mut().for_each(|hasher| hasher.feed(bytes));
    }

    /// The digests, at the file's end.
    #[must_use]
    pub fn finish(self) -> Digests {
        let others = self.others.into_iter().map(Hasher::finish).collect();
        Digests { sha256: self.sha256.finalize().into(), others }
    }
}

impl Digests {
    /// The SHA-256.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Whether the bytes are as claimed; none where that algorithm was not asked for.
    #[must_use]
    pub fn agree_with(&self, claim: &Digest) -> Option<bool> {
        let bytes_of = |algorithm: &Algorithm| match algorithm {
            Algorithm::Sha256 => Some(self.sha256.as_slice()),
            algorithm => self
                .others
                .iter()
                .find(|digest| digest.algorithm == *algorithm)
                .map(|digest| digest.bytes.as_slice()),
        };
        let computed: Vec<_> = singles(claim.algorithm).iter().filter_map(bytes_of).collect();
        (!computed.is_empty()).then(|| computed.contains(&claim.bytes.as_slice()))
    }
}

/// The algorithms that a claim may have been made by.
fn singles(algorithm: Algorithm) -> &'static [Algorithm] {
    match algorithm {
        Algorithm::Sha512OrBlake2b => &[Algorithm::Sha512, Algorithm::Blake2b512],
        Algorithm::Sha256 => &[Algorithm::Sha256],
        Algorithm::Sha512 => &[Algorithm::Sha512],
        Algorithm::Sha384 => &[Algorithm::Sha384],
        Algorithm::Sha224 => &[Algorithm::Sha224],
        Algorithm::Blake2b512 => &[Algorithm::Blake2b512],
        Algorithm::Blake2b256 => &[Algorithm::Blake2b256],
        Algorithm::Sha1 => &[Algorithm::Sha1],
        Algorithm::Md5 => &[Algorithm::Md5],
        Algorithm::Crc32c => &[Algorithm::Crc32c],
        Algorithm::Crc32 => &[Algorithm::Crc32],
    }
}

impl Hasher {
    /// None for SHA-256, which is there in any case, and for what is no single algorithm.
    fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 | Algorithm::Sha512OrBlake2b => None,
            Algorithm::Sha512 => Some(Self::Sha512(Sha512::new())),
            Algorithm::Sha384 => Some(Self::Sha384(Sha384::new())),
            Algorithm::Sha224 => Some(Self::Sha224(Sha224::new())),
            Algorithm::Blake2b512 => Some(Self::Blake2b512(Blake2b512::new())),
            Algorithm::Blake2b256 => Some(Self::Blake2b256(Blake2b256::new())),
            Algorithm::Sha1 => Some(Self::Sha1(Sha1::new())),
            Algorithm::Md5 => Some(Self::Md5(Md5::new())),
            Algorithm::Crc32c => Some(Self::Crc32c(0)),
            Algorithm::Crc32 => Some(Self::Crc32(crc32fast::Hasher::new())),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha224(hasher) => hasher.update(bytes),
            Self::Blake2b512(hasher) => hasher.update(bytes),
            Self::Blake2b256(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32c(sum) => *sum = crc32c::crc32c_append(*sum, bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Digest {
        let (algorithm, bytes) = match self {
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
            Self::Sha384(hasher) => (Algorithm::Sha384, hasher.finalize().to_vec()),
            Self::Sha224(hasher) => (Algorithm::Sha224, hasher.finalize().to_vec()),
            Self::Blake2b512(hasher) => (Algorithm::Blake2b512, hasher.finalize().to_vec()),
            Self::Blake2b256(hasher) => (Algorithm::Blake2b256, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().to_vec()),
            Self::Md5(hasher) => (Algorithm::Md5, hasher.finalize().to_vec()),
            Self::Crc32c(sum) => (Algorithm::Crc32c, sum.to_be_bytes().to_vec()),
            Self::Crc32(hasher) => (Algorithm::Crc32, hasher.finalize().to_be_bytes().to_vec()),
        };
        Digest { algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of `abc`, as the standards' own examples and the usual tools give them.
    const ABC: [(Algorithm, &str); 10] = [
        (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Algorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            Algorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (Algorithm::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (
            Algorithm::Blake2b512,
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        ),
        (Algorithm::Blake2b256, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
        (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (Algorithm::Crc32c, "364b3fb7"),
        (Algorithm::Crc32, "352441c2"),
    ];

    fn digests(claims: &[Digest]) -> Digests {
        let mut hashers = Hashers::for_claims(claims);
        hashers.feed(b"a");
        hashers.feed(b"");
        hashers.feed(b"bc");
        hashers.finish()
    }

    #[test]
    fn every_algorithm_gives_what_its_tool_gives() {
        let claims = ABC.map(|(algorithm, hex)| Digest::from_hex(algorithm, hex).unwrap());
        let digests = digests(&claims);
        assert_eq!(digests.sha256().as_slice(), claims[0].bytes());
        for claim in &claims {
            assert_eq!(digests.agree_with(claim), Some(true), "{claim}");
            let mut wrong = claim.clone();
            wrong.bytes[0] ^= 1;
            assert_eq!(digests.agree_with(&wrong), Some(false), "{wrong}");
        }
    }

    #[test]
    fn of_two_that_look_alike_either_will_do() {
        for (_, hex) in [ABC[1], ABC[4]] {
            let claim = Digest::from_hex(Algorithm::Sha512OrBlake2b, hex).unwrap();
            assert_eq!(digests(std::slice::from_ref(&claim)).agree_with(&claim), Some(true));
        }
        let claim = Digest::new(Algorithm::Sha512OrBlake2b, vec![0; 64]).unwrap();
        assert_eq!(digests(std::slice::from_ref(&claim)).agree_with(&claim), Some(false));
    }

    #[test]
    fn what_was_not_asked_for_is_not_judged() {
        let claim = Digest::from_hex(Algorithm::Md5, ABC[7].1).unwrap();
        assert_eq!(digests(&[]).agree_with(&claim), None);
        let sha256 = Digest::from_hex(Algorithm::Sha256, ABC[0].1).unwrap();
        assert_eq!(digests(&[]).agree_with(&sha256), Some(true));
    }
}
