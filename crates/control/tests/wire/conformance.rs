//! Cases of the queue's own conformance suite with the job verbs, pages and repairs going through client
//! and server. Left out are those that hold times: the server's clock is its own.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_control::{Client, Server};
use skyhaul_model::{
    FileError, FileSpec, Intent, JobId, JobKey, JobRecord, NewWindow, Recheck, Sealed, Span, Trouble,
    WindowId,
};
use skyhaul_queue::conformance as suite;
use skyhaul_queue::{
    Claim, ClaimFilter, ClaimRequest, ClaimedWindow, Created, FailedAttempt, FilePage, FileQuery, FileRef,
    JobQueue, JobUpdate, LeaseOwner, MemoryQueue, NewJob, PlanOutcome, PlanQueue, Received, Requeued, Result,
    Revision, SecretHeader, WindowOutcome, WindowPage, WindowQuery, WorkQueue,
};
use std::path::PathBuf;
use tempfile::TempDir;

use crate::stage::{Way, no_engine, start};

macro_rules! cases {
    ($($group:ident { $($case:ident)* })*) => {
        $($(
            #[tokio::test]
            async fn $case() {
                let through = Through::new().await;
                suite::$group::$case(&through).await;
                suite::check_counters(&through).await;
            }
        )*)*
    };
}

cases! {
    jobs {
        a_name_belongs_to_one_job
        secret_headers_are_kept_and_replaced_only_where_given
        unknown_jobs_are_refused
        intents_are_idempotent_and_a_cancelled_job_runs_again
        a_held_job_gives_no_claims
        a_removed_job_is_gone_and_its_number_too
        a_change_wakes_who_waits
        a_list_is_copied_and_read_back
    }
    plan {
        a_refused_plan_is_final_until_put_back
        parts_take_a_split_windows_place
        failed_windows_are_counted_and_put_back
    }
    relist {
        listing_again_adds_what_is_new
        only_the_windows_of_the_span_are_listed_again
        done_files_are_checked_again
        windows_are_added_once
    }
    troubles {
        failures_are_counted_by_kind_and_host
        troubles_are_history
        a_list_of_checksums_is_kept_and_replaced
    }
    ends {
        failed_files_are_put_back
        a_bad_file_is_put_back
        what_cannot_follow_is_a_conflict
    }
    pages {
        pages_cover_all_files_once
        a_filter_finds_each_state
        windows_come_in_pages
    }
}

/// What a client can ask goes through it, what only an engine does goes straight to the queue.
struct Through {
    client: Client,
    queue: Arc<MemoryQueue>,
    _server: Server,
    _dir: TempDir,
}

impl Through {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let queue = Arc::new(MemoryQueue::new());
        let server = start(dir.path(), Way::Socket, Arc::clone(&queue) as Arc<_>, no_engine()).await.unwrap();
        let client = Client::connect(dir.path()).await.unwrap().unwrap();
        Self { client, queue, _server: server, _dir: dir }
    }

    fn jobs(&self) -> &dyn JobQueue {
        &self.client
    }
}

#[async_trait]
impl JobQueue for Through {
    async fn create_job(&self, new: NewJob, now: Timestamp) -> Result<Created> {
        self.jobs().create_job(new, now).await
    }
    async fn job(&self, id: JobId) -> Result<Option<JobRecord>> {
        self.jobs().job(id).await
    }
    async fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>> {
        self.jobs().job_by_key(key).await
    }
    async fn jobs(&self) -> Result<Vec<JobRecord>> {
        self.jobs().jobs().await
    }
    async fn update_job(&self, id: JobId, update: JobUpdate) -> Result<()> {
        self.jobs().update_job(id, update).await
    }
    async fn set_intent(&self, id: JobId, intent: Intent, now: Timestamp) -> Result<()> {
        self.jobs().set_intent(id, intent, now).await
    }
    async fn set_hold(&self, id: JobId, reason: Option<FileError>) -> Result<()> {
        self.jobs().set_hold(id, reason).await
    }
    async fn requeue_failed(&self, id: JobId) -> Result<Requeued> {
        self.jobs().requeue_failed(id).await
    }
    async fn relist(&self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        self.jobs().relist(id, span, files).await
    }
    async fn add_windows(&self, id: JobId, windows: Vec<NewWindow>, now: Timestamp) -> Result<u64> {
        self.jobs().add_windows(id, windows, now).await
    }
    async fn troubles(&self, id: JobId) -> Result<Vec<Trouble>> {
        self.jobs().troubles(id).await
    }
    async fn set_checksums(&self, id: JobId, path: Option<PathBuf>) -> Result<()> {
        self.jobs().set_checksums(id, path).await
    }
    async fn remove_job(&self, id: JobId) -> Result<()> {
        self.jobs().remove_job(id).await
    }
    async fn secret_headers(&self, id: JobId) -> Result<Vec<SecretHeader>> {
        self.queue.secret_headers(id).await
    }
    async fn changed_since(&self, since: Revision) -> Result<Revision> {
        self.jobs().changed_since(since).await
    }
}

#[async_trait]
impl PlanQueue for Through {
    async fn settle_plan(&self, id: JobId, outcome: PlanOutcome, now: Timestamp) -> Result<()> {
        self.queue.settle_plan(id, outcome, now).await
    }
    async fn claim_windows(&self, request: ClaimRequest) -> Result<Vec<ClaimedWindow>> {
        self.queue.claim_windows(request).await
    }
    async fn stage_files(&self, id: JobId, window: WindowId, files: Vec<FileSpec>) -> Result<()> {
        self.queue.stage_files(id, window, files).await
    }
    async fn settle_window(
        &self,
        id: JobId,
        window: WindowId,
        outcome: WindowOutcome,
        now: Timestamp,
    ) -> Result<()> {
        self.queue.settle_window(id, window, outcome, now).await
    }
    async fn windows(&self, id: JobId, query: WindowQuery) -> Result<WindowPage> {
        Ok(self.client.windows(id, query).await?)
    }
    async fn read_input(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.queue.read_input(id, offset, length).await
    }
}

#[async_trait]
impl WorkQueue for Through {
    async fn claim_files(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        self.queue.claim_files(request).await
    }
    async fn renew(&self, owner: LeaseOwner, until: Timestamp) -> Result<()> {
        self.queue.renew(owner, until).await
    }
    async fn release(&self, files: Vec<Received>) -> Result<()> {
        self.queue.release(files).await
    }
    async fn checkpoint(&self, files: Vec<Received>) -> Result<()> {
        self.queue.checkpoint(files).await
    }
    async fn seal(&self, files: Vec<(FileRef, Sealed)>) -> Result<()> {
        self.queue.seal(files).await
    }
    async fn complete(&self, files: Vec<FileRef>, now: Timestamp) -> Result<()> {
        self.queue.complete(files, now).await
    }
    async fn fail(&self, attempts: Vec<FailedAttempt>, now: Timestamp) -> Result<()> {
        self.queue.fail(attempts, now).await
    }
    async fn invalidate(&self, files: Vec<(FileRef, FileError)>) -> Result<()> {
        let Some(job) = files.first().map(|(file, _)| file.job) else { return Ok(()) };
        assert!(files.iter().all(|(file, _)| file.job == job), "the cases here repair one job at a time");
        let files = files.into_iter().map(|(file, error)| (file.seq, error)).collect();
        Ok(self.client.invalidate(job, files).await?)
    }
    async fn next_due(&self, filter: &ClaimFilter) -> Result<Option<Timestamp>> {
        self.queue.next_due(filter).await
    }
    async fn remove_unchanged(&self, seen: &JobRecord, headers: &[SecretHeader]) -> Result<bool> {
        self.queue.remove_unchanged(seen, headers).await
    }
    async fn checksums_len(&self, id: JobId) -> Result<Option<u64>> {
        self.queue.checksums_len(id).await
    }
    async fn read_checksums(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.queue.read_checksums(id, offset, length).await
    }
    async fn files(&self, id: JobId, query: FileQuery) -> Result<FilePage> {
        Ok(self.client.files(id, query).await?)
    }
}
