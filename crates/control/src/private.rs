//! Files and folders that are the user's alone, whatever the umask. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::{ControlError, Result, io_error};

/// Makes a folder that is ours alone (0700), or makes the one that lies there so.
///
/// # Errors
/// [`ControlError::Unsafe`] when it is no folder or another user's.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io_error("cannot create", path)(error));
        }
        _ => {}
    }
    // A link that somebody left here would lead us into a folder of theirs.
    let found = fs::symlink_metadata(path).map_err(io_error("cannot read", path))?;
    if !found.is_dir() {
        return Err(ControlError::Unsafe { path: path.to_owned(), what: "is no folder".to_owned() });
    }
    owned_by_us(path, &found)?;
    set_mode(path, 0o700)
}

/// Creates a file that is ours alone (0600) and must not be there yet.
pub(crate) fn create_file(path: &Path) -> Result<File> {
    let file = options().write(true).create_new(true).open(path).map_err(io_error("cannot create", path))?;
    set_mode(path, 0o600)?;
    Ok(file)
}

/// Opens a file that is ours alone (0600) for writing at its end; makes it if need be.
pub(crate) fn append_to(path: &Path) -> Result<File> {
    let file = options().append(true).create(true).open(path).map_err(io_error("cannot open", path))?;
    set_mode(path, 0o600)?;
    Ok(file)
}

/// Removes a file; fine if it is not there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// The umask may have taken even the owner's rights away, and files may be older than we are.
#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let wanted = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, wanted).map_err(io_error("cannot set the permissions of", path))
}

/// A per-user data folder of such systems is the user's alone by itself.
#[cfg(not(unix))]
pub(crate) fn set_mode(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

/// The user that we run as.
#[cfg(unix)]
pub(crate) fn our_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn owned_by_us(path: &Path, found: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    if found.uid() == our_uid() {
        return Ok(());
    }
    let what = format!("belongs to another user ({})", found.uid());
    Err(ControlError::Unsafe { path: path.to_owned(), what })
}

#[cfg(not(unix))]
fn owned_by_us(_: &Path, _: &fs::Metadata) -> Result<()> {
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_lax_folder_of_ours_is_tightened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lax");
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o777).unwrap();
        make_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn links_and_files_are_not_taken_for_folders() {
        let dir = tempfile::tempdir().unwrap();
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        symlink(dir.path(), &link).unwrap();
        create_file(&file).unwrap();
        for path in [&link, &file] {
            assert!(matches!(make_dir(path), Err(ControlError::Unsafe { .. })), "{}", path.display());
        }
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn another_users_folder_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("theirs");
        fs::create_dir(&path).unwrap();
        // Only root may give folders away; for others there is nothing to try here.
        if chown(&path, Some(our_uid() + 1), None).is_ok() {
            let error = make_dir(&path).unwrap_err();
            assert!(error.to_string().contains("belongs to another user"), "{error}");
            assert_eq!(fs::metadata(&path).unwrap().uid(), our_uid() + 1);
        }
    }

    #[test]
    fn a_file_that_is_appended_to_becomes_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "a").unwrap();
        set_mode(&path, 0o644).unwrap();
        std::io::Write::write_all(&mut append_to(&path).unwrap(), b"b").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"ab".to_vec()));
    }
}
