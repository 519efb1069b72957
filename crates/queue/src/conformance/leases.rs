//! Cases: claims expire unless renewed.

use skyhaul_model::WindowId;

use super::fixture::{LEASE_SECONDS, at, claim, claim_windows, job, listed, new_job, planned, request};
use crate::{ClaimRequest, LeaseOwner, Queue, QueueError, WindowOutcome};

/// At its end a claim is given back, without an attempt.
pub async fn an_expired_claim_is_given_out_again(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..2).await;
    let first = claim(queue, 2, 0).await;
    assert_eq!(claim(queue, 2, LEASE_SECONDS - 1).await, []);
    assert_eq!(job(queue, id).await.files.active, 2);
    let again = claim(queue, 2, LEASE_SECONDS).await;
    assert_eq!(again, first);
    assert_eq!((again[0].attempts, job(queue, id).await.files.active), (0, 2));
}

/// Renewing extends all of an owner's claims and nobody else's.
pub async fn a_renewed_claim_stays(queue: &dyn Queue) {
    listed(queue, "a", 0..2).await;
    let mine = claim(queue, 1, 0).await;
    let theirs = queue.claim_files(ClaimRequest { owner: LeaseOwner(2), ..request(1, 0) }).await.unwrap();
    queue.renew(LeaseOwner(1), at(500)).await.unwrap();
    queue.renew(LeaseOwner(3), at(900)).await.unwrap();
    assert_eq!(claim(queue, 9, LEASE_SECONDS).await, theirs);
    assert_eq!(claim(queue, 9, 499).await, theirs, "the claim made above has expired in turn");
    assert_eq!(claim(queue, 9, 500).await, mine);
}

/// Windows too; the first holder is told when it comes too late.
pub async fn an_expired_window_claim_is_given_out_again(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..1).await;
    assert_eq!(claim_windows(queue, 9, 0).await.len(), 1);
    queue.renew(LeaseOwner(1), at(100)).await.unwrap();
    assert!(claim_windows(queue, 9, 99).await.is_empty());
    assert!(claim_windows(queue, 0, 100).await.is_empty(), "given back, and nothing wanted");
    let late = queue.settle_window(id, WindowId(0), WindowOutcome::Listed { bytes: None }, at(100)).await;
    assert!(matches!(late, Err(QueueError::NotClaimed(_, WindowId(0)))));
    assert_eq!(claim_windows(queue, 9, 100).await.len(), 1);
}
