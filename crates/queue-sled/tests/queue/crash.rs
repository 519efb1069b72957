//! Crashes: a killed process, a ledger cut anywhere, an index that is lost or of another boot. No
//! acknowledged fact is lost, and what is found agrees with itself.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use skyhaul_model::FileState;
use skyhaul_queue::conformance::{check_counters, fixture};
use skyhaul_queue::{JobQueue, Known, MemoryQueue, WorkQueue};
use skyhaul_queue_sled::{BootId, SledQueue};

use crate::operation::{Op, ops};
use crate::scenario::{Run, Shown, shown};

/// The folder and the seed of the process that is to be killed.
const CHILD: &str = "SKYHAUL_TEST_CHILD";

/// The same operations for the same seed, in whatever process.
pub(crate) fn seeded(seed: u8, length: usize) -> Vec<Op> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    ops(length..length + 1, false).new_tree(&mut runner).unwrap().current()
}

pub(crate) async fn open(dir: &Path, boot: &str) -> (SledQueue, Vec<String>) {
    let opened = SledQueue::open(dir, BootId::named(boot)).await.unwrap();
    (opened.queue, opened.notes)
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What the queue in memory shows after these steps, opened anew.
async fn reopened(ops: &[Op]) -> Shown {
    let (oracle, mut run) = (MemoryQueue::new(), Run::new());
    for op in ops {
        run.step(&oracle, op).await;
    }
    oracle.forget_claims();
    shown(&oracle).await
}

/// Not a test: the process that [`a_killed_process_loses_nothing_that_it_acknowledged`] kills.
#[tokio::test]
#[ignore = "it is run by another test, which kills it"]
async fn child() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let (seed, dir) = place.split_once(':').unwrap();
    let (queue, _) = open(Path::new(dir), "one").await;
    let mut run = Run::new();
    for (number, op) in seeded(seed.parse().unwrap(), 400).iter().enumerate() {
        run.step(&queue, op).await;
        println!("\nack {}", number + 1);
    }
    // Only a kill ends it, so that it never closes the queue.
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    for (seed, kill_after) in (0..12u8).zip([1, 3, 7, 12, 20, 33, 50, 80, 120, 200, 300, 390]) {
        let dir = tempfile::tempdir().unwrap();
        let acknowledged = run_and_kill(dir.path(), seed, kill_after);
        assert!(acknowledged >= kill_after);
        // The step after the last acknowledged one may or may not have happened.
        let ops = seeded(seed, 400);
        let after_next = &ops[..ops.len().min(acknowledged + 1)];
        let expected = [reopened(&ops[..acknowledged]).await, reopened(after_next).await];
        for boot in ["one", "another"] {
            let copy = tempfile::tempdir().unwrap();
            copy_tree(dir.path(), copy.path());
            let (queue, notes) = open(copy.path(), boot).await;
            let found = shown(&queue).await;
            assert!(
                expected.contains(&found),
                "seed {seed}, killed after {acknowledged}, opened in boot {boot}: {notes:?}\n{:?}\n{:?}",
                found.0,
                expected.iter().map(|shown| &shown.0).collect::<Vec<_>>(),
            );
            let rebuilt = notes.iter().any(|note| note.contains("rebuilt"));
            assert_eq!(rebuilt, boot == "another", "{notes:?}");
            check_counters(&queue).await;
        }
    }
}

/// Runs the child, kills it once it has acknowledged so many steps, and says how many it did in all.
fn run_and_kill(dir: &Path, seed: u8, kill_after: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .env(CHILD, format!("{seed}:{}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acks = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("ack ")?.parse().ok());
    let reached = acks.by_ref().find(|&ack: &usize| ack >= kill_after);
    child.kill().unwrap();
    let last = acks.last().or(reached);
    child.wait().unwrap();
    last.expect("the child ended before it had acknowledged enough")
}

/// A small job with every kind of record, and its state directory, closed.
async fn worked(dir: &Path, seed: u8) {
    let (queue, _) = open(dir, "one").await;
    let mut run = Run::new();
    for op in seeded(seed, 90) {
        run.step(&queue, &op).await;
    }
    queue.close().await.unwrap();
}

fn ledgers(dir: &Path) -> Vec<PathBuf> {
    let jobs = std::fs::read_dir(dir.join("jobs")).unwrap().map(|entry| entry.unwrap().path());
    let mut ledgers: Vec<PathBuf> = jobs.map(|job| job.join("ledger")).filter(|path| path.exists()).collect();
    ledgers.sort();
    ledgers
}

/// Where frames end, as docs/format.md says.
fn frame_ends(ledger: &[u8]) -> Vec<usize> {
    let mut ends = vec![24];
    while let Some(head) = ledger.get(*ends.last().unwrap()..).and_then(|rest| rest.first_chunk::<4>()) {
        ends.push(ends.last().unwrap() + 10 + u32::from_le_bytes(*head) as usize);
    }
    assert_eq!(ends.last(), Some(&ledger.len()));
    ends
}

#[tokio::test]
async fn a_ledger_cut_anywhere_opens_to_what_it_still_says() {
    for seed in [40, 41] {
        let dir = tempfile::tempdir().unwrap();
        worked(dir.path(), seed).await;
        let ledger = ledgers(dir.path()).remove(0);
        let whole = std::fs::read(&ledger).unwrap();
        let ends = frame_ends(&whole);
        assert!(ends.len() > 20, "only {} frames", ends.len());
        let cuts = ends.iter().copied().chain(ends.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2));
        for cut in cuts.filter(|&cut| cut > ends[1]) {
            let last = *ends.iter().rfind(|&&end| end <= cut).unwrap();
            let mut seen = Vec::new();
            for index in ["kept", "lost"] {
                let copy = tempfile::tempdir().unwrap();
                copy_tree(dir.path(), copy.path());
                let ledger = copy.path().join(ledger.strip_prefix(dir.path()).unwrap());
                std::fs::write(&ledger, &whole[..cut]).unwrap();
                if index == "lost" {
                    std::fs::remove_dir_all(copy.path().join("index")).unwrap();
                }
                let (queue, notes) = open(copy.path(), "one").await;
                check_counters(&queue).await;
                let told = notes.iter().any(|note| note.contains("cut off"));
                assert_eq!(told, cut != last, "cut at {cut}, index {index}: {notes:?}");
                assert_eq!(std::fs::metadata(&ledger).unwrap().len(), last as u64);
                seen.push(shown(&queue).await);
            }
            assert!(
                seen[0] == seen[1],
                "cut at {cut}: the index kept and the index lost show different things"
            );
        }
    }
}

#[tokio::test]
async fn a_file_done_stays_done_through_every_cut_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::listed(&queue, "a", 0..300).await;
    let ledger = ledgers(dir.path()).remove(0);
    let mut lengths = Vec::new();
    for claim in fixture::claim(&queue, 12, 1).await {
        fixture::finish(&queue, claim.file, 100, 1).await;
        lengths.push(std::fs::metadata(&ledger).unwrap().len());
    }
    queue.close().await.unwrap();
    let whole = std::fs::read(&ledger).unwrap();
    for (done, length) in (1u64..).zip(lengths) {
        std::fs::write(&ledger, &whole[..length as usize]).unwrap();
        let (queue, notes) = open(dir.path(), "one").await;
        let job = fixture::job(&queue, id).await;
        assert_eq!((job.files.done, job.bytes.done, job.files.total), (done, done * 100, 300), "{notes:?}");
        let files = fixture::all_files(&queue, id, Some(FileState::Done), 100).await;
        assert!(files.iter().all(|file| file.sealed == Some(fixture::sealed(100))));
        queue.close().await.unwrap();
        std::fs::write(&ledger, &whole).unwrap();
    }
}

#[tokio::test]
async fn sealed_files_come_back_sealed_after_a_power_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    fixture::listed(&queue, "a", 0..3).await;
    let claims = fixture::claim(&queue, 3, 1).await;
    queue.seal(vec![(claims[1].file, fixture::sealed(55))]).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    let (after, notes) = open(copy.path(), "another").await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("rebuilt from the ledgers: the machine stopped"), "{notes:?}");
    let again = fixture::claim(&after, 3, 1).await;
    let seals: Vec<_> = again.iter().map(|claim| claim.known.clone()).collect();
    assert_eq!(seals, [Known::Nothing, Known::Sealed(fixture::sealed(55)), Known::Nothing]);
}

#[tokio::test]
async fn a_listing_that_a_crash_cut_short_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::planned(&queue, fixture::new_job("a"), 0..1).await;
    let window = fixture::claim_windows(&queue, 1, 1).await[0].window.id;
    let files = (0..900).map(fixture::spec).collect();
    skyhaul_queue::PlanQueue::stage_files(&queue, id, window, files).await.unwrap();
    queue.close().await.unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    assert_eq!(notes, Vec::<String>::new());
    let job = queue.job(id).await.unwrap().unwrap();
    assert_eq!((job.files.total, job.windows.open()), (0, 1));
    fixture::list_next(&queue, id, (0..10).map(fixture::spec).collect(), None).await;
    drop(queue);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    assert_eq!(fixture::all_files(&queue, id, None, 100).await.len(), 10);
}
