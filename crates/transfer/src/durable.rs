//! Everything that must survive a crash, or must be seen in order by one: create, write, cut, sync, rename, remove.
//!
//! This file and `folder` alone change the disk. Each function is one durable operation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;

/// Creates a file anew for writing; what was there is gone. A link there is replaced, never followed.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    create_with(OpenOptions::new().write(true), path)
}

/// Creates a file anew for writing behind its end: if others cut it off meanwhile, no hole hides that.
pub(crate) fn create_to_append(path: &Path) -> io::Result<File> {
    create_with(OpenOptions::new().append(true), path)
}

fn create_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match options.create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove(path)?;
            options.open(path)
        }
        created => created,
    }
}

/// Opens a file that is only there to be locked, and creates it where it is missing.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// Opens a file for writing behind its end.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Opens a file for writing anywhere in it.
pub(crate) fn open_to_place(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// Writes all of `bytes` at an offset; what lies between is a hole.
#[cfg(unix)]
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes all of `bytes` at an offset; what lies between reads as zeros.
#[cfg(windows)]
pub(crate) fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => (bytes, offset) = (&bytes[written..], offset + written as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `bytes`.
pub(crate) fn write(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

/// Cuts a file off behind `length` bytes; a shorter one is not filled up with zeros.
pub(crate) fn cut(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

/// Gives a file its modification time.
pub(crate) fn set_modified(file: &File, time: Timestamp) -> io::Result<()> {
    file.set_modified(time.into())
}

/// Waits until the file's bytes and length are on the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Waits until the file's bytes, length and modification time are on the disk.
pub(crate) fn sync_dated(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Waits until the bytes of the file at `path` are on the disk, whoever wrote them.
pub(crate) fn sync_path(path: &Path) -> io::Result<()> {
    // Windows flushes through a writable handle only.
    let file = OpenOptions::new().read(true).write(cfg!(windows)).open(path)?;
    file.sync_data()
}

/// Waits until the folder's entries are on the disk.
#[cfg(unix)]
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems know no such call for folders; then there is nothing that could be waited for.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

/// Windows offers no way to sync a folder; its journal orders the entries.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature on every platform")]
pub(crate) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Waits until all that was written to the file system of `file` is on the disk; false if nothing was done, where
/// that is not known to be as good as a call for each file.
#[cfg(target_os = "linux")]
pub(crate) fn sync_file_system(file: &File) -> io::Result<bool> {
    let is_good = file_system::tells_failures() && file_system::passes_on(file)?;
    if is_good {
        rustix::fs::syncfs(file)?;
    }
    Ok(is_good)
}

/// There is no such call, or it does not wait.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature on every platform")]
pub(crate) fn sync_file_system(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// Gives a file another name, in the place of what bears it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a file; whether there was one.
pub(crate) fn remove(path: &Path) -> io::Result<Removed> {
    // Mostly there is none; a look is cheap, while a removal has the whole folder to itself even then.
    match fs::symlink_metadata(path).and_then(|_| fs::remove_file(path)) {
        Ok(()) => Ok(Removed::Now),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removed::Before),
        Err(error) => Err(error),
    }
}

/// Whether a removal found something to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It did.
    Now,
    /// There was nothing.
    Before,
}

/// Creates one folder; one that is there already is as good.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Creates a folder and those above it.
pub(crate) fn make_dirs(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Removes a folder and all in it.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a folder if nothing is in it; whether it is gone.
pub(crate) fn remove_empty_dir(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Replaces a small file as a whole: a reader sees the old one or the new one. Gives the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8], synced: Synced) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let file = create(temporary)?;
    write(&file, bytes)?;
    if synced == Synced::Yes {
        sync(&file)?;
    }
    rename(temporary, path)?;
    Ok(file)
}

#[cfg(target_os = "linux")]
mod file_system {
    use std::fs::File;
    use std::io;

    /// Those whose `syncfs` waits for the medium, by their numbers in `linux/magic.h`: ext2 to ext4, XFS, btrfs.
    /// Others pass it on to nobody, as FUSE does.
    const KNOWN: [u64; 3] = [0xef53, 0x5846_5342, 0x9123_683e];

    /// Since this version of Linux `syncfs` tells that something could not be written (syncfs(2)).
    const TELLS: (u32, u32) = (5, 8);

    pub(super) fn tells_failures() -> bool {
        let kernel = rustix::system::uname();
        version(&kernel.release().to_string_lossy()).is_some_and(|version| version >= TELLS)
    }

    pub(super) fn passes_on(file: &File) -> io::Result<bool> {
        let kind = rustix::fs::fstatfs(file)?.f_type;
        Ok(u64::try_from(kind).is_ok_and(|kind| KNOWN.contains(&kind)))
    }

    fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    #[test]
    fn versions_of_linux() {
        let known = ["6.18.44-fc", "5.8.0", "5.10-rc1", "4.18.0-553.el8.x86_64", "5.4.0", "here"];
        let tell = known.map(|release| version(release).is_some_and(|version| version >= TELLS));
        assert_eq!(tell, [true, true, true, false, false, false]);
    }
}

/// Whether a file's bytes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    /// They are on the disk when the call returns.
    Yes,
    /// They reach the disk some time; a power cut may lose them.
    Later,
}
