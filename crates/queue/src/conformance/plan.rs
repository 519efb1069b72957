//! Cases: windows are claimed, listed, split, failed.

use skyhaul_model::{FileState, JobState, Plan, WindowId, WindowState};

use super::fixture::{
    all_files, at, claim, claim_windows, error, job, list_next, lost_spec, new_job, planned, sealed, spec,
    window,
};
use crate::{ClaimFilter, NewJob, PlanOutcome, Queue, QueueError, Requeued, WindowOutcome, WindowQuery};

/// The first settling counts, later ones change nothing.
pub async fn a_plan_is_settled_once(queue: &dyn Queue) {
    let id = queue.create_job(new_job("a"), at(0)).await.unwrap().id;
    assert_eq!(job(queue, id).await.state(), JobState::Planning);
    let windows = |hours: std::ops::Range<i64>| PlanOutcome::Windows(hours.map(window).collect());
    queue.settle_plan(id, windows(0..3), at(1)).await.unwrap();
    queue.settle_plan(id, windows(0..9), at(2)).await.unwrap();
    queue.settle_plan(id, PlanOutcome::Refused(error("no")), at(3)).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.plan, record.windows.total, record.finished_at), (Plan::Planned, 3, None));
}

/// A refusal ends the job; putting failures back makes it unplanned.
pub async fn a_refused_plan_is_final_until_put_back(queue: &dyn Queue) {
    let id = queue.create_job(new_job("a"), at(0)).await.unwrap().id;
    queue.settle_plan(id, PlanOutcome::Refused(error("no such dataset")), at(5)).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.state(), record.finished_at), (JobState::Failed, Some(at(5))));
    assert_eq!(record.error(), Some(&error("no such dataset")));
    assert_eq!(queue.requeue_failed(id).await.unwrap(), Requeued::default());
    let record = job(queue, id).await;
    assert_eq!((record.plan, record.finished_at), (Plan::Unplanned, None));
    queue.settle_plan(id, PlanOutcome::Windows(vec![window(0)]), at(6)).await.unwrap();
    assert_eq!(job(queue, id).await.windows.total, 1);
}

/// Jobs of one priority are listed in turn, and the turn goes on from claim to claim.
pub async fn a_long_plan_does_not_hold_up_a_short_one(queue: &dyn Queue) {
    let long = planned(queue, new_job("long"), 0..9).await;
    let short = planned(queue, new_job("short"), 0..2).await;
    let mut places = Vec::new();
    for second in 1..3 {
        let claimed = claim_windows(queue, 3, second).await;
        places.extend(claimed.iter().map(|claimed| (claimed.job, claimed.window.id.0)));
    }
    assert_eq!(places, [(long, 0), (short, 0), (long, 1), (short, 1), (long, 2), (long, 3)]);
}

/// Higher priority first, then planned order; never before the due time.
pub async fn windows_are_claimed_by_priority_and_due_time(queue: &dyn Queue) {
    let low = planned(queue, new_job("low"), 0..2).await;
    let high = planned(queue, NewJob { priority: 5, ..new_job("high") }, 0..2).await;
    let first = claim_windows(queue, 3, 1).await;
    let places: Vec<_> = first.iter().map(|claimed| (claimed.job, claimed.window.id)).collect();
    assert_eq!(places, [(high, WindowId(0)), (high, WindowId(1)), (low, WindowId(0))]);
    assert_eq!(first[2].window.target, window(0).target);

    let retry = WindowOutcome::Retry { at: at(100), error: error("status 500") };
    queue.settle_window(high, WindowId(0), retry, at(2)).await.unwrap();
    assert_eq!(queue.next_due(&ClaimFilter::All).await.unwrap(), Some(at(100)));
    assert_eq!(queue.next_due(&ClaimFilter::Jobs(vec![low])).await.unwrap(), None);
    assert_eq!(claim_windows(queue, 9, 3).await.len(), 1, "only the last of the low job");
    queue.renew(crate::LeaseOwner(1), at(1_000)).await.unwrap();
    assert!(claim_windows(queue, 9, 99).await.is_empty());
    let again = claim_windows(queue, 9, 100).await;
    assert_eq!((again.len(), again[0].window.failures), (1, 1));
    assert_eq!(again[0].window.error, Some(error("status 500")));
    assert_eq!(queue.next_due(&ClaimFilter::All).await.unwrap(), None);
}

/// What is staged is neither counted, paged nor claimed before the window is settled.
pub async fn staged_files_are_unseen_until_the_window_is_listed(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..2).await;
    let claimed = claim_windows(queue, 2, 1).await;
    let (first, second) = (claimed[0].window.id, claimed[1].window.id);
    queue.stage_files(id, first, (0..3).map(spec).collect()).await.unwrap();
    queue.stage_files(id, second, (10..12).map(spec).collect()).await.unwrap();
    queue.stage_files(id, first, (3..5).map(spec).collect()).await.unwrap();
    assert_eq!(job(queue, id).await.files.total, 0);
    assert_eq!(claim(queue, 9, 1).await, []);
    queue.settle_window(id, second, WindowOutcome::Listed { bytes: Some(7) }, at(2)).await.unwrap();
    queue.settle_window(id, first, WindowOutcome::Listed { bytes: None }, at(3)).await.unwrap();
    let specs: Vec<_> = all_files(queue, id, None, 2).await.into_iter().map(|file| file.spec).collect();
    let wanted: Vec<_> = (10..12).chain(0..5).map(spec).collect();
    assert_eq!(specs, wanted, "in the order in which windows were listed");
    let windows = queue.windows(id, WindowQuery { after: None, limit: 9 }).await.unwrap().windows;
    assert_eq!(windows[0].state, WindowState::Listed { files: 5, bytes: None, at: at(3) });
    assert_eq!(windows[1].state, WindowState::Listed { files: 2, bytes: Some(7), at: at(2) });
}

/// A claim that expired takes what was staged with it.
pub async fn a_new_claim_forgets_what_was_staged(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..1).await;
    let window = claim_windows(queue, 1, 0).await[0].window.id;
    queue.stage_files(id, window, (0..3).map(spec).collect()).await.unwrap();
    assert_eq!(claim_windows(queue, 1, 1_000).await.len(), 1);
    queue.stage_files(id, window, vec![spec(7)]).await.unwrap();
    queue.settle_window(id, window, WindowOutcome::Listed { bytes: None }, at(1_001)).await.unwrap();
    let files = all_files(queue, id, None, 9).await;
    assert_eq!(files.iter().map(|file| &file.spec).collect::<Vec<_>>(), [&spec(7)]);
    let settled = queue.stage_files(id, window, vec![spec(8)]).await;
    assert!(matches!(settled, Err(QueueError::NotClaimed(_, WindowId(0)))));
    let unknown = queue.settle_window(id, WindowId(9), WindowOutcome::Released, at(0)).await;
    assert!(matches!(unknown, Err(QueueError::NotClaimed(_, WindowId(9)))));
}

/// Such a file is counted as failed at once, is not claimed, and trying again does not help it.
pub async fn a_path_that_cannot_be_is_a_failed_file(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..1).await;
    list_next(queue, id, vec![lost_spec(0), spec(1), lost_spec(2)], None).await;
    let record = job(queue, id).await;
    assert_eq!((record.files.failed, record.files.pending), (2, 1));
    let lost = all_files(queue, id, Some(FileState::Failed), 9).await;
    assert_eq!(lost[0].error.as_ref(), lost_spec(0).path.as_ref().err());
    assert_eq!((lost[1].attempts, &lost[1].spec), (0, &lost_spec(2)));
    assert_eq!(queue.requeue_failed(id).await.unwrap(), Requeued::default());
    let claims = claim(queue, 9, 1).await;
    assert_eq!(claims.iter().map(|claim| &claim.spec).collect::<Vec<_>>(), [&spec(1)]);

    let all_lost = planned(queue, new_job("b"), 0..1).await;
    list_next(queue, all_lost, vec![lost_spec(0)], None).await;
    assert_eq!(job(queue, all_lost).await.state(), JobState::Failed);
}

/// The split window is counted and shown no more, its parts come behind what was planned.
pub async fn parts_take_a_split_windows_place(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..2).await;
    let first = claim_windows(queue, 1, 1).await[0].window.id;
    queue.stage_files(id, first, vec![spec(0)]).await.unwrap();
    let parts = WindowOutcome::Split(vec![window(10), window(11), window(12)]);
    queue.settle_window(id, first, parts, at(2)).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.windows.total, record.windows.open(), record.files.total), (4, 4, 0));
    let shown = queue.windows(id, WindowQuery { after: None, limit: 9 }).await.unwrap().windows;
    let targets: Vec<_> = shown.iter().map(|record| record.target.clone()).collect();
    assert_eq!(targets, [1, 10, 11, 12].map(|hour| window(hour).target));
    assert_eq!(claim_windows(queue, 9, 3).await.len(), 4);
}

/// A window given up fails the job; its error is the job's until it is put back.
pub async fn failed_windows_are_counted_and_put_back(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..2).await;
    for claimed in claim_windows(queue, 2, 1).await {
        let outcome = WindowOutcome::Failed(error(&format!("window {}", claimed.window.id)));
        queue.settle_window(id, claimed.window.id, outcome, at(4)).await.unwrap();
    }
    let record = job(queue, id).await;
    assert_eq!((record.windows.failed, record.state()), (2, JobState::Failed));
    assert_eq!((record.finished_at, record.window_error), (Some(at(4)), Some(error("window 1"))));
    assert!(claim_windows(queue, 9, 5).await.is_empty());

    assert_eq!(queue.requeue_failed(id).await.unwrap(), Requeued { files: 0, windows: 2 });
    let record = job(queue, id).await;
    assert_eq!((record.windows.failed, record.window_error, record.finished_at), (0, None, None));
    let claimed = claim_windows(queue, 9, 6).await;
    assert_eq!((claimed.len(), claimed[0].window.failures), (2, 0));
}

/// Given back untried: no failure, no wait, nothing staged.
pub async fn a_released_window_costs_nothing(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..1).await;
    let first = claim_windows(queue, 1, 1).await;
    queue.stage_files(id, WindowId(0), vec![spec(0)]).await.unwrap();
    queue.settle_window(id, WindowId(0), WindowOutcome::Released, at(2)).await.unwrap();
    let second = claim_windows(queue, 1, 2).await;
    assert_eq!(first[0].window, second[0].window);
    queue.settle_window(id, WindowId(0), WindowOutcome::Listed { bytes: None }, at(2)).await.unwrap();
    assert_eq!(job(queue, id).await.files.total, 0);
}

/// The total is known when every window or else every file told its size, and all windows are listed; once all files came
/// it is what came, whatever the windows told.
pub async fn bytes_are_totalled_when_everything_told(queue: &dyn Queue) {
    let told = planned(queue, new_job("told"), 0..2).await;
    list_next(queue, told, vec![spec(0)], Some(100)).await;
    assert_eq!(job(queue, told).await.bytes.total, None, "a window is open");
    list_next(queue, told, vec![spec(1)], Some(23)).await;
    assert_eq!(job(queue, told).await.bytes.total, Some(123));
    for (size, total) in [(200, 200), (7, 207)] {
        let claimed = claim(queue, 1, 2).await.remove(0);
        queue.seal(vec![(claimed.file, sealed(size))]).await.unwrap();
        queue.complete(vec![claimed.file], at(3)).await.unwrap();
        let bytes = job(queue, told).await.bytes;
        assert_eq!((bytes.done, bytes.total), (total, Some(total)));
    }

    let untold = planned(queue, new_job("untold"), 0..2).await;
    list_next(queue, untold, vec![spec(0)], Some(100)).await;
    list_next(queue, untold, vec![spec(1)], None).await;
    assert_eq!(job(queue, untold).await.bytes.total, None);

    let sized = |number| skyhaul_model::FileSpec { size: Some(10 + number), ..spec(number) };
    let list = planned(queue, new_job("list"), 0..2).await;
    list_next(queue, list, vec![sized(0), sized(1)], None).await;
    assert_eq!(job(queue, list).await.bytes.total, None, "a window is open");
    list_next(queue, list, vec![sized(2)], None).await;
    assert_eq!(job(queue, list).await.bytes.total, Some(33));
}
