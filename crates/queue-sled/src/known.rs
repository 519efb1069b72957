//! Files that a window has brought before, for telling what a listing of it brings anew.
//!
//! Bounded by one window: sixteen bytes a file, whatever its URL. The keys are drawn for each set, so that
//! nobody can choose names that are taken for others; by chance, two of a million files are taken for one
//! once in 10^26 listings.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use skyhaul_model::FileSpec;

/// A set of files, by URL and path.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    keys: (RandomState, RandomState),
    seen: HashSet<u128>,
}

impl KnownFiles {
    pub(crate) fn add(&mut self, file: &FileSpec) {
        let print = self.print(file);
        self.seen.insert(print);
    }

    pub(crate) fn has(&self, file: &FileSpec) -> bool {
        !self.seen.is_empty() && self.seen.contains(&self.print(file))
    }

    fn print(&self, file: &FileSpec) -> u128 {
        let path = file.path.as_ref().ok().map(skyhaul_model::RelPath::as_str);
        let identity = (file.url.as_str(), path);
        u128::from(self.keys.0.hash_one(identity)) << 64 | u128::from(self.keys.1.hash_one(identity))
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_queue::conformance::fixture::{lost_spec, spec};

    use super::*;

    #[test]
    fn files_are_known_by_url_and_path() {
        let mut known = KnownFiles::default();
        known.add(&spec(1));
        known.add(&lost_spec(2));
        let sized = FileSpec { size: Some(9), ..spec(1) };
        assert!(known.has(&spec(1)) && known.has(&sized) && known.has(&lost_spec(2)));
        let elsewhere = FileSpec { path: spec(3).path, ..spec(1) };
        assert!(!known.has(&spec(2)) && !known.has(&lost_spec(1)) && !known.has(&elsewhere));
    }
}
