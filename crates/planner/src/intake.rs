//! Takes in a list of files: a URL list or a manifest becomes slices of file records, each path once.
//!
//! Memory stays flat whatever the length: lines pass through, from a thread that reads to one that writes, and duplicates are found by an external
//! sort of path hashes. Nothing is kept over a crash; the job exists only once the queue has the result.

mod slices;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use sha2::{Digest, Sha256};
use skyhaul_model::{ErrorKind, FileError, FileSpec, NewWindow};
use tempfile::NamedTempFile;
use thiserror::Error;

use self::slices::{Slices, read_slices};
use crate::naming::{Lines, shorten};
use crate::sorter::{Entry, Merged, Sorter};
use crate::{hex, manifest};

/// The longest line that can be a URL with a path; what is longer is a failed file.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// Files that go from who reads a list to who writes it at once, and how often before the reader waits.
const BATCH_FILES: usize = 1_024;
const BATCHES: usize = 4;

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
    /// The slices, see [`crate::slice_files`]; the file goes when this value goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Its files, slice by slice. Blocking.
    ///
    /// # Errors
    /// The copy cannot be read; the iterator's, too.
    pub fn slices(&self) -> io::Result<impl Iterator<Item = io::Result<Vec<FileSpec>>>> {
        read_slices(self.file.reopen()?, &self.windows)
    }
}

/// The byte order marks of UTF-16, both ways, and of UTF-8.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const UTF_8: &[u8] = b"\xef\xbb\xbf";

/// Why a list cannot be taken in.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// Reading it, or writing the temporary copy, failed.
    #[error("cannot read the list, or write its copy to {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Windows' shells write `>` so: every line would be senseless.
    #[error("it is written in UTF-16: save it as UTF-8")]
    Utf16,
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
    let begin = reader.fill_buf().map_err(failed)?;
    if UTF_16.iter().any(|mark| begin.starts_with(mark)) {
        return Err(IntakeError::Utf16);
    }
    // JSON knows no such mark (RFC 8259, section 8.1); a list of URLs sheds its own.
    if begin.starts_with(UTF_8) && matches!(form, ListForm::Manifest) {
        reader.consume(UTF_8.len());
    }
    let mut digested = Digested { inner: reader, digest: Sha256::new() };
    let draft = Draft::new(scratch).map_err(failed)?;
    let (read, draft) = thread::scope(|scope| {
        let (full, batches) = sync_channel(BATCHES);
        let writer = scope.spawn(move || draft.push_all(batches));
        let read =
            read_list(&mut digested, form, scratch, Batches { full, batch: Vec::new(), writer: &writer });
        (read, writer.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    // Where writing failed, reading ended for that alone.
    let draft = draft.map_err(failed)?;
    read?;
    let digest = hex(&digested.digest.finalize());
    let (file, windows, files) = draft.without_duplicates(scratch).map_err(failed)?;
    Ok(Intake { file, windows, digest, files })
}

/// Reads what is to be written meanwhile.
fn read_list(
    digested: &mut Digested<'_>,
    form: &ListForm,
    scratch: &Path,
    mut batches: Batches<'_, '_>,
) -> Result<(), IntakeError> {
    match form {
        ListForm::Urls { base } => read_lines(digested, base.as_deref(), &mut batches),
        ListForm::Manifest => {
            let read = manifest::read_files(digested, &mut |file| batches.push(file));
            read.map_err(IntakeError::Manifest)?;
            Ok(())
        }
    }
    .and_then(|()| batches.hand_over())
    .map_err(|error| IntakeError::Io(scratch.to_owned(), error))
}

/// Files on their way from who reads them to who writes them.
struct Batches<'a, 'scope> {
    full: SyncSender<Vec<FileSpec>>,
    batch: Vec<FileSpec>,
    writer: &'a ScopedJoinHandle<'scope, io::Result<Draft>>,
}

impl Batches<'_, '_> {
    /// Fails with the first file after the writer has: a list may come too slowly to wait for a full batch.
    fn push(&mut self, file: FileSpec) -> io::Result<()> {
        self.batch.push(file);
        let waits = self.batch.len() < BATCH_FILES && !self.writer.is_finished();
        if waits { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let batch = mem::replace(&mut self.batch, Vec::with_capacity(BATCH_FILES));
        self.full.send(batch).map_err(io::Error::other)
    }
}

fn read_lines(
    reader: &mut Digested<'_>,
    base: Option<&str>,
    batches: &mut Batches<'_, '_>,
) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let (mut line, mut lines) = (Vec::new(), Lines::new(base));
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
            Ok(text) if !cut => lines.file(text).map_or(Ok(()), |file| batches.push(file))?,
            // A comment may be of any length and in whatever people's editors write.
            _ if line.trim_ascii_start().starts_with(b"#") => {}
            Ok(_) => batches.push(unusable_line(&line, "is too long for a URL"))?,
            Err(_) => batches.push(unusable_line(&line, "is not UTF-8"))?,
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

fn unusable_line(line: &[u8], why: &str) -> FileSpec {
    let url = shorten(&String::from_utf8_lossy(line.trim_ascii()));
    let error = FileError::new(ErrorKind::Path, format!("'{url}' {why}"));
    FileSpec { url, path: Err(error), size: None, sha256: None }
}

/// All files in the order of the list, duplicates still among them.
struct Draft {
    slices: Slices,
    sorter: Sorter,
    /// Keys that nobody can make a list for: equal hashes are taken for equal texts.
    keys: [RandomState; 3],
}

impl Draft {
    fn new(scratch: &Path) -> io::Result<Self> {
        let slices = Slices::new(NamedTempFile::new_in(scratch)?);
        Ok(Self { slices, sorter: Sorter::new(scratch), keys: std::array::from_fn(|_| RandomState::new()) })
    }

    /// Takes in all that comes.
    fn push_all(mut self, batches: Receiver<Vec<FileSpec>>) -> io::Result<Self> {
        batches.into_iter().flatten().try_for_each(|file| self.push(&file))?;
        Ok(self)
    }

    fn push(&mut self, file: &FileSpec) -> io::Result<()> {
        if let Ok(path) = &file.path {
            let [high, low, url] = &self.keys;
            let path = path.as_str();
            let path = u128::from(high.hash_one(path)) << 64 | u128::from(low.hash_one(path));
            // No server hears of what follows '#': it makes no other URL.
            let asked = file.url.split('#').next();
            self.sorter.push(Entry { path, index: self.slices.files(), url: url.hash_one(asked) })?;
        }
        self.slices.write(file)
    }

    /// The list without repeated URLs and with an error for each path that is taken: written again only
    /// where it has some.
    fn without_duplicates(self, scratch: &Path) -> io::Result<(NamedTempFile, Vec<NewWindow>, u64)> {
        let mut repeats = find_repeats(self.sorter.finish()?, scratch)?;
        let mut next_repeat = repeats.next()?;
        let (draft, windows, files) = self.slices.finish()?;
        if next_repeat.is_none() {
            return Ok((draft, windows, files));
        }
        let mut slices = Slices::new(NamedTempFile::new_in(scratch)?);
        let mut index = 0;
        for slice in read_slices(draft.reopen()?, &windows)? {
            for file in slice? {
                match next_repeat.filter(|repeat| repeat.path == index) {
                    None => slices.write(&file)?,
                    Some(repeat) => {
                        if repeat.url == CONFLICT {
                            slices.write(&path_taken(file))?;
                        }
                        next_repeat = repeats.next()?;
                    }
                }
                index += 1;
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

fn path_taken(mut file: FileSpec) -> FileSpec {
    if let Ok(path) = &file.path {
        let message = format!("another URL of the list lands at {path} already");
        file.path = Err(FileError::new(ErrorKind::Path, message));
    }
    file
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

    use skyhaul_model::WindowTarget;

    use super::slices::WINDOW_BYTES;
    use super::*;

    fn intake(text: &[u8], form: &ListForm) -> (Intake, Vec<FileSpec>) {
        let scratch = tempfile::tempdir().unwrap();
        let intake = take_in(&mut &*text, form, scratch.path()).unwrap();
        let files = intake.slices().unwrap().flat_map(Result::unwrap).collect();
        (intake, files)
    }

    const URLS: ListForm = ListForm::Urls { base: None };

    #[test]
    fn the_same_url_is_one_file_and_the_second_url_for_a_path_fails() {
        let text =
            b"http://h/a\n# c\n\nhttp://h/a?v=2#f\nhttp://h/a#f\nhttp://h/b\tx\nhttp://h/x\thttp\nhttp://h/a";
        let (intake, files) = intake(text, &URLS);
        let seen: Vec<_> = files.iter().map(|file| (file.url.as_str(), file.path.is_ok())).collect();
        assert_eq!(
            seen,
            [("http://h/a", true), ("http://h/a?v=2#f", false), ("http://h/b", true), ("http://h/x", true)]
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
    fn an_odd_line_is_told_without_its_end_and_an_odd_comment_is_a_comment() {
        let mut text = b"# caf\xe9\r\nhttp://h/caf\xe9\r\n #".to_vec();
        text.extend(vec![b'x'; 100_000]);
        text.extend(b"\nhttp://h/b");
        let (_, files) = intake(&text, &URLS);
        let urls: Vec<_> = files.iter().map(|file| file.url.as_str()).collect();
        assert_eq!(urls, ["http://h/caf\u{fffd}", "http://h/b"]);
        let why = files[0].path.as_ref().unwrap_err();
        assert_eq!(why.message, "'http://h/caf\u{fffd}' is not UTF-8");
    }

    #[test]
    fn marks_of_encodings_are_understood() {
        let scratch = tempfile::tempdir().unwrap();
        for text in [&b"\xff\xfeh\0t\0"[..], b"\xfe\xff\0h\0t"] {
            let refused = take_in(&mut &*text, &URLS, scratch.path());
            assert!(matches!(refused, Err(IntakeError::Utf16)), "{refused:?}");
        }
        let (_, files) = intake(b"\xef\xbb\xbfhttp://h/a", &URLS);
        assert_eq!(files[0].url, "http://h/a");
        let manifest = br#"{"files":[]}"#;
        let marked = [UTF_8, &manifest[..]].concat();
        let digest = |text: &[u8]| intake(text, &ListForm::Manifest).0.digest;
        assert_eq!(digest(&marked), digest(manifest));
    }

    #[test]
    fn windows_cover_the_list_without_gap_or_overlap() {
        let text: String = (0..40_000).map(|n| format!("http://h/{n}\n")).collect();
        let (intake, files) = intake(text.as_bytes(), &URLS);
        assert_eq!((files.len(), intake.windows.len()), (40_000, 3));
        let mut end = 0;
        for window in &intake.windows {
            let WindowTarget::Slice { offset, length, .. } = window.target else { panic!("{window:?}") };
            assert_eq!(offset, end);
            end += length;
        }
        assert_eq!(end, intake.file.as_file().metadata().unwrap().len());
        assert!(end < 40_000 * 64, "{end} bytes");
    }

    #[test]
    fn long_lines_make_more_windows_and_not_larger_ones() {
        let query = "x".repeat(15_000);
        let text: String = (0..1_000).map(|n| format!("http://h/{n}?{query}\n")).collect();
        let scratch = tempfile::tempdir().unwrap();
        let intake = take_in(&mut text.as_bytes(), &URLS, scratch.path()).unwrap();
        let mut first = 1;
        for (window, slice) in intake.windows.iter().zip(intake.slices().unwrap()) {
            let WindowTarget::Slice { first_line, .. } = window.target else { panic!("{window:?}") };
            let slice = slice.unwrap();
            let bytes: usize = slice.iter().map(|file| file.url.len()).sum();
            assert!(bytes < WINDOW_BYTES + 20_000, "{bytes} bytes from line {first_line} on");
            assert_eq!(first_line, first);
            first += slice.len() as u64;
        }
        assert_eq!((intake.files, first), (1_000, 1_001));
    }

    #[test]
    fn whoever_reads_learns_with_the_next_file_that_writing_failed() {
        thread::scope(|scope| {
            let (full, batches) = sync_channel(BATCHES);
            let writer = scope.spawn(move || {
                drop(batches);
                Err(io::Error::other("no space left"))
            });
            while !writer.is_finished() {
                thread::yield_now();
            }
            let mut batches = Batches { full, batch: Vec::new(), writer: &writer };
            assert!(batches.push(unusable_line(b"x", "is odd")).is_err());
        });
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
