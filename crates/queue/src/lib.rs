//! What a durable queue is: one trait in the engine's verbs, an in-memory queue, one conformance suite.
//!
//! Nothing here assumes one process: claims are leases that expire, ids are opaque, and every write
//! names the state it expects. What an implementation acknowledges is durable, by its own definition
//! of durable; the in-memory queue's is "until it is dropped".

mod claim;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod job;
mod memory;
mod overview;
mod page;
mod plan;

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_model::{
    FileError, Intent, JobId, JobKey, JobRecord, NewWindow, Recheck, Span, Trouble, WindowId,
};

pub use claim::{
    AttemptEnd, Claim, ClaimFilter, ClaimRequest, FailedAttempt, FileRef, Known, LeaseOwner, Received,
};
pub use error::QueueError;
pub use job::{Created, Input, JobUpdate, NewJob, Requeued, SecretHeader};
pub use memory::MemoryQueue;
pub use overview::{Overview, Totals};
pub use page::{FilePage, FileQuery, WindowPage, WindowQuery};
pub use plan::{ClaimedWindow, PlanOutcome, WindowOutcome};

/// A point in the history of all changes; later ones are greater, until the queue is opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// The result of every queue operation.
pub type Result<T> = std::result::Result<T, QueueError>;

/// Jobs: created, looked at, steered, forgotten.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Creates the job, or finds the one with the same key and gives it the new one's policy, priority
    /// and (where given) name and secret headers. Durable when it returns. A job with an input is planned
    /// from the start, any other is unplanned.
    ///
    /// # Errors
    /// [`QueueError::NameTaken`], and then nothing is changed; [`QueueError::Io`] when the input cannot be read.
    async fn create_job(&self, new: NewJob, now: Timestamp) -> Result<Created>;

    /// One job; none if there is no such job.
    async fn job(&self, id: JobId) -> Result<Option<JobRecord>>;

    /// The job with this key.
    async fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>>;

    /// All jobs, by number.
    async fn jobs(&self) -> Result<Vec<JobRecord>>;

    /// All jobs at a glance, with the first `most` that are unfinished. Reads them all; a queue that keeps count
    /// answers without.
    async fn overview(&self, most: usize) -> Result<Overview> {
        Ok(Overview::of(self.jobs().await?, most))
    }

    /// Changes what a person may change of a job.
    ///
    /// # Errors
    /// [`QueueError::NameTaken`], and then nothing is changed.
    async fn update_job(&self, id: JobId, update: JobUpdate) -> Result<()>;

    /// Changes what a person wants of a job. Setting the intent it has already is fine. A job that is
    /// cancelled and told to run again goes on with the files it still lacks. One that had come to its end and is
    /// cancelled ends anew. Claims that are out stay
    /// valid whatever the intent: their ends are recorded as ever.
    async fn set_intent(&self, id: JobId, intent: Intent, now: Timestamp) -> Result<()>;

    /// Holds the job back for `reason`, or lets it go on. Held jobs give out no claims. The reason is kept over
    /// a restart, so that people can be told of it; an engine that starts lets go of what an earlier one held.
    async fn set_hold(&self, id: JobId, reason: Option<FileError>) -> Result<()>;

    /// Puts failed files and failed windows back, with their counts of failures at zero; a refused plan
    /// becomes unplanned. Attempts and the last error stay. Files whose path cannot be made stay failed:
    /// no other attempt would make it.
    async fn requeue_failed(&self, id: JobId) -> Result<Requeued>;

    /// Has the windows that touch the span (none: all) listed again: those that are listed or failed become
    /// pending, with no failures. When one is listed again, the files that the job has from it already, by
    /// URL and path, are not added again. With [`Recheck::Done`] the done files of all windows that touch
    /// the span become pending and keep their seals, see [`Known::Recheck`]; failed files are left to
    /// [`JobQueue::requeue_failed`]. Answers how many windows and files became pending.
    async fn relist(&self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued>;

    /// Adds windows behind those that a planned job has; one that asks for the same as another it has is
    /// not added. Answers how many were; none for a job that is not planned.
    async fn add_windows(&self, id: JobId, windows: Vec<NewWindow>, now: Timestamp) -> Result<u64>;

    /// What failed so far: attempts at files and windows, and a refused plan, counted by kind and host, the
    /// latest first; at most [`Troubles::ROWS`](skyhaul_model::Troubles::ROWS). It is history: neither a
    /// later success nor putting failures back takes anything from it.
    async fn troubles(&self, id: JobId) -> Result<Vec<Trouble>>;

    /// Gives the job a copy of this file as its list of checksums, instead of the one it has, or takes it
    /// away. What the list says is nothing to the queue. Durable when it returns; goes with the job.
    ///
    /// # Errors
    /// [`QueueError::Io`] when the file cannot be read.
    async fn set_checksums(&self, id: JobId, path: Option<PathBuf>) -> Result<()>;

    /// Forgets the job, its claims and all. Its number is not given out again.
    async fn remove_job(&self, id: JobId) -> Result<()>;

    /// The secret request headers that were given with the job.
    async fn secret_headers(&self, id: JobId) -> Result<Vec<SecretHeader>>;

    /// Returns when something that records and pages show has changed since `since`, at once if it has
    /// already or if `since` is not a revision of this opening of the queue.
    async fn changed_since(&self, since: Revision) -> Result<Revision>;
}

/// Planning: windows claimed, listed, split, failed.
#[async_trait]
pub trait PlanQueue: Send + Sync {
    /// Says how an unplanned job's query ended: in windows, or refused. All of it or nothing is kept.
    /// A job that is planned already is left as it is.
    async fn settle_plan(&self, id: JobId, outcome: PlanOutcome, now: Timestamp) -> Result<()>;

    /// Claims up to `limit` windows that are due, by priority, then by job in turn as files are, then in
    /// planned order (the parts of a split one come behind those that were planned before them). What an
    /// earlier claim of a window had staged is forgotten. Claims that have expired are given back first, as
    /// by [`WindowOutcome::Released`].
    async fn claim_windows(&self, request: ClaimRequest) -> Result<Vec<ClaimedWindow>>;

    /// Adds files to a claimed window's listing. They are not seen before the window is settled as listed.
    ///
    /// # Errors
    /// [`QueueError::NotClaimed`] when the window is not under a claim.
    async fn stage_files(
        &self,
        id: JobId,
        window: WindowId,
        files: Vec<skyhaul_model::FileSpec>,
    ) -> Result<()>;

    /// Ends a window's claim. With [`WindowOutcome::Listed`] the staged files become part of the job;
    /// those whose path could not be made are failed files from the start. A window's failures in a row
    /// are counted here: one more by a retry or a giving up, none once listed.
    ///
    /// # Errors
    /// [`QueueError::NotClaimed`] when the window is not under a claim.
    async fn settle_window(
        &self,
        id: JobId,
        window: WindowId,
        outcome: WindowOutcome,
        now: Timestamp,
    ) -> Result<()>;

    /// A page of a job's windows, in planned order.
    async fn windows(&self, id: JobId, query: WindowQuery) -> Result<WindowPage>;

    /// `length` bytes at `offset` of the job's own list of files (JSON lines of `FileSpec`); fewer at its end.
    async fn read_input(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>>;
}

/// Work: files claimed, sealed, completed, failed.
///
/// A claim makes a file active; it lives in memory, and ends with the file's release, failure or
/// completion, when it expires, and when the queue is closed. `attempts` counts the attempts that ended in
/// a failure or a completion; a release, an expiry, a crash of the queue and a check that finds a file
/// unchanged cost none. What has been
/// received for a file never shrinks.
///
/// A call with several files is done whole or not at all: on [`QueueError::NoSuchFile`] and
/// [`QueueError::Conflict`] nothing has changed. Files may belong to different jobs. Ends of claims pass over
/// files of jobs that have been removed meanwhile, so that those of others count; only `invalidate` answers
/// [`QueueError::NoSuchJob`]. Nobody checks who holds a claim: what an expired claim's holder reports counts as long
/// as the file's state allows it.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Claims up to `limit` files that are due, by priority, then by job in turn, then in listing order.
    /// Jobs of one priority are dealt one file each, by number in a circle that begins behind the job that
    /// was dealt the last one. Claims that have expired are given back first.
    async fn claim_files(&self, request: ClaimRequest) -> Result<Vec<Claim>>;

    /// Extends all of an owner's claims, of files and of windows.
    async fn renew(&self, owner: LeaseOwner, until: Timestamp) -> Result<()>;

    /// Gives claims back untried; no attempt is counted, what was received is kept. A file that is pending
    /// already is fine.
    async fn release(&self, files: Vec<Received>) -> Result<()>;

    /// Notes what claimed files have received so far. May be lost in a crash; for a file that is not under
    /// a claim it changes nothing.
    async fn checkpoint(&self, files: Vec<Received>) -> Result<()>;

    /// Records that these claimed files' bytes are whole, checked and synced under their partial names.
    /// Durable when it returns; only then may they be renamed (invariant I2). The claims go on. The seal
    /// stays with the file over retries and a giving up, until it is told lost or the file is invalidated.
    async fn seal(&self, files: Vec<(FileRef, skyhaul_model::Sealed)>) -> Result<()>;

    /// Records that these sealed files are at their final paths, durably. A file that is done already is
    /// fine; one that was never sealed is a conflict. A file that was to be checked and was not sealed anew
    /// is done again under the seal that it had.
    async fn complete(&self, files: Vec<FileRef>, now: Timestamp) -> Result<()>;

    /// Ends claims whose attempt failed.
    async fn fail(&self, attempts: Vec<FailedAttempt>, now: Timestamp) -> Result<()>;

    /// Puts done files back to pending because their bytes were found missing or damaged. Their seals are
    /// forgotten, their attempts stay.
    async fn invalidate(&self, files: Vec<(FileRef, FileError)>) -> Result<()>;

    /// When the next file or window that waits for a time may be claimed; none if nothing waits for one.
    /// Always later than the `now` of every claim so far: what had come due by then can be claimed already.
    async fn next_due(&self, filter: &ClaimFilter) -> Result<Option<Timestamp>>;

    /// Forgets a job as [`JobQueue::remove_job`] does if its record is still as it was `seen`, and its secret headers
    /// are still these, in one step: what anybody has wanted of it since is not lost. Answers whether it was forgotten.
    async fn remove_unchanged(&self, seen: &JobRecord, headers: &[SecretHeader]) -> Result<bool>;

    /// How long the job's list of checksums is, in bytes; none without one.
    async fn checksums_len(&self, id: JobId) -> Result<Option<u64>>;

    /// `length` bytes at `offset` of the job's list of checksums; fewer at its end, none without one.
    async fn read_checksums(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>>;

    /// A page of a job's files, in listing order.
    async fn files(&self, id: JobId, query: FileQuery) -> Result<FilePage>;
}

/// A durable queue: everything the engine needs of one.
pub trait Queue: JobQueue + PlanQueue + WorkQueue {}

impl<T: JobQueue + PlanQueue + WorkQueue> Queue for T {}
