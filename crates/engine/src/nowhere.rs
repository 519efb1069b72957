//! For tests: a network that nobody answers on, and an engine on it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_http::{Fetch, FetchError, Request, Response};
use skyhaul_model::{FileSpec, JobId, JobPolicy, NewWindow, Query, RelPath, Source, WindowTarget};
use skyhaul_queue::{JobQueue, LeaseOwner, MemoryQueue, NewJob, PlanOutcome, PlanQueue, WindowOutcome};

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

/// An engine, and a job of a hundred files for it.
pub(crate) async fn at_work(policy: JobPolicy, out: &Path) -> (Engine, JobId) {
    let queue = Arc::new(MemoryQueue::new());
    let engine = Engine::new(Arc::clone(&queue) as _, Arc::new(Nowhere), settings());
    let source = Source::Urls { digest: String::new(), base: None };
    let query = Query { source, out: out.display().to_string() };
    let new = NewJob { query, policy, name: None, priority: 0, headers: Vec::new(), input: None };
    let id = queue.create_job(new, Timestamp::UNIX_EPOCH).await.unwrap().id;
    let target = WindowTarget::Slice { offset: 0, length: 9, first_line: 1 };
    let windows = PlanOutcome::Windows(vec![NewWindow { target }]);
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
    (engine, id)
}
