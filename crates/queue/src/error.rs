//! What can go wrong with a queue, by what the caller can do about it.

use std::path::PathBuf;

use skyhaul_model::{FileSeq, Illegal, JobId, WindowId};
use thiserror::Error;

/// A queue operation's failure.
#[derive(Debug, Error)]
pub enum QueueError {
    /// There is no such job.
    #[error("there is no job {0}")]
    NoSuchJob(JobId),
    /// There is no such file in the job.
    #[error("job {0} has no file {1}")]
    NoSuchFile(JobId, FileSeq),
    /// The name is taken by another job.
    #[error("the name '{0}' belongs to job {1} already")]
    NameTaken(String, JobId),
    /// Somebody else has changed the thing first.
    #[error("file {1} of job {0}: {2}")]
    Conflict(JobId, FileSeq, #[source] Illegal),
    /// The window has been settled, or its claim has expired and was given back.
    #[error("window {1} of job {0} is under no claim")]
    NotClaimed(JobId, WindowId),
    /// The state directory is another process's for now.
    #[error("the state directory {} is in use by another skyhaul{}", .path.display(), holder(.pid))]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// The holder, where it told.
        pid: Option<u32>,
    },
    /// The state directory was written by a newer skyhaul.
    #[error("the state directory {} has format {found}, this skyhaul knows up to {known}: use the newer one", .path.display())]
    TooNew {
        /// The state directory.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The store could not be read or written: a full or failing disk, missing permission.
    #[error("{action} {}", .path.display())]
    Io {
        /// What was being done, as "cannot write".
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What is stored makes no sense.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The queue stopped after an earlier failure; nothing more is accepted until it is opened again.
    #[error("the queue has stopped: {0}")]
    Stopped(String),
}

fn holder(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
