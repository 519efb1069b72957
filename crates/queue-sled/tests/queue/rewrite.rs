//! Ledgers that are written anew: shorter, and nothing that the queue shows is another.

use std::path::{Path, PathBuf};

use skyhaul_model::{ErrorKind, FileError, Intent, JobId, Proof, Recheck, Sealed};
use skyhaul_queue::conformance::{check_counters, fixture};
use skyhaul_queue::{
    AttemptEnd, Claim, FailedAttempt, JobQueue, JobUpdate, Known, PlanQueue, Queue, WindowOutcome,
};
use skyhaul_queue_sled::SledQueue;

use crate::crash::{copy_tree, open};
use crate::scenario::shown;

fn ledger(dir: &Path, id: JobId) -> PathBuf {
    dir.join(format!("jobs/{id}/ledger"))
}

fn length(dir: &Path, id: JobId) -> u64 {
    std::fs::metadata(ledger(dir, id)).unwrap().len()
}

/// Claims everything that is due and completes it, whatever was known of it.
async fn work_off(queue: &dyn Queue, now: i64) {
    let claims = fixture::claim(queue, 1_000, now).await;
    let seal = |claim: &Claim| {
        let size = claim.spec.url.bytes().map(u64::from).sum();
        (claim.known == Known::Nothing).then(|| (claim.file, fixture::sealed(size)))
    };
    queue.seal(claims.iter().filter_map(seal).collect()).await.unwrap();
    queue.complete(claims.iter().map(|claim| claim.file).collect(), fixture::at(now)).await.unwrap();
}

/// A finished job with files of every past: done at once, after failures, anew, adopted, failed for good, lost.
async fn eventful(queue: &dyn Queue) -> JobId {
    let id = fixture::planned(queue, fixture::new_job("a"), 0..3).await;
    let parts = vec![fixture::window(50), fixture::window(51)];
    let first = fixture::claim_windows(queue, 1, 0).await[0].window.id;
    queue.settle_window(id, first, WindowOutcome::Split(parts), fixture::at(0)).await.unwrap();
    let sized = |n| skyhaul_model::FileSpec { size: Some(n), ..fixture::spec(n) };
    fixture::list_next(queue, id, (0..300).map(fixture::spec).collect(), Some(9)).await;
    fixture::list_next(queue, id, (300..310).map(fixture::lost_spec).collect(), None).await;
    fixture::list_next(queue, id, (400..420).map(sized).collect(), None).await;
    fixture::list_next(queue, id, vec![], None).await;
    queue.update_job(id, JobUpdate { priority: Some(7), ..JobUpdate::default() }).await.unwrap();
    let claims = fixture::claim(queue, 40, 1).await;
    for (number, claim) in claims.iter().enumerate() {
        let error = FileError::new(ErrorKind::Timeout, format!("no answer to {number}"));
        let end = if number < 9 { AttemptEnd::GiveUp } else { AttemptEnd::RetryAt(fixture::at(2)) };
        let attempt = FailedAttempt { error, received: 50, ..fixture::failed(claim.file, end) };
        match number {
            0..20 => queue.fail(vec![attempt], fixture::at(1)).await.unwrap(),
            20..30 => {
                let adopted = Sealed { proof: Proof::Adopted, received: 0, ..fixture::sealed(77) };
                queue.seal(vec![(claim.file, adopted)]).await.unwrap();
            }
            _ => queue.release(vec![fixture::received(claim.file, 33)]).await.unwrap(),
        }
    }
    let adopted = claims[20..30].iter().map(|claim| claim.file).collect();
    queue.complete(adopted, fixture::at(2)).await.unwrap();
    work_off(queue, 3).await;
    id
}

/// Has the job checked again until its ledger is shorter than before.
async fn check_until_rewritten(queue: &SledQueue, dir: &Path, id: JobId) {
    for round in 0..200 {
        let before = length(dir, id);
        queue.relist(id, None, Recheck::Done).await.unwrap();
        while let Some(window) = fixture::claim_windows(queue, 1, 4).await.pop() {
            let number = window.window.id;
            let new = if round == 1 { vec![fixture::spec(900 + u64::from(number.0))] } else { vec![] };
            queue.stage_files(id, number, new).await.unwrap();
            let listed = WindowOutcome::Listed { bytes: Some(5) };
            queue.settle_window(id, number, listed, fixture::at(4 + round)).await.unwrap();
        }
        work_off(queue, 4 + round).await;
        if length(dir, id) < before {
            return;
        }
    }
    panic!("{} bytes and never written anew", length(dir, id));
}

#[tokio::test]
async fn a_ledger_written_anew_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = eventful(&queue).await;
    check_until_rewritten(&queue, dir.path(), id).await;
    check_counters(&queue).await;
    let told = shown(&queue).await;
    queue.close().await.unwrap();
    for (state, boot) in
        [(None, "one"), (Some("skyhaul-index 2\nopen\nboot one\n"), "one"), (None, "rebuilt")]
    {
        if let Some(state) = state {
            std::fs::write(dir.path().join("index.state"), state).unwrap();
        }
        if boot == "rebuilt" {
            std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
        let (queue, _) = open(dir.path(), "one").await;
        assert!(shown(&queue).await == told, "opened with {state:?} as {boot}");
        queue.close().await.unwrap();
    }
    let (queue, _) = open(dir.path(), "one").await;
    assert_eq!(queue.requeue_failed(id).await.unwrap().files, 9);
    queue.set_intent(id, Intent::Paused, fixture::at(900)).await.unwrap();
    queue.set_intent(id, Intent::Run, fixture::at(901)).await.unwrap();
    assert_eq!(fixture::claim(&queue, 99, 902).await.len(), 9);
}

#[tokio::test]
async fn what_a_queue_shows_is_the_same_before_and_behind_a_rewriting() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = eventful(&queue).await;
    // The same steps on a queue in memory, which has no ledger to write anew.
    let oracle = skyhaul_queue::MemoryQueue::new();
    eventful(&oracle).await;
    let mut rewritten = 0;
    for round in 0..60 {
        let before = length(dir.path(), id);
        for queue in [&queue as &dyn Queue, &oracle] {
            queue.relist(id, None, Recheck::Done).await.unwrap();
            while let Some(window) = fixture::claim_windows(queue, 1, 4).await.pop() {
                let listed = WindowOutcome::Listed { bytes: None };
                queue.settle_window(id, window.window.id, listed, fixture::at(4 + round)).await.unwrap();
            }
            work_off(queue, 4 + round).await;
        }
        rewritten += usize::from(length(dir.path(), id) < before);
        assert!(shown(&queue).await == shown(&oracle).await, "after round {round}");
    }
    assert!(rewritten > 0, "{} bytes and never written anew", length(dir.path(), id));
}

#[tokio::test]
async fn a_crash_while_a_ledger_is_written_anew_leaves_the_old_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = eventful(&queue).await;
    let old = tempfile::tempdir().unwrap();
    queue.close().await.unwrap();
    copy_tree(dir.path(), old.path());
    let (queue, _) = open(dir.path(), "one").await;
    let before = shown(&queue).await;
    check_until_rewritten(&queue, dir.path(), id).await;
    let after = shown(&queue).await;
    queue.close().await.unwrap();

    // Before the rename: half of a new ledger beside the old one, and the index of the old one.
    std::fs::write(old.path().join(format!("jobs/{id}/ledger.new")), [7; 999]).unwrap();
    std::fs::create_dir(old.path().join(format!("jobs/{id}/ledger.new.index"))).unwrap();
    let (queue, notes) = open(old.path(), "one").await;
    assert!(shown(&queue).await == before && notes.is_empty(), "{notes:?}");
    assert!(!old.path().join(format!("jobs/{id}/ledger.new")).exists());
    queue.close().await.unwrap();
    // Behind it: the new ledger with the index of the old one.
    std::fs::copy(ledger(dir.path(), id), ledger(old.path(), id)).unwrap();
    let (queue, notes) = open(old.path(), "one").await;
    assert!(shown(&queue).await == after, "{notes:?}");
    check_counters(&queue).await;
}
