//! The blocking half of receiving: bytes go to the disk and through the checks, in one go.

use std::io;

use bytes::Bytes;

use crate::checks::{Checks, Facts};
use crate::store::{Age, Store};

/// Writes one body into a part. All of it blocks.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) checks: Checks,
}

impl Writer {
    /// Writes a batch and feeds it to the checks.
    pub(crate) fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        for bytes in batch {
            self.store.append(bytes)?;
            self.checks.feed(bytes);
        }
        Ok(())
    }

    /// Records what was written where that is due.
    pub(crate) fn checkpoint(&mut self, age: Age) -> io::Result<()> {
        self.store.checkpoint(age)
    }

    /// What the bytes say, and the part that they lie in.
    pub(crate) fn finish(self) -> (Facts, Store) {
        (self.checks.finish(), self.store)
    }
}
