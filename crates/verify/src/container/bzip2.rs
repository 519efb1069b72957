//! The bzip2 check: every block's CRC-32 and every stream's, which the decompressor holds its output to,
//! and then what is inside.

use bzip2::{Decompress, Error, Status};

use super::budget::Budget;
use super::gzip::finish_inner;
use super::{Check, Container, Damage};

/// How much is unpacked at a time; what comes out is looked at and forgotten.
const WINDOW_BYTES: usize = 32 << 10;

/// What a stream costs whose decompressor is set up, however little is in it: as much as a block of the largest size.
const STREAM_COSTS: u64 = 900_000;

/// A bzip2 file as far as it was seen.
pub(super) struct Bzip2 {
    /// Streams that are complete. A file may have several, one behind the other.
    streams: u64,
    /// The present stream, once its first byte has come.
    stream: Option<Decompress>,
    output: Vec<u8>,
    budget: Budget,
    inner: Option<Container>,
}

impl Bzip2 {
    /// The check of a file whose content is held to another check.
    pub(super) fn new(inner: Option<Container>) -> Self {
        let output = Vec::with_capacity(WINDOW_BYTES);
        Self { streams: 0, stream: None, output, budget: Budget::default(), inner }
    }

    /// Takes some of `bytes`; whether there is a use in asking again with what is left.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<Progress, Damage> {
        if self.is_given_up() || self.stream.is_none() && bytes.is_empty() {
            return Ok(Progress::None);
        }
        if self.stream.is_none() {
            self.budget.spend(0, STREAM_COSTS);
        }
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let before = stream.total_in();
        self.output.clear();
        let status = stream.decompress_vec(bytes, &mut self.output);
        let taken = stream.total_in() - before;
        let status = status.map_err(|error| self.damage(&error))?;
        let left = usize::try_from(taken).ok().and_then(|taken| bytes.get(taken..));
        *bytes = left.ok_or_else(|| self.damage(&Error::Data))?;
        self.budget.spend(taken, self.output.len() as u64);
        if let Some(inner) = &mut self.inner {
            inner.feed(&self.output);
        }
        match status {
            Status::StreamEnd => {
                self.streams += 1;
                self.stream = None;
                Ok(Progress::Some)
            }
            Status::MemNeeded => Err("needs more memory to unpack than there is".into()),
            _ if taken == 0 && self.output.is_empty() => Ok(Progress::None),
            _ => Ok(Progress::Some),
        }
    }

    fn damage(&self, error: &Error) -> Damage {
        match (error, self.streams) {
            (Error::DataMagic, 0) => "does not begin as bzip2".into(),
            (Error::DataMagic, _) => "has other bytes behind its bzip2 data".into(),
            (_, streams) => format!("is damaged within bzip2 stream {}", streams + 1).into(),
        }
    }
}

enum Progress {
    Some,
    None,
}

impl Check for Bzip2 {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        // What was taken in may still be on its way out when all bytes have been taken.
        while let Progress::Some = self.step(&mut bytes)? {}
        if bytes.is_empty() || self.is_given_up() { Ok(()) } else { Err(self.damage(&Error::Data)) }
    }

    fn is_given_up(&self) -> bool {
        self.budget.is_spent()
    }

    fn finish(&mut self) -> Result<(), Damage> {
        match (&self.stream, self.streams) {
            (None, 0) => Err("is empty".into()),
            (None, _) => finish_inner(self.inner.take()),
            (Some(_), streams) => Err(format!("ends within bzip2 stream {}", streams + 1).into()),
        }
    }
}
