//! An external sort of small fixed-size records: bounded memory however long a list is.
//!
//! Full runs are sorted and spilled to unnamed temporary files, then merged. Nothing survives a crash,
//! and nothing needs to: a list is taken in as a whole or not at all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Records held in memory before a run is spilled: 262,144 of 32 bytes are 8 MiB.
const RUN_RECORDS: usize = 1 << 18;

/// One line of a list, as the sort sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// A hash of the path that the line's file lands at.
    pub(crate) path: u128,
    /// The line's place among all files of the list.
    pub(crate) index: u64,
    /// A hash of the line's URL.
    pub(crate) url: u64,
}

const ENTRY_BYTES: usize = 32;

/// Collects entries, then gives them back in order.
pub(crate) struct Sorter {
    scratch: PathBuf,
    run: Vec<Entry>,
    run_records: usize,
    spilled: Vec<File>,
}

impl Sorter {
    /// A sorter that spills into unnamed files in `scratch`.
    pub(crate) fn new(scratch: &Path) -> Self {
        Self::with_runs_of(scratch, RUN_RECORDS)
    }

    fn with_runs_of(scratch: &Path, run_records: usize) -> Self {
        Self { scratch: scratch.to_owned(), run: Vec::new(), run_records, spilled: Vec::new() }
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.run.push(entry);
        if self.run.len() >= self.run_records { self.spill() } else { Ok(()) }
    }

    /// All entries, ascending.
    pub(crate) fn finish(mut self) -> io::Result<Merged> {
        self.run.sort_unstable();
        let mut runs = Vec::with_capacity(self.spilled.len() + 1);
        for mut file in self.spilled {
            file.rewind()?;
            runs.push(Run::Spilled(BufReader::new(file)));
        }
        runs.push(Run::Memory(self.run.into_iter()));
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(entry) = run.next()? {
                heads.push(Reverse((entry, number)));
            }
        }
        Ok(Merged { runs, heads })
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        let mut writer = BufWriter::new(tempfile::tempfile_in(&self.scratch)?);
        for entry in self.run.drain(..) {
            writer.write_all(&encode(entry))?;
        }
        self.spilled.push(writer.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }
}

/// Sorted runs, merged as they are read.
pub(crate) struct Merged {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Merged {
    /// The next entry; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(Reverse((entry, number))) = self.heads.pop() else { return Ok(None) };
        if let Some(following) = self.runs[number].next()? {
            self.heads.push(Reverse((following, number)));
        }
        Ok(Some(entry))
    }
}

enum Run {
    Memory(std::vec::IntoIter<Entry>),
    Spilled(BufReader<File>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Self::Memory(entries) => Ok(entries.next()),
            Self::Spilled(reader) => {
                let mut bytes = [0; ENTRY_BYTES];
                match reader.read_exact(&mut bytes) {
                    Ok(()) => Ok(Some(decode(&bytes))),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

fn encode(entry: Entry) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..16].copy_from_slice(&entry.path.to_le_bytes());
    bytes[16..24].copy_from_slice(&entry.index.to_le_bytes());
    bytes[24..].copy_from_slice(&entry.url.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; ENTRY_BYTES]) -> Entry {
    let part = |at: usize| bytes[at..].first_chunk().map_or(0, |part| u64::from_le_bytes(*part));
    Entry { path: u128::from(part(8)) << 64 | u128::from(part(0)), index: part(16), url: part(24) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spilled_runs_come_back_as_one_sorted_list(
            values in prop::collection::vec((0u128..50, any::<u64>()), 0..200),
            run_records in 1usize..40,
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::with_runs_of(scratch.path(), run_records);
            let mut expected = Vec::new();
            for (index, (path, url)) in values.into_iter().enumerate() {
                let entry = Entry { path, index: index as u64, url };
                expected.push(entry);
                sorter.push(entry).unwrap();
            }
            expected.sort_unstable();
            let mut merged = sorter.finish().unwrap();
            for entry in expected {
                prop_assert_eq!(merged.next().unwrap(), Some(entry));
            }
            prop_assert_eq!(merged.next().unwrap(), None);
        }
    }
}
