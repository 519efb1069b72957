//! Connections that no file needs for itself, and that large files may use to be fetched by several at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what all transfers of an engine use. A file has its first connection always, further ones only while the
/// number of connections that may be is not used up.
#[derive(Debug)]
pub struct Spare {
    most: usize,
    used: AtomicUsize,
    worth_bytes: u64,
}

/// A file of which so much is missing is worth several connections.
const WORTH_BYTES: u64 = 64 << 20;

/// Who allows more wants speed above few requests; so many is the usual limit.
const USUAL: usize = 16;

/// One connection in use; given back when dropped.
#[derive(Debug)]
pub(crate) struct Used(Arc<Spare>);

impl Spare {
    /// So many connections at most; with none, each file is fetched by one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, used: AtomicUsize::new(0), worth_bytes: WORTH_BYTES }
    }

    /// Spends them on files of which at least so many bytes are missing; usually 64 MiB.
    #[must_use]
    pub fn for_files_from(self, bytes: u64) -> Self {
        Self { worth_bytes: bytes, ..self }
    }

    /// Whether a file of which so many bytes are missing is to be fetched by several.
    pub(crate) fn are_worth(&self, missing: u64) -> bool {
        missing >= self.worth_bytes
    }

    /// Whether they are meant for files of any size.
    pub(crate) fn are_generous(&self) -> bool {
        self.most > USUAL
    }

    /// A file's own.
    pub(crate) fn own(self: &Arc<Self>) -> Used {
        self.used.fetch_add(1, Ordering::Relaxed);
        Used(Arc::clone(self))
    }

    /// One more, if it is spare.
    pub(crate) fn further(self: &Arc<Self>) -> Option<Used> {
        let more = |used| (used < self.most).then_some(used + 1);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Used(Arc::clone(self)))
    }
}

impl Default for Spare {
    /// None.
    fn default() -> Self {
        Self::new(0)
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_own_and_further_ones_are_spare() {
        let spare = Arc::new(Spare::new(2));
        let own = spare.own();
        let further = spare.further().unwrap();
        assert!(spare.further().is_none());
        let other = spare.own();
        drop(further);
        assert!(spare.further().is_none(), "the files come first");
        drop(other);
        assert!(spare.further().is_some());
        drop(own);
    }
}
