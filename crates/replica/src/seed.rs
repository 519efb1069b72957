//! Repeatable randomness: the same words always give the same bytes, on any machine and in any order of asking.
//!
//! It is written out here rather than taken from a crate because file contents hang on it: an update of a
//! dependency must not change what a URL serves.

/// Mixes words (a path, a version, the name of a fault) into one 64-bit seed.
pub(crate) fn seed(words: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = OFFSET;
    for word in words {
        for &byte in *word {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        // A separator, so that ("ab", "c") and ("a", "bc") differ.
        hash = (hash ^ 0x1ff).wrapping_mul(PRIME);
    }
    scramble(hash)
}

/// An endless stream of numbers from one seed (the splitmix64 generator).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Starts the stream of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number from 0 up to, not including, `limit` (0 when `limit` is 0).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Fills `target` with random bytes.
    pub(crate) fn fill(&mut self, target: &mut [u8]) {
        for chunk in target.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

fn scramble(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_boundaries_count() {
        assert_ne!(seed(&[b"ab", b"c"]), seed(&[b"a", b"bc"]));
        assert_eq!(seed(&[b"ab", b"c"]), seed(&[b"ab", b"c"]));
    }

    #[test]
    fn dice_stay_in_bounds() {
        let mut dice = Dice::new(7);
        for _ in 0..1000 {
            assert!(dice.below(10) < 10);
            assert!((0.0..1.0).contains(&dice.fraction()));
        }
        assert_eq!(dice.below(0), 0);
    }
}
