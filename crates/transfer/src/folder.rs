//! A folder that is held open: what a path names may be swapped for a link under us, an open folder may not
//! (invariant I5).
//!
//! On Unix each step of a path is taken from the folder before it and follows no link. Elsewhere a folder is its
//! path, which was looked at just before.

use std::io;
use std::path::Path;

pub(crate) use platform::Folder;

#[cfg(unix)]
mod platform {
    use std::os::fd::OwnedFd;

    use rustix::fs::{CWD, Mode, OFlags, mkdirat, open, openat, renameat};

    use super::{Path, io, made};

    /// A folder held open.
    #[derive(Debug)]
    pub(crate) struct Folder(OwnedFd);

    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    impl Folder {
        /// The folder at a path that is believed.
        pub(crate) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self(open(path, FOLDER, Mode::empty())?))
        }

        /// The folder of this name in it; a link is an error.
        pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
            Ok(Self(openat(&self.0, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty())?))
        }

        /// Creates a folder in it; one that is there already is as good.
        pub(crate) fn make(&self, name: &str) -> io::Result<()> {
            // As the user's umask will have it.
            made(mkdirat(&self.0, name, Mode::RWXU | Mode::RWXG | Mode::RWXO).map_err(io::Error::from))
        }

        /// Moves a file into it, in the place of what bears the name there.
        pub(crate) fn take(&self, from: &Path, name: &str) -> io::Result<()> {
            Ok(renameat(CWD, from, &self.0, name)?)
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs;
    use std::path::PathBuf;

    use super::{Path, io, made};

    /// A folder by its path.
    #[derive(Debug)]
    pub(crate) struct Folder(PathBuf);

    impl Folder {
        /// The folder at a path that is believed.
        pub(crate) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self(path.to_path_buf()))
        }

        /// The folder of this name in it; a link is an error.
        pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
            let path = self.0.join(name);
            if !fs::symlink_metadata(&path)?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            Ok(Self(path))
        }

        /// Creates a folder in it; one that is there already is as good.
        pub(crate) fn make(&self, name: &str) -> io::Result<()> {
            made(fs::create_dir(self.0.join(name)))
        }

        /// Moves a file into it, in the place of what bears the name there.
        pub(crate) fn take(&self, from: &Path, name: &str) -> io::Result<()> {
            fs::rename(from, self.0.join(name))
        }
    }
}

fn made(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_is_swapped_for_a_link_leads_nowhere_else() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = Folder::open(dir.path()).unwrap();
        root.make("a").unwrap();
        root.make("a").unwrap();
        let a = root.enter("a").unwrap();
        fs::rename(dir.path().join("a"), dir.path().join("moved")).unwrap();
        symlink(outside.path(), dir.path().join("a")).unwrap();
        fs::write(dir.path().join("part"), "bytes").unwrap();
        a.take(&dir.path().join("part"), "file").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("moved/file")).unwrap(), "bytes");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        // Who comes later does not get in.
        assert!(root.enter("a").is_err());
        assert!(root.enter("part").is_err());
    }
}
