//! What keeps a job from writing to its output root: the folder is not there, or there is no room for more.
//!
//! The folder is made by the command that makes the job, never here: one that is missing later, or has been emptied,
//! is most likely a disk that is not mounted, and nothing must be written in its place.

use std::fs;
use std::io::{self, ErrorKind as IoKind};
use std::path::Path;

use skyhaul_model::{ErrorKind, FileError, JobKey, JobPolicy, JobRecord};
use skyhaul_transfer::OutputRoot;

use crate::roots::Disk;

/// The disk as it is.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, job: &JobRecord) -> Result<OutputRoot, FileError> {
        open_root(job)
    }

    fn obstacle(&self, root: &OutputRoot, policy: &JobPolicy) -> Option<FileError> {
        obstacle(root, policy)
    }

    fn close(&self, root: OutputRoot, useless: Option<&JobKey>) -> io::Result<()> {
        let dropped = useless.map_or(Ok(()), |key| root.drop_partials(key));
        root.close();
        dropped
    }
}

/// Opens a job's output root; or why the job must wait. Blocking.
fn open_root(job: &JobRecord) -> Result<OutputRoot, FileError> {
    let out = Path::new(&job.query.out);
    match is_without_data(out) {
        Err(error) => return Err(missing(out, &error)),
        Ok(true) if job.files.done > 0 => return Err(emptied(out, job.files.done)),
        Ok(_) => {}
    }
    let root = OutputRoot::open(out)?;
    match obstacle(&root, &job.policy) {
        None => Ok(root),
        Some(reason) => {
            root.close();
            Err(reason)
        }
    }
}

/// Why a job must not write more now; none when nothing is in its way. Blocking, but a few cheap calls.
fn obstacle(root: &OutputRoot, policy: &JobPolicy) -> Option<FileError> {
    if !root.is_there() {
        return Some(missing(root.path(), &io::Error::from(IoKind::NotFound)));
    }
    match root.free_bytes() {
        Ok(free) if free < policy.min_free => Some(below_floor(root, policy.min_free)),
        Ok(_) => None,
        Err(error) => Some(missing(root.path(), &error)),
    }
}

/// Whether there is nothing in the folder but what may be ours.
fn is_without_data(out: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(out)? {
        if !OutputRoot::is_ours(&entry?.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Why a job must wait whose disk has been asked and says nothing.
pub(crate) fn unanswering(job: &JobRecord) -> FileError {
    let message = format!(
        "the disk of the output folder {} does not answer: see whether its drive or its server is there; the job goes on \
         when it does",
        job.query.out
    );
    FileError::new(ErrorKind::Disk, message)
}

fn missing(out: &Path, error: &io::Error) -> FileError {
    let message = match error.kind() {
        IoKind::NotFound => format!(
            "the output folder {} is not there: mount its disk, or make the folder again if it is gone for good",
            out.display()
        ),
        _ => format!("the output folder {} is out of reach: {error}", out.display()),
    };
    FileError::new(ErrorKind::Disk, message)
}

fn emptied(out: &Path, done: u64) -> FileError {
    let message = format!(
        "the output folder {} is empty, but {done} finished files of the job were put there: mount its disk; if it was \
         emptied on purpose, make any folder in it",
        out.display()
    );
    FileError::new(ErrorKind::Disk, message)
}

/// Without the number of bytes that are free: it moves all the time, and the reason of a hold must not.
fn below_floor(root: &OutputRoot, floor: u64) -> FileError {
    let message = format!(
        "fewer than the {floor} bytes of --min-free are free for {}: make room, or lower it with 'skyhaul set'",
        root.path().display()
    );
    FileError::new(ErrorKind::Disk, message)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use skyhaul_model::{ByteCounts, FileCounts, Intent, JobId, Plan, Query, Source, WindowCounts};

    use super::*;

    fn job(out: &Path, done: u64) -> JobRecord {
        let source = Source::Urls { digest: String::new(), base: None };
        let query = Query { source, out: out.display().to_string() };
        JobRecord {
            id: JobId(1),
            key: query.key(),
            name: None,
            priority: 0,
            created_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            query,
            policy: JobPolicy { min_free: 0, ..JobPolicy::default() },
            intent: Intent::Run,
            hold: None,
            plan: Plan::Planned,
            windows: WindowCounts::default(),
            files: FileCounts { total: done + 1, pending: 1, active: 0, done, failed: 0 },
            bytes: ByteCounts::default(),
            window_error: None,
        }
    }

    fn refusal(job: &JobRecord) -> Option<String> {
        match open_root(job) {
            Ok(root) => {
                root.close();
                None
            }
            Err(error) => Some(error.message),
        }
    }

    #[test]
    fn a_missing_folder_is_waited_for_and_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("mnt/data");
        assert!(refusal(&job(&out, 0)).unwrap().contains("is not there"));
        assert!(!dir.path().join("mnt").exists());
        fs::create_dir_all(&out).unwrap();
        assert_eq!(refusal(&job(&out, 0)), None);
    }

    #[test]
    fn an_empty_folder_in_the_place_of_one_with_data_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().canonicalize().unwrap();
        assert!(refusal(&job(&out, 3)).unwrap().contains("is empty, but 3 finished files"));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
        fs::create_dir(out.join("mine")).unwrap();
        assert_eq!(refusal(&job(&out, 3)), None);
    }

    #[test]
    fn a_root_that_goes_away_while_it_is_open_is_noticed_even_when_another_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let root = open_root(&job(&out, 0)).unwrap();
        let policy = JobPolicy { min_free: 0, ..JobPolicy::default() };
        assert_eq!(obstacle(&root, &policy), None);
        fs::rename(&out, dir.path().join("elsewhere")).unwrap();
        assert!(obstacle(&root, &policy).is_some());
        fs::create_dir(&out).unwrap();
        assert!(obstacle(&root, &policy).is_some());
        root.close();
    }

    #[test]
    fn too_little_room_is_told_with_the_flag_that_says_how_much() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path(), 0);
        job.policy.min_free = u64::MAX;
        assert!(refusal(&job).unwrap().contains("--min-free"));
    }
}
