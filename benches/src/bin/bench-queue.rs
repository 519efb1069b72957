//! `bench-queue [FILES] [FOLDER]`: the queue's figures at a size, as a table: how fast files come in and are
//! worked off, what a file costs on disk, how much memory it takes, how long opening, rebuilding and asking take;
//! then how fast an archive's answers and a list of URLs become files of a queue.
//!
//! FILES is a number such as `1M` (the default); FOLDER is where the state directory is made (and removed).

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]
#![expect(clippy::print_stdout, reason = "its answer is a table")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use skyhaul_archive::Archive;
use skyhaul_benches::answers::Answers;
use skyhaul_benches::night::{self, Night};
use skyhaul_benches::usage;
use skyhaul_engine::list_slices;
use skyhaul_model::{JobId, Query, Source, parse_bytes};
use skyhaul_planner::{ListForm, Listed, Overlap, list_window, take_in};
use skyhaul_queue::{
    ClaimFilter, ClaimRequest, Input, JobQueue, LeaseOwner, NewJob, PlanOutcome, PlanQueue, WindowOutcome,
    WorkQueue,
};
use skyhaul_queue_sled::{BootId, SledQueue};
use tokio::task::JoinSet;

/// Who claims at the same time, and files of a claim.
const WORKERS: usize = 64;
const BATCH: usize = 64;

/// Windows that are listed at the same time.
const LISTERS: usize = 4;

/// Files that are staged at once.
const STAGE: usize = 1_024;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let files = args.next().map_or(1_000_000, |text| parse_bytes(&text).unwrap());
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let state = folder.path().join("state");
    println!("{files} files, {} a window", night::FILES);

    let queue = open(&state, "opening an empty one").await;
    let job = plan(&queue, files).await;
    ingest(&queue, job, files).await;
    print_disk(&state, job, files, "planned");
    close(queue).await;

    let queue = Arc::new(open(&state, "opening, planned").await);
    work_off(&queue, job, files).await;
    print_disk(&state, job, files, "done");
    close(Arc::into_inner(queue).unwrap()).await;

    close(open(&state, "opening, done").await).await;
    std::fs::remove_dir_all(state.join("index")).unwrap();
    let queue = open(&state, "rebuilding").await;
    assert_eq!(queue.job(job).await.unwrap().unwrap().files.done, files);
    let begun = Instant::now();
    queue.remove_job(job).await.unwrap();
    row("removing the job", begun.elapsed(), "");
    close(queue).await;

    let queue = Arc::new(open(&folder.path().join("planned"), "opening another").await);
    list_answers(&queue, files).await;
    take_list(&queue, folder.path(), files).await;
    close(Arc::into_inner(queue).unwrap()).await;
}

/// From an archive's answers to files of a queue, as an engine does it: with several listers.
async fn list_answers(queue: &Arc<SledQueue>, files: u64) {
    let archive = Archive::new(Arc::new(Answers::of(Night(0))), "https://archive.example").unwrap();
    let job = plan(queue, files).await;
    usage::forget_peak();
    let begun = Instant::now();
    let mut listers = JoinSet::new();
    for _ in 0..LISTERS {
        listers.spawn(lister(Arc::clone(queue), archive.clone(), job));
    }
    listers.join_all().await;
    rate("from answers", queue.job(job).await.unwrap().unwrap().files.total, begun.elapsed());
}

async fn lister(queue: Arc<SledQueue>, archive: Archive, job: JobId) {
    while let Some(claim) = queue.claim_windows(request(job, 1)).await.unwrap().pop() {
        let (id, target) = (claim.window.id, claim.window.target);
        let listed = list_window(&archive, &target, id, &Overlap::new(&[])).await.unwrap();
        let Listed::Files(mut files) = listed else { unreachable!("this archive splits nothing") };
        while let Some(batch) = files.next_batch().await.unwrap() {
            queue.stage_files(job, id, files.take(batch)).await.unwrap();
        }
        let (bytes, taken) = files.end();
        let listed = WindowOutcome::Listed { bytes };
        queue.settle_window(job, id, listed, Timestamp::now()).await.unwrap();
        taken.keep();
    }
}

/// From a list of URLs in a file to files of a queue, as `submit --urls` does it.
async fn take_list(queue: &SledQueue, folder: &Path, files: u64) {
    let list = folder.join("list");
    let mut out = BufWriter::new(File::create(&list).unwrap());
    for number in 0..files {
        let file = Night(number / night::FILES).file(number % night::FILES);
        writeln!(out, "{}", file.url).unwrap();
    }
    drop(out);
    usage::forget_peak();
    let (begun, form) = (Instant::now(), ListForm::Urls { base: None });
    let taken = take_in(&mut BufReader::new(File::open(&list).unwrap()), &form, folder).unwrap();
    let source = Source::Urls { digest: taken.digest.clone(), base: None };
    let input = Input { path: taken.path().to_owned(), windows: taken.windows.clone() };
    let new = NewJob { input: Some(input), query: Query { source, out: "/data".to_owned() }, ..night::job() };
    let job = queue.create_job(new, Timestamp::now()).await.unwrap().id;
    row("list, read and kept", begun.elapsed(), "");
    list_slices(queue, job, LeaseOwner(1)).await.unwrap();
    rate("from a list", queue.job(job).await.unwrap().unwrap().files.total, begun.elapsed());
}

async fn open(state: &Path, what: &str) -> SledQueue {
    usage::forget_peak();
    let begun = Instant::now();
    let queue = SledQueue::open(state, BootId::named("bench")).await.unwrap().queue;
    row(what, begun.elapsed(), &format!("{} MB at most", usage::peak_mb()));
    queue
}

async fn close(queue: SledQueue) {
    let begun = Instant::now();
    queue.close().await.unwrap();
    row("closing", begun.elapsed(), "");
}

async fn plan(queue: &SledQueue, files: u64) -> JobId {
    let id = queue.create_job(night::job(), Timestamp::now()).await.unwrap().id;
    let windows = (0..files.div_ceil(night::FILES)).map(|number| Night(number).window()).collect();
    queue.settle_plan(id, PlanOutcome::Windows(windows), Timestamp::now()).await.unwrap();
    id
}

/// Lists window by window. What making the names costs is taken off.
async fn ingest(queue: &SledQueue, job: JobId, files: u64) {
    usage::forget_peak();
    let (begun, mut making) = (Instant::now(), Duration::ZERO);
    for number in 0..files.div_ceil(night::FILES) {
        let window = queue.claim_windows(request(job, 1)).await.unwrap().remove(0).window.id;
        let count = night::FILES.min(files - number * night::FILES);
        let made = Instant::now();
        let specs: Vec<_> = (0..count).map(|file| Night(number).file(file)).collect();
        making += made.elapsed();
        for batch in specs.chunks(STAGE) {
            let made = Instant::now();
            let batch = batch.to_vec();
            making += made.elapsed();
            queue.stage_files(job, window, batch).await.unwrap();
        }
        let listed = WindowOutcome::Listed { bytes: None };
        queue.settle_window(job, window, listed, Timestamp::now()).await.unwrap();
    }
    rate("taking in", files, begun.elapsed().saturating_sub(making));
}

/// Claims, seals and completes while somebody asks for the status again and again.
async fn work_off(queue: &Arc<SledQueue>, job: JobId, files: u64) {
    usage::forget_peak();
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(ask(Arc::clone(queue), job, Arc::clone(&stop)));
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(Arc::clone(queue), job));
    }
    assert_eq!(workers.join_all().await.into_iter().sum::<u64>(), files);
    rate("claim, seal, complete", files, begun.elapsed());
    stop.store(true, Ordering::Relaxed);
    let mut waits = asking.await.unwrap();
    waits.sort_unstable();
    let of = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
    row("status meanwhile", of(50), &format!("{:.2?} of 99 %, {:.2?} at most", of(99), of(100).max(of(99))));
}

/// One worker: until nothing is left to claim. Whoever waits for a sync at the same time shares it.
async fn work(queue: Arc<SledQueue>, job: JobId) -> u64 {
    let mut done = 0;
    loop {
        let claims = queue.claim_files(request(job, BATCH)).await.unwrap();
        if claims.is_empty() {
            return done;
        }
        let refs: Vec<_> = claims.iter().map(|claim| claim.file).collect();
        done += refs.len() as u64;
        queue.seal(refs.iter().map(|&file| (file, night::sealed(file.seq))).collect()).await.unwrap();
        queue.complete(refs, Timestamp::now()).await.unwrap();
    }
}

/// How long each answer to "how is the job" took.
async fn ask(queue: Arc<SledQueue>, job: JobId, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        queue.job(job).await.unwrap().unwrap();
        waits.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waits
}

fn request(job: JobId, limit: usize) -> ClaimRequest {
    let filter = ClaimFilter::Jobs(vec![job]);
    ClaimRequest { filter, limit, owner: LeaseOwner(1), now: Timestamp::now(), until: Timestamp::MAX }
}

fn rate(what: &str, files: u64, took: Duration) {
    let a_second = files as f64 / took.as_secs_f64();
    row(what, took, &format!("{:.0} thousand files/s, {} MB at most", a_second / 1e3, usage::peak_mb()));
}

fn print_disk(state: &Path, job: JobId, files: u64, what: &str) {
    let a_file = |bytes: u64| bytes as f64 / files as f64;
    let ledger = std::fs::metadata(state.join(format!("jobs/{job}/ledger"))).unwrap().len();
    let all = usage::disk(state);
    let told = format!("{:.1} bytes a file, {:.1} of them in the ledger", a_file(all), a_file(ledger));
    println!("| {:<22} | {:>10} | {told} |", format!("on disk, {what}"), "");
}

fn row(what: &str, took: Duration, told: &str) {
    println!("| {what:<22} | {:>10} | {told} |", format!("{took:.2?}"));
}
