//! The checks of a file that is being written, which follow behind: they read what has been written back from the part,
//! mostly from the page cache.
//!
//! However far the lanes are ahead, no byte waits in memory for its checks. What was seen is lost with the process:
//! whoever goes on reads it again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crc32fast::Hasher;

use crate::checks::Checks;
use crate::extents::Extents;
use crate::trouble::Blow;

/// How much is read at a time.
const BLOCK_BYTES: u64 = 256 << 10;

/// The checks of one file, and where they read.
#[derive(Debug)]
pub(super) struct Checker {
    checks: Checks,
    /// Of what the checks have seen.
    crc: Hasher,
    path: PathBuf,
    /// Where the checks are, once they have read.
    part: Option<File>,
    block: Vec<u8>,
}

impl Checker {
    /// Goes on with checks that have seen the beginning of the part at `path`, of which this is written.
    pub(super) fn behind(checks: Checks, path: PathBuf, written: &Extents) -> Self {
        // What the checks have seen already was written as it came.
        let seen = written.within(checks.length());
        let crc = Hasher::new_with_initial_len(seen.prefix_crc(), seen.prefix());
        Self { checks, crc, path, part: None, block: Vec::new() }
    }

    /// Reads on to before the offset `end`, as long as `go_on` says so and there is a use in more. Blocking.
    pub(super) fn read_to(&mut self, end: u64, go_on: impl Fn() -> bool) -> Result<(), Blow> {
        while self.length() < end && go_on() && !self.is_hopeless() {
            self.read_block(end).map_err(|error| Blow::of_disk("read", &self.path, &error))?;
        }
        Ok(())
    }

    fn read_block(&mut self, end: u64) -> io::Result<()> {
        let at = self.checks.length();
        let part = match &mut self.part {
            Some(part) => part,
            none => {
                let mut part = File::open(&self.path)?;
                part.seek(SeekFrom::Start(at))?;
                none.insert(part)
            }
        };
        self.block.resize(usize::try_from((end - at).min(BLOCK_BYTES)).unwrap_or(0), 0);
        part.read_exact(&mut self.block)?;
        self.checks.feed(&self.block);
        self.crc.update(&self.block);
        Ok(())
    }

    /// Bytes that the checks have seen.
    pub(super) fn length(&self) -> u64 {
        self.checks.length()
    }

    /// Whether the file's first bytes say that there is no use in more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.checks.are_hopeless()
    }

    /// Whether what was read is what was written, by this process and by those before it.
    pub(super) fn has_read(&self, written: &Extents) -> bool {
        (self.checks.length(), self.crc.clone().finalize()) == (written.prefix(), written.prefix_crc())
    }

    /// The checks, which nothing more is read for.
    pub(super) fn into_checks(self) -> Checks {
        self.checks
    }
}
