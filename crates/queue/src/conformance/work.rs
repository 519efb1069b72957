//! Cases: files are claimed, released, sealed, completed.

use skyhaul_model::{FileState, JobId, JobState, Proof, Sealed};

use super::fixture::{
    all_files, at, claim, failed, finish, job, listed, listed_job, new_job, received, request, sealed, spec,
};
use crate::{AttemptEnd, ClaimFilter, ClaimRequest, Known, NewJob, Queue, Received};

/// Priority first; jobs of one priority are dealt one file each in a circle; each in listing order.
pub async fn files_are_dealt_by_priority_then_in_turn_then_in_order(queue: &dyn Queue) {
    let files = |from: u64, to: u64| (from..to).map(spec).collect();
    let one = listed_job(queue, new_job("one"), files(0, 4)).await;
    let two = listed_job(queue, new_job("two"), files(10, 13)).await;
    let urgent = listed_job(queue, NewJob { priority: 1, ..new_job("urgent") }, files(20, 22)).await;
    let order = |claims: &[crate::Claim]| -> Vec<(JobId, String)> {
        claims.iter().map(|claim| (claim.file.job, claim.spec.url.clone())).collect()
    };
    let expect = |list: &[(JobId, u64)]| -> Vec<(JobId, String)> {
        list.iter().map(|&(id, number)| (id, spec(number).url)).collect()
    };
    let first = claim(queue, 5, 1).await;
    assert_eq!(order(&first), expect(&[(urgent, 20), (urgent, 21), (one, 0), (two, 10), (one, 1)]));
    let second = claim(queue, 3, 1).await;
    assert_eq!(order(&second), expect(&[(two, 11), (one, 2), (two, 12)]));
    assert_eq!(order(&claim(queue, 9, 1).await), expect(&[(one, 3)]));
    assert_eq!(claim(queue, 9, 1).await, []);
    assert_eq!(job(queue, one).await.files.active, 4);

    // What comes back is first in its job's order again.
    queue.release(vec![received(first[4].file, 0), received(first[2].file, 0)]).await.unwrap();
    assert_eq!(order(&claim(queue, 9, 1).await), expect(&[(one, 0), (one, 1)]));
}

/// A retry waits for its time, and the queue tells when that is.
pub async fn a_file_is_not_claimed_before_its_time(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..3).await;
    let claims = claim(queue, 3, 1).await;
    let later = |index: usize, second| failed(claims[index].file, AttemptEnd::RetryAt(at(second)));
    queue.fail(vec![later(0, 40), later(1, 20), later(2, 30)], at(2)).await.unwrap();
    assert_eq!(queue.next_due(&ClaimFilter::All).await.unwrap(), Some(at(20)));
    assert_eq!(claim(queue, 9, 19).await, []);
    let due = claim(queue, 9, 30).await;
    assert_eq!(due.iter().map(|claim| claim.file).collect::<Vec<_>>(), [claims[1].file, claims[2].file]);
    assert_eq!(queue.next_due(&ClaimFilter::All).await.unwrap(), Some(at(40)));
    assert_eq!(queue.next_due(&ClaimFilter::Jobs(vec![])).await.unwrap(), None);
    queue.set_intent(id, skyhaul_model::Intent::Paused, at(31)).await.unwrap();
    assert_eq!(queue.next_due(&ClaimFilter::All).await.unwrap(), None, "a paused job waits for no time");
    queue.set_intent(id, skyhaul_model::Intent::Run, at(31)).await.unwrap();
    assert_eq!(claim(queue, 9, 40).await.len(), 1);
    assert_eq!(queue.next_due(&ClaimFilter::All).await.unwrap(), None);
}

/// Other jobs are left alone.
pub async fn only_jobs_of_the_filter_are_claimed_from(queue: &dyn Queue) {
    let one = listed(queue, "one", 0..2).await;
    let two = listed(queue, "two", 0..2).await;
    let wish = |ids: Vec<JobId>| ClaimRequest { filter: ClaimFilter::Jobs(ids), ..request(9, 1) };
    assert_eq!(queue.claim_files(wish(vec![])).await.unwrap(), []);
    let claims = queue.claim_files(wish(vec![two, JobId(99)])).await.unwrap();
    assert!(claims.len() == 2 && claims.iter().all(|claim| claim.file.job == two));
    assert_eq!(job(queue, one).await.files.pending, 2);
    assert_eq!(claim(queue, 0, 1).await, [], "nothing wanted, nothing claimed");
}

/// A release is no attempt; the next claim knows what was received.
pub async fn a_release_costs_nothing_and_keeps_what_was_received(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    let file = claim(queue, 1, 1).await[0].file;
    queue.release(vec![received(file, 500)]).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.pending, record.bytes.received), (1, 500));
    let again = claim(queue, 1, 1).await;
    assert_eq!((again[0].attempts, again[0].failures, again[0].received), (0, 0, 500));
    assert_eq!((&again[0].last_error, &again[0].known), (&None, &Known::Nothing));
    queue.release(vec![received(file, 0)]).await.unwrap();
    queue.release(vec![received(file, 0)]).await.unwrap();
    assert_eq!(job(queue, id).await.bytes.received, 500, "given back twice is fine");
}

/// A sealed file is active until it is published; then all is known of it.
pub async fn sealed_then_completed(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..2).await;
    let claims = claim(queue, 2, 1).await;
    let proof = Sealed { received: 1_500, ..sealed(1_000) };
    queue.seal(vec![(claims[0].file, proof.clone())]).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.active, record.bytes.done, record.bytes.received), (2, 0, 1_500));
    assert_eq!(all_files(queue, id, None, 9).await[0].sealed, None, "not done yet");
    queue.complete(vec![claims[0].file], at(5)).await.unwrap();
    queue.complete(vec![claims[0].file], at(6)).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.done, record.files.active, record.bytes.done), (1, 1, 1_000));
    let done = &all_files(queue, id, Some(FileState::Done), 9).await[0];
    assert_eq!((done.seq, done.attempts, &done.error), (claims[0].file.seq, 1, &None));
    assert_eq!((done.sealed.as_ref(), done.received), (Some(&proof), 1_500));
    finish(queue, claims[1].file, 24, 7).await;
    let record = job(queue, id).await;
    assert_eq!((record.bytes.done, record.bytes.received, record.bytes.adopted), (1_024, 1_524, 0));
    assert_eq!((record.state(), record.finished_at), (JobState::Completed, Some(at(7))));
}

/// Sealed and not completed: the next claim brings the seal, so that nothing is fetched again.
pub async fn a_sealed_claim_comes_back_with_its_seal(queue: &dyn Queue) {
    listed(queue, "a", 0..1).await;
    let file = claim(queue, 1, 0).await[0].file;
    queue.seal(vec![(file, sealed(77))]).await.unwrap();
    let again = claim(queue, 1, 1_000).await;
    assert_eq!((&again[0].known, again[0].attempts), (&Known::Sealed(sealed(77)), 0));
    queue.complete(vec![file], at(1_001)).await.unwrap();
    assert_eq!(all_files(queue, file.job, None, 9).await[0].attempts, 1);
}

/// Sealed bytes that are gone are fetched anew; what they cost stays counted.
pub async fn a_lost_seal_is_forgotten(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    let file = claim(queue, 1, 0).await[0].file;
    queue.seal(vec![(file, sealed(77))]).await.unwrap();
    queue.release(vec![Received { file, received: 0, seal_lost: true }]).await.unwrap();
    let again = claim(queue, 1, 1).await;
    assert_eq!((&again[0].known, again[0].received), (&Known::Nothing, 77));
    finish(queue, file, 50, 2).await;
    let record = job(queue, id).await;
    assert_eq!((record.bytes.done, record.bytes.received), (50, 77));
}

/// Smaller numbers change nothing, wherever they come from.
pub async fn what_was_received_never_shrinks(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    let received_now = async || job(queue, id).await.bytes.received;
    let file = claim(queue, 1, 1).await[0].file;
    queue.checkpoint(vec![received(file, 100)]).await.unwrap();
    assert_eq!(received_now().await, 100);
    queue.checkpoint(vec![received(file, 40)]).await.unwrap();
    assert_eq!(received_now().await, 100);
    let retry = |received| crate::FailedAttempt { received, ..failed(file, AttemptEnd::RetryAt(at(1))) };
    queue.fail(vec![retry(60)], at(2)).await.unwrap();
    assert_eq!(received_now().await, 100);
    queue.checkpoint(vec![received(file, 999)]).await.unwrap();
    assert_eq!(received_now().await, 100, "no claim, no checkpoint");
    claim(queue, 1, 3).await;
    queue.fail(vec![retry(130)], at(3)).await.unwrap();
    assert_eq!(received_now().await, 130);
    claim(queue, 1, 4).await;
    queue.checkpoint(vec![received(file, 200)]).await.unwrap();
    claim(queue, 1, 1_000).await;
    assert_eq!(received_now().await, 200, "an expired claim keeps what was noted");
    queue.seal(vec![(file, sealed(90))]).await.unwrap();
    assert_eq!(received_now().await, 200);
    queue.checkpoint(vec![received(file, 210)]).await.unwrap();
    queue.complete(vec![file], at(1_001)).await.unwrap();
    assert_eq!(received_now().await, 210);
    assert_eq!(all_files(queue, id, None, 9).await[0].received, 210);
}

/// What was taken over as it lay is done and adopted, and was not received.
pub async fn adopted_bytes_are_counted_apart(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..2).await;
    let claims = claim(queue, 2, 1).await;
    let adopted = Sealed { proof: Proof::Adopted, received: 0, ..sealed(300) };
    queue.seal(vec![(claims[0].file, adopted), (claims[1].file, sealed(20))]).await.unwrap();
    assert_eq!(job(queue, id).await.bytes.adopted, 0);
    queue.complete(claims.iter().map(|claim| claim.file).collect(), at(2)).await.unwrap();
    let bytes = job(queue, id).await.bytes;
    assert_eq!((bytes.done, bytes.adopted, bytes.received), (320, 300, 20));
    queue.invalidate(vec![(claims[0].file, super::fixture::error("gone"))]).await.unwrap();
    let bytes = job(queue, id).await.bytes;
    assert_eq!((bytes.done, bytes.adopted, bytes.received), (20, 0, 20));
}
