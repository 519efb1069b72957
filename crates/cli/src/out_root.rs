//! The output root's real path: what makes two spellings of one folder one job.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::ErrorKind::{AlreadyExists, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Makes the folder if it is not there, sees that it may be written, and gives its real, absolute path. Blocking.
pub(crate) fn create(out: &Path) -> Result<String, CliError> {
    let unusable = |error: io::Error| unusable(out, &error);
    fs::create_dir_all(out).map_err(unusable)?;
    takes_files(out).map_err(unusable)?;
    text(fs::canonicalize(out).map_err(unusable)?)
}

/// The real path that [`create`] would give, without making anything. Blocking.
pub(crate) fn foresee(out: &Path) -> Result<String, CliError> {
    let unusable = |error: io::Error| unusable(out, &error);
    let absolute = std::path::absolute(out).map_err(unusable)?;
    let (existing, missing) = existing_prefix(&absolute);
    let mut real = fs::canonicalize(&existing).map_err(|error| match error.kind() {
        NotFound => unusable(AlreadyExists.into()),
        _ => unusable(error),
    })?;
    if !real.is_dir() {
        return Err(unusable(NotADirectory.into()));
    }
    takes_files(&real).map_err(unusable)?;
    real.extend(missing);
    text(real)
}

/// Sees that a folder may be written, by a file without a name. What else may be in the way, a full disk say, may pass:
/// the engine looks after it.
fn takes_files(folder: &Path) -> io::Result<()> {
    match tempfile::tempfile_in(folder) {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn unusable(out: &Path, error: &io::Error) -> CliError {
    let failed = CliError::failed(format!("cannot use {} as output folder", out.display()));
    match error.kind() {
        // What the systems call these says nothing to somebody who wants a folder.
        AlreadyExists | NotADirectory => failed
            .because(&io::Error::other("a file, or a link that leads nowhere, is in its place"))
            .hint("give another --out, or move away what lies there"),
        _ => failed.because(error).hint("give another --out, or make it writable"),
    }
}

/// The deepest folder on the way to `path` that is there, and the components below it.
fn existing_prefix(path: &Path) -> (PathBuf, Vec<OsString>) {
    let mut existing = path.to_owned();
    let mut missing = Vec::new();
    // A link that leads nowhere is there: no folder can be made in its place.
    while existing.symlink_metadata().is_err() {
        let Some(name) = existing.file_name().map(OsString::from) else { break };
        missing.push(name);
        if !existing.pop() {
            break;
        }
    }
    missing.reverse();
    (existing, missing)
}

/// The bytes that a user may still write to the disk which `out` lies on, or would. Blocking.
pub(crate) fn free_bytes(out: &Path) -> Result<u64, CliError> {
    let (existing, _) = existing_prefix(out);
    fs4::available_space(&existing).map_err(|error| {
        CliError::failed(format!("cannot see how much room is on {}", existing.display())).because(&error)
    })
}

fn text(path: PathBuf) -> Result<String, CliError> {
    path.into_os_string().into_string().map_err(|path| {
        CliError::usage(format!("the output folder's name is not UTF-8: {}", path.to_string_lossy()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_foreseen_is_what_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b/c");
        let foreseen = foresee(&out).unwrap();
        assert!(!folder.path().join("a").exists());
        assert_eq!(create(&out).unwrap(), foreseen);
        assert_eq!(create(&folder.path().join("a/./b/../b/c")).unwrap(), foreseen);
        assert!(free_bytes(&out.join("x/y")).unwrap() > 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_and_its_target_are_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let real = create(&folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        assert_eq!(create(&folder.path().join("link")).unwrap(), real);
        assert_eq!(foresee(&folder.path().join("link/new")).unwrap(), format!("{real}/new"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_refused_before_there_is_a_job() {
        // The kernel's own takes none from anybody, whoever runs the test.
        for refused in [create(Path::new("/sys")), foresee(Path::new("/sys/new"))] {
            let error = refused.unwrap_err();
            assert!(error.to_string().contains("cannot use /sys"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_no_output_folder() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for refused in [create(&link), foresee(&link), create(&link.join("x")), foresee(&link.join("x"))] {
            let error = refused.unwrap_err();
            assert!(error.to_string().contains("a link that leads nowhere"), "{error}");
        }
    }

    #[test]
    fn a_file_is_no_output_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for refused in [create(file.path()), foresee(file.path()), foresee(&file.path().join("x"))] {
            let error = refused.unwrap_err();
            assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
        }
    }
}
