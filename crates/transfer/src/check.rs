//! A file as it lies, read through once: its size, digest and its format's own verdict. All of it blocks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use skyhaul_model::{ErrorKind, FileError, Verified, VerifyLevel};
use skyhaul_verify::Digest;

use crate::checks::{Checks, Facts};
use crate::trouble::disk_error;

/// How much is read at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// What a file is to be, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its digests, all of them.
    pub digests: Vec<Digest>,
}

/// What a file that passed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// The strongest check that it passed.
    pub verified: Verified,
}

/// Reads the file at `path` and holds it against what is expected and, at `VerifyLevel::Auto`, against its
/// format's own check. Expected digests that agree settle the matter. Blocking.
///
/// # Errors
/// Kind `not_found` when no regular file lies there, `truncated` when it is too short, `checksum` when it
/// is too long, has another digest or fails its format's check, `disk` when it cannot be read.
pub fn check_file(path: &Path, verify: VerifyLevel, expected: &Expected) -> Result<Checked, FileError> {
    let unreadable = |error: &io::Error| disk_error("read", path, error);
    let found = match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => found,
        Ok(_) => return Err(missing(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(path)),
        Err(error) => return Err(unreadable(&error)),
    };
    if let Some(size) = expected.size.filter(|&size| size != found.len()) {
        let kind = if found.len() < size { ErrorKind::Truncated } else { ErrorKind::Checksum };
        let message = format!("{} has {} bytes, not {size}", path.display(), found.len());
        return Err(FileError::new(kind, message));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let facts = read_facts(path, Checks::new(&name, verify, &expected.digests), || true)
        .map_err(|error| unreadable(&error))?;
    let verified = judge(path, &facts, expected)?;
    Ok(Checked { size: facts.size, sha256: facts.sha256, verified })
}

/// Reads a file through the checks; `go_on` is asked now and then.
pub(crate) fn read_facts(path: &Path, checks: Checks, mut go_on: impl FnMut() -> bool) -> io::Result<Facts> {
    read_through(path, checks, |_| go_on()).map(Checks::finish)
}

/// Reads a file through the checks, which may then be fed what follows; `look` sees each block, and says whether to go
/// on.
pub(crate) fn read_through(
    path: &Path,
    mut checks: Checks,
    mut look: impl FnMut(&[u8]) -> bool,
) -> io::Result<Checks> {
    let mut file = File::open(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(checks),
            Ok(length) if !look(&block[..length]) => {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "told to stop"));
            }
            Ok(length) => checks.feed(&block[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn judge(path: &Path, facts: &Facts, expected: &Expected) -> Result<Verified, FileError> {
    let wrong = |why: &str| FileError::new(ErrorKind::Checksum, format!("{} {why}", path.display()));
    match (facts.agree_with_all(&expected.digests), &facts.container) {
        (Some(true), _) => Ok(Verified::Digest),
        (Some(false), _) => Err(wrong("does not have the digest that it should have")),
        (None, Some(Err(why))) => Err(wrong(why)),
        (None, Some(Ok(()))) => Ok(Verified::Container),
        (None, None) if expected.size.is_some() => Ok(Verified::Length),
        (None, None) => Ok(Verified::None),
    }
}

fn missing(path: &Path) -> FileError {
    FileError::new(ErrorKind::NotFound, format!("{} is missing", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_may_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.png");
        fs::write(&path, "no picture").unwrap();
        let sized = |size| Expected { size: Some(size), digests: Vec::new() };
        let digested = |text: &str| {
            let sha256 = <sha2::Sha256 as sha2::Digest>::digest(text);
            Expected { size: Some(10), digests: vec![Digest::sha256(sha256.into())] }
        };
        let (auto, length) = (VerifyLevel::Auto, VerifyLevel::Length);
        let table = [
            (auto, Expected::default(), Err(ErrorKind::Checksum)),
            (length, Expected::default(), Ok(Verified::None)),
            (length, sized(10), Ok(Verified::Length)),
            (length, sized(11), Err(ErrorKind::Truncated)),
            (length, sized(9), Err(ErrorKind::Checksum)),
            (auto, digested("no picture"), Ok(Verified::Digest)),
            (auto, digested("another"), Err(ErrorKind::Checksum)),
        ];
        for (level, expected, outcome) in table {
            let checked = check_file(&path, level, &expected);
            assert_eq!(checked.map(|c| c.verified).map_err(|e| e.kind), outcome, "{expected:?}");
        }
        let gone = check_file(&dir.path().join("y"), auto, &Expected::default());
        assert_eq!(gone.unwrap_err().kind, ErrorKind::NotFound);
    }
}
