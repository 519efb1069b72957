//! What an engine has counted since it began, for whoever measures it. In memory alone: a restart begins at zero.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skyhaul_model::ErrorKind;

/// Upper bounds of how long things take, in seconds: from what a nearby server does to a file of a gigabyte on a slow line.
const SECONDS: &[f64] = &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

/// Upper bounds of files' sizes, in bytes: from a keogram's to a month of video's.
const BYTES: &[f64] = &[1e3, 1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8, 1e9];

/// The live counts of an engine, shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Body bytes received for files, repeats included.
    pub received_bytes: u64,
    /// Files that are in their places now and were not before.
    pub files_done: u64,
    /// Files that were given up.
    pub files_failed: u64,
    /// Attempts that ended, whatever the end: how long each took, in seconds.
    pub attempt_seconds: Histogram,
    /// Files that came to be whole: the size of each, in bytes.
    pub file_bytes: Histogram,
    /// Windows that were asked for, whatever came of it: how long each took, in seconds.
    pub listing_seconds: Histogram,
    /// Failures of files and of listings, by kind in the order of [`ErrorKind::ALL`].
    failures: [u64; ErrorKind::ALL.len()],
}

/// How often a value fell below each of some bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what lies beyond the last.
    counts: Vec<u64>,
    sum: f64,
}

impl Tally {
    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Counts something.
    pub fn note(&self, note: impl FnOnce(&mut Counts)) {
        note(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Each note is one addition or two: nobody can leave them half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// How many failures of a kind there were, of files and of listings.
    #[must_use]
    pub fn failures(&self, kind: ErrorKind) -> u64 {
        self.failures[kind as usize]
    }

    /// How many failures there were.
    #[must_use]
    pub fn all_failures(&self) -> u64 {
        self.failures.iter().sum()
    }

    pub(crate) fn failure(&mut self, kind: ErrorKind) {
        self.failures[kind as usize] += 1;
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            received_bytes: 0,
            files_done: 0,
            files_failed: 0,
            attempt_seconds: Histogram::new(SECONDS),
            file_bytes: Histogram::new(BYTES),
            listing_seconds: Histogram::new(SECONDS),
            failures: Default::default(),
        }
    }
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Each bound, and how many values lay at or below it; the last bound is infinite.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn observe(&mut self, value: f64) {
        let place = self.bounds.partition_point(|&bound| bound < value);
        self.counts[place] += 1;
        self.sum += value;
    }

    pub(crate) fn observe_time(&mut self, took: Duration) {
        self.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_at_its_own_bound_and_all_above() {
        let mut histogram = Histogram::new(&[1.0, 10.0]);
        for value in [0.5, 1.0, 1.5, 10.0, 11.0] {
            histogram.observe(value);
        }
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative, [(1.0, 2), (10.0, 4), (f64::INFINITY, 5)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 24.0));
    }

    #[test]
    fn failures_are_told_apart_by_kind() {
        let tally = Tally::default();
        for kind in ErrorKind::ALL {
            tally.note(|counts| counts.failure(kind));
        }
        tally.note(|counts| counts.failure(ErrorKind::Tls));
        let counts = tally.counts();
        assert_eq!((counts.failures(ErrorKind::Tls), counts.failures(ErrorKind::Disk)), (2, 1));
        assert_eq!(counts.all_failures(), 15);
    }
}
