//! An hour of an engine's life with a page open, in simulated time: nothing that is sent or kept grows.
//!
//! The engine, the server and the page are real and talk over the control socket; the clock is tokio's, which goes
//! on when nobody has anything to do. That the effort does not grow is counted in wakings; what a second costs is
//! measured elsewhere (`make bench-dashboard`).

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skyhaul_control::{Endpoint, EngineView, Instruments, Server, Started};
use skyhaul_engine::{Engine, OnFullDisk, Progress, Scope, Settings, WhenIdle};
use skyhaul_http::{Fetch, FetchError, Request, Response};
use skyhaul_model::{Intent, JobPolicy};
use skyhaul_queue::conformance::fixture;
use skyhaul_queue::{JobQueue, LeaseOwner, MemoryQueue, PlanOutcome, PlanQueue, Queue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, interval, timeout_at};
use tokio_util::sync::CancellationToken;

/// Memory is that of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

const JOBS: u64 = 100;

/// What the page asks for, with a job in more detail.
const BOARD: &str = "/v1/board/events?show=all&from=0&count=80&job=7";

/// What a comment that breaks the silence weighs on the wire, its chunk included.
const HEARTBEAT_BYTES: usize = 19;

/// Heartbeats come every fifteen seconds.
const HEARTBEATS_A_MINUTE: usize = 4;

/// The page is told twice a second at most.
const EVENTS_A_MINUTE: usize = 120;

/// What one event may weigh when one of a page's jobs is at work: its line, the sums, and a file in flight.
const EVENT_BYTES: usize = 2_000;

#[tokio::test(start_paused = true)]
async fn an_idle_engine_tells_an_open_page_next_to_nothing_and_keeps_nothing() {
    let _alone = ALONE.lock().await;
    let queue = queue().await;
    let stop = CancellationToken::new();
    let engine = Engine::new(Arc::clone(&queue), Arc::new(Nowhere), settings());
    let (progress, tally) = (engine.progress(), engine.tally());
    let running = tokio::spawn(engine.run(stop.clone()));
    let dir = tempfile::tempdir().unwrap();
    let instruments = Instruments { tally, ..Instruments::default() };
    let server = serve(dir.path(), queue, progress, instruments).await;

    let minutes = Page::open(dir.path()).await.an_hour().await;
    assert!(minutes[0].bytes > 10_000, "the first minute tells the whole: {:?}", minutes[0]);
    for minute in &minutes[1..] {
        assert_eq!(minute.events, 0, "{minute:?}");
        assert!(minute.bytes <= (HEARTBEATS_A_MINUTE + 1) * HEARTBEAT_BYTES, "{minute:?}");
    }
    assert_memory_and_effort_are_flat(&minutes);
    assert!(!dir.path().join("series.json").exists(), "a series of nothing is not written");
    stop.cancel();
    running.await.unwrap().unwrap();
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_work_is_told_evenly_and_leaves_no_more_than_its_series() {
    let _alone = ALONE.lock().await;
    let queue = queue().await;
    let (work, progress) = watch::channel(Arc::default());
    let instruments = Instruments::default();
    let tally = Arc::clone(&instruments.tally);
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Arc::clone(&queue), progress, instruments).await;
    let mut job = queue.job(skyhaul_model::JobId(9)).await.unwrap().unwrap();
    let working = async {
        let mut ticks = interval(Duration::from_millis(250));
        loop {
            ticks.tick().await;
            // As wide at the end of the hour as at its beginning.
            job.bytes.received = job.bytes.received.max(10_000_000_000) + 1_000;
            tally.note(|counts| counts.received_bytes = job.bytes.received);
            work.send_replace(Arc::new(Progress { jobs: vec![job.clone()], ..Progress::default() }));
        }
    };
    let minutes = tokio::select! {
        minutes = async { Page::open(dir.path()).await.an_hour().await } => minutes,
        () = working => unreachable!("the work has no end"),
    };
    for minute in &minutes[1..] {
        assert!((EVENTS_A_MINUTE - 2..=EVENTS_A_MINUTE + 2).contains(&minute.events), "{minute:?}");
        assert!(minute.bytes <= minute.events * EVENT_BYTES, "{minute:?}");
    }
    let even = minutes[10].bytes.abs_diff(minutes[59].bytes);
    assert!(even <= 4 * EVENT_BYTES, "{:?} and {:?}", minutes[10], minutes[59]);
    assert_memory_and_effort_are_flat(&minutes);
    server.shutdown().await;
    let series = std::fs::metadata(dir.path().join("series.json")).unwrap();
    assert!(series.len() < 40_000, "{} bytes", series.len());
}

/// What a page was told in one minute.
#[derive(Debug, Default)]
struct Minute {
    events: usize,
    bytes: usize,
    /// Memory of this process at the minute's end, in bytes; 0 where the system does not tell.
    memory: usize,
    /// How often the runtime had something to do, on the page's side and the engine's together: what it cost of the
    /// processor, without the noise of a clock.
    wakings: u64,
    /// Tasks that lived at the minute's end.
    tasks: usize,
}

/// A page that is open: its stream of events, as it comes over the control socket.
struct Page(UnixStream);

impl Page {
    async fn open(state_dir: &Path) -> Self {
        let told = std::fs::read(state_dir.join("engine.json")).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        let (socket, token) = (told["socket"].as_str().unwrap(), told["token"].as_str().unwrap());
        let mut stream = UnixStream::connect(socket).await.unwrap();
        let head = format!("GET {BOARD} HTTP/1.1\r\nHost: skyhaul\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    async fn an_hour(mut self) -> Vec<Minute> {
        let mut minutes = Vec::with_capacity(60);
        let mut end = Instant::now();
        for _ in 0..60 {
            end += Duration::from_secs(60);
            minutes.push(self.a_minute(end).await);
        }
        minutes
    }

    async fn a_minute(&mut self, end: Instant) -> Minute {
        let mut minute = Minute::default();
        let runtime = tokio::runtime::Handle::current().metrics();
        let slept = runtime.worker_park_count(0);
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read) = timeout_at(end, self.0.read(&mut chunk)).await {
            let told = &chunk[..read.unwrap()];
            assert!(!told.is_empty(), "the server has ended the stream");
            minute.bytes += told.len();
            minute.events += told.windows(EVENT.len()).filter(|window| *window == EVENT).count();
        }
        minute.memory = memory();
        minute.wakings = runtime.worker_park_count(0) - slept;
        minute.tasks = runtime.num_alive_tasks();
        minute
    }
}

const EVENT: &[u8] = b"event: board";

/// A leak of some three hundred bytes a tick would show, and so would one more waking a second.
fn assert_memory_and_effort_are_flat(minutes: &[Minute]) {
    let (early, late) = (minutes[9].memory, minutes[59].memory);
    assert!(late <= early + (4 << 20), "{early} bytes after ten minutes, {late} after sixty");
    let wakings = |minutes: &[Minute]| minutes.iter().map(|minute| minute.wakings).sum::<u64>();
    let (early, late) = (wakings(&minutes[1..30]), wakings(&minutes[31..60]));
    assert!(early > 0 && late <= early + early / 20, "woken {early} times in one half, {late} in the other");
    // At one minute's end a task may be alive that lives for a moment; at ten in a row the same would be a leak.
    let tasks = |minutes: &[Minute]| minutes.iter().map(|minute| minute.tasks).min();
    assert_eq!(tasks(&minutes[1..11]), tasks(&minutes[50..]), "tasks stay behind");
}

/// Pages in RAM (proc(5), `/proc/pid/statm`, the second field).
fn memory() -> usize {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = told.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// A queue of jobs that are over or wait for a person.
async fn queue() -> Arc<dyn Queue> {
    let queue = MemoryQueue::new();
    for number in 0..JOBS {
        let id = queue.create_job(fixture::new_job(&number.to_string()), fixture::at(0)).await.unwrap().id;
        match number % 2 {
            0 => queue.set_intent(id, Intent::Paused, fixture::at(0)).await.unwrap(),
            _ => queue.settle_plan(id, PlanOutcome::Windows(Vec::new()), fixture::at(0)).await.unwrap(),
        }
    }
    Arc::new(queue)
}

async fn serve(
    state_dir: &Path,
    queue: Arc<dyn Queue>,
    progress: watch::Receiver<Arc<Progress>>,
    instruments: Instruments,
) -> Server {
    let engine = EngineView {
        progress,
        stop: CancellationToken::new(),
        started: Started::Lasting,
        stay: CancellationToken::new(),
        scope: Scope::everything(),
        instruments,
    };
    Server::start(Endpoint::for_state_dir(state_dir).unwrap(), queue, engine).await.unwrap()
}

fn settings() -> Settings {
    Settings {
        scope: Scope::everything(),
        when_idle: WhenIdle::Wait,
        policy: JobPolicy::default(),
        on_full_disk: OnFullDisk::Wait,
        workers: 4,
        connections: 4,
        listers: 2,
        forget_after: None,
        owner: LeaseOwner(1),
        boot: "one".to_owned(),
    }
}

/// A network that nobody answers on.
struct Nowhere;

#[async_trait]
impl Fetch for Nowhere {
    async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
        std::future::pending().await
    }
}
