//! Maps whose keys are numbers that the queue itself gave out: nobody chooses them so that they collide, and
//! they are looked up several times for each file.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by jobs, files and rows.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Mixes numbers by multiplying: cheap, and even where they follow each other.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 over the golden ratio: neighbours end up far from each other.
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The map looks at the low bits, too, and multiplying mixes upwards alone.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use skyhaul_model::{FileSeq, JobId};

    use super::*;

    #[test]
    fn the_numbers_of_files_and_rows_are_spread() {
        let hash = |key| BuildHasherDefault::<NumberHasher>::default().hash_one::<(JobId, FileSeq)>(key);
        let chunks = (0..64u64).flat_map(|chunk| (0..256u64).map(move |slot| chunk << 16 | slot));
        let hashes: Vec<u64> = chunks.map(|file| hash((JobId(7), FileSeq(file)))).collect();
        // Of 16,384 keys thrown at random, 10,357 of as many places are hit on average.
        let places =
            |shift: u32| hashes.iter().map(|hash| (hash >> shift) & 0x3fff).collect::<HashSet<_>>().len();
        assert!(places(0) > 9_000 && places(50) > 9_000, "{} and {}", places(0), places(50));
        assert_ne!(hash((JobId(1), FileSeq(2))), hash((JobId(2), FileSeq(1))));
    }
}
