//! The output root: who may write below it, and the folder in it that is ours.
//!
//! One process holds a tree by an advisory lock on `OUT/.skyhaul/lock`; all jobs of that process that
//! write to one tree share the hold. A crash leaves the lock file, which then is held by nobody.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use skyhaul_model::{ErrorKind, FileError, JobKey, RelPath};

use crate::durable;
use crate::hands::Hands;
use crate::lengths::Lengths;
use crate::spelling::Names;
use crate::trouble::disk_error;

/// The folder in the output root that is ours.
const OURS: &str = ".skyhaul";
/// The lock's name in it.
const LOCK: &str = "lock";
/// Another spelling of it.
const LOCK_IN_CAPITALS: &str = "LOCK";
/// The folder of files that are damaged at their source, in it.
const CORRUPT: &str = "corrupt";
/// How often a lock file may vanish under us, as another process closes the tree, before we give up.
const LOCK_TRIES: u32 = 8;

/// The trees that this process holds, by their real paths.
static HELD: LazyLock<Mutex<HashMap<PathBuf, Hold>>> = LazyLock::new(Mutex::default);

/// A tree, and who opens or closes it: each has a lock of its own, so that a file system that hangs holds up no other.
type Hold = Arc<Mutex<Weak<Tree>>>;

/// An output root that this process may write to.
#[derive(Debug)]
pub struct OutputRoot {
    tree: Arc<Tree>,
}

#[derive(Debug)]
struct Tree {
    path: PathBuf,
    /// Held as long as it is open.
    lock: File,
    names: Names,
    lengths: Lengths,
    trust: Trust,
    hands: Hands,
}

/// Whether a call for the whole file system is believed. It tells a failure once, and not for which file: the next call
/// succeeds, though the bytes of those who have not asked yet may be lost.
#[derive(Debug, Default)]
struct Trust {
    is_lost: Mutex<bool>,
}

impl OutputRoot {
    /// Creates `out` and our folder in it where they are missing, and takes hold of the tree. Blocking.
    ///
    /// # Errors
    /// Kind `disk` when the folder cannot be made or another process holds the tree; kind `path` when our
    /// folder's name is taken by something that is no folder.
    pub fn open(out: &Path) -> Result<Self, FileError> {
        durable::make_dirs(out).map_err(|error| disk_error("create the output folder", out, &error))?;
        let path = out.canonicalize().map_err(|error| disk_error("find the output folder", out, &error))?;
        let hold = hold_on(&path);
        let mut known = lock(&hold);
        if let Some(tree) = known.upgrade() {
            return Ok(Self { tree });
        }
        match Tree::take(&path) {
            Ok(tree) => {
                let tree = Arc::new(tree);
                *known = Arc::downgrade(&tree);
                Ok(Self { tree })
            }
            Err(error) => {
                drop(known);
                forget(&path, &hold);
                Err(error)
            }
        }
    }

    /// The output root's real path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.tree.path
    }

    /// Whether the tree is still the one that was opened: false once it was removed or unmounted, whatever lies at
    /// its path by now. Blocking.
    #[must_use]
    pub fn is_there(&self) -> bool {
        is_at(&self.tree.lock, &self.ours().join(LOCK))
    }

    /// Whether an entry of an output root is our own folder.
    #[must_use]
    pub fn is_ours(name: &OsStr) -> bool {
        name == OURS
    }

    /// Whether our folder is in an output root, of use or not. Blocking.
    #[must_use]
    pub fn is_marked(out: &Path) -> bool {
        out.join(OURS).exists()
    }

    /// Where a file lands.
    #[must_use]
    pub fn final_path(&self, path: &RelPath) -> PathBuf {
        self.path().join(path.as_str())
    }

    /// Bytes that are free for us on the root's file system.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn free_bytes(&self) -> io::Result<u64> {
        fs4::available_space(self.path())
    }

    /// Removes a job's partial files. Blocking.
    ///
    /// # Errors
    /// The disk refused.
    pub fn drop_partials(&self, key: &JobKey) -> io::Result<()> {
        durable::remove_tree(&self.partials(key))
    }

    /// Lets the tree go; the last of this process to do so removes our folder if nothing needs it. Blocking.
    pub fn close(self) {
        let (path, hold) = (self.path().to_owned(), hold_on(self.path()));
        let known = lock(&hold);
        // What has taken the place of our tree is not ours to tidy.
        if Arc::strong_count(&self.tree) == 1 && self.is_there() {
            tidy(&self.ours());
        }
        // The hold must be gone before another thread may look: `self` goes before the guard.
        drop(self);
        drop(known);
        forget(&path, &hold);
    }

    /// Waits until all that was written to the root's file system is on the disk; false if nothing was done, as ever
    /// after a failure.
    pub(crate) fn sync_file_system(&self) -> io::Result<bool> {
        self.tree.trust.call(|| durable::sync_file_system(&self.tree.lock))
    }

    /// What does the short disk steps of its files.
    pub(crate) fn hands(&self) -> &Hands {
        &self.tree.hands
    }

    /// How its file system tells names apart.
    pub(crate) fn names(&self) -> Names {
        self.tree.names
    }

    /// What servers told of the lengths of files that lie here.
    pub(crate) fn lengths(&self) -> &Lengths {
        &self.tree.lengths
    }

    /// The folder of a job's partial files.
    pub(crate) fn partials(&self, key: &JobKey) -> PathBuf {
        self.ours().join(key.short())
    }

    /// The folder of files that are damaged at their source.
    pub(crate) fn corrupt(&self) -> PathBuf {
        self.ours().join(CORRUPT)
    }

    fn ours(&self) -> PathBuf {
        self.path().join(OURS)
    }
}

impl Tree {
    /// Takes hold of the tree at a real path.
    fn take(path: &Path) -> Result<Self, FileError> {
        let lock = take_lock(path)?;
        Ok(Self {
            path: path.to_owned(),
            names: names_in(&path.join(OURS), &lock),
            lock,
            lengths: Lengths::default(),
            trust: Trust::default(),
            hands: Hands::default(),
        })
    }
}

impl Trust {
    /// Calls unless a call has failed before. One at a time: a failure that is told to one would else be hidden from
    /// another.
    fn call(&self, sync: impl FnOnce() -> io::Result<bool>) -> io::Result<bool> {
        let mut is_lost = self.is_lost.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_lost {
            return Ok(false);
        }
        let done = sync();
        *is_lost = done.is_err();
        done
    }
}

/// What is known of the tree at a path.
fn hold_on(path: &Path) -> Hold {
    Arc::clone(lock(&HELD).entry(path.to_owned()).or_default())
}

/// Forgets a tree that nobody has open any more, or is about to open.
fn forget(path: &Path, hold: &Hold) {
    let mut held = lock(&HELD);
    let is_last = Arc::strong_count(hold) == 2 && lock(hold).strong_count() == 0;
    if is_last {
        held.remove(path);
    }
}

/// What these locks guard is whole between any two calls, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_lock(root: &Path) -> Result<File, FileError> {
    let ours = root.join(OURS);
    let lock = ours.join(LOCK);
    for _ in 0..LOCK_TRIES {
        make_ours(&ours)?;
        // Followed, a link would make a file wherever it points to.
        if fs::symlink_metadata(&lock).is_ok_and(|found| found.is_symlink()) {
            durable::remove(&lock).map_err(|error| disk_error("remove the link", &lock, &error))?;
        }
        let file = match durable::open_lock(&lock) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(|error| disk_error("open", &lock, &error))?,
        };
        match file.try_lock() {
            Ok(()) if is_at(&file, &lock) => return Ok(file),
            // Its last holder removed it while we took it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy(root)),
            Err(TryLockError::Error(error)) => return Err(disk_error("lock", &lock, &error)),
        }
    }
    Err(busy(root))
}

fn make_ours(ours: &Path) -> Result<(), FileError> {
    durable::make_dir(ours).map_err(|error| disk_error("create", ours, &error))?;
    let found = fs::symlink_metadata(ours).map_err(|error| disk_error("read", ours, &error))?;
    if found.is_dir() {
        return Ok(());
    }
    let message = format!("{} must be a folder of its own: move away what is there", ours.display());
    Err(FileError::new(ErrorKind::Path, message))
}

fn busy(root: &Path) -> FileError {
    let message = format!(
        "{} is being written by another skyhaul: wait for it, or give this job another --out",
        root.display()
    );
    FileError::new(ErrorKind::Disk, message)
}

/// Whether the open file is the one that bears the name now.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Windows does not remove the name of a file that is open.
#[cfg(not(unix))]
pub(crate) fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// How the file system of our folder tells names apart. Apple's take the Unicode forms of a name for one, whatever they
/// think of its case.
fn names_in(ours: &Path, lock: &File) -> Names {
    let is_folded = cfg!(target_vendor = "apple") || is_at(lock, &ours.join(LOCK_IN_CAPITALS));
    if is_folded { Names::Folded } else { Names::Exact }
}

/// Removes what is empty in our folder, and the folder when the lock alone is left.
fn tidy(ours: &Path) {
    let Ok(entries) = fs::read_dir(ours) else { return };
    let mut needed = false;
    for entry in entries {
        needed |= match entry {
            Ok(entry) if entry.file_name() == LOCK => false,
            Ok(entry) => !durable::remove_empty_dir(&entry.path()),
            Err(_) => true,
        };
    }
    if !needed && durable::remove(&ours.join(LOCK)).is_ok() {
        durable::remove_empty_dir(ours);
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{Query, Source};

    use super::*;

    fn key(out: &str) -> JobKey {
        let source = Source::archive("https://a.example", &[], Vec::new(), &[], &[]);
        Query { source, out: out.to_owned() }.key()
    }

    #[test]
    fn a_tree_is_shared_within_a_process_and_closed_with_the_last_hold() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let first = OutputRoot::open(&out).unwrap();
        let second = OutputRoot::open(&out.join("../b")).unwrap();
        assert_eq!(first.path(), second.path());
        first.close();
        assert!(out.join(".skyhaul/lock").exists());
        second.close();
        assert!(out.is_dir() && !out.join(".skyhaul").exists());
    }

    #[test]
    fn a_tree_that_is_being_opened_holds_up_no_other_and_none_is_remembered_for_ever() {
        let (hangs, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = hangs.path().canonicalize().unwrap();
        let hold = hold_on(&path);
        let opening = lock(&hold);
        // Had it to wait for the other, this would not end.
        OutputRoot::open(other.path()).unwrap().close();
        assert!(!lock(&HELD).contains_key(&other.path().canonicalize().unwrap()));
        drop(opening);
        forget(&path, &hold);
        assert!(!lock(&HELD).contains_key(&path));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_locks_place_is_not_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(dir.path().join(OURS)).unwrap();
        let target = outside.path().join("made");
        std::os::unix::fs::symlink(&target, dir.path().join(".skyhaul/lock")).unwrap();
        let root = OutputRoot::open(dir.path()).unwrap();
        assert!(!target.exists() && dir.path().join(".skyhaul/lock").is_file());
        root.close();
    }

    #[cfg(all(unix, not(target_vendor = "apple")))]
    #[test]
    fn a_file_system_that_folds_names_is_known_by_its_answer_to_another_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join(OURS);
        fs::create_dir(&ours).unwrap();
        fs::write(ours.join(LOCK), "").unwrap();
        let names = || {
            let root = OutputRoot::open(dir.path()).unwrap();
            let names = root.names();
            drop(root);
            names
        };
        assert_eq!(names(), Names::Exact);
        fs::write(ours.join(LOCK_IN_CAPITALS), "").unwrap();
        assert_eq!(names(), Names::Exact, "a file of its own");
        fs::remove_file(ours.join(LOCK_IN_CAPITALS)).unwrap();
        fs::hard_link(ours.join(LOCK), ours.join(LOCK_IN_CAPITALS)).unwrap();
        assert_eq!(names(), Names::Folded);
    }

    #[test]
    fn a_held_lock_refuses_others_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(OURS)).unwrap();
        let other = File::create(dir.path().join(".skyhaul/lock")).unwrap();
        other.lock().unwrap();
        let error = OutputRoot::open(dir.path()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Disk);
        assert!(error.message.contains("is being written by another skyhaul"), "{}", error.message);
        assert!(
            !lock(&HELD).contains_key(&dir.path().canonicalize().unwrap()),
            "a refused tree is remembered"
        );
        drop(other);
        OutputRoot::open(dir.path()).unwrap().close();
    }

    #[test]
    fn after_a_failure_a_call_for_the_whole_file_system_is_never_believed_again() {
        let trust = Trust::default();
        assert!(trust.call(|| Ok(true)).unwrap());
        assert!(!trust.call(|| Ok(false)).unwrap());
        trust.call(|| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(!trust.call(|| Ok(true)).unwrap(), "the failure was told already");
    }

    #[test]
    fn close_keeps_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let key = key("x");
        let root = OutputRoot::open(dir.path()).unwrap();
        let partials = root.partials(&key);
        fs::create_dir(&partials).unwrap();
        fs::write(partials.join("x.part"), "x").unwrap();
        root.close();
        assert!(partials.join("x.part").exists());
        let root = OutputRoot::open(dir.path()).unwrap();
        root.drop_partials(&key).unwrap();
        root.drop_partials(&key).unwrap();
        root.close();
        assert!(!dir.path().join(OURS).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_our_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(OURS)).unwrap();
        assert_eq!(OutputRoot::open(dir.path()).unwrap_err().kind, ErrorKind::Path);
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
