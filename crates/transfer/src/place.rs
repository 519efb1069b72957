//! Where files land: folders made one by one below the root, none of them a link (invariant I5).

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use skyhaul_model::{Backoff, ErrorKind, FileError, RelPath};

use crate::OutputRoot;
use crate::durable;
use crate::folder::Folder;
use crate::spelling::{Names, must_be_spelled_so};
use crate::trouble::Blow;

/// What lies where a file is to land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or a symbolic link, which is replaced and never followed.
    Free,
    /// A file of so many bytes.
    File(u64),
}

/// Looks at the place of `path` below the root without changing anything.
///
/// A folder there, anything but folders on the way, or another spelling of the name that the file system takes for the
/// same one is a failure of kind `path`.
pub(crate) fn look(root: &OutputRoot, path: &RelPath) -> Result<Found, Blow> {
    look_below(root.path(), path, root.names())
}

/// Looks at the place of `path` below `base`.
pub(crate) fn look_below(base: &Path, path: &RelPath, names: Names) -> Result<Found, Blow> {
    let mut here = base.to_path_buf();
    let mut left = path.components().peekable();
    while let Some(component) = left.next() {
        here.push(component);
        let Some(found) = metadata(&here)? else { return Ok(Found::Free) };
        must_be_spelled_so(&here, names)?;
        if left.peek().is_some() {
            must_be_folder(&here, &found)?;
        } else {
            return landing(&here, &found);
        }
    }
    Ok(Found::Free)
}

/// Folders that have been made or found in order. Only the last one is held open, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    last: Option<(PathBuf, Folder)>,
}

impl Folders {
    /// Makes the folders of `path` below `base`, and gives the last, if the file can land there.
    pub(crate) fn prepare(&mut self, base: &Path, path: &RelPath, names: Names) -> Result<&Folder, Blow> {
        let place = base.join(path.as_str());
        let parent = place.parent().unwrap_or(base).to_path_buf();
        let open = match self.last.take().filter(|(last, _)| *last == parent) {
            Some((_, open)) => open,
            None => descend(base, path, names)?,
        };
        if let Some(found) = metadata(&place)? {
            must_be_spelled_so(&place, names)?;
            landing(&place, &found)?;
        }
        Ok(&self.last.insert((parent, open)).1)
    }
}

/// Goes down to the folder of `path`, and makes what is missing.
fn descend(base: &Path, path: &RelPath, names: Names) -> Result<Folder, Blow> {
    let mut here = base.to_path_buf();
    let mut open = Folder::open(base).map_err(|error| Blow::of_disk("open the folder", base, &error))?;
    let mut left = path.components().peekable();
    while let Some(component) = left.next() {
        if left.peek().is_none() {
            break;
        }
        here.push(component);
        open = step(&open, component, &here, names)?;
    }
    Ok(open)
}

/// Makes and enters one folder, which lies at `here`.
fn step(parent: &Folder, name: &str, here: &Path, names: Names) -> Result<Folder, Blow> {
    // Mostly it is there.
    if names == Names::Exact
        && let Ok(open) = parent.enter(name)
    {
        return Ok(open);
    }
    parent.make(name).map_err(|error| Blow::of_disk("create the folder", here, &error))?;
    // Looked at first for the sake of the words, entered without following a link for that of safety.
    if let Some(found) = metadata(here)? {
        must_be_spelled_so(here, names)?;
        must_be_folder(here, &found)?;
    }
    parent.enter(name).map_err(|error| Blow::of_disk("enter the folder", here, &error))
}

/// Makes one folder of ours, which must not be a link.
pub(crate) fn own_folder(path: &Path) -> Result<(), Blow> {
    let found = match metadata(path)? {
        None => {
            durable::make_dir(path).map_err(|error| Blow::of_disk("create the folder", path, &error))?;
            metadata(path)?
        }
        found => found,
    };
    found.map_or(Ok(()), |found| must_be_folder(path, &found))
}

/// The folders from that of `path` up to `base`, the deepest first: those whose entries a new file may need.
pub(crate) fn folders_up(base: &Path, path: &RelPath) -> Vec<PathBuf> {
    let whole = base.join(path.as_str());
    whole.ancestors().skip(1).take_while(|folder| folder.starts_with(base)).map(Path::to_path_buf).collect()
}

fn landing(path: &Path, found: &Metadata) -> Result<Found, Blow> {
    if found.is_symlink() {
        return Ok(Found::Free);
    }
    if found.is_file() {
        return Ok(Found::File(found.len()));
    }
    let message = format!("{} cannot be written: a folder or device lies there", path.display());
    Err(Blow::new(ErrorKind::Path, message, Backoff::Never))
}

fn must_be_folder(path: &Path, found: &Metadata) -> Result<(), Blow> {
    if found.is_dir() {
        return Ok(());
    }
    let what = if found.is_symlink() { "symbolic link, which is never followed" } else { "file" };
    let message = format!("{} must be a folder and is a {what}: move it away", path.display());
    Err(Blow::last(FileError::new(ErrorKind::Path, message)))
}

fn metadata(path: &Path) -> Result<Option<Metadata>, Blow> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Blow::of_disk("look at", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn folders_are_made_below_the_base_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        folders.prepare(dir.path(), &path("a/b/c.gz"), Names::Exact).unwrap();
        assert!(dir.path().join("a/b").is_dir() && !dir.path().join("a/b/c.gz").exists());
        assert_eq!(look_below(dir.path(), &path("a/b/c.gz"), Names::Exact).unwrap(), Found::Free);
        fs::write(dir.path().join("a/b/c.gz"), "four").unwrap();
        assert_eq!(look_below(dir.path(), &path("a/b/c.gz"), Names::Exact).unwrap(), Found::File(4));
        assert_eq!(look_below(dir.path(), &path("x/y/z"), Names::Exact).unwrap(), Found::Free);
        assert!(!dir.path().join("x").exists());
        let up = folders_up(dir.path(), &path("a/b/c.gz"));
        assert_eq!(up, [dir.path().join("a/b"), dir.path().join("a"), dir.path().to_path_buf()]);
    }

    #[test]
    fn a_file_for_a_folder_and_a_folder_for_a_file_are_path_failures() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        for bad in ["file/x", "folder", "file/x/y"] {
            let looked = look_below(dir.path(), &path(bad), Names::Exact).unwrap_err();
            let prepared = Folders::default().prepare(dir.path(), &path(bad), Names::Exact).unwrap_err();
            for blow in [looked, prepared] {
                assert_eq!((blow.error.kind, blow.backoff), (ErrorKind::Path, Backoff::Never), "{bad}");
            }
        }
        assert!(dir.path().join("folder").is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_never_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        symlink(outside.path().join("f"), dir.path().join("file")).unwrap();
        assert_eq!(
            look_below(dir.path(), &path("link/x"), Names::Exact).unwrap_err().error.kind,
            ErrorKind::Path
        );
        let blow = Folders::default().prepare(dir.path(), &path("link/x"), Names::Exact).unwrap_err();
        assert_eq!(blow.error.kind, ErrorKind::Path);
        assert_eq!(look_below(dir.path(), &path("file"), Names::Exact).unwrap(), Found::Free);
        assert_eq!(look_below(dir.path(), &path("link"), Names::Exact).unwrap(), Found::Free);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_spelling_of_the_name_is_not_the_name() {
        // `/proc` answers to the numbers of threads and lists those of processes alone, as a file system that folds
        // names answers to more than it lists.
        let link = fs::read_link("/proc/thread-self").unwrap();
        let thread = link.file_name().unwrap().to_str().unwrap();
        let comm = path(&format!("{thread}/comm"));
        let proc = Path::new("/proc");
        assert_eq!(look_below(proc, &comm, Names::Exact), Ok(Found::File(0)));
        assert_eq!(
            look_below(proc, &path("self/comm"), Names::Folded).unwrap_err().error.kind,
            ErrorKind::Path
        );
        for blow in [
            look_below(proc, &comm, Names::Folded).unwrap_err(),
            Folders::default().prepare(proc, &comm, Names::Folded).unwrap_err(),
        ] {
            assert_eq!((blow.error.kind, blow.backoff), (ErrorKind::Path, Backoff::Never));
            assert!(blow.error.message.contains("another spelling"), "{}", blow.error.message);
        }
        let own = path(&format!("{}/comm", std::process::id()));
        assert_eq!(look_below(proc, &own, Names::Folded), Ok(Found::File(0)));
    }
}
