//! An external sort of text lines: bounded memory however many there are.
//!
//! Lines gather in one block of memory; a full one is sorted and spilled to an unnamed temporary file, and
//! in the end all are merged. Nothing survives a crash, and nothing needs to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::LONGEST_ROW;

/// Text held in memory before a run is spilled: about 200,000 lines.
const RUN_BYTES: usize = 32 << 20;

/// Collects lines, then gives them back in the order of their bytes.
pub(super) struct Sorter {
    scratch: PathBuf,
    run: Run,
    run_bytes: usize,
    spilled: Vec<File>,
}

impl Sorter {
    /// A sorter that spills into unnamed files in `scratch`.
    pub(super) fn new(scratch: &Path) -> Self {
        Self::with_runs_of(scratch, RUN_BYTES)
    }

    pub(super) fn with_runs_of(scratch: &Path, run_bytes: usize) -> Self {
        Self { scratch: scratch.to_owned(), run: Run::default(), run_bytes, spilled: Vec::new() }
    }

    /// Adds a line, without its line end.
    pub(super) fn push(&mut self, line: &str) -> io::Result<()> {
        self.run.push(line);
        if self.run.text.len() >= self.run_bytes { self.spill() } else { Ok(()) }
    }

    /// Gives every line to `each`, in order.
    pub(super) fn finish<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.spilled.is_empty() {
            return self.run.sorted().into_iter().try_for_each(each);
        }
        self.spill()?;
        let mut readers = Vec::with_capacity(self.spilled.len());
        for mut file in self.spilled {
            file.rewind()?;
            readers.push(BufReader::new(file));
        }
        let mut heads = BinaryHeap::with_capacity(readers.len());
        for (number, reader) in readers.iter_mut().enumerate() {
            heads.extend(read_line(reader)?.map(|line| Reverse((line, number))));
        }
        while let Some(Reverse((line, number))) = heads.pop() {
            each(&line)?;
            heads.extend(read_line(&mut readers[number])?.map(|line| Reverse((line, number))));
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut writer = BufWriter::new(tempfile::tempfile_in(&self.scratch)?);
        for line in self.run.sorted() {
            writer.write_all(line.as_bytes())?;
            writer.write_all(b"\n")?;
        }
        self.spilled.push(writer.into_inner().map_err(io::IntoInnerError::into_error)?);
        self.run.clear();
        Ok(())
    }
}

/// Lines that are in memory, one behind the other.
#[derive(Default)]
struct Run {
    text: String,
    ends: Vec<usize>,
}

impl Run {
    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.ends.push(self.text.len());
    }

    fn sorted(&self) -> Vec<&str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut lines: Vec<_> = starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end]).collect();
        lines.sort_unstable();
        lines
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

fn read_line(reader: &mut BufReader<File>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let length = reader.take(LONGEST_ROW as u64).read_line(&mut line)?;
    if line.ends_with('\n') {
        line.pop();
    }
    Ok((length > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spilled_runs_come_back_as_one_sorted_list(
            mut lines in prop::collection::vec("[a-cé]{0,3}", 0..60),
            run_bytes in 1usize..60,
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::with_runs_of(scratch.path(), run_bytes);
            for line in &lines {
                sorter.push(line).unwrap();
            }
            lines.sort_unstable();
            let mut sorted = Vec::new();
            let collect = |line: &str| {
                sorted.push(line.to_owned());
                io::Result::Ok(())
            };
            sorter.finish(collect).unwrap();
            prop_assert_eq!(sorted, lines);
        }
    }
}
