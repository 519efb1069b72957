//! Paths and URLs as numbers: what is remembered of many of them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use skyhaul_model::RelPath;

/// What a path is known by; wide enough that no two of a job's are alike.
pub(crate) fn of_path(path: &RelPath) -> u128 {
    wide(1, path.as_str())
}

/// What a file without a path is known by: its URL, told apart from every path.
pub(crate) fn of_homeless(url: &str) -> u128 {
    wide(3, url)
}

/// What tells two URLs of one path apart.
pub(crate) fn of_url(url: &str) -> u64 {
    hash(0, url)
}

fn wide(seed: u8, text: &str) -> u128 {
    u128::from(hash(seed, text)) << 64 | u128::from(hash(seed + 1, text))
}

fn hash(seed: u8, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, text).hash(&mut hasher);
    hasher.finish()
}
