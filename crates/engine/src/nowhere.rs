//! For tests: a network that nobody answers on, an engine on it, and jobs for it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_http::{Fetch, FetchError, Request, Response};
use skyhaul_model::{
    FileSpec, JobId, JobPolicy, NewWindow, Query, RelPath, Source, WindowId, WindowRecord, WindowState,
    WindowTarget,
};
use skyhaul_queue::{LeaseOwner, MemoryQueue, NewJob, PlanOutcome, WindowOutcome};

use crate::{Engine, OnFullDisk, Scope, Settings, WhenIdle};

/// Takes every request and never answers.
pub(crate) struct Nowhere;

#[async_trait]
impl Fetch for Nowhere {
    async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
        std::future::pending().await
    }
}

/// Settings of an engine that is for every job.
pub(crate) fn settings() -> Settings {
    Settings {
        scope: Scope::everything(),
        when_idle: WhenIdle::Wait,
        policy: JobPolicy::default(),
        on_full_disk: OnFullDisk::Wait,
        workers: 64,
        connections: 8,
        listers: 4,
        forget_after: None,
        owner: LeaseOwner(1),
        boot: "boot".to_owned(),
    }
}

/// An engine for every job of a queue in memory, and that queue.
pub(crate) fn idle(settings: Settings) -> (Engine, Arc<MemoryQueue>) {
    let queue = Arc::new(MemoryQueue::new());
    (Engine::new(Arc::clone(&queue) as _, Arc::new(Nowhere), settings), queue)
}

/// The job of a list; another one with every digest.
pub(crate) fn job_of_list(digest: &str, out: &Path) -> NewJob {
    let source = Source::Urls { digest: digest.to_owned(), base: None };
    let query = Query { source, out: out.display().to_string() };
    let policy = JobPolicy { min_free: 0, ..JobPolicy::default() };
    NewJob { query, policy, name: None, priority: 0, headers: Vec::new(), input: None }
}

/// A piece of a list.
pub(crate) fn slice() -> WindowTarget {
    WindowTarget::Slice { offset: 0, length: 9, first_line: 1 }
}

/// A window that nothing has come of yet.
pub(crate) fn window() -> WindowRecord {
    let (state, failures, error, not_before) = (WindowState::Pending, 0, None, None);
    WindowRecord { id: WindowId(0), target: slice(), state, failures, error, not_before }
}

/// Gives an engine a job, listed with the files `0` to `99`.
pub(crate) async fn listed(engine: &Engine, new: NewJob) -> JobId {
    let queue = &engine.queue;
    let id = queue.create_job(new, Timestamp::UNIX_EPOCH).await.unwrap().id;
    let windows = PlanOutcome::Windows(vec![NewWindow { target: slice() }]);
    queue.settle_plan(id, windows, Timestamp::UNIX_EPOCH).await.unwrap();
    let claimed = queue.claim_windows(engine.claim_request(1)).await.unwrap();
    let file = |number: u32| FileSpec {
        url: format!("https://a/{number}"),
        path: Ok(RelPath::parse(&number.to_string()).unwrap()),
        size: None,
        sha256: None,
    };
    let window = claimed[0].window.id;
    queue.stage_files(id, window, (0..100).map(file).collect()).await.unwrap();
    let listed = WindowOutcome::Listed { bytes: None };
    queue.settle_window(id, window, listed, Timestamp::UNIX_EPOCH).await.unwrap();
    id
}
