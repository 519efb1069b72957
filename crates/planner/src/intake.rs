//! Takes in a list of files: a URL list or a manifest becomes JSON lines of file records, each path once.
//!
//! Memory stays flat whatever the length: lines pass through, and duplicates are found by an external
//! sort of path hashes. Nothing is kept over a crash; the job exists only once the queue has the result.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use skyhaul_model::{ErrorKind, FileError, FileSpec, NewWindow, WindowTarget};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::naming::{line_file, shorten};
use crate::sorter::{Entry, Merged, Sorter};
use crate::{hex, manifest};

/// The longest line that can be a URL with a path; what is longer is a failed file.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// Files in one window of a list: small enough to be one write to the queue, large enough that a
/// million-line list has a few hundred windows.
const WINDOW_FILES: u64 = 4_096;

/// What a list looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// One URL a line.
    Urls {
        /// Files land at their path below this URL.
        base: Option<String>,
    },
    /// A document of `manifest --format json`.
    Manifest,
}

/// A list that was taken in.
#[derive(Debug)]
pub struct Intake {
    file: NamedTempFile,
    /// Slices that cover it, in order.
    pub windows: Vec<NewWindow>,
    /// SHA-256 of the list as it was given, in hex.
    pub digest: String,
    /// Files in it, those with unusable lines included.
    pub files: u64,
}

impl Intake {
    /// The JSON lines of `FileSpec`; the file goes when this value goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Why a list cannot be taken in.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// Reading it, or writing the temporary copy, failed.
    #[error("cannot read the list, or write its copy to {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// A manifest that makes no sense.
    #[error("this is no manifest as 'skyhaul manifest --format json' writes it")]
    Manifest(#[source] serde_json::Error),
}

/// Reads a list to its end. Blocking.
///
/// # Errors
/// [`IntakeError`]; lines that cannot be used are no errors but files that have failed.
pub fn take_in(reader: &mut dyn BufRead, form: &ListForm, scratch: &Path) -> Result<Intake, IntakeError> {
    let failed = |error| IntakeError::Io(scratch.to_owned(), error);
    let mut digested = Digested { inner: reader, digest: Sha256::new() };
    let mut draft = Draft::new(scratch).map_err(failed)?;
    match form {
        ListForm::Urls { base } => read_lines(&mut digested, base.as_deref(), &mut draft).map_err(failed)?,
        ListForm::Manifest => {
            manifest::read_files(&mut digested, &mut |file| draft.push(&file))
                .map_err(IntakeError::Manifest)?;
        }
    }
    let digest = hex(&digested.digest.finalize());
    let (file, windows, files) = draft.without_duplicates(scratch).map_err(failed)?;
    Ok(Intake { file, windows, digest, files })
}

fn read_lines(reader: &mut Digested<'_>, base: Option<&str>, draft: &mut Draft) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let cut = line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE_BYTES;
        if cut {
            skip_line(&mut reader)?;
        }
        match std::str::from_utf8(&line) {
            Ok(text) if !cut => line_file(text, base).map_or(Ok(()), |file| draft.push(&file))?,
            _ => draft.push(&unusable_line(&line))?,
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, ended) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if ended {
            return Ok(());
        }
    }
}

fn unusable_line(line: &[u8]) -> FileSpec {
    let url = shorten(&String::from_utf8_lossy(line));
    let error = FileError::new(ErrorKind::Path, format!("'{url}' is too long for a URL or not UTF-8"));
    FileSpec { url, path: Err(error), size: None, sha256: None }
}

/// All files in the order of the list, duplicates still among them.
struct Draft {
    slices: Slices,
    sorter: Sorter,
}

impl Draft {
    fn new(scratch: &Path) -> io::Result<Self> {
        Ok(Self { slices: Slices::new(NamedTempFile::new_in(scratch)?), sorter: Sorter::new(scratch) })
    }

    fn push(&mut self, file: &FileSpec) -> io::Result<()> {
        if let Ok(path) = &file.path {
            let digest = Sha256::digest(path.as_str().as_bytes());
            let path = digest[..16].iter().fold(0u128, |value, &byte| value << 8 | u128::from(byte));
            self.sorter.push(Entry { path, index: self.slices.lines, url: hash(&file.url) })?;
        }
        self.slices.write(&serde_json::to_string(file)?)
    }

    /// The list without repeated URLs and with an error for each path that is taken: written again only
    /// where it has some.
    fn without_duplicates(self, scratch: &Path) -> io::Result<(NamedTempFile, Vec<NewWindow>, u64)> {
        let mut repeats = find_repeats(self.sorter.finish()?, scratch)?;
        let mut next_repeat = repeats.next()?;
        let draft = self.slices.finish()?;
        if next_repeat.is_none() {
            return Ok(draft);
        }
        let (mut draft, ..) = draft;
        io::Seek::rewind(&mut draft)?;
        let mut slices = Slices::new(NamedTempFile::new_in(scratch)?);
        for (index, line) in BufReader::new(draft).lines().enumerate() {
            let line = line?;
            match next_repeat.filter(|repeat| repeat.path == index as u128) {
                None => slices.write(&line)?,
                Some(repeat) => {
                    if repeat.url == CONFLICT {
                        slices.write(&path_taken(&line)?)?;
                    }
                    next_repeat = repeats.next()?;
                }
            }
        }
        slices.finish()
    }
}

const SAME_URL: u64 = 0;
const CONFLICT: u64 = 1;

/// Of each path's lines all but the first, sorted by line: as entries whose `path` is the line's index.
fn find_repeats(mut by_path: Merged, scratch: &Path) -> io::Result<Merged> {
    let mut by_line = Sorter::new(scratch);
    let mut first: Option<Entry> = None;
    while let Some(entry) = by_path.next()? {
        match first.filter(|first| first.path == entry.path) {
            None => first = Some(entry),
            Some(first) => {
                let verdict = if first.url == entry.url { SAME_URL } else { CONFLICT };
                by_line.push(Entry { path: u128::from(entry.index), index: entry.index, url: verdict })?;
            }
        }
    }
    by_line.finish()
}

fn path_taken(line: &str) -> io::Result<String> {
    let mut file: FileSpec = serde_json::from_str(line)?;
    if let Ok(path) = &file.path {
        let message = format!("another URL of the list lands at {path} already");
        file.path = Err(FileError::new(ErrorKind::Path, message));
    }
    Ok(serde_json::to_string(&file)?)
}

fn hash(text: &str) -> u64 {
    Sha256::digest(text.as_bytes())[..8].iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The final list and the windows that cut it.
struct Slices {
    file: BufWriter<NamedTempFile>,
    windows: Vec<NewWindow>,
    begun_at: u64,
    written: u64,
    first_line: u64,
    lines: u64,
}

impl Slices {
    fn new(file: NamedTempFile) -> Self {
        Self {
            file: BufWriter::new(file),
            windows: Vec::new(),
            begun_at: 0,
            written: 0,
            first_line: 1,
            lines: 0,
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")?;
        self.written += line.len() as u64 + 1;
        self.lines += 1;
        if self.lines - (self.first_line - 1) == WINDOW_FILES {
            self.cut();
        }
        Ok(())
    }

    fn cut(&mut self) {
        let length = self.written - self.begun_at;
        if length > 0 {
            let target = WindowTarget::Slice { offset: self.begun_at, length, first_line: self.first_line };
            self.windows.push(NewWindow { target });
        }
        self.begun_at = self.written;
        self.first_line = self.lines + 1;
    }

    fn finish(mut self) -> io::Result<(NamedTempFile, Vec<NewWindow>, u64)> {
        self.cut();
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.windows, self.lines))
    }
}

/// A reader that hashes what passes.
struct Digested<'a> {
    inner: &'a mut dyn BufRead,
    digest: Sha256,
}

impl Read for Digested<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn intake(text: &[u8], form: &ListForm) -> (Intake, Vec<FileSpec>) {
        let scratch = tempfile::tempdir().unwrap();
        let intake = take_in(&mut &*text, form, scratch.path()).unwrap();
        let content = std::fs::read_to_string(intake.path()).unwrap();
        let files = content.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (intake, files)
    }

    const URLS: ListForm = ListForm::Urls { base: None };

    #[test]
    fn the_same_url_is_one_file_and_the_second_url_for_a_path_fails() {
        let text =
            b"http://h/a\n# c\n\nhttp://h/a?v=2\nhttp://h/a\nhttp://h/b\tx\nhttp://h/x\thttp\nhttp://h/a";
        let (intake, files) = intake(text, &URLS);
        let seen: Vec<_> = files.iter().map(|file| (file.url.as_str(), file.path.is_ok())).collect();
        assert_eq!(
            seen,
            [("http://h/a", true), ("http://h/a?v=2", false), ("http://h/b", true), ("http://h/x", true)]
        );
        assert_eq!(intake.files, 4);
    }

    #[test]
    fn odd_lines_are_failed_files_and_the_rest_goes_on() {
        let mut text = b"http://h/a\n\xff\xfe\n".to_vec();
        text.extend(vec![b'x'; 100_000]);
        text.extend(b"\nhttp://h/b\r\n");
        let (_, files) = intake(&text, &URLS);
        let usable: Vec<_> = files.iter().map(|file| file.path.is_ok()).collect();
        assert_eq!(usable, [true, false, false, true]);
        assert!(files[2].url.len() < 1_000);
    }

    #[test]
    fn windows_cover_the_list_without_gap_or_overlap() {
        let text: String = (0..10_000).map(|n| format!("http://h/{n}\n")).collect();
        let (intake, files) = intake(text.as_bytes(), &URLS);
        assert_eq!((files.len(), intake.windows.len()), (10_000, 3));
        let mut end = 0;
        for window in &intake.windows {
            let WindowTarget::Slice { offset, length, .. } = window.target else { panic!("{window:?}") };
            assert_eq!(offset, end);
            end += length;
        }
        let written: usize = files.iter().map(|file| serde_json::to_string(file).unwrap().len() + 1).sum();
        assert_eq!(end, written as u64);
    }

    #[test]
    fn the_digest_is_that_of_the_list_as_given() {
        let (first, _) = intake(b"http://h/a\n", &URLS);
        assert_eq!(first.digest, hex(&Sha256::digest(b"http://h/a\n")));
        let (empty, files) = intake(b"", &URLS);
        assert_eq!((empty.files, empty.windows.len(), files.len()), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn every_path_is_planned_once_and_in_order(numbers in prop::collection::vec((0u8..20, 0u8..3), 0..60)) {
            let lines: Vec<String> = numbers.iter().map(|(path, query)| format!("http://h/{path}?{query}")).collect();
            let (_, files) = intake(lines.join("\n").as_bytes(), &URLS);
            let mut first: HashMap<&str, &str> = HashMap::new();
            let mut expected = Vec::new();
            for line in &lines {
                let path = line.split('?').next().unwrap();
                match first.get(path) {
                    None => {
                        first.insert(path, line);
                        expected.push((line.as_str(), true));
                    }
                    Some(known) if known == line => {}
                    Some(_) => expected.push((line.as_str(), false)),
                }
            }
            let seen: Vec<_> = files.iter().map(|file| (file.url.as_str(), file.path.is_ok())).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
