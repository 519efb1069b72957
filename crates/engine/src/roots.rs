//! Steps on whole output roots: they are opened, looked at and closed by tasks beside the loop, a job's one at a time.
//!
//! So a file system that hangs holds up nobody but its own jobs: the loop hears of a step when it has ended, and by its
//! age that it does not end. A crash loses nothing: what was being closed is tidied up at the next opening.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use skyhaul_model::{FileError, JobId, JobKey, JobPolicy, JobRecord};
use skyhaul_transfer::OutputRoot;
use tokio::task::JoinSet;

use crate::EngineError;

/// Rounds of the loop, about a second each, after which a step hangs that has not ended: a disk that is asleep, or has
/// much to write, needs some. Counted and not timed, so that a process that was stopped meanwhile blames no disk for it.
pub(crate) const HANGING: u32 = 30;

/// What is done to a root. All of it blocks, for ever where a file system hangs.
pub(crate) trait Disk: Send + Sync {
    /// Opens a job's root; or why the job must wait.
    fn open(&self, job: &JobRecord) -> Result<OutputRoot, FileError>;

    /// Why a job must not write more now; none when nothing is in its way.
    fn obstacle(&self, root: &OutputRoot, policy: &JobPolicy) -> Option<FileError>;

    /// Lets a root go, without the partial files of the job that has no use for them any more.
    fn close(&self, root: OutputRoot, useless: Option<&JobKey>) -> io::Result<()>;
}

/// The steps that are being made.
pub(crate) struct Roots {
    disk: Arc<dyn Disk>,
    tasks: JoinSet<(JobId, Sight)>,
    steps: HashMap<JobId, Step>,
}

struct Step {
    key: JobKey,
    rounds: u32,
    /// What is to be said of the job if a look at its root says nothing.
    why: Option<FileError>,
}

/// What a step has led to.
pub(crate) enum Sight {
    Opened(Result<OutputRoot, FileError>),
    /// What is in the job's way: found by looking at its root, or told by who had it looked at.
    Looked {
        found: Option<FileError>,
        told: Option<FileError>,
    },
    Closed(io::Result<()>),
}

impl Roots {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, tasks: JoinSet::new(), steps: HashMap::new() }
    }

    /// Begins to open a job's root.
    pub(crate) fn open(&mut self, job: &JobRecord) {
        let (id, key, job) = (job.id, job.key.clone(), job.clone());
        self.begin(id, key, move |disk| Sight::Opened(disk.open(&job)));
    }

    /// Begins to look at a job's open root, unless somebody is at it already; what was told says why, if nothing else
    /// is found.
    pub(crate) fn look(&mut self, job: &JobRecord, root: &Arc<OutputRoot>, told: Option<FileError>) {
        if !self.are_at(job.id) {
            let (root, policy) = (Arc::clone(root), job.policy.clone());
            self.begin(job.id, job.key.clone(), move |disk| {
                let found = disk.obstacle(&root, &policy);
                Sight::Looked { found, told: None }
            });
        }
        if let Some(step) = self.steps.get_mut(&job.id) {
            step.why = step.why.take().or(told);
        }
    }

    /// Begins to close a job's root, and to remove its partial files if they are of no use.
    pub(crate) fn close(&mut self, job: JobId, key: JobKey, root: OutputRoot, parts: Parts) {
        let of = key.clone();
        self.begin(job, key, move |disk| {
            let useless = (parts == Parts::Useless).then_some(&of);
            Sight::Closed(disk.close(root, useless))
        });
    }

    /// Waits for the next step to end; pends while there is none.
    pub(crate) async fn next(&mut self) -> Result<(JobId, Sight), EngineError> {
        let Some(ended) = self.tasks.join_next().await else { return std::future::pending().await };
        let (job, sight) = ended?;
        let why = self.steps.remove(&job).and_then(|step| step.why);
        Ok(match sight {
            Sight::Looked { found, .. } => (job, Sight::Looked { found, told: why }),
            other => (job, other),
        })
    }

    /// Whether a step is being made for a job of this query.
    pub(crate) fn are_busy_with(&self, key: &JobKey) -> bool {
        self.steps.values().any(|step| step.key == *key)
    }

    /// Whether a step is being made for a job, or its end has not been heard of.
    pub(crate) fn are_at(&self, job: JobId) -> bool {
        self.steps.contains_key(&job)
    }

    /// Whether nothing is being done.
    pub(crate) fn are_idle(&self) -> bool {
        self.steps.is_empty()
    }

    /// Counts a round; the jobs whose steps hang.
    pub(crate) fn hanging(&mut self) -> Vec<JobId> {
        self.steps.values_mut().for_each(|step| step.rounds = step.rounds.saturating_add(1));
        self.steps.iter().filter(|(_, step)| step.rounds > HANGING).map(|(id, _)| *id).collect()
    }

    fn begin(&mut self, job: JobId, key: JobKey, step: impl FnOnce(&dyn Disk) -> Sight + Send + 'static) {
        let disk = Arc::clone(&self.disk);
        self.tasks.spawn_blocking(move || (job, step(&*disk)));
        self.steps.insert(job, Step { key, rounds: 0, why: None });
    }
}

/// What becomes of partial files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    Kept,
    Useless,
}
