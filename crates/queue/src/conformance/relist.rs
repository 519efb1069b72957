//! Cases: windows are listed again, finished files are checked again, windows are added.

use std::ops::Range;

use skyhaul_model::{FileState, JobId, JobState, Recheck, Span, WindowId, WindowState};

use super::fixture::{
    all_files, at, claim, claim_windows, error, failed, finish, job, list_next, listed, lost_spec, new_job,
    planned, sealed, spec, window,
};
use crate::{AttemptEnd, Known, Queue, Requeued, WindowOutcome, WindowQuery};

const HOUR: i64 = 3600;

/// The hours from the first to the last one.
fn hours(first: i64, last: i64) -> Option<Span> {
    Some(Span { start: at(first * HOUR), end: at(last * HOUR + HOUR - 1) })
}

/// A job of these hours, each listed with ten files of its own, all of them done.
async fn finished(queue: &dyn Queue, windows: Range<i64>) -> JobId {
    let id = planned(queue, new_job("a"), windows.clone()).await;
    for hour in windows {
        let first = u64::try_from(hour).unwrap() * 10;
        list_next(queue, id, (first..first + 10).map(spec).collect(), Some(100)).await;
    }
    for claimed in claim(queue, 1_000, 1).await {
        finish(queue, claimed.file, 10, 1).await;
    }
    assert_eq!(job(queue, id).await.state(), JobState::Completed);
    id
}

async fn listed_files(queue: &dyn Queue, id: JobId) -> Vec<Option<u64>> {
    let page = queue.windows(id, WindowQuery { after: None, limit: 100 }).await.unwrap();
    let files = page.windows.iter().map(|window| match window.state {
        WindowState::Listed { files, .. } => Some(files),
        _ => None,
    });
    files.collect()
}

/// What is known of a window is not added again, what is new comes behind all others.
pub async fn listing_again_adds_what_is_new(queue: &dyn Queue) {
    let id = finished(queue, 0..2).await;
    assert_eq!(queue.relist(id, None, Recheck::Leave).await.unwrap(), Requeued { files: 0, windows: 2 });
    let record = job(queue, id).await;
    assert_eq!((record.windows.listed, record.windows.open(), record.finished_at), (0, 2, None));
    assert_eq!((record.state(), record.bytes.total), (JobState::Planning, None));
    assert_eq!(queue.relist(id, None, Recheck::Leave).await.unwrap(), Requeued::default(), "nothing is left");

    list_next(queue, id, [3, 900, 5, 901].map(spec).into(), Some(120)).await;
    list_next(queue, id, [lost_spec(12), spec(3)].into(), Some(100)).await;
    let record = job(queue, id).await;
    assert_eq!((record.files.total, record.files.done, record.files.failed), (24, 20, 1));
    assert_eq!((record.windows.listed, record.bytes.total), (2, Some(220)));
    assert_eq!(listed_files(queue, id).await, [Some(12), Some(12)]);
    let added: Vec<_> = all_files(queue, id, None, 7).await.into_iter().skip(20).map(|f| f.spec).collect();
    assert_eq!(added, [spec(900), spec(901), lost_spec(12), spec(3)], "of another window, 3 is another file");
    assert_eq!(claim(queue, 9, 2).await.len(), 3);

    queue.relist(id, None, Recheck::Leave).await.unwrap();
    list_next(queue, id, [900, 901, 902].map(spec).into(), None).await;
    list_next(queue, id, [lost_spec(12), spec(3)].into(), None).await;
    assert_eq!(listed_files(queue, id).await, [Some(13), Some(12)]);
}

/// Windows that have no moment in common with the span stay listed.
pub async fn only_the_windows_of_the_span_are_listed_again(queue: &dyn Queue) {
    let id = finished(queue, 0..4).await;
    let relisted = queue.relist(id, hours(1, 2), Recheck::Done).await.unwrap();
    assert_eq!(relisted, Requeued { files: 20, windows: 2 });
    let claimed = claim_windows(queue, 9, 2).await;
    let numbers: Vec<_> = claimed.iter().map(|claimed| claimed.window.id).collect();
    assert_eq!(numbers, [WindowId(1), WindowId(2)]);
    assert_eq!((claimed[0].window.failures, claimed[0].window.state.clone()), (0, WindowState::Pending));
    let files = all_files(queue, id, Some(FileState::Pending), 50).await;
    assert!(files.iter().map(|file| &file.spec).eq(&(10..30).map(spec).collect::<Vec<_>>()));
    assert_eq!(queue.relist(id, hours(9, 9), Recheck::Done).await.unwrap(), Requeued::default());
}

/// A file that is found unchanged is done as before, and that costs it nothing.
pub async fn done_files_are_checked_again(queue: &dyn Queue) {
    let id = finished(queue, 0..1).await;
    let before = all_files(queue, id, None, 50).await;
    queue.relist(id, None, Recheck::Done).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.pending, record.files.done, record.bytes.done), (10, 0, 0));
    assert_eq!(record.bytes.received, 100);
    // They lie where they lay, and whoever asks what is there is told.
    let held = async || all_files(queue, id, None, 50).await.into_iter().map(|file| file.sealed);
    assert!(held().await.all(|held| held == Some(sealed(10))));
    let claims = claim(queue, 100, 2).await;
    assert_eq!(claims.len(), 10);
    assert!(held().await.all(|held| held == Some(sealed(10))));
    for claimed in &claims {
        assert_eq!((&claimed.known, claimed.attempts), (&Known::Recheck(sealed(10)), 1));
        queue.complete(vec![claimed.file], at(3)).await.unwrap();
    }
    assert_eq!(all_files(queue, id, None, 50).await, before);
    assert_eq!(job(queue, id).await.bytes.done, 100);
}

/// A new version is sealed in place of the old one.
pub async fn a_changed_file_is_sealed_anew(queue: &dyn Queue) {
    let id = finished(queue, 0..1).await;
    queue.relist(id, None, Recheck::Done).await.unwrap();
    let file = claim(queue, 1, 2).await[0].file;
    queue.seal(vec![(file, sealed(77))]).await.unwrap();
    queue.release(vec![super::fixture::received(file, 80)]).await.unwrap();
    let again = claim(queue, 1, 3).await;
    assert_eq!((again[0].file, &again[0].known), (file, &Known::Sealed(sealed(77))));
    queue.complete(vec![file], at(3)).await.unwrap();
    let done = all_files(queue, id, Some(FileState::Done), 50).await;
    assert_eq!((done.len(), done[0].attempts, done[0].sealed.clone()), (1, 2, Some(sealed(77))));

    let gone = claim(queue, 1, 4).await[0].file;
    let lost = crate::Received { seal_lost: true, ..super::fixture::received(gone, 10) };
    queue.release(vec![lost]).await.unwrap();
    assert_eq!(claim(queue, 1, 5).await[0].known, Known::Nothing, "it was not where it had been put");
}

/// Neither a retry nor a giving up forgets what the check was about.
pub async fn a_check_that_failed_is_made_again(queue: &dyn Queue) {
    let id = finished(queue, 0..1).await;
    queue.relist(id, None, Recheck::Done).await.unwrap();
    let claims = claim(queue, 2, 2).await;
    queue.fail(vec![failed(claims[0].file, AttemptEnd::RetryAt(at(9)))], at(2)).await.unwrap();
    queue.fail(vec![failed(claims[1].file, AttemptEnd::GiveUp)], at(2)).await.unwrap();
    claim(queue, 8, 3).await;
    assert_eq!(queue.requeue_failed(id).await.unwrap().files, 1);
    let again = claim(queue, 9, 9).await;
    assert_eq!(again.len(), 2);
    for claimed in again {
        assert_eq!((&claimed.known, claimed.attempts), (&Known::Recheck(sealed(10)), 2));
    }
}

/// The archive that is away is told; what was listed before stays.
pub async fn a_relisting_that_fails_is_a_failed_window(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..3).await;
    queue.relist(id, None, Recheck::Leave).await.unwrap();
    claim_windows(queue, 1, 2).await;
    queue.settle_window(id, WindowId(0), WindowOutcome::Failed(error("no")), at(2)).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.windows.failed, record.window_error, record.files.total), (1, Some(error("no")), 3));
    assert_eq!(queue.relist(id, None, Recheck::Leave).await.unwrap().windows, 1);
    let record = job(queue, id).await;
    assert_eq!((record.windows.failed, record.window_error), (0, None));
    list_next(queue, id, vec![spec(2), spec(3)], None).await;
    assert_eq!(job(queue, id).await.files.total, 4);
}

/// A job grows by windows that it has not; one that is not planned yet does not.
pub async fn windows_are_added_once(queue: &dyn Queue) {
    let id = finished(queue, 0..2).await;
    let wanted = [1, 2, 3, 2].map(window).to_vec();
    assert_eq!(queue.add_windows(id, wanted.clone(), at(5)).await.unwrap(), 2);
    assert_eq!(queue.add_windows(id, wanted.clone(), at(6)).await.unwrap(), 0);
    let record = job(queue, id).await;
    assert_eq!((record.windows.total, record.windows.listed, record.finished_at), (4, 2, None));
    let claimed = claim_windows(queue, 9, 7).await;
    let targets: Vec<_> = claimed.into_iter().map(|claimed| claimed.window.target).collect();
    assert_eq!(targets, [window(2).target, window(3).target]);
    let unplanned = queue.create_job(new_job("b"), at(0)).await.unwrap().id;
    assert_eq!(queue.add_windows(unplanned, wanted, at(5)).await.unwrap(), 0);
    assert_eq!(job(queue, unplanned).await.windows.total, 0);
}
