//! The log of an engine that has no terminal: `engine.log` in the state directory, and what came before it.
//!
//! At 5 MiB it becomes `engine.log.1`, the one before `engine.log.2`, and so on; three old ones are kept.
//! What the process writes to its own stdout and stderr goes to the file that was there when it started,
//! under whatever name that bears now. Nothing is synced: a power cut may lose the last lines.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Result, io_error};
use crate::private;

/// The file's name.
const NAME: &str = "engine.log";

/// How large it may get, in bytes.
const BYTES_MAX: u64 = 5 << 20;

/// How many old ones are kept.
const KEPT: u32 = 3;

/// A writer that starts a new file when the old one is full. Blocking.
#[derive(Debug)]
pub struct RotatingLog {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl RotatingLog {
    /// Goes on with a state directory's log, or begins a new one if it is full. The files are 0600.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn open(state_dir: &Path) -> Result<Self> {
        let path = path(state_dir);
        if fs::metadata(&path).is_ok_and(|found| found.len() >= BYTES_MAX) {
            rotate(&path).map_err(io_error("cannot rotate", &path))?;
        }
        let file = private::append_to(&path)?;
        let bytes = file.metadata().map_err(io_error("cannot read", &path))?.len();
        Ok(Self { path, file, bytes })
    }

    /// Two more handles on the file, for a child's stdout and stderr.
    pub(crate) fn handles(&self) -> Result<(File, File)> {
        let clone = || self.file.try_clone().map_err(io_error("cannot share", &self.path));
        Ok((clone()?, clone()?))
    }
}

impl Write for RotatingLog {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + content.len() as u64 > BYTES_MAX {
            rotate(&self.path)?;
            self.file = private::append_to(&self.path).map_err(io::Error::other)?;
            self.bytes = 0;
        }
        let written = self.file.write(content)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Where a state directory's log lies.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(NAME)
}

/// The last line of what was written behind `from`; none when nothing was.
pub(crate) fn last_line(path: &Path, from: u64) -> Option<String> {
    /// More than any line that is of use in a sentence.
    const TAIL: u64 = 4096;
    let mut file = File::open(path).ok()?;
    let end = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL)))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    tail.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

fn rotate(path: &Path) -> io::Result<()> {
    let old = |number: u32| path.with_added_extension(number.to_string());
    for number in (1..KEPT).rev() {
        match fs::rename(old(number), old(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, old(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_log_makes_room_and_three_old_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RotatingLog::open(dir.path()).unwrap();
        let line = vec![b'x'; 1 << 20];
        for round in 0..30_u8 {
            log.write_all(&[&[round], &line[1..]].concat()).unwrap();
        }
        assert_eq!(names(dir.path()), ["engine.log", "engine.log.1", "engine.log.2", "engine.log.3"]);
        let first = |name: &str| fs::read(dir.path().join(name)).unwrap()[0];
        assert_eq!(["engine.log", "engine.log.1", "engine.log.3"].map(first), [25, 20, 10]);
        for name in names(dir.path()) {
            assert_eq!(fs::metadata(dir.path().join(name)).unwrap().len(), BYTES_MAX);
        }
    }

    #[test]
    fn a_log_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["one\n", "two\n"] {
            RotatingLog::open(dir.path()).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let path = path(dir.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!((last_line(&path, 0), last_line(&path, 8)), (Some("two".to_owned()), None));
    }

    #[test]
    fn a_full_log_is_put_aside_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        File::create(path(dir.path())).unwrap().set_len(BYTES_MAX).unwrap();
        RotatingLog::open(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["engine.log", "engine.log.1"]);
        assert_eq!(fs::metadata(path(dir.path())).unwrap().len(), 0);
    }
}
