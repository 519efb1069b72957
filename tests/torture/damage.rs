//! Damage: bytes flipped, files cut, zeroed, mixed up or lost, in any file of the state directory. The queue opens with
//! what is left, or refuses in one sentence; it never panics or hangs, shows no file that never was, and takes none for
//! done that was not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use skyhaul_model::{FileSpec, FileState, JobKey, Sealed};
use skyhaul_queue::conformance::check_counters;
use skyhaul_queue::conformance::fixture::{all_files, at, request, sealed};
use skyhaul_queue::{FileRef, JobQueue, QueueError, WorkQueue};
use skyhaul_queue_sled::{BootId, SledQueue};
use skyhaul_tests::{DEADLINE, files_below};

use crate::driver::{LANES, Place};
use crate::folder::copy_tree;
use crate::script::{End, Kind, Lane, Step, query, steps};
use crate::{rounds, seed};

/// The files of every job, by URL. Damage may take a queue back to what was true once.
type Truth = HashMap<JobKey, HashMap<String, Was>>;

/// What was ever true of a file.
#[derive(Clone, Default)]
struct Was {
    spec: Option<FileSpec>,
    /// The seals that it was done under.
    done_as: Vec<Sealed>,
}

/// The longest sentence that a refusal may be.
const LONGEST_SENTENCE: usize = 400;

#[tokio::test]
async fn a_damaged_small_queue_is_opened_or_refused() {
    torment(rounds(10, 900), seed(), 0).await;
}

#[tokio::test]
async fn a_damaged_queue_with_a_large_job_is_opened_or_refused() {
    torment(rounds(2, 100), seed() + 1, 3).await;
}

/// Damages copies of a queue that has a job with so many large windows.
async fn torment(rounds: u64, seed: u64, large_windows: usize) {
    let place = Place::new();
    let truth = built(&place, seed, large_windows).await;
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..rounds {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&place.state(), copy.path());
        // Closed in order, or broken off in this boot or another.
        if let Some(boot) = [None, Some("one"), Some("another")][random.usize(..3)] {
            std::fs::write(copy.path().join("index.state"), format!("skyhaul-index 2\nopen\nboot {boot}\n"))
                .unwrap();
        }
        let done: Vec<_> = (0..random.usize(1..3)).map(|_| damage(copy.path(), &mut random)).collect();
        let what = format!("seed {seed}, round {round}: {}", done.join(", "));
        outcome_in_time(copy.path().to_owned(), truth.clone(), &what);
    }
}

/// Makes a queue whose jobs have files and windows in every state.
async fn built(place: &Place, seed: u64, large_windows: usize) -> Truth {
    let opened = SledQueue::open(&place.state(), BootId::named("one")).await.unwrap();
    let queue = opened.queue;
    let mut truth = Truth::new();
    let listing = Step::List { files: 4_000, end: End::Listed };
    let work =
        [Step::Claim { limit: 150 }, Step::Seal { count: 120, size: 7 }, Step::Complete { count: 100 }];
    for number in 0..LANES {
        let mut lane = Lane::resume(&queue, number, &place.lists()).await;
        let mut all = vec![Step::Create, Step::Plan { windows: 4 }];
        all.extend(std::iter::repeat_n(listing.clone(), if number == 0 { large_windows } else { 0 }));
        all.extend(work.iter().cycle().take(15).cloned());
        all.extend(
            steps(seed, number, Kind::Mixed, 60).into_iter().filter(|step| !matches!(step, Step::Remove)),
        );
        all.extend(work.clone());
        for step in &all {
            lane.step(&queue, step).await;
            if matches!(step, Step::Complete { .. }) {
                note(&queue, number, Some(FileState::Done), &mut truth).await;
            }
        }
        note(&queue, number, None, &mut truth).await;
    }
    let seals: usize = truth.values().flat_map(HashMap::values).map(|was| was.done_as.len()).sum();
    assert!(seals > 100, "too few files were done");
    queue.close().await.unwrap();
    truth
}

/// Notes what is true now of a lane's files, or of those in some state.
async fn note(queue: &SledQueue, lane: usize, state: Option<FileState>, truth: &mut Truth) {
    let Some(job) = queue.job_by_key(&query(lane).key()).await.unwrap() else { return };
    let files = truth.entry(job.key).or_default();
    for file in all_files(queue, job.id, state, 1_000).await {
        let was = files.entry(file.spec.url.clone()).or_default();
        was.spec = Some(file.spec);
        if file.state == FileState::Done {
            was.done_as.extend(file.sealed.filter(|sealed| !was.done_as.contains(sealed)));
        }
    }
}

/// Does one kind of harm to one of the files; says which.
fn damage(state: &Path, random: &mut fastrand::Rng) -> String {
    let files = files_below(state);
    let classes: [fn(&str) -> bool; 3] = [
        |path| path.ends_with("ledger"),
        |path| path.contains("index"),
        |path| !path.ends_with("ledger") && !path.contains("index"),
    ];
    let class = classes[random.usize(..classes.len())];
    let victims: Vec<&String> = files.keys().filter(|path| class(path)).collect();
    let victim = victims[random.usize(..victims.len())];
    let path = state.join(victim);
    let mut bytes = files[victim].clone();
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let place = random.usize(..=used.saturating_sub(1));
    let length = random.usize(1..5_000).min(used - place.min(used));
    let stretch = place..place + length;
    let what = match random.u8(..12) {
        0..6 if used > 0 => {
            for _ in 0..random.usize(1..5) {
                bytes[random.usize(..used)] ^= random.u8(1..);
            }
            "flipped bytes"
        }
        6 | 7 => {
            bytes.truncate(place);
            "cut"
        }
        8 => {
            bytes[stretch].fill(0);
            "zeroed a stretch"
        }
        9 if length > 0 => {
            let from = random.usize(..=used - length);
            bytes.copy_within(from..from + length, place);
            "mixed up blocks"
        }
        10 => {
            bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(100));
            "added rubbish"
        }
        _ => {
            std::fs::remove_file(path).unwrap();
            return format!("removed {victim}");
        }
    };
    std::fs::write(path, bytes).unwrap();
    format!("{what} of {victim} (at {place})")
}

/// Opens what was damaged, on a thread of its own, so that one that hangs can be told.
fn outcome_in_time(state: PathBuf, truth: Truth, what: &str) {
    let (ended, end) = sync_channel(1);
    let named = what.to_owned();
    let opening = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_damaged(&state, &truth, &named));
        // Nobody listens any more once time is up.
        let _ = ended.send(());
    });
    let ended = end.recv_timeout(DEADLINE);
    let hangs = ended == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
    assert!(!hangs, "{what}: it neither opens nor refuses");
    opening.join().unwrap_or_else(|_| panic!("{what}: see above"));
}

/// Damage that shows only while reading is mended by opening once more.
async fn check_damaged(state: &Path, truth: &Truth, what: &str) {
    let mut errors = Vec::new();
    for _ in 0..3 {
        let opened = match SledQueue::open(state, BootId::named("one")).await {
            Ok(opened) => opened,
            Err(error) => return assert_is_sentence(&error, what),
        };
        match check_files(&opened.queue, truth, what).await {
            Ok(()) => {
                check_counters(&opened.queue).await;
                return work_on(opened.queue, state, what).await;
            }
            Err(error) => {
                assert_is_sentence(&error, what);
                errors.push((error.to_string(), opened.notes));
            }
        }
    }
    panic!("{what}: opening it again does not mend it: {errors:#?}");
}

fn assert_is_sentence(error: &QueueError, what: &str) {
    let sentence = error.to_string();
    assert!(!sentence.contains('\n') && sentence.len() <= LONGEST_SENTENCE, "{what}: {sentence}");
}

/// No file is shown that never was, none is done that was not, and what is known of its bytes is what it was.
async fn check_files(queue: &SledQueue, truth: &Truth, what: &str) -> Result<(), QueueError> {
    for job in queue.jobs().await? {
        let known = truth.get(&job.key).unwrap_or_else(|| panic!("{what}: an unknown job: {job:?}"));
        let mut query = skyhaul_queue::FileQuery { state: None, after: None, limit: 1_000 };
        loop {
            let page = queue.files(job.id, query).await?;
            for file in &page.files {
                let was =
                    known.get(&file.spec.url).unwrap_or_else(|| panic!("{what}: an unknown file: {file:?}"));
                assert_eq!(Some(&file.spec), was.spec.as_ref(), "{what}");
                let is_true = file.state != FileState::Done
                    || was.done_as.iter().any(|seal| file.sealed.as_ref() == Some(seal));
                assert!(is_true, "{what}: never done as {file:?}");
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// A queue that was opened can be worked with, and what is done then stays.
async fn work_on(queue: SledQueue, state: &Path, what: &str) {
    let claims =
        queue.claim_files(request(5, 1 << 32)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let files: Vec<FileRef> = claims.iter().map(|claim| claim.file).collect();
    queue.seal(files.iter().map(|&file| (file, sealed(99))).collect()).await.unwrap();
    queue.complete(files.clone(), at(1 << 32)).await.unwrap();
    queue.close().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let opened = SledQueue::open(state, BootId::named("two")).await;
    let queue = opened.unwrap_or_else(|error| panic!("{what}: {error}")).queue;
    for file in files {
        let done = all_files(&queue, file.job, Some(FileState::Done), 1_000).await;
        assert!(
            done.iter().any(|done| done.seq == file.seq && done.sealed == Some(sealed(99))),
            "{what}: {file:?}"
        );
    }
    check_counters(&queue).await;
}
