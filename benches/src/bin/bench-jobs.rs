//! `bench-jobs [JOBS] [FOLDER]`: what many small jobs cost, as a table: making them, threads, open files, disk, opening
//! them again after a clean close and after a death, rebuilding, and the first claim.
//!
//! JOBS is a number such as `10k` (the default), each of ten files; FOLDER is where the state directory is made (and
//! removed). Threads and open files are those of this process, where the system tells (Linux).

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]
#![expect(clippy::print_stdout, reason = "its answer is a table")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use skyhaul_benches::night::{self, Night};
use skyhaul_benches::usage;
use skyhaul_model::parse_bytes;
use skyhaul_queue::{
    ClaimFilter, ClaimRequest, JobQueue, LeaseOwner, NewJob, PlanOutcome, PlanQueue, WindowOutcome, WorkQueue,
};
use skyhaul_queue_sled::{BootId, SledQueue};
use tokio::task::JoinSet;

/// Who makes jobs at the same time.
const MAKERS: usize = 16;

/// Files of a job.
const FILES: u64 = 10;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let jobs = args.next().map_or(10_000, |text| parse_bytes(&text).unwrap());
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let state = folder.path().join("state");

    let queue = Arc::new(open(&state, "opening an empty one").await);
    let begun = Instant::now();
    make(&queue, jobs).await;
    row("making them", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(queue.claim_files(request()).await.unwrap().len(), 64);
    row("claiming 64 files", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(queue.jobs().await.unwrap().len() as u64, jobs);
    row("all records", begun.elapsed());
    println!("| on disk | {} bytes a job |  |", usage::disk(&state) / jobs);
    Arc::into_inner(queue).unwrap().close().await.unwrap();

    let word = state.join("index.state");
    let closed = std::fs::read_to_string(&word).unwrap();
    open(&state, "opening").await.close().await.unwrap();
    std::fs::write(&word, closed.replace("clean", "open")).unwrap();
    open(&state, "opening after a death").await.close().await.unwrap();
    std::fs::remove_dir_all(state.join("index")).unwrap();
    open(&state, "rebuilding").await.close().await.unwrap();
}

async fn open(state: &Path, what: &str) -> SledQueue {
    let begun = Instant::now();
    let queue = SledQueue::open(state, BootId::named("bench")).await.unwrap().queue;
    row(what, begun.elapsed());
    queue
}

/// Makes the jobs, each listed and with all its files pending.
async fn make(queue: &Arc<SledQueue>, jobs: u64) {
    let next = Arc::new(AtomicU64::new(0));
    let mut makers = JoinSet::new();
    for _ in 0..MAKERS {
        let (queue, next) = (Arc::clone(queue), Arc::clone(&next));
        makers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    return;
                }
                make_one(&queue, number).await;
            }
        });
    }
    makers.join_all().await;
}

async fn make_one(queue: &SledQueue, number: u64) {
    let now = Timestamp::now();
    let mut new: NewJob = night::job();
    new.query.out = format!("/data/{number}");
    let job = queue.create_job(new, now).await.unwrap().id;
    let night = Night(number % 1_000);
    queue.settle_plan(job, PlanOutcome::Windows(vec![night.window()]), now).await.unwrap();
    let filter = ClaimFilter::Jobs(vec![job]);
    let claim = queue.claim_windows(ClaimRequest { filter, ..request() }).await.unwrap().remove(0);
    let files = (0..FILES).map(|file| night.file(file)).collect();
    queue.stage_files(job, claim.window.id, files).await.unwrap();
    let listed = WindowOutcome::Listed { bytes: None };
    queue.settle_window(job, claim.window.id, listed, now).await.unwrap();
}

fn request() -> ClaimRequest {
    let (owner, now) = (LeaseOwner(1), Timestamp::now());
    ClaimRequest { filter: ClaimFilter::All, limit: 64, owner, now, until: Timestamp::MAX }
}

fn row(what: &str, took: Duration) {
    let listed = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    let (threads, files) = (listed("/proc/self/task"), listed("/proc/self/fd"));
    println!("| {what:<22} | {:>10} | {threads} threads, {files} open files |", format!("{took:.2?}"));
}
