//! How far a transfer is: counters that the worker moves and the progress display reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Stands for an unknown total; no file is that long.
const UNKNOWN: u64 = u64::MAX;

/// The counters of one file in work. All are in bytes; a reader may see them a moment apart.
#[derive(Debug)]
pub struct Meter {
    received: AtomicU64,
    here: AtomicU64,
    total: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { received: AtomicU64::new(0), here: AtomicU64::new(0), total: AtomicU64::new(UNKNOWN) }
    }
}

impl Meter {
    /// Body bytes received for the file over all attempts so far, repeats included.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of the present part, those of earlier attempts that it goes on from included.
    #[must_use]
    pub fn here(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }

    /// The file's size, once known.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != UNKNOWN)
    }

    /// Raises what was received to at least `received`: what lies here has been received once.
    pub(crate) fn raise_received(&self, received: u64) {
        self.received.fetch_max(received, Ordering::Relaxed);
    }

    /// A piece of a body came.
    pub(crate) fn add(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.here.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A piece of a body came that is of no use.
    pub(crate) fn add_surplus(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The part now begins with `here` bytes of `total`.
    pub(crate) fn set_part(&self, here: u64, total: Option<u64>) {
        self.here.store(here, Ordering::Relaxed);
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_counts_repeats_and_here_does_not() {
        let meter = Meter::default();
        assert_eq!((meter.received(), meter.here(), meter.total()), (0, 0, None));
        meter.raise_received(10);
        meter.raise_received(5);
        meter.set_part(4, Some(9));
        meter.add(3);
        meter.set_part(0, Some(9));
        meter.add(2);
        meter.add_surplus(1);
        assert_eq!((meter.received(), meter.here(), meter.total()), (16, 2, Some(9)));
    }
}
