//! The queue that others see: the traits, each verb handed to the owning thread.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_model::{
    FileError, FileSpec, Intent, JobId, JobKey, JobRecord, NewWindow, Recheck, Sealed, Span, Trouble,
    WindowId,
};
use skyhaul_queue::{
    Claim, ClaimFilter, ClaimRequest, ClaimedWindow, Created, FailedAttempt, FilePage, FileQuery, FileRef,
    JobQueue, JobUpdate, LeaseOwner, NewJob, Overview, PlanOutcome, PlanQueue, QueueError, Received,
    Requeued, Result, Revision, SecretHeader, WindowOutcome, WindowPage, WindowQuery, WorkQueue,
};
use tokio::sync::watch;

use crate::boot::BootId;
use crate::disk::{self, io_error};
use crate::keeper::Prepared;
use crate::owner::{CLOSED, Owner, Start};
use crate::records::Records;
use crate::watch::PATIENCE;

/// A durable queue in a state directory of its own.
///
/// What a call has returned from is durable. Dropping the queue closes it as [`SledQueue::close`] does, but
/// blocks the thread that drops it and tells no error.
pub struct SledQueue {
    owner: Owner,
    revisions: watch::Receiver<Revision>,
    records: Arc<Records>,
    /// Where lists of files are copied to, and a number for the next copy.
    incoming: PathBuf,
    copies: AtomicU64,
}

/// An open queue, and what opening it found amiss.
pub struct Opened {
    /// The queue.
    pub queue: SledQueue,
    /// Sentences for people: what was recovered, what was lost, what is done again.
    pub notes: Vec<String>,
}

impl SledQueue {
    /// Opens the queue in this directory, or makes one there, and recovers it from whatever state the last
    /// process left it in.
    ///
    /// # Errors
    /// [`QueueError::Locked`] while another process has it, [`QueueError::TooNew`], and
    /// [`QueueError::Io`] and [`QueueError::Damaged`] where nothing can be recovered.
    pub async fn open(state_dir: &Path, boot: BootId) -> Result<Opened> {
        let (owner, start) = Owner::start(state_dir.to_owned(), boot, PATIENCE).await?;
        let Start { notes, revisions, incoming, records } = start;
        let queue = Self { owner, revisions, records, incoming, copies: AtomicU64::new(0) };
        Ok(Opened { queue, notes })
    }

    /// Closes the queue: what is acknowledged is durable, claims end, the next opening is quick. Later
    /// calls get [`QueueError::Stopped`]; closing twice is fine.
    ///
    /// # Errors
    /// When the index could not be written; nothing acknowledged is lost by that.
    pub async fn close(&self) -> Result<()> {
        self.owner.close().await
    }

    /// What is told of jobs without asking the thread.
    fn records(&self) -> Result<&Records> {
        self.owner.check_moving()?;
        Ok(&self.records)
    }

    /// Copies a list to where the owning thread can take it from by a rename. The copy is durable.
    async fn copy_list(&self, from: PathBuf) -> Result<PathBuf> {
        let copy = self.incoming.join(self.copies.fetch_add(1, Ordering::Relaxed).to_string());
        blocking(move || {
            let mut source = std::fs::File::open(&from).map_err(io_error("cannot read", &from))?;
            let mut target = disk::create(&copy)?;
            std::io::copy(&mut source, &mut target).map_err(io_error("cannot copy", &from))?;
            target.sync_all().map_err(io_error("cannot sync", &copy))?;
            Ok(copy)
        })
        .await
    }
}

#[async_trait]
impl JobQueue for SledQueue {
    async fn create_job(&self, mut new: NewJob, now: Timestamp) -> Result<Created> {
        let input = match new.input.take() {
            Some(input) => {
                let copy = self.copy_list(input.path).await?;
                Some(Prepared { copy, windows: input.windows })
            }
            None => None,
        };
        self.owner.call(move |keeper| keeper.create_job(new, input, now)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRecord>> {
        self.records()?.job(id)
    }

    async fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>> {
        self.records()?.job_by_key(key)
    }

    async fn jobs(&self) -> Result<Vec<JobRecord>> {
        self.records()?.jobs()
    }

    async fn overview(&self, most: usize) -> Result<Overview> {
        self.records()?.overview(most)
    }

    async fn update_job(&self, id: JobId, update: JobUpdate) -> Result<()> {
        self.owner.call(move |keeper| keeper.update_job(id, update)).await
    }

    async fn set_intent(&self, id: JobId, intent: Intent, now: Timestamp) -> Result<()> {
        self.owner.call(move |keeper| keeper.set_intent(id, intent, now)).await
    }

    async fn set_hold(&self, id: JobId, reason: Option<FileError>) -> Result<()> {
        self.owner.call(move |keeper| keeper.set_hold(id, reason)).await
    }

    async fn requeue_failed(&self, id: JobId) -> Result<Requeued> {
        self.owner.call(move |keeper| keeper.requeue_failed(id)).await
    }

    async fn relist(&self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        self.owner.call(move |keeper| keeper.relist(id, span, files)).await
    }

    async fn add_windows(&self, id: JobId, windows: Vec<NewWindow>, now: Timestamp) -> Result<u64> {
        self.owner.call(move |keeper| keeper.add_windows(id, windows, now)).await
    }

    async fn troubles(&self, id: JobId) -> Result<Vec<Trouble>> {
        self.owner.call(move |keeper| keeper.troubles(id)).await
    }

    async fn set_checksums(&self, id: JobId, path: Option<PathBuf>) -> Result<()> {
        let copy = match path {
            Some(path) => Some(self.copy_list(path).await?),
            None => None,
        };
        self.owner.call(move |keeper| keeper.set_checksums(id, copy.as_deref())).await
    }

    async fn remove_job(&self, id: JobId) -> Result<()> {
        self.owner.call(move |keeper| keeper.remove_job(id)).await
    }

    async fn secret_headers(&self, id: JobId) -> Result<Vec<SecretHeader>> {
        self.owner.call(move |keeper| keeper.secret_headers(id)).await
    }

    async fn changed_since(&self, since: Revision) -> Result<Revision> {
        let mut revisions = self.revisions.clone();
        let changed = revisions.wait_for(|&revision| revision != since).await;
        changed.map(|revision| *revision).map_err(|_| QueueError::Stopped(CLOSED.to_owned()))
    }
}

#[async_trait]
impl PlanQueue for SledQueue {
    async fn settle_plan(&self, id: JobId, outcome: PlanOutcome, now: Timestamp) -> Result<()> {
        self.owner.call(move |keeper| keeper.settle_plan(id, outcome, now)).await
    }

    async fn claim_windows(&self, request: ClaimRequest) -> Result<Vec<ClaimedWindow>> {
        self.owner.call(move |keeper| keeper.claim_windows(&request)).await
    }

    async fn stage_files(&self, id: JobId, window: WindowId, files: Vec<FileSpec>) -> Result<()> {
        self.owner.call(move |keeper| keeper.stage_files(id, window, files)).await
    }

    async fn settle_window(
        &self,
        id: JobId,
        window: WindowId,
        outcome: WindowOutcome,
        now: Timestamp,
    ) -> Result<()> {
        self.owner.call(move |keeper| keeper.settle_window(id, window, outcome, now)).await
    }

    async fn windows(&self, id: JobId, query: WindowQuery) -> Result<WindowPage> {
        self.owner.call(move |keeper| keeper.windows(id, query)).await
    }

    async fn read_input(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>> {
        let path = self.owner.call(move |keeper| keeper.input_path(id)).await?;
        blocking(move || read_part(&path, offset, length)).await
    }
}

#[async_trait]
impl WorkQueue for SledQueue {
    async fn claim_files(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        self.owner.call(move |keeper| keeper.claim_files(&request)).await
    }

    async fn renew(&self, owner: LeaseOwner, until: Timestamp) -> Result<()> {
        self.owner
            .call(move |keeper| {
                keeper.renew(owner, until);
                Ok(())
            })
            .await
    }

    async fn release(&self, files: Vec<Received>) -> Result<()> {
        self.owner
            .call(move |keeper| {
                let files = keeper.still_there(files, |told| told.file.job);
                keeper.release(&files)
            })
            .await
    }

    async fn checkpoint(&self, files: Vec<Received>) -> Result<()> {
        self.owner
            .call(move |keeper| {
                let files = keeper.still_there(files, |told| told.file.job);
                keeper.checkpoint(&files)
            })
            .await
    }

    async fn seal(&self, files: Vec<(FileRef, Sealed)>) -> Result<()> {
        self.owner
            .call(move |keeper| {
                let files = keeper.still_there(files, |told| told.0.job);
                keeper.seal(&files)
            })
            .await
    }

    async fn complete(&self, files: Vec<FileRef>, now: Timestamp) -> Result<()> {
        self.owner
            .call(move |keeper| {
                let files = keeper.still_there(files, |told| told.job);
                keeper.complete(&files, now)
            })
            .await
    }

    async fn fail(&self, attempts: Vec<FailedAttempt>, now: Timestamp) -> Result<()> {
        self.owner
            .call(move |keeper| {
                let attempts = keeper.still_there(attempts, |attempt| attempt.file.job);
                keeper.fail(attempts, now)
            })
            .await
    }

    async fn invalidate(&self, files: Vec<(FileRef, FileError)>) -> Result<()> {
        self.owner.call(move |keeper| keeper.invalidate(files)).await
    }

    async fn next_due(&self, filter: &ClaimFilter) -> Result<Option<Timestamp>> {
        let filter = filter.clone();
        self.owner.call(move |keeper| Ok(keeper.next_due(&filter))).await
    }

    async fn remove_unchanged(&self, seen: &JobRecord, headers: &[SecretHeader]) -> Result<bool> {
        let (seen, headers) = (seen.clone(), headers.to_owned());
        self.owner.call(move |keeper| keeper.remove_unchanged(&seen, &headers)).await
    }

    async fn checksums_len(&self, id: JobId) -> Result<Option<u64>> {
        let path = self.owner.call(move |keeper| keeper.checksums_path(id)).await?;
        blocking(move || disk::length(&path)).await
    }

    async fn read_checksums(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>> {
        let path = self.owner.call(move |keeper| keeper.checksums_path(id)).await?;
        blocking(move || read_part(&path, offset, length)).await
    }

    async fn files(&self, id: JobId, query: FileQuery) -> Result<FilePage> {
        self.owner.call(move |keeper| keeper.files(id, query)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(QueueError::Stopped("reading a list of files was cut short".to_owned())))
}

/// Bytes of a file, fewer at its end; none if there is no file.
fn read_part(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(io_error("cannot read", path))?,
    };
    let mut bytes = Vec::new();
    // Systems refuse places that no file could have.
    if offset < file.metadata().map_err(io_error("cannot read", path))?.len() {
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(length).read_to_end(&mut bytes));
        read.map_err(io_error("cannot read", path))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};
    use std::time::Duration;

    use skyhaul_queue::conformance::fixture::{at, new_job};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn jobs_are_told_of_while_the_thread_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let queue = SledQueue::open(dir.path(), BootId::named("one")).await.unwrap().queue;
        let id = queue.create_job(new_job("a"), at(0)).await.unwrap().id;
        let (release, held) = sync_channel::<()>(0);
        let (begin, begun) = oneshot::channel();
        let long = queue.owner.call(move |_| {
            begin.send(()).unwrap();
            Ok(held.recv_timeout(Duration::from_secs(30)))
        });
        let ask = async {
            begun.await.unwrap();
            let told = queue.job(id).await.unwrap().unwrap();
            drop(release);
            told
        };
        let (ended, told) = tokio::join!(long, ask);
        // Had the question waited for the thread, this would be a timeout.
        assert_eq!((ended.unwrap(), told.id), (Err(RecvTimeoutError::Disconnected), id));
    }
}
