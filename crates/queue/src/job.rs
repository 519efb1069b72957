//! What is said of jobs when they are made or changed.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use skyhaul_model::{JobId, JobPolicy, NewWindow, Query};

/// A request header whose value must appear in no log, status or ledger.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHeader {
    /// The header's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHeader").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A job that is to be.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What is to be pulled; its key decides whether the job is there already.
    pub query: Query,
    /// How it is to be worked off.
    pub policy: JobPolicy,
    /// A label for people, unique among jobs.
    pub name: Option<String>,
    /// -100 to 100, higher first.
    pub priority: i8,
    /// Secret request headers.
    pub headers: Vec<SecretHeader>,
    /// For lists and manifests: the list of files as JSON lines of `FileSpec`, copied before the job is
    /// acknowledged, and the windows that cut it into slices.
    pub input: Option<Input>,
}

/// A job's own list of files.
#[derive(Clone, Debug)]
pub struct Input {
    /// The file that is copied into the queue.
    pub path: PathBuf,
    /// Slices that cover it, in order.
    pub windows: Vec<NewWindow>,
}

/// The answer to making a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The job's number.
    pub id: JobId,
    /// False if the job was there already.
    pub created: bool,
}

/// What a person may change of a job; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct JobUpdate {
    /// The new label.
    pub name: Option<String>,
    /// The new priority.
    pub priority: Option<i8>,
    /// The new policy.
    pub policy: Option<JobPolicy>,
}

/// How much was put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requeued {
    /// Files.
    pub files: u64,
    /// Windows.
    pub windows: u64,
}
