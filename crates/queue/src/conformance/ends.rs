//! Cases: attempts that fail, files that are put back, steps that must not be.

use skyhaul_model::{FileSeq, FileState, Intent, JobState};

use super::fixture::{all_files, at, claim, error, failed, finish, job, listed, received, sealed};
use crate::{AttemptEnd, FailedAttempt, FileRef, Known, Queue, QueueError, Requeued};

/// Attempts and failures are counted apart; giving up ends the file and keeps its error.
pub async fn a_failed_attempt_is_tried_again_or_given_up(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    for round in 1..=3 {
        let claims = claim(queue, 1, round).await;
        let before = u32::try_from(round).unwrap() - 1;
        assert_eq!((claims[0].attempts, claims[0].failures), (before, before.min(1)));
        let end = if round < 3 { AttemptEnd::RetryAt(at(round)) } else { AttemptEnd::GiveUp };
        queue.fail(vec![failed(claims[0].file, end)], at(round)).await.unwrap();
    }
    let record = job(queue, id).await;
    assert_eq!((record.files.failed, record.state()), (1, JobState::Failed));
    assert_eq!(record.finished_at, Some(at(3)));
    let file = &all_files(queue, id, Some(FileState::Failed), 9).await[0];
    assert_eq!((file.attempts, file.error.clone(), file.not_before), (3, Some(error("status 500")), None));
    assert_eq!(claim(queue, 9, 9).await, []);
}

/// Failures start from nothing, attempts and the error stay, other files are left.
pub async fn failed_files_are_put_back(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..4).await;
    let claims = claim(queue, 4, 1).await;
    finish(queue, claims[0].file, 10, 1).await;
    for lost in [1, 3] {
        queue.fail(vec![failed(claims[lost].file, AttemptEnd::GiveUp)], at(2)).await.unwrap();
    }
    queue.fail(vec![failed(claims[2].file, AttemptEnd::RetryAt(at(50)))], at(2)).await.unwrap();
    assert_eq!(queue.requeue_failed(id).await.unwrap(), Requeued { files: 2, windows: 0 });
    assert_eq!(queue.requeue_failed(id).await.unwrap(), Requeued::default());
    let record = job(queue, id).await;
    assert_eq!((record.files.pending, record.files.done, record.finished_at), (3, 1, None));
    let again = claim(queue, 9, 3).await;
    let files: Vec<_> = again.iter().map(|claim| claim.file).collect();
    assert_eq!(files, [claims[1].file, claims[3].file], "the retry still waits for its time");
    assert_eq!((again[0].attempts, again[0].failures), (1, 0));
    assert_eq!(again[0].last_error, Some(error("status 500")));
    assert_eq!(claim(queue, 9, 50).await[0].file, claims[2].file);
}

/// A done file whose bytes are bad is fetched again; its seal is worth nothing any more.
pub async fn a_bad_file_is_put_back(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    let file = claim(queue, 1, 1).await[0].file;
    finish(queue, file, 10, 1).await;
    queue.invalidate(vec![(file, error("its digest differs"))]).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.pending, record.bytes.done, record.bytes.received), (1, 0, 10));
    let again = claim(queue, 1, 2).await;
    assert_eq!((again[0].attempts, &again[0].known, again[0].received), (1, &Known::Nothing, 10));
    assert_eq!(again[0].last_error, Some(error("its digest differs")));
    finish(queue, file, 12, 3).await;
    let done = &all_files(queue, id, None, 9).await[0];
    assert_eq!((done.attempts, &done.error, done.received), (2, &None, 12));
}

/// One file that cannot follow and nothing of the call has happened.
pub async fn a_batch_is_done_whole_or_not_at_all(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..3).await;
    let claims = claim(queue, 2, 1).await;
    let unknown = FileRef { job: id, seq: FileSeq(u64::MAX) };
    queue.seal(vec![(claims[0].file, sealed(10))]).await.unwrap();
    let before = (job(queue, id).await, all_files(queue, id, None, 9).await);

    let no_file = |outcome| matches!(outcome, Err(QueueError::NoSuchFile(_, FileSeq(u64::MAX))));
    let mixed = |end| vec![failed(claims[0].file, end), failed(unknown, end)];
    assert!(no_file(queue.complete(vec![claims[0].file, unknown], at(2)).await));
    assert!(no_file(queue.fail(mixed(AttemptEnd::GiveUp), at(2)).await));
    assert!(no_file(queue.release(vec![received(claims[0].file, 9), received(unknown, 9)]).await));
    assert!(no_file(queue.checkpoint(vec![received(claims[0].file, 99), received(unknown, 9)]).await));
    assert!(no_file(queue.seal(vec![(claims[1].file, sealed(1)), (unknown, sealed(1))]).await));
    let unsealed = queue.complete(vec![claims[0].file, claims[1].file], at(2)).await;
    assert!(matches!(unsealed, Err(QueueError::Conflict(_, seq, _)) if seq == claims[1].file.seq));
    let twice = vec![failed(claims[0].file, AttemptEnd::GiveUp), failed(claims[0].file, AttemptEnd::GiveUp)];
    assert!(matches!(queue.fail(twice, at(2)).await, Err(QueueError::Conflict(..))));
    assert_eq!((job(queue, id).await, all_files(queue, id, None, 9).await), before);
}

/// Work on a job that is removed meanwhile comes to nothing and takes nothing else along.
pub async fn ends_of_work_pass_over_jobs_that_are_gone(queue: &dyn Queue) {
    let (kept, gone) = (listed(queue, "kept", 0..4).await, listed(queue, "gone", 0..4).await);
    let claims = claim(queue, 8, 1).await;
    let of = |id| claims.iter().map(|claim| claim.file).filter(move |file| file.job == id);
    let pairs: Vec<_> = of(gone).zip(of(kept)).map(|(gone, kept)| [gone, kept]).collect();
    queue.remove_job(gone).await.unwrap();

    queue.checkpoint(pairs[0].map(|file| received(file, 7)).to_vec()).await.unwrap();
    queue.release(pairs[0].map(|file| received(file, 0)).to_vec()).await.unwrap();
    queue.fail(pairs[1].map(|file| failed(file, AttemptEnd::GiveUp)).to_vec(), at(2)).await.unwrap();
    queue.seal(pairs[2].map(|file| (file, sealed(9))).to_vec()).await.unwrap();
    queue.complete(pairs[2].to_vec(), at(3)).await.unwrap();

    let files = job(queue, kept).await.files;
    assert_eq!((files.done, files.failed, files.active, files.pending), (1, 1, 1, 1));
    assert_eq!(all_files(queue, kept, None, 9).await[0].received, 7);
    assert_eq!(queue.job(gone).await.unwrap(), None);
}

/// Workers that were at it when the job was cancelled report as ever.
pub async fn a_cancelled_jobs_claims_may_still_end(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..3).await;
    let claims = claim(queue, 3, 1).await;
    queue.set_intent(id, Intent::Cancelled, at(2)).await.unwrap();
    finish(queue, claims[0].file, 10, 3).await;
    queue.fail(vec![failed(claims[1].file, AttemptEnd::GiveUp)], at(4)).await.unwrap();
    queue.release(vec![received(claims[2].file, 5)]).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.done, record.files.failed, record.files.pending), (1, 1, 1));
    assert_eq!((record.state(), record.finished_at), (JobState::Cancelled, Some(at(2))));
}

/// What is done stays done, what is given up takes no further end.
pub async fn what_cannot_follow_is_a_conflict(queue: &dyn Queue) {
    listed(queue, "a", 0..2).await;
    let claims = claim(queue, 2, 1).await;
    let (done, lost) = (claims[0].file, claims[1].file);
    finish(queue, done, 10, 1).await;
    queue.fail(vec![failed(lost, AttemptEnd::GiveUp)], at(1)).await.unwrap();
    let conflict = |outcome| matches!(outcome, Err(QueueError::Conflict(..)));
    for file in [done, lost] {
        let again = FailedAttempt { failures: 2, ..failed(file, AttemptEnd::RetryAt(at(2))) };
        assert!(conflict(queue.fail(vec![again], at(2)).await));
        assert!(conflict(queue.release(vec![received(file, 99)]).await));
        assert!(conflict(queue.seal(vec![(file, sealed(11))]).await));
    }
    assert!(conflict(queue.complete(vec![lost], at(2)).await));
    assert!(conflict(queue.invalidate(vec![(lost, error("gone"))]).await));
}
