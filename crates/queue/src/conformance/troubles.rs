//! Cases: what failed is counted; lists of checksums.

use std::io::Write;

use skyhaul_model::{ErrorKind, FileError, NoResume, Recheck, Trouble, WindowId};

use super::fixture::{
    all_files, at, claim, claim_windows, error, failed, finish, list_next, listed, lost_spec, new_job,
    planned, spec, window,
};
use crate::{AttemptEnd, FailedAttempt, PlanOutcome, Queue, WindowOutcome};

fn counted(troubles: &[Trouble]) -> Vec<(ErrorKind, &str, u64)> {
    troubles.iter().map(|trouble| (trouble.kind, trouble.host.as_str(), trouble.count)).collect()
}

/// Files, windows and refused plans; the latest first, each with its last example.
pub async fn failures_are_counted_by_kind_and_host(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..3).await;
    assert_eq!(queue.troubles(id).await.unwrap(), []);
    let claims = claim(queue, 3, 1).await;
    for (claimed, second) in claims.iter().zip([5, 6, 7]) {
        let kind = if second == 6 { ErrorKind::Timeout } else { ErrorKind::Http };
        let error = FileError::new(kind, format!("at {second}"));
        let attempt = FailedAttempt { error, ..failed(claimed.file, AttemptEnd::RetryAt(at(99))) };
        queue.fail(vec![attempt], at(second)).await.unwrap();
    }
    let troubles = queue.troubles(id).await.unwrap();
    let host = "data.example";
    assert_eq!(counted(&troubles), [(ErrorKind::Http, host, 2), (ErrorKind::Timeout, host, 1)]);
    assert_eq!((troubles[0].first_at, troubles[0].last_at), (at(5), at(7)));
    let path = spec(2).path.unwrap();
    let example = &troubles[0].example;
    assert_eq!((example.path.as_str(), example.message.as_str()), (path.as_str(), "at 7"));

    let windows = planned(queue, new_job("b"), 0..2).await;
    claim_windows(queue, 2, 1).await;
    let retry = WindowOutcome::Retry { at: at(100), error: error("status 500") };
    queue.settle_window(windows, WindowId(0), retry, at(8)).await.unwrap();
    queue.settle_window(windows, WindowId(1), WindowOutcome::Failed(error("no")), at(9)).await.unwrap();
    let troubles = queue.troubles(windows).await.unwrap();
    assert_eq!(counted(&troubles), [(ErrorKind::Http, "archive.example", 2)]);
    assert_eq!(troubles[0].example.path, window(1).target.to_string());

    let refused = queue.create_job(new_job("c"), at(0)).await.unwrap().id;
    queue.settle_plan(refused, PlanOutcome::Refused(error("no such dataset")), at(3)).await.unwrap();
    assert_eq!(counted(&queue.troubles(refused).await.unwrap()), [(ErrorKind::Http, "archive.example", 1)]);
}

/// Such files fail without an attempt; a listing that brings them again counts none of them twice.
pub async fn paths_that_cannot_be_are_counted(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..2).await;
    let files = || vec![lost_spec(0), spec(1), lost_spec(2)];
    let window = claim_windows(queue, 1, 1).await[0].window.id;
    queue.stage_files(id, window, files()).await.unwrap();
    assert_eq!(queue.troubles(id).await.unwrap(), []);
    queue.settle_window(id, window, WindowOutcome::Listed { bytes: None }, at(7)).await.unwrap();
    let troubles = queue.troubles(id).await.unwrap();
    assert_eq!(counted(&troubles), [(ErrorKind::Path, "data.example", 2)]);
    assert_eq!((troubles[0].first_at, troubles[0].last_at), (at(7), at(7)));
    let example = &troubles[0].example;
    assert_eq!(
        (example.path.as_str(), example.message.as_str()),
        (lost_spec(2).url.as_str(), lost_spec(2).path.unwrap_err().message.as_str(),)
    );
    list_next(queue, id, vec![spec(9)], None).await;
    queue.relist(id, None, Recheck::Leave).await.unwrap();
    list_next(queue, id, files(), None).await;
    assert_eq!(queue.troubles(id).await.unwrap(), troubles);
}

/// Putting back and success take nothing from them.
pub async fn troubles_are_history(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    let file = claim(queue, 1, 1).await[0].file;
    queue.fail(vec![failed(file, AttemptEnd::GiveUp)], at(5)).await.unwrap();
    let before = queue.troubles(id).await.unwrap();
    assert_eq!(before.len(), 1);
    queue.requeue_failed(id).await.unwrap();
    claim(queue, 1, 6).await;
    finish(queue, file, 10, 7).await;
    assert_eq!(queue.troubles(id).await.unwrap(), before);
}

/// The last attempt's word counts, and success forgets it.
pub async fn a_file_tells_why_it_begins_anew(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    for reason in [Some(NoResume::NoRanges), None, Some(NoResume::Changed)] {
        let file = claim(queue, 1, 9).await[0].file;
        let attempt = FailedAttempt { no_resume: reason, ..failed(file, AttemptEnd::RetryAt(at(9))) };
        queue.fail(vec![attempt], at(5)).await.unwrap();
        assert_eq!(all_files(queue, id, None, 9).await[0].no_resume, reason);
    }
    let file = claim(queue, 1, 9).await[0].file;
    finish(queue, file, 10, 9).await;
    assert_eq!(all_files(queue, id, None, 9).await[0].no_resume, None);
}

/// The newest list counts; the file that it was copied from may go.
pub async fn a_list_of_checksums_is_kept_and_replaced(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..1).await;
    let read = async |offset, length| queue.read_checksums(id, offset, length).await.unwrap();
    assert_eq!((queue.checksums_len(id).await.unwrap(), read(0, 9).await), (None, vec![]));
    for content in ["first list", "second"] {
        let mut list = tempfile::NamedTempFile::new().unwrap();
        list.write_all(content.as_bytes()).unwrap();
        queue.set_checksums(id, Some(list.path().to_owned())).await.unwrap();
        drop(list);
        assert_eq!(queue.checksums_len(id).await.unwrap(), Some(content.len() as u64));
        assert_eq!(read(2, 99).await, &content.as_bytes()[2..]);
    }
    assert_eq!((read(1, 2).await, read(u64::MAX, u64::MAX).await), (b"ec".to_vec(), vec![]));
    let missing = std::path::PathBuf::from("/nowhere/list");
    assert!(queue.set_checksums(id, Some(missing)).await.is_err());
    assert_eq!(queue.checksums_len(id).await.unwrap(), Some(6));
    queue.set_checksums(id, None).await.unwrap();
    queue.set_checksums(id, None).await.unwrap();
    assert_eq!(queue.checksums_len(id).await.unwrap(), None);
}
