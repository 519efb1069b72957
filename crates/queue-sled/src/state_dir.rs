//! The state directory: who owns it, its format, and where everything lies in it.
//!
//! `lock` is held while a queue is open. `format` says what wrote the directory. `next-id` is the number of
//! the next job, written before the number is used, so that none is used twice. A job is a folder
//! `jobs/ID`, made under another name and renamed when all in it is durable, and renamed again before it is
//! removed: so it is there whole or not at all.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use skyhaul_model::JobId;
use skyhaul_queue::{QueueError, Result};

use crate::disk::{self, io_error};
use crate::index::own_path;

/// The newest format of the directory known here.
const FORMAT: u32 = 1;

const FORMAT_PREFIX: &str = "skyhaul-state ";

/// An open state directory; the lock goes with the value.
pub(crate) struct StateDir {
    root: PathBuf,
    lock: File,
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started at this moment has it, too, until it
        // is another program. What the system does not let go of here, it does with the last of them.
        let _ = self.lock.unlock();
    }
}

impl StateDir {
    /// Creates or opens the directory, takes its lock, and clears away what a crash left half made.
    ///
    /// # Errors
    /// [`QueueError::Locked`], [`QueueError::TooNew`], [`QueueError::Damaged`] for an unreadable format.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        disk::create_dir(root)?;
        let lock = lock(root)?;
        let dir = Self { root: root.to_owned(), lock };
        dir.check_format()?;
        // Synced with the first job's number. What lies in the other one is moved, or not needed any more.
        disk::make_dir(&dir.jobs())?;
        disk::remove_all(&dir.incoming())?;
        disk::make_dir(&dir.incoming())?;
        for name in disk::names(&dir.jobs())? {
            if name.ends_with(".new") {
                disk::remove_all(&dir.jobs().join(name))?;
            }
        }
        Ok(dir)
    }

    /// Where lists of files are copied to before their job is made.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Where a large job's own index lies.
    pub(crate) fn own_index(&self, job: JobId) -> PathBuf {
        own_path(&self.jobs(), job)
    }

    /// Whether a path is of the index, which can be made anew.
    pub(crate) fn is_of_index(&self, path: &Path) -> bool {
        let below_jobs = path.strip_prefix(self.jobs()).ok();
        let of_job = below_jobs.and_then(|path| path.components().nth(1));
        path.starts_with(self.index()) || of_job.is_some_and(|part| part.as_os_str() == "index")
    }

    pub(crate) fn index_state(&self) -> PathBuf {
        index_state(&self.root)
    }

    pub(crate) fn ledger(&self, job: JobId) -> PathBuf {
        self.job(job).join("ledger")
    }

    /// Where a job's ledger is written anew.
    pub(crate) fn fresh_ledger(&self, job: JobId) -> PathBuf {
        self.job(job).join("ledger.new")
    }

    /// Removes what a crash left of writing a ledger anew.
    pub(crate) fn clear_scratch(&self, job: JobId) -> Result<()> {
        let fresh = self.fresh_ledger(job);
        disk::remove_all(&scratch_index(&fresh))?;
        disk::remove(&fresh)
    }

    pub(crate) fn input(&self, job: JobId) -> PathBuf {
        self.job(job).join("input")
    }

    pub(crate) fn checksums(&self, job: JobId) -> PathBuf {
        self.job(job).join("checksums")
    }

    pub(crate) fn headers(&self, job: JobId) -> PathBuf {
        self.job(job).join("headers")
    }

    pub(crate) fn job(&self, job: JobId) -> PathBuf {
        self.jobs().join(job.to_string())
    }

    /// Where a job is made.
    pub(crate) fn unborn(&self, job: JobId) -> PathBuf {
        self.jobs().join(format!("{job}.new"))
    }

    /// The jobs that are there, by number.
    pub(crate) fn job_ids(&self) -> Result<Vec<JobId>> {
        let mut ids: Vec<JobId> =
            disk::names(&self.jobs())?.iter().filter_map(|name| name.parse().ok()).map(JobId).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The jobs whose removal was cut short.
    pub(crate) fn hidden_ids(&self) -> Result<Vec<JobId>> {
        let names = disk::names(&self.jobs())?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".gone")?.parse().ok()).map(JobId).collect())
    }

    /// Takes a number for a new job; durable before it returns.
    pub(crate) fn take_id(&self) -> Result<JobId> {
        let path = self.root.join("next-id");
        let written = disk::read(&path)?.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
        // Should the file be lost or damaged, every folder that bears a number still stands for it.
        let names = disk::names(&self.jobs())?;
        let used = names.iter().filter_map(|name| name.split('.').next()?.parse::<u64>().ok()).max();
        let next = written.unwrap_or(1).max(used.unwrap_or(0).saturating_add(1));
        disk::replace(&path, format!("{}\n", next.saturating_add(1)).as_bytes())?;
        Ok(JobId(next))
    }

    /// Puts a finished new job in its place, durably.
    pub(crate) fn publish_job(&self, job: JobId) -> Result<()> {
        disk::settle_tree(&self.unborn(job))?;
        disk::rename(&self.unborn(job), &self.job(job))
    }

    /// Takes a job's folder out of sight, durably; [`StateDir::forget_job`] then removes it.
    pub(crate) fn hide_job(&self, job: JobId) -> Result<()> {
        disk::rename(&self.job(job), &self.hidden(job))
    }

    /// Removes a hidden job's folder.
    pub(crate) fn forget_job(&self, job: JobId) -> Result<()> {
        disk::remove_all(&self.hidden(job))
    }

    /// Puts a job's folder that makes no sense out of the way, for people to look at.
    pub(crate) fn set_job_aside(&self, job: JobId) -> Result<PathBuf> {
        let aside = self.jobs().join(format!("{job}.damaged"));
        disk::remove_all(&aside)?;
        disk::rename(&self.job(job), &aside)?;
        Ok(aside)
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    fn hidden(&self, job: JobId) -> PathBuf {
        self.jobs().join(format!("{job}.gone"))
    }

    fn check_format(&self) -> Result<()> {
        let path = self.root.join("format");
        let Some(content) = disk::read(&path)? else {
            return disk::replace(&path, format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes());
        };
        let text = String::from_utf8_lossy(&content);
        let found = text.trim_end().strip_prefix(FORMAT_PREFIX).and_then(|number| number.parse().ok());
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => {
                Err(QueueError::TooNew { path: self.root.clone(), found, known: FORMAT })
            }
            _ => {
                let what =
                    format!("it does not say '{FORMAT_PREFIX}{FORMAT}'; write that if you know it to be so");
                Err(QueueError::Damaged { path, what })
            }
        }
    }
}

/// Where a ledger that was written anew is read into, to see what it says.
pub(crate) fn scratch_index(fresh: &Path) -> PathBuf {
    fresh.with_added_extension("index")
}

/// Where the word about the index lies in a state directory.
pub(crate) fn index_state(root: &Path) -> PathBuf {
    root.join("index.state")
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let mut file = disk::open_or_create(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Windows does not let others read a locked file; then the holder is not told.
            let _ = (&mut file).take(20).read_to_string(&mut holder);
            return Err(QueueError::Locked { path: root.to_owned(), pid: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("cannot lock", &path)(error)),
    }
    let told =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    told.map_err(io_error("cannot write", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time_and_the_other_is_told_who() {
        let root = tempfile::tempdir().unwrap();
        let first = StateDir::open(root.path()).unwrap();
        let told = StateDir::open(root.path()).map(drop).unwrap_err();
        assert!(matches!(told, QueueError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        drop(first);
        StateDir::open(root.path()).unwrap();
    }

    #[test]
    fn formats_of_the_future_and_of_nobody_are_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(StateDir::open(root.path()).unwrap());
        let format = root.path().join("format");
        assert_eq!(std::fs::read_to_string(&format).unwrap(), "skyhaul-state 1\n");
        std::fs::write(&format, "skyhaul-state 2\n").unwrap();
        let newer = StateDir::open(root.path()).map(drop).unwrap_err();
        assert!(matches!(newer, QueueError::TooNew { found: 2, known: 1, .. }));
        std::fs::write(&format, [0xff; 9]).unwrap();
        let damaged = StateDir::open(root.path()).map(drop).unwrap_err();
        assert!(matches!(damaged, QueueError::Damaged { .. }));
    }

    #[test]
    fn numbers_are_never_given_twice() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        assert_eq!((dir.take_id().unwrap(), dir.take_id().unwrap()), (JobId(1), JobId(2)));
        disk::create_dir(&dir.jobs().join("7.damaged")).unwrap();
        std::fs::write(root.path().join("next-id"), "rubbish").unwrap();
        assert_eq!(dir.take_id().unwrap(), JobId(8));
    }

    #[test]
    fn what_a_crash_left_is_cleared_away() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        for name in ["1.new", "2.gone", "3"] {
            disk::create_dir(&dir.jobs().join(name)).unwrap();
        }
        drop(dir);
        let dir = StateDir::open(root.path()).unwrap();
        assert_eq!(disk::names(&dir.jobs()).unwrap(), ["2.gone", "3"]);
        assert_eq!((dir.job_ids().unwrap(), dir.hidden_ids().unwrap()), (vec![JobId(3)], vec![JobId(2)]));
        dir.forget_job(JobId(2)).unwrap();
        assert_eq!(disk::names(&dir.jobs()).unwrap(), ["3"]);
    }
}
