//! For tests: a network that nobody answers on, an engine on it, and jobs for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_http::{Fetch, FetchError, Request, Response};
use skyhaul_model::{
    FileError, FileSpec, JobId, JobKey, JobPolicy, JobRecord, NewWindow, Query, RelPath, Source, WindowId,
    WindowRecord, WindowState, WindowTarget,
};
use skyhaul_queue::{LeaseOwner, MemoryQueue, NewJob, PlanOutcome, WindowOutcome};
use skyhaul_transfer::OutputRoot;

use crate::disk::RealDisk;
use crate::roots::Disk;
use crate::{Engine, OnFullDisk, Scope, Settings, WhenIdle};

/// Takes every request and never answers.
pub(crate) struct Nowhere;

#[async_trait]
impl Fetch for Nowhere {
    async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
        std::future::pending().await
    }
}

/// A disk whose steps on one folder wait until they are let go of.
pub(crate) struct Hanging {
    folder: PathBuf,
    gate: Gate,
}

/// Lets steps go on, all of them once it is dropped.
type Gate = Arc<Mutex<Receiver<()>>>;

impl Hanging {
    fn wait(&self, out: &Path) {
        if out == self.folder {
            // Closed or opened: both let go.
            let _ = self.gate.lock().unwrap().recv();
        }
    }
}

impl Disk for Hanging {
    fn open(&self, job: &JobRecord) -> Result<OutputRoot, FileError> {
        self.wait(Path::new(&job.query.out));
        RealDisk.open(job)
    }

    fn obstacle(&self, root: &OutputRoot, policy: &JobPolicy) -> Option<FileError> {
        self.wait(root.path());
        RealDisk.obstacle(root, policy)
    }

    fn close(&self, root: OutputRoot, useless: Option<&JobKey>) -> io::Result<()> {
        self.wait(root.path());
        RealDisk.close(root, useless)
    }
}

/// An engine on a queue in memory, where each step on this folder hangs until it is told to go on.
pub(crate) fn on_hanging_disk(folder: &Path) -> (Engine, Arc<MemoryQueue>, SyncSender<()>) {
    let (go_on, gate) = sync_channel(99);
    let disk = Hanging { folder: folder.to_owned(), gate: Arc::new(Mutex::new(gate)) };
    let queue = Arc::new(MemoryQueue::new());
    let engine = Engine::on(Arc::new(disk), Arc::clone(&queue) as _, Arc::new(Nowhere), settings());
    (engine, queue, go_on)
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

/// Begins files as the loop does, with the roots of their jobs open.
pub(crate) async fn begin_files(engine: &mut Engine) {
    engine.begin_files().await.unwrap();
    while !engine.jobs.are_roots_idle() {
        see(engine).await;
        engine.begin_files().await.unwrap();
    }
}

/// Takes a job in hand.
pub(crate) async fn take(engine: &mut Engine, job: JobId) {
    engine.begin_opening(job).await.unwrap();
    while !engine.jobs.are_roots_idle() {
        see(engine).await;
    }
}

/// Waits for the end of a step on a root.
pub(crate) async fn see(engine: &mut Engine) {
    let (job, sight) = engine.jobs.next_sight().await.unwrap();
    engine.on_sight(job, sight).await.unwrap();
}
