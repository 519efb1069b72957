//! The state directory: one owner, private files, numbers used once, and what closing means.

use std::path::Path;

use skyhaul_queue::conformance::fixture;
use skyhaul_queue::{JobQueue, NewJob, QueueError, Revision, SecretHeader};
use skyhaul_queue_sled::{BootId, SledQueue};

use crate::crash::open;

#[tokio::test]
async fn a_second_owner_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let refused = SledQueue::open(dir.path(), BootId::named("one")).await.err();
    assert!(matches!(refused, Some(QueueError::Locked { pid: Some(pid), .. }) if pid == std::process::id()));
    drop(queue);
    open(dir.path(), "one").await;
}

#[tokio::test]
async fn a_closed_queue_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let seen = queue.changed_since(Revision::default()).await.unwrap();
    let (waiting, closed) = tokio::join!(queue.changed_since(seen), queue.close());
    closed.unwrap();
    assert!(matches!(waiting, Err(QueueError::Stopped(_))), "nobody waits for ever");
    assert!(matches!(queue.jobs().await, Err(QueueError::Stopped(_))));
    queue.close().await.unwrap();
    open(dir.path(), "one").await;
}

#[tokio::test]
async fn a_directory_of_the_future_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), "one").await);
    std::fs::write(dir.path().join("format"), "skyhaul-state 9\n").unwrap();
    let refused = SledQueue::open(dir.path(), BootId::named("one")).await.err().unwrap();
    assert!(matches!(refused, QueueError::TooNew { found: 9, known: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("use the newer one"));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = SledQueue::open(&file.join("state"), BootId::named("one")).await.err().unwrap();
    assert!(matches!(refused, QueueError::Io { action: "cannot create", .. }), "{refused}");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_stops_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::listed(&queue, "a", 0..0).await;
    let other = queue.create_job(fixture::new_job("b"), fixture::at(0)).await.unwrap().id;
    let ledger = dir.path().join("jobs/1/ledger");
    std::fs::rename(&ledger, dir.path().join("elsewhere")).unwrap();
    let cancelled = queue.set_intent(id, skyhaul_model::Intent::Cancelled, fixture::at(1)).await;
    assert!(matches!(cancelled, Err(QueueError::Io { action: "cannot open", .. })), "{cancelled:?}");
    let refused = queue.set_intent(other, skyhaul_model::Intent::Paused, fixture::at(1)).await.unwrap_err();
    assert!(refused.to_string().contains("the queue has stopped: cannot open"), "{refused}");
    assert!(matches!(queue.jobs().await, Err(QueueError::Stopped(_))));
    assert!(queue.close().await.is_err());

    std::fs::rename(dir.path().join("elsewhere"), &ledger).unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    assert!(notes.iter().any(|note| note.contains("rebuilt")), "{notes:?}");
    let intents: Vec<_> = queue.jobs().await.unwrap().iter().map(|job| job.intent).collect();
    assert_eq!(intents, [skyhaul_model::Intent::Run; 2]);
}

#[tokio::test]
async fn a_list_that_nobody_needs_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let list = dir.path().join("list");
    std::fs::write(&list, "line\n").unwrap();
    let input = skyhaul_queue::Input { path: list, windows: vec![] };
    let job = |tag: &str, name: &str| NewJob {
        name: Some(name.to_owned()),
        input: Some(input.clone()),
        ..fixture::new_job(tag)
    };
    let id = queue.create_job(job("a", "one"), fixture::at(0)).await.unwrap().id;
    assert!(!queue.create_job(job("a", "one"), fixture::at(0)).await.unwrap().created);
    assert!(queue.create_job(job("b", "one"), fixture::at(0)).await.is_err());
    assert_eq!(std::fs::read_dir(dir.path().join("incoming")).unwrap().count(), 0);
    assert!(dir.path().join(format!("jobs/{id}/input")).exists());
}

#[tokio::test]
async fn removed_jobs_leave_nothing_and_their_numbers_stay_used() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::listed(&queue, "a", 0..300).await;
    queue.remove_job(id).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join("jobs")).unwrap().count(), 0);
    queue.close().await.unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    assert_eq!((queue.jobs().await.unwrap(), notes), (vec![], vec![]));
    assert!(queue.create_job(fixture::new_job("a"), fixture::at(0)).await.unwrap().id > id);
}

#[tokio::test]
async fn a_removal_that_a_crash_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::listed(&queue, "a", 0..300).await;
    queue.close().await.unwrap();
    let jobs = dir.path().join("jobs");
    std::fs::rename(jobs.join(id.to_string()), jobs.join(format!("{id}.gone"))).unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    assert_eq!((queue.jobs().await.unwrap(), notes), (vec![], vec![]));
    assert_eq!(std::fs::read_dir(jobs).unwrap().count(), 0);
}

#[tokio::test]
async fn secrets_lie_in_their_own_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let secret = SecretHeader { name: "authorization".to_owned(), value: "s3cr3t-value".to_owned() };
    let job = NewJob { headers: vec![secret], ..fixture::new_job("a") };
    queue.create_job(job, fixture::at(0)).await.unwrap();
    queue.close().await.unwrap();
    let holders = holding(dir.path(), b"s3cr3t-value");
    assert_eq!(holders, [dir.path().join("jobs/1/headers")]);
}

fn holding(dir: &Path, needle: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, needle));
        } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|part| part == needle) {
            found.push(path);
        }
    }
    found
}

#[cfg(unix)]
#[tokio::test]
async fn everything_is_private() {
    use std::os::unix::fs::PermissionsExt;

    fn check(dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            if path.is_dir() {
                check(&path);
            }
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/state");
    let (queue, _) = open(&state, "one").await;
    fixture::listed(&queue, "a", 0..10).await;
    queue.close().await.unwrap();
    check(dir.path());
}

#[tokio::test]
async fn many_callers_share_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let id = fixture::listed(&queue, "a", 0..200).await;
    let claims = fixture::claim(&queue, 200, 1).await;
    let queue = std::sync::Arc::new(queue);
    let mut workers = tokio::task::JoinSet::new();
    for claim in claims {
        let queue = std::sync::Arc::clone(&queue);
        workers.spawn(async move { fixture::finish(&*queue, claim.file, 10, 2).await });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    let job = fixture::job(&*queue, id).await;
    assert_eq!((job.files.done, job.bytes.done), (200, 2_000));
}
