//! The blocking half of receiving: bytes go to the disk and through the checks, in one go.

use std::io;

use bytes::Bytes;

use crate::checks::{Checks, Facts, FirstBytes};
use crate::store::{Age, Store};

/// Writes one body into a part. All of it blocks.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) checks: Checks,
}

impl Writer {
    /// Writes a batch and looks at what has come so far.
    pub(crate) fn write(&mut self, batch: &[Bytes], age: Age) -> io::Result<FirstBytes> {
        for bytes in batch {
            self.store.append(bytes)?;
            self.checks.feed(bytes);
        }
        self.store.checkpoint(self.checks.length(), age)?;
        Ok(self.checks.first_bytes())
    }

    /// What the bytes say, and the part that they lie in.
    pub(crate) fn finish(self) -> (Facts, Store) {
        (self.checks.finish(), self.store)
    }
}
