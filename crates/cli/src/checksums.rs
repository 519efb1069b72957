//! `--checksums`: a list of digests, taken in before the command answers, and compared with what is here already.
//!
//! What is taken in lies in a temporary file that goes with the value; the queue keeps a copy.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use skyhaul_model::{ErrorKind, FileError, FileRecord, FileSeq, FileState, JobRecord, RelPath, VerifyLevel};
use skyhaul_queue::FileQuery;
use skyhaul_transfer::{Expected, check_file};
use skyhaul_verify::{Algorithm, Digest, ListError, Search, normalise};
use tempfile::NamedTempFile;

use crate::context::blocking;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::json::hex;

/// Files read from the queue at once.
const PAGE: usize = 1_000;

/// A list of digests in the queue's form.
#[derive(Clone, Debug)]
pub(crate) struct Checksums {
    list: Arc<NamedTempFile>,
    /// SHA-256 of the list in hex: what tells it from others.
    pub(crate) digest: String,
}

impl Checksums {
    /// Reads a list as `sha256sum` and its like write it. Blocking.
    pub(crate) fn take_in(path: &Path) -> Result<Self, CliError> {
        let unreadable = |error: io::Error| {
            CliError::usage(format!("cannot read the checksums in {}", path.display())).because(&error)
        };
        let scratch = std::env::temp_dir();
        let unwritable = |error: io::Error| {
            CliError::failed(format!("cannot write to {}", scratch.display())).because(&error)
        };
        let mut source = BufReader::new(File::open(path).map_err(unreadable)?);
        let list = NamedTempFile::new_in(&scratch).map_err(unwritable)?;
        let mut writer = BufWriter::new(list.as_file());
        normalise(&mut source, &mut writer, &scratch).map_err(|error| unusable(path, &error))?;
        writer.flush().map_err(unwritable)?;
        drop(writer);
        let digest = digest_of(list.path()).map_err(unwritable)?;
        Ok(Self { list: Arc::new(list), digest })
    }

    /// The file that the queue copies.
    pub(crate) fn path(&self) -> PathBuf {
        self.list.path().to_owned()
    }

    /// Compares the finished files of a job with the list; those that are wrong are put back. How many there were.
    pub(crate) async fn compare(&self, desk: &Desk, job: &JobRecord) -> Result<u64, CliError> {
        let (mut after, mut wrong) = (None, 0);
        loop {
            let query = FileQuery { state: Some(FileState::Done), after, limit: PAGE };
            let page = desk.files(job.id, query).await?;
            let (list, out) = (Arc::clone(&self.list), PathBuf::from(&job.query.out));
            let bad = blocking(move || bad_ones(&list, &out, &page.files)).await?;
            wrong += bad.len() as u64;
            if !bad.is_empty() {
                desk.invalidate(job.id, bad).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(wrong);
            }
        }
    }

    /// How many finished files of a job the list does not name: they are known good on other words.
    pub(crate) async fn unnamed(&self, desk: &Desk, job: &JobRecord) -> Result<u64, CliError> {
        let (mut after, mut unnamed) = (None, 0);
        loop {
            let query = FileQuery { state: Some(FileState::Done), after, limit: PAGE };
            let page = desk.files(job.id, query).await?;
            let list = Arc::clone(&self.list);
            unnamed += blocking(move || count_unnamed(&list, &page.files)).await?;
            after = page.next;
            if after.is_none() {
                return Ok(unnamed);
            }
        }
    }
}

fn unusable(path: &Path, error: &ListError) -> CliError {
    match error {
        ListError::Io(cause) => {
            CliError::new(Exit::Failed, format!("cannot take the checksums in {} in", path.display()))
                .because(cause)
        }
        _ => CliError::usage(format!("{}: {error}", path.display())),
    }
}

fn digest_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The files that are not what the list says. Blocking.
fn bad_ones(
    list: &NamedTempFile,
    out: &Path,
    files: &[FileRecord],
) -> Result<Vec<(FileSeq, FileError)>, CliError> {
    let (mut list, length) = reopened(list)?;
    let mut bad = Vec::new();
    for file in files {
        let Ok(path) = &file.spec.path else { continue };
        let digests = listed(&mut list, length, path).map_err(|error| unreadable(&error))?;
        bad.extend(why_bad(file, &out.join(path.as_str()), digests).map(|error| (file.seq, error)));
    }
    Ok(bad)
}

/// Blocking.
fn count_unnamed(list: &NamedTempFile, files: &[FileRecord]) -> Result<u64, CliError> {
    let (mut list, length) = reopened(list)?;
    let mut unnamed = 0;
    for path in files.iter().filter_map(|file| file.spec.path.as_ref().ok()) {
        let digests = listed(&mut list, length, path).map_err(|error| unreadable(&error))?;
        unnamed += u64::from(digests.is_empty());
    }
    Ok(unnamed)
}

/// The list and its length in bytes.
fn reopened(list: &NamedTempFile) -> Result<(File, u64), CliError> {
    let list = File::open(list.path()).map_err(|error| unreadable(&error))?;
    let length = list.metadata().map_err(|error| unreadable(&error))?.len();
    Ok((list, length))
}

fn unreadable(error: &io::Error) -> CliError {
    CliError::failed("cannot read the checksums back").because(error)
}

fn listed(list: &mut File, length: u64, path: &RelPath) -> io::Result<Vec<Digest>> {
    let mut search = Search::new(length, path);
    while let Some(range) = search.wants() {
        list.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        Read::take(&mut *list, range.end - range.start).read_to_end(&mut bytes)?;
        search.take(&bytes);
    }
    Ok(search.found().digests())
}

/// Why a finished file is not what the list says. It is read only where another digest is asked for than the one that
/// was recorded.
fn why_bad(file: &FileRecord, place: &Path, digests: Vec<Digest>) -> Option<FileError> {
    let sealed = file.sealed.as_ref()?;
    let recorded = Digest::sha256(sealed.sha256);
    let (known, others): (Vec<_>, Vec<_>) =
        digests.into_iter().partition(|digest| digest.algorithm() == Algorithm::Sha256);
    let differs = |digest: &Digest| *digest != recorded;
    if known.iter().any(differs) {
        let message = format!("{} has another SHA-256 than the list of --checksums says", place.display());
        return Some(FileError::new(ErrorKind::Checksum, message));
    }
    if others.is_empty() {
        return None;
    }
    let expected = Expected { size: Some(sealed.size), digests: others };
    check_file(place, VerifyLevel::Length, &expected).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// Digests of "abc": SHA-256 (FIPS 180-2, appendix B.1) and MD5 (RFC 1321, appendix A.5).
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn judged(line: &str) -> Option<ErrorKind> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, format!("{line}\n")).unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/abc"), "abc").unwrap();
        let checksums = Checksums::take_in(&path).unwrap();
        let mut file = samples::file();
        file.spec.path = Ok(RelPath::parse("d/abc").unwrap());
        if let Some(sealed) = &mut file.sealed {
            (sealed.size, sealed.sha256) = (3, Sha256::digest("abc").into());
        }
        let bad = bad_ones(&checksums.list, folder.path(), &[file]).unwrap();
        bad.first().map(|(_, error)| error.kind)
    }

    #[test]
    fn finished_files_are_compared_by_path_or_name_and_by_any_algorithm() {
        let wrong = "0".repeat(64);
        let table = [
            (format!("{SHA256}  d/abc"), None),
            (format!("{SHA256}  abc"), None),
            (format!("{MD5}  d/abc"), None),
            (format!("{wrong}  other"), None),
            (format!("{wrong}  d/abc"), Some(ErrorKind::Checksum)),
            (format!("{wrong}  abc"), Some(ErrorKind::Checksum)),
            (format!("{}  d/abc", "0".repeat(32)), Some(ErrorKind::Checksum)),
        ];
        for (line, expected) in table {
            assert_eq!(judged(&line), expected, "{line}");
        }
    }

    #[test]
    fn a_list_that_makes_no_sense_is_a_wrong_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let twice = format!("{SHA256}  a\n{}  a\n", "0".repeat(64));
        for content in [None, Some("nonsense\n"), Some(&twice)] {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let error = Checksums::take_in(&path).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().contains("list"), "{error}");
        }
    }

    #[test]
    fn the_order_of_lines_does_not_make_another_list() {
        let folder = tempfile::tempdir().unwrap();
        let list = |lines: &str| {
            let path = folder.path().join("list");
            std::fs::write(&path, lines).unwrap();
            Checksums::take_in(&path).unwrap().digest
        };
        let (one, two) = (format!("{SHA256}  a\n"), format!("{MD5}  b\n"));
        assert_eq!(list(&format!("{one}{two}")), list(&format!("{two}{one}")));
        assert_ne!(list(&one), list(&two));
    }
}
