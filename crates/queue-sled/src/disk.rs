//! Every durable step of this crate: create, write, sync, rename, remove, each with the path in its error.
//!
//! Files are 0600 and folders 0700 whatever the umask (unix). What [`create_dir`], [`replace`] and [`rename`] have
//! returned from survives a power cut; a crash within them leaves the old or the new, never a part. What [`make_dir`],
//! [`put`] and [`shift`] did may be gone after one, [`put`]'s file also torn: they are for what a later step makes last,
//! or what nothing rests on. Each sync costs some milliseconds, and a small job is hardly longer than its syncs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use skyhaul_queue::{QueueError, Result};

/// Turns an I/O error into one that says what was being done to what.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> QueueError {
    move |source| QueueError::Io { action, path: path.to_owned(), source }
}

/// Creates a folder and those above it, durably; what is there already stays as it is.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), create_dir)?;
    make_dir(path)?;
    // All that is kept in the folder hangs on its own name.
    match sync_dir(parent.unwrap_or(Path::new("."))) {
        // Folders may be made in one that may not be read, and so not be synced either.
        Err(QueueError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Creates a folder in one that is there; fine if it is there already.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(io_error("cannot create", path)(error))
        }
        _ => make_private(path, 0o700),
    }
}

/// Creates a file that must not be there yet, for reading and writing.
pub(crate) fn create(path: &Path) -> Result<File> {
    let file = private().create_new(true).open(path).map_err(io_error("cannot create", path))?;
    make_private(path, 0o600)?;
    Ok(file)
}

/// Opens a file for reading and writing, creates it if need be, keeps what is in it.
pub(crate) fn open_or_create(path: &Path) -> Result<File> {
    let file = private().create(true).truncate(false).open(path).map_err(io_error("cannot open", path))?;
    make_private(path, 0o600)?;
    Ok(file)
}

/// Opens a file that is there for reading and writing.
pub(crate) fn open(path: &Path) -> Result<File> {
    private().open(path).map_err(io_error("cannot open", path))
}

/// Puts a small file's new content in place of its old one, durably.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let (fresh, file) = write_beside(path, content)?;
    file.sync_all().map_err(io_error("cannot sync", &fresh))?;
    rename(&fresh, path)
}

/// Puts a small file's new content in place of its old one.
pub(crate) fn put(path: &Path, content: &[u8]) -> Result<()> {
    let (fresh, _) = write_beside(path, content)?;
    shift(&fresh, path)
}

/// Writes what is to take a file's place.
fn write_beside(path: &Path, content: &[u8]) -> Result<(PathBuf, File)> {
    let fresh = path.with_added_extension("new");
    remove(&fresh)?;
    let mut file = create(&fresh)?;
    file.write_all(content).map_err(io_error("cannot write", &fresh))?;
    Ok((fresh, file))
}

/// Renames within one folder, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    shift(from, to)?;
    to.parent().map_or(Ok(()), sync_dir)
}

/// Renames.
pub(crate) fn shift(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(io_error("cannot rename", from))
}

/// Syncs a folder's entries.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    // Windows cannot open folders as files and journals its entries by itself.
    if cfg!(unix) {
        let folder = File::open(path).map_err(io_error("cannot open", path))?;
        folder.sync_all().map_err(io_error("cannot sync", path))?;
    }
    Ok(())
}

/// Removes a file; fine if it is not there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder and all in it; fine if it is not there.
pub(crate) fn remove_all(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// Reads a small file; none if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("cannot read", path)(error)),
    }
}

/// A file's length in bytes; none if it is not there.
pub(crate) fn length(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("cannot read", path)(error)),
    }
}

/// The names in a folder, sorted; names that are not UTF-8 are not ours and left out.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io_error("cannot read", path))? {
        let entry = entry.map_err(io_error("cannot read", path))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes all files of a folder private and durable, and the folder's entries.
pub(crate) fn settle_tree(path: &Path) -> Result<()> {
    hide_tree(path)?;
    sync_tree(path)
}

/// Makes a folder and all in it private.
pub(crate) fn hide_tree(path: &Path) -> Result<()> {
    make_private(path, 0o700)?;
    for name in names(path)? {
        let entry = path.join(name);
        let hidden = if entry.is_dir() { hide_tree(&entry) } else { make_private(&entry, 0o600) };
        match hidden {
            // sled renames files of its own while we look; the folder hides those that slip through.
            Err(QueueError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn sync_tree(path: &Path) -> Result<()> {
    for name in names(path)? {
        let entry = path.join(name);
        if entry.is_dir() {
            sync_tree(&entry)?;
        } else {
            // What was synced before it was given this name has nothing left to sync but its times.
            open(&entry)?.sync_data().map_err(io_error("cannot sync", &entry))?;
        }
    }
    sync_dir(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The umask may have taken even the owner's rights away.
#[cfg(unix)]
fn make_private(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let wanted = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, wanted).map_err(io_error("cannot set the permissions of", path))
}

#[cfg(not(unix))]
fn make_private(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_holds_the_new_content_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_dir(&dir.path().join("a")).unwrap();
        for put in [replace, put] {
            put(&path, b"a long first content").unwrap();
            put(&path, b"short").unwrap();
            assert_eq!(read(&path).unwrap().unwrap(), b"short");
            assert_eq!(names(&dir.path().join("a")).unwrap(), ["b"]);
        }
        assert_eq!(read(&dir.path().join("c")).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_created_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("x/y");
        create_dir(&inner).unwrap();
        create(&inner.join("f")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&inner.join("f"))), (0o700, 0o600));
    }

    #[test]
    fn errors_name_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let error = open(&dir.path().join("missing")).unwrap_err();
        assert!(error.to_string().starts_with("cannot open ") && error.to_string().ends_with("missing"));
    }
}
