//! The taken-in list as it is written: lines that tell only what differs, cut into the windows of its job.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::mem;

use skyhaul_model::{FileSpec, NewWindow, WindowTarget};
use tempfile::NamedTempFile;

use crate::slice::{Before, Check, slice_files};

/// Files in one window of a list. Each window costs a sync, and a list of a million lines has some sixty.
const WINDOW_FILES: u64 = 16_384;

/// Bytes of URLs and paths in one window, so that it is some megabytes while it is taken in, however long its lines: on
/// disk they tell only what differs. Lines of usual length reach the number of files first.
pub(super) const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// The final list and the windows that cut it.
pub(super) struct Slices {
    file: BufWriter<NamedTempFile>,
    windows: Vec<NewWindow>,
    /// What the next line is told against, and where it is put together.
    before: Before,
    line: Vec<u8>,
    check: Check,
    begun_at: u64,
    written: u64,
    /// Bytes of URLs and paths since the last cut.
    plain_bytes: usize,
    first_file: u64,
    files: u64,
}

impl Slices {
    pub(super) fn new(file: NamedTempFile) -> Self {
        Self {
            file: BufWriter::new(file),
            windows: Vec::new(),
            before: Before::default(),
            line: Vec::new(),
            check: Check::default(),
            begun_at: 0,
            written: 0,
            plain_bytes: 0,
            first_file: 1,
            files: 0,
        }
    }

    pub(super) fn write(&mut self, file: &FileSpec) -> io::Result<()> {
        self.line.clear();
        self.before.put(&mut self.line, file)?;
        self.check.add(&self.line);
        self.file.write_all(&self.line)?;
        self.written += self.line.len() as u64;
        self.files += 1;
        self.plain_bytes += file.url.len() + file.path.as_ref().map_or(0, |path| path.as_str().len());
        if self.files - (self.first_file - 1) == WINDOW_FILES || self.plain_bytes >= WINDOW_BYTES {
            self.cut()?;
        }
        Ok(())
    }

    /// Files written so far: the index of the next.
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    fn cut(&mut self) -> io::Result<()> {
        let check = mem::take(&mut self.check).line();
        if self.written > self.begun_at {
            self.file.write_all(check.as_bytes())?;
            self.written += check.len() as u64;
            let (offset, length) = (self.begun_at, self.written - self.begun_at);
            let target = WindowTarget::Slice { offset, length, first_line: self.first_file };
            self.windows.push(NewWindow { target });
        }
        self.before = Before::default();
        self.begun_at = self.written;
        self.plain_bytes = 0;
        self.first_file = self.files + 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<(NamedTempFile, Vec<NewWindow>, u64)> {
        self.cut()?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.windows, self.files))
    }
}

/// The files of each window of a list, in order.
pub(super) fn read_slices(
    list: File,
    windows: &[NewWindow],
) -> io::Result<impl Iterator<Item = io::Result<Vec<FileSpec>>>> {
    let mut list = BufReader::new(list);
    list.rewind()?;
    let lengths = windows.iter().map(|window| match window.target {
        WindowTarget::Slice { length, .. } => length,
        WindowTarget::Listing { .. } => 0,
    });
    Ok(lengths.map(move |length| {
        let mut lines = Vec::new();
        list.by_ref().take(length).read_to_end(&mut lines)?;
        slice_files(&lines).map_err(io::Error::other)
    }))
}
