//! Damage: bytes that flip in any file. The queue opens with what is left, rebuilds, or refuses in a
//! sentence; it never panics through to its caller, and never takes for done what was not done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skyhaul_model::{FileState, Sealed};
use skyhaul_queue::conformance::{check_counters, fixture};
use skyhaul_queue::{FileQuery, JobQueue, Known, QueueError, WorkQueue};
use skyhaul_queue_sled::{BootId, SledQueue};

use crate::crash::{copy_tree, open, seeded};
use crate::operation::Op;
use crate::scenario::Run;

/// A cheap source of numbers that are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Two jobs with files in every state; what was done, by URL.
async fn prepared(dir: &Path) -> BTreeMap<String, Sealed> {
    let (queue, _) = open(dir, "one").await;
    let mut run = Run::new();
    for op in seeded(7, 150).iter().filter(|op| !is_of_no_use(op)) {
        run.step(&queue, op).await;
    }
    let id = fixture::listed(&queue, "b", 1_000..1_600).await;
    let wish = skyhaul_queue::ClaimRequest {
        filter: skyhaul_queue::ClaimFilter::Jobs(vec![id]),
        ..fixture::request(40, run.now)
    };
    for claim in queue.claim_files(wish).await.unwrap() {
        fixture::finish(&queue, claim.file, claim.file.seq.0 + 1, run.now).await;
    }
    let done = done_files(&queue).await.unwrap();
    assert!(done.len() > 40, "only {} files are done", done.len());
    queue.close().await.unwrap();
    done
}

/// Steps after which the done files cannot be told apart by URL, or are not done any more.
fn is_of_no_use(op: &Op) -> bool {
    matches!(
        op,
        Op::Remove { .. } | Op::Invalidate { .. } | Op::StageAgain { .. } | Op::Relist { done: true, .. }
    )
}

async fn done_files(queue: &SledQueue) -> Result<BTreeMap<String, Sealed>, QueueError> {
    let mut done = BTreeMap::new();
    for job in queue.jobs().await? {
        let mut after = None;
        loop {
            // All files are read, so that damage shows wherever it lies.
            let page = queue.files(job.id, FileQuery { state: None, after, limit: 100 }).await?;
            let files = page.files.into_iter().filter(|file| file.state == FileState::Done);
            done.extend(files.filter_map(|file| {
                let key = format!("{} {}", job.query.key(), file.spec.url);
                file.sealed.map(|sealed| (key, sealed))
            }));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(done)
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Opens what was damaged; damage that shows only while reading is mended by opening once more.
async fn check_damaged(dir: &Path, truth: &BTreeMap<String, Sealed>, what: &str) {
    for _ in 0..3 {
        let queue = match SledQueue::open(dir, BootId::named("one")).await {
            Ok(opened) => opened.queue,
            Err(error) => {
                let sentence = error.to_string();
                assert!(!sentence.contains('\n') && sentence.len() < 400, "{what}: {sentence}");
                return;
            }
        };
        let Ok(done) = done_files(&queue).await else { continue };
        for (key, sealed) in &done {
            assert_eq!(truth.get(key), Some(sealed), "{what}: wrongly done: {key}");
        }
        check_counters(&queue).await;
        let record = queue.jobs().await.unwrap();
        assert_eq!(record.iter().map(|job| job.files.done).sum::<u64>(), done.len() as u64, "{what}");
        return;
    }
    panic!("{what}: opening again does not mend it");
}

async fn flip(rounds: usize, seed: u64, wanted: impl Fn(&Path) -> bool) {
    let dir = tempfile::tempdir().unwrap();
    let truth = prepared(dir.path()).await;
    let all: Vec<PathBuf> = files(dir.path()).into_iter().filter(|path| wanted(path)).collect();
    assert!(!all.is_empty());
    let mut numbers = Numbers(seed);
    for round in 0..rounds {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(dir.path(), copy.path());
        let victim = &all[numbers.below(all.len())];
        let path = copy.path().join(victim.strip_prefix(dir.path()).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        let places: Vec<usize> = (0..=numbers.below(3)).map(|_| numbers.below(used)).collect();
        for &place in &places {
            bytes[place] ^= 1 + numbers.below(255) as u8;
        }
        std::fs::write(&path, bytes).unwrap();
        let what = format!("round {round}: {} at {places:?}", victim.display());
        if numbers.below(2) == 0 {
            std::fs::write(copy.path().join("index.state"), "skyhaul-index 2\nopen\nboot another\n").unwrap();
        }
        check_damaged(copy.path(), &truth, &what).await;
    }
}

#[tokio::test]
async fn flipped_bytes_in_ledgers_cost_no_truth() {
    flip(150, 1, |path| path.ends_with("ledger")).await;
}

#[tokio::test]
async fn flipped_bytes_in_the_index_cost_no_truth() {
    flip(100, 2, |path| path.components().any(|part| part.as_os_str() == "index")).await;
}

#[tokio::test]
async fn flipped_bytes_in_small_files_cost_no_truth() {
    flip(50, 3, |path| {
        !path.ends_with("ledger") && !path.components().any(|part| part.as_os_str() == "index")
    })
    .await;
}

/// The first job's ledger, and where its frames of a kind lie.
fn frames(dir: &Path, kind: u8) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let path = dir.join("jobs/1/ledger");
    let bytes = std::fs::read(&path).unwrap();
    let (mut at, mut found) = (24, Vec::new());
    while at < bytes.len() {
        if bytes[at + 8] == kind {
            found.push(at);
        }
        at += 10 + u32::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
    }
    (path, bytes, found)
}

async fn job_with_damaged(kind: u8) -> (tempfile::TempDir, Vec<String>, SledQueue) {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::planned(&queue, fixture::new_job("a"), 0..2).await;
    fixture::list_next(&queue, id, (0..600).map(fixture::spec).collect(), None).await;
    fixture::list_next(&queue, id, (600..610).map(fixture::spec).collect(), None).await;
    for claim in fixture::claim(&queue, 3, 1).await {
        fixture::finish(&queue, claim.file, 100, 1).await;
    }
    queue.close().await.unwrap();
    let (path, mut bytes, found) = frames(dir.path(), kind);
    bytes[found[0] + 12] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    check_counters(&queue).await;
    (dir, notes, queue)
}

const ID: skyhaul_model::JobId = skyhaul_model::JobId(1);

#[tokio::test]
async fn a_lost_listing_is_asked_for_again() {
    let (dir, notes, queue) = job_with_damaged(6).await;
    assert!(notes.iter().any(|note| note.contains("damaged; what they recorded is done again")), "{notes:?}");
    let job = fixture::job(&queue, ID).await;
    assert_eq!((job.windows.open(), job.files.total, job.files.done), (1, 10, 0));
    fixture::list_next(&queue, ID, (0..600).map(fixture::spec).collect(), None).await;
    let claims = fixture::claim(&queue, 1_000, 1).await;
    assert_eq!(claims.len(), 610);
    fixture::finish(&queue, claims[600].file, 5, 1).await;
    queue.close().await.unwrap();
    // The damage stays where it is; whoever reads the ledger again comes to the same end.
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let job = fixture::job(&queue, ID).await;
    assert_eq!((job.windows.open(), job.files.total, job.files.done), (0, 610, 1));
    check_counters(&queue).await;
}

/// Its chunks have numbers that no record gives them any more; what comes behind them is read all the same.
#[tokio::test]
async fn a_listing_behind_a_lost_one_is_read() {
    let (_dir, _, queue) = job_with_damaged(7).await;
    let job = fixture::job(&queue, ID).await;
    assert_eq!((job.windows.open(), job.files.total, job.files.done), (1, 10, 0));
    assert_eq!(fixture::all_files(&queue, ID, None, 100).await.len(), 10);
    fixture::list_next(&queue, ID, (0..600).map(fixture::spec).collect(), None).await;
    assert_eq!(fixture::claim(&queue, 1_000, 1).await.len(), 610);
    check_counters(&queue).await;
}

#[tokio::test]
async fn a_lost_completion_leaves_the_file_sealed() {
    let (_dir, notes, queue) = job_with_damaged(13).await;
    assert!(!notes.is_empty());
    assert_eq!(fixture::job(&queue, ID).await.files.done, 2);
    let first = &fixture::claim(&queue, 1, 1).await[0];
    assert_eq!(first.known, Known::Sealed(fixture::sealed(100)));
}

#[tokio::test]
async fn a_lost_seal_makes_the_file_pending() {
    let (_dir, notes, queue) = job_with_damaged(12).await;
    assert!(notes.iter().any(|note| note.contains("1 changes were left out")), "{notes:?}");
    assert_eq!(fixture::job(&queue, ID).await.files.done, 2);
    assert_eq!(fixture::claim(&queue, 1, 1).await[0].known, Known::Nothing);
}

#[tokio::test]
async fn a_job_whose_first_record_is_lost_is_put_aside() {
    let (dir, notes, queue) = job_with_damaged(1).await;
    assert!(notes.iter().any(|note| note.contains("was put aside")), "{notes:?}");
    assert_eq!(queue.jobs().await.unwrap(), []);
    assert!(dir.path().join("jobs/1.damaged/ledger").exists());
    let next = queue.create_job(fixture::new_job("a"), fixture::at(1)).await.unwrap();
    assert_eq!((next.id.0, next.created), (2, true));
}
