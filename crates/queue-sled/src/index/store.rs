//! sled itself: opening it over its pitfalls, closing it durably, and saying whether it may be believed.
//!
//! sled 0.34.7 syncs neither its configuration nor its data in a way that survives a power cut, and a kill
//! while it opens can leave a half-written snapshot that it then trips over for ever. So: such leftovers
//! are removed before it opens; a panic of its is an error; after a clean close every file is synced by us
//! before the state file says so; and after anything else the index counts only within the same boot.

use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use skyhaul_model::JobId;
use skyhaul_queue::{QueueError, Result};

use crate::boot::BootId;
use crate::disk;

/// sled collects its garbage only in its flusher, which runs this often.
const FLUSH_EVERY_MS: u64 = 500;

/// Deletions between two flushes.
const CLEAR_ROWS: usize = 256;

/// The file that sled locks as long as it is open.
const LOCKED: &str = "db";

/// How long its lock is waited for after a close: two seconds, where a thread takes its time.
const LET_GO_TRIES: u32 = 2_000;
const LET_GO_PAUSE: Duration = Duration::from_millis(1);

const STATE_VERSION: &str = "skyhaul-index 2";

/// What the state file says of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexState {
    /// Closed and synced.
    Clean,
    /// In use, or was when the process died.
    Open,
    /// Being rebuilt, or found wanting.
    Rebuild,
}

/// Whether the index is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It was closed cleanly.
    Clean,
    /// Its process died within this boot: what each sled had last written may be missing.
    SameBoot,
    /// It was not there.
    Fresh,
    /// It has to be rebuilt.
    Doubted(&'static str),
}

/// Reads whether the index may be believed.
pub(crate) fn read_state(file: &Path, index: &Path, boot: &BootId) -> Result<Trust> {
    let Some(content) = disk::read(file)? else {
        return Ok(if index.exists() { Trust::Doubted("its state is not known") } else { Trust::Fresh });
    };
    let text = String::from_utf8_lossy(&content);
    let mut lines = text.lines();
    let version = lines.next();
    let state = lines.next().unwrap_or_default();
    let earlier = lines.next().and_then(|line| line.strip_prefix("boot ")).unwrap_or_default();
    Ok(match state {
        _ if version != Some(STATE_VERSION) => {
            Trust::Doubted("its state file is of another version or damaged")
        }
        _ if !index.exists() => Trust::Doubted("it is missing"),
        "clean" => Trust::Clean,
        "open" if boot.is_same_boot(earlier) => Trust::SameBoot,
        "open" => Trust::Doubted("the machine stopped while it was in use"),
        "rebuild" => Trust::Doubted("it was found damaged or its rebuilding was cut short"),
        _ => Trust::Doubted("its state file is damaged"),
    })
}

/// Says durably what the index is from now on.
pub(crate) fn write_state(file: &Path, state: IndexState, boot: &BootId) -> Result<()> {
    disk::replace(file, words(state, boot).as_bytes())
}

/// Says what an index is from now on that nobody would believe after a power cut anyway: so that may take the words back,
/// or tear them.
pub(crate) fn note_state(file: &Path, state: IndexState, boot: &BootId) -> Result<()> {
    disk::put(file, words(state, boot).as_bytes())
}

fn words(state: IndexState, boot: &BootId) -> String {
    let word = match state {
        IndexState::Clean => "clean",
        IndexState::Open => "open",
        IndexState::Rebuild => "rebuild",
    };
    format!("{STATE_VERSION}\n{word}\nboot {boot}\n")
}

/// Moves a doubted index out of the way; the one that was moved there before goes.
pub(crate) fn set_aside(index: &Path) -> Result<()> {
    let aside = index.with_added_extension("aside");
    disk::remove_all(&aside)?;
    if index.exists() { disk::rename(index, &aside) } else { Ok(()) }
}

pub(super) fn open_sled(path: &Path, cache_bytes: u64) -> Result<sled::Db> {
    disk::create_dir(path)?;
    for name in disk::names(path)? {
        if name.ends_with(".generating") {
            disk::remove(&path.join(name))?;
        }
    }
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
        .mode(sled::Mode::HighThroughput);
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let panicked = || QueueError::Damaged { path: path.to_owned(), what: "it cannot be opened".to_owned() };
    let db = opened.map_err(|_| panicked())?.map_err(|error| sled_error("cannot open", path, error))?;
    // sled makes its files by the umask; until the next close puts all in order they must be nobody else's either.
    disk::hide_tree(path)?;
    Ok(db)
}

pub(super) fn close_sled(db: sled::Db, path: &Path) -> Result<()> {
    let flushed = catch_unwind(AssertUnwindSafe(|| {
        let flushed = db.flush();
        drop(db);
        flushed
    }));
    let panicked = || QueueError::Damaged { path: path.to_owned(), what: "it cannot be closed".to_owned() };
    flushed.map_err(|_| panicked())?.map_err(|error| sled_error("cannot write", path, error))?;
    wait_until_let_go(&path.join(LOCKED));
    disk::settle_tree(path)
}

/// sled's own threads may hold its lock for a moment longer: who opens it next would be refused.
fn wait_until_let_go(locked: &Path) {
    for _ in 0..LET_GO_TRIES {
        let Ok(file) = File::open(locked) else { return };
        if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return;
        }
        thread::park_timeout(LET_GO_PAUSE);
    }
}

/// Removes a job's rows of one table.
pub(super) fn clear(db: &sled::Db, path: &Path, table: u8, job: JobId) -> Result<()> {
    let prefix = [&[table][..], &job.0.to_be_bytes()].concat();
    loop {
        let mut batch = sled::Batch::default();
        let mut removed = 0;
        for key in db.scan_prefix(&prefix).keys().take(CLEAR_ROWS) {
            batch.remove(key.map_err(|error| sled_error("cannot read", path, error))?);
            removed += 1;
        }
        if removed == 0 {
            return Ok(());
        }
        db.apply_batch(batch).map_err(|error| sled_error("cannot write", path, error))?;
        db.flush().map_err(|error| sled_error("cannot write", path, error))?;
    }
}

/// sled's errors in our words; its types go no further.
pub(super) fn sled_error(action: &'static str, path: &Path, error: sled::Error) -> QueueError {
    match error {
        sled::Error::Io(source) => QueueError::Io { action, path: path.to_owned(), source },
        other => QueueError::Damaged { path: path.to_owned(), what: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Regression: an index that was closed could not be opened again at once, since a thread of sled's still had it.
    #[test]
    fn a_close_waits_for_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let locked = dir.path().join(LOCKED);
        let file = File::create(&locked).unwrap();
        file.lock().unwrap();
        let is_free = AtomicBool::new(false);
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                wait_until_let_go(&locked);
                is_free.load(Ordering::SeqCst)
            });
            is_free.store(true, Ordering::SeqCst);
            drop(file);
            assert!(waits.join().unwrap());
        });
        wait_until_let_go(&dir.path().join("nothing here"));
    }
}
