//! Cases: jobs are created, steered, forgotten.

use std::io::Write;

use skyhaul_model::{
    FileState, Intent, JobId, JobState, NewWindow, Plan, Query, Recheck, Source, WindowTarget,
};

use super::fixture::{at, claim, claim_windows, error, finish, job, listed, new_job, planned, window};
use crate::{Input, JobUpdate, NewJob, Queue, QueueError, Revision, SecretHeader};

/// The same query is the same job; what decides not which job it is follows the newest command.
pub async fn a_job_is_created_once_and_the_newest_policy_wins(queue: &dyn Queue) {
    let first = queue.create_job(new_job("a"), at(10)).await.unwrap();
    assert!(first.created);
    let mut again = new_job("a");
    again.policy.retries = 3;
    again.priority = 7;
    again.name = Some("night".to_owned());
    let key = again.query.key();
    let second = queue.create_job(again, at(20)).await.unwrap();
    assert_eq!((second.id, second.created), (first.id, false));

    let found = queue.job_by_key(&key).await.unwrap().unwrap();
    assert_eq!(found, job(queue, first.id).await);
    assert_eq!((found.policy.retries, found.priority, found.name.as_deref()), (3, 7, Some("night")));
    assert_eq!((found.created_at, found.plan, found.intent), (at(10), Plan::Unplanned, Intent::Run));

    queue.create_job(new_job("a"), at(30)).await.unwrap();
    assert_eq!(job(queue, first.id).await.name.as_deref(), Some("night"), "no name given, none taken away");
    let other = queue.create_job(new_job("b"), at(40)).await.unwrap();
    assert!(other.created && other.id > first.id);
    let ids: Vec<JobId> = queue.jobs().await.unwrap().iter().map(|job| job.id).collect();
    assert_eq!(ids, [first.id, other.id]);
}

/// A name that is taken is refused and nothing changes; a job may be told its own name again.
pub async fn a_name_belongs_to_one_job(queue: &dyn Queue) {
    let named = |tag: &str| NewJob { name: Some("night".to_owned()), ..new_job(tag) };
    let holder = queue.create_job(named("a"), at(0)).await.unwrap().id;
    queue.create_job(named("a"), at(0)).await.unwrap();
    let taken =
        |outcome| matches!(outcome, Err(QueueError::NameTaken(name, id)) if name == "night" && id == holder);
    assert!(taken(queue.create_job(named("b"), at(0)).await.map(drop)));
    assert_eq!(queue.jobs().await.unwrap().len(), 1, "the refused job is not there");

    let other = queue.create_job(new_job("b"), at(0)).await.unwrap().id;
    let update = JobUpdate { name: Some("night".to_owned()), priority: Some(9), policy: None };
    assert!(taken(queue.update_job(other, update.clone()).await));
    assert_eq!(job(queue, other).await.priority, 0, "the refused update changed nothing");
    queue.update_job(holder, update).await.unwrap();
    assert_eq!(job(queue, holder).await.priority, 9);
    queue
        .update_job(holder, JobUpdate { name: Some("day".to_owned()), ..JobUpdate::default() })
        .await
        .unwrap();
    queue.create_job(named("b"), at(0)).await.unwrap();
    assert_eq!(job(queue, other).await.name.as_deref(), Some("night"));
}

/// Headers come back as given; a command without any leaves them.
pub async fn secret_headers_are_kept_and_replaced_only_where_given(queue: &dyn Queue) {
    let header = |value: &str| SecretHeader { name: "authorization".to_owned(), value: value.to_owned() };
    let with = |value: &str| NewJob { headers: vec![header(value)], ..new_job("a") };
    let id = queue.create_job(with("one"), at(0)).await.unwrap().id;
    assert_eq!(queue.secret_headers(id).await.unwrap(), [header("one")]);
    queue.create_job(new_job("a"), at(0)).await.unwrap();
    assert_eq!(queue.secret_headers(id).await.unwrap(), [header("one")]);
    queue.create_job(with("two"), at(0)).await.unwrap();
    assert_eq!(queue.secret_headers(id).await.unwrap(), [header("two")]);
    let bare = queue.create_job(new_job("b"), at(0)).await.unwrap().id;
    assert_eq!(queue.secret_headers(bare).await.unwrap(), []);
}

/// Nothing can be asked of a job that is not there.
pub async fn unknown_jobs_are_refused(queue: &dyn Queue) {
    let id = JobId(42);
    assert_eq!(queue.job(id).await.unwrap(), None);
    assert_eq!(queue.job_by_key(&new_job("a").query.key()).await.unwrap(), None);
    let refused = |outcome| matches!(outcome, Err(QueueError::NoSuchJob(JobId(42))));
    assert!(refused(queue.update_job(id, JobUpdate::default()).await));
    assert!(refused(queue.set_intent(id, Intent::Paused, at(0)).await));
    assert!(refused(queue.set_hold(id, None).await));
    assert!(refused(queue.requeue_failed(id).await.map(drop)));
    assert!(refused(queue.remove_job(id).await));
    assert!(refused(queue.secret_headers(id).await.map(drop)));
    assert!(refused(queue.read_input(id, 0, 1).await.map(drop)));
    assert!(refused(queue.relist(id, None, Recheck::Done).await.map(drop)));
    assert!(refused(queue.add_windows(id, vec![window(0)], at(0)).await.map(drop)));
    assert!(refused(queue.troubles(id).await.map(drop)));
    assert!(refused(queue.set_checksums(id, None).await));
    assert!(refused(queue.checksums_len(id).await.map(drop)));
    assert!(refused(queue.read_checksums(id, 0, 1).await.map(drop)));
}

/// Intents may be set twice; claims follow them; a cancelled job goes on where it was.
pub async fn intents_are_idempotent_and_a_cancelled_job_runs_again(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..3).await;
    finish(queue, claim(queue, 1, 1).await[0].file, 10, 1).await;
    for intent in [Intent::Paused, Intent::Paused, Intent::Cancelled, Intent::Cancelled] {
        queue.set_intent(id, intent, at(5)).await.unwrap();
        assert_eq!(job(queue, id).await.intent, intent);
        assert_eq!(claim(queue, 9, 6).await, []);
    }
    assert_eq!(job(queue, id).await.state(), JobState::Cancelled);
    queue.set_intent(id, Intent::Run, at(7)).await.unwrap();
    let record = job(queue, id).await;
    assert_eq!((record.files.done, record.files.pending, record.state()), (1, 2, JobState::Queued));
    assert_eq!(claim(queue, 9, 8).await.len(), 2);
}

/// A hold shows as paused with its reason and stops claims of files and windows.
pub async fn a_held_job_gives_no_claims(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..2).await;
    super::fixture::list_next(queue, id, vec![super::fixture::spec(0)], None).await;
    queue.set_hold(id, Some(error("the disk is full"))).await.unwrap();
    assert_eq!(job(queue, id).await.state(), JobState::Paused);
    assert_eq!(job(queue, id).await.error(), Some(&error("the disk is full")));
    assert_eq!(claim(queue, 9, 1).await, []);
    assert!(claim_windows(queue, 9, 1).await.is_empty());
    queue.set_hold(id, None).await.unwrap();
    assert_eq!(claim(queue, 9, 1).await.len(), 1);
    assert_eq!(claim_windows(queue, 9, 1).await.len(), 1);
}

/// Nothing of a removed job is found, and a job made anew has another number.
pub async fn a_removed_job_is_gone_and_its_number_too(queue: &dyn Queue) {
    let kept = listed(queue, "kept", 0..2).await;
    let id = listed(queue, "a", 0..3).await;
    queue.remove_job(id).await.unwrap();
    assert_eq!(queue.job(id).await.unwrap(), None);
    assert!(matches!(queue.remove_job(id).await, Err(QueueError::NoSuchJob(_))));
    let again = queue.create_job(new_job("a"), at(3)).await.unwrap();
    assert!(again.created && again.id > id);
    assert_eq!(job(queue, again.id).await.files.total, 0);
    assert_eq!(job(queue, kept).await.files.total, 2);
}

/// Whatever anybody wanted of a job after it was looked at keeps it.
pub async fn a_job_that_has_changed_since_it_was_seen_is_not_removed(queue: &dyn Queue) {
    let id = listed(queue, "a", 0..2).await;
    let lost = claim(queue, 1, 1).await[0].file;
    queue.fail(vec![super::fixture::failed(lost, crate::AttemptEnd::GiveUp)], at(1)).await.unwrap();
    let seen = job(queue, id).await;
    queue.set_intent(id, Intent::Paused, at(2)).await.unwrap();
    assert!(!queue.remove_unchanged(&seen, &[]).await.unwrap(), "paused");
    queue.set_intent(id, Intent::Run, at(2)).await.unwrap();
    queue.requeue_failed(id).await.unwrap();
    assert!(!queue.remove_unchanged(&seen, &[]).await.unwrap(), "tried again");
    let seen = job(queue, id).await;
    queue.relist(id, None, Recheck::Done).await.unwrap();
    assert!(!queue.remove_unchanged(&seen, &[]).await.unwrap(), "listed again");
    let seen = job(queue, id).await;
    let update = JobUpdate { priority: Some(9), ..JobUpdate::default() };
    queue.update_job(id, update).await.unwrap();
    assert!(!queue.remove_unchanged(&seen, &[]).await.unwrap(), "ranked anew");
    let seen = job(queue, id).await;
    let headers = [SecretHeader { name: "authorization".to_owned(), value: "new".to_owned() }];
    let again = NewJob { headers: headers.to_vec(), priority: seen.priority, ..new_job("a") };
    queue.create_job(again, at(3)).await.unwrap();
    assert_eq!(job(queue, id).await, seen, "nothing but its headers has changed");
    assert!(!queue.remove_unchanged(&seen, &[]).await.unwrap(), "headers of its own");
    assert!(queue.remove_unchanged(&seen, &headers).await.unwrap());
    assert!(!queue.remove_unchanged(&seen, &headers).await.unwrap(), "it is gone already");
    assert_eq!(queue.job(id).await.unwrap(), None);
}

/// A finishing time is that of the step that ended the job, its cancelling being one, and goes when the job goes on.
pub async fn finishing_times_are_set_once_and_cleared(queue: &dyn Queue) {
    let empty = queue.create_job(new_job("empty"), at(1)).await.unwrap().id;
    assert_eq!(job(queue, empty).await.finished_at, None, "an unplanned job is not finished");
    queue.settle_plan(empty, crate::PlanOutcome::Windows(vec![]), at(2)).await.unwrap();
    assert_eq!(job(queue, empty).await.finished_at, Some(at(2)), "a query may find nothing");

    let id = listed(queue, "a", 0..2).await;
    let claims = claim(queue, 2, 1).await;
    finish(queue, claims[0].file, 10, 11).await;
    assert_eq!(job(queue, id).await.finished_at, None);
    finish(queue, claims[1].file, 10, 12).await;
    assert_eq!(job(queue, id).await.finished_at, Some(at(12)));
    queue.complete(vec![claims[1].file], at(13)).await.unwrap();
    queue.set_intent(id, Intent::Paused, at(14)).await.unwrap();
    assert_eq!(job(queue, id).await.finished_at, Some(at(12)), "it had ended before");
    for second in [14, 15] {
        queue.set_intent(id, Intent::Cancelled, at(second)).await.unwrap();
        assert_eq!(job(queue, id).await.finished_at, Some(at(14)), "what had ended is cancelled once");
    }
    queue.set_intent(id, Intent::Run, at(15)).await.unwrap();
    assert_eq!(job(queue, id).await.finished_at, Some(at(14)), "it was finished all the time");
    queue.invalidate(vec![(claims[0].file, error("gone"))]).await.unwrap();
    assert_eq!(job(queue, id).await.finished_at, None);
    queue.set_intent(id, Intent::Cancelled, at(16)).await.unwrap();
    assert_eq!(job(queue, id).await.finished_at, Some(at(16)));
    queue.set_intent(id, Intent::Run, at(17)).await.unwrap();
    assert_eq!(job(queue, id).await.finished_at, None);
}

/// Who waits for a change returns when there is one, at once when there has been one.
pub async fn a_change_wakes_who_waits(queue: &dyn Queue) {
    let start = queue.changed_since(Revision::default()).await.unwrap();
    let change = async { queue.create_job(new_job("a"), at(0)).await.unwrap().id };
    let (woken, id) = tokio::join!(queue.changed_since(start), change);
    let woken = woken.unwrap();
    assert!(woken > start);
    queue.set_intent(id, Intent::Paused, at(1)).await.unwrap();
    assert!(queue.changed_since(woken).await.unwrap() > woken);
}

/// A job's list is copied when the job is made: what becomes of the file afterwards does not matter.
pub async fn a_list_is_copied_and_read_back(queue: &dyn Queue) {
    let mut list = tempfile::NamedTempFile::new().unwrap();
    list.write_all(b"first line\nsecond line\n").unwrap();
    let slice =
        |offset, length, first_line| NewWindow { target: WindowTarget::Slice { offset, length, first_line } };
    let source = Source::Urls { digest: "d1".to_owned(), base: None };
    let job_of_list = NewJob {
        query: Query { source, out: "/data".to_owned() },
        input: Some(Input { path: list.path().into(), windows: vec![slice(0, 11, 1), slice(11, 12, 2)] }),
        ..new_job("unused")
    };
    let id = queue.create_job(job_of_list.clone(), at(0)).await.unwrap().id;
    drop(list);
    let record = job(queue, id).await;
    assert_eq!((record.plan, record.windows.total), (Plan::Planned, 2));
    assert_eq!(queue.read_input(id, 0, 11).await.unwrap(), b"first line\n");
    assert_eq!(queue.read_input(id, 11, 100).await.unwrap(), b"second line\n");
    assert_eq!(queue.read_input(id, 100, 5).await.unwrap(), b"");
    assert_eq!(queue.read_input(id, u64::MAX, u64::MAX).await.unwrap(), b"");
    assert_eq!(claim_windows(queue, 9, 0).await[1].window.target, slice(11, 12, 2).target);

    let gone =
        NewJob { query: Query { out: "/elsewhere".to_owned(), ..job_of_list.query.clone() }, ..job_of_list };
    assert!(matches!(queue.create_job(gone, at(0)).await, Err(QueueError::Io { .. })));
    assert_eq!(queue.jobs().await.unwrap().len(), 1);
    let bare = queue.create_job(new_job("bare"), at(0)).await.unwrap().id;
    assert_eq!(queue.read_input(bare, 0, 5).await.unwrap(), b"");
    assert_eq!(super::fixture::all_files(queue, bare, Some(FileState::Done), 5).await, []);
}
