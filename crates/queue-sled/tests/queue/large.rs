//! Large jobs: each has an index of its own in its folder, which goes with it, and few are open at once.

use std::path::{Path, PathBuf};

use skyhaul_model::{FileState, JobId, Recheck};
use skyhaul_queue::conformance::{check_counters, fixture};
use skyhaul_queue::{ClaimFilter, ClaimRequest, JobQueue, Queue};

use crate::crash::open;

/// Just over what a job without an index of its own may have.
const FILES: u64 = 10_050;

fn own_index(dir: &Path, id: JobId) -> PathBuf {
    dir.join(format!("jobs/{id}/index"))
}

async fn large_job(queue: &dyn Queue, tag: &str) -> JobId {
    fixture::listed(queue, tag, 0..FILES).await
}

/// Finishes so many files of a job, from the first pending one on.
async fn finish(queue: &dyn Queue, id: JobId, count: usize) {
    let wish = ClaimRequest { filter: ClaimFilter::Jobs(vec![id]), ..fixture::request(count, 1) };
    let files: Vec<_> = queue.claim_files(wish).await.unwrap().iter().map(|claim| claim.file).collect();
    assert_eq!(files.len(), count);
    queue.seal(files.iter().map(|&file| (file, fixture::sealed(5))).collect()).await.unwrap();
    queue.complete(files, fixture::at(2)).await.unwrap();
}

#[tokio::test]
async fn a_job_that_grows_large_gets_an_index_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let small = fixture::listed(&queue, "small", 0..9).await;
    let id = fixture::planned(&queue, fixture::new_job("a"), 0..2).await;
    fixture::list_next(&queue, id, (0..FILES - 100).map(fixture::spec).collect(), None).await;
    finish(&queue, id, 300).await;
    assert!(!own_index(dir.path(), id).exists());
    let before = fixture::all_files(&queue, id, Some(FileState::Done), 500).await;
    fixture::list_next(&queue, id, (FILES..FILES + 200).map(fixture::spec).collect(), None).await;
    assert!(own_index(dir.path(), id).is_dir() && !own_index(dir.path(), small).exists());
    assert_eq!(fixture::all_files(&queue, id, Some(FileState::Done), 500).await, before);
    finish(&queue, id, 300).await;
    queue.remove_job(id).await.unwrap();
    assert!(!own_index(dir.path(), id).exists());
    assert_eq!(fixture::job(&queue, small).await.files.total, 9);
    queue.close().await.unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    assert_eq!((queue.jobs().await.unwrap().len(), notes), (1, vec![]));
}

#[tokio::test]
async fn more_large_jobs_than_may_be_open_are_worked_in_turn_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let mut ids = Vec::new();
    for tag in ["a", "b", "c", "d", "e", "f"] {
        ids.push(large_job(&queue, tag).await);
    }
    for (round, &id) in (1..=2).flat_map(|round| ids.iter().map(move |id| (round, id))) {
        finish(&queue, id, 260).await;
        assert_eq!(fixture::job(&queue, id).await.files.done, round * 260);
    }
    finish(&queue, ids[5], FILES as usize - 520).await;
    let records = queue.jobs().await.unwrap();
    queue.close().await.unwrap();
    let killed = "skyhaul-index 2\nopen\nboot one\n";
    for (state, boot, rebuilt) in [(None, "one", 0), (Some(killed), "one", 0), (Some(killed), "two", 1)] {
        if let Some(state) = state {
            std::fs::write(dir.path().join("index.state"), state).unwrap();
        }
        let (queue, notes) = open(dir.path(), boot).await;
        assert_eq!(notes.len(), rebuilt, "{notes:?}");
        assert_eq!(queue.jobs().await.unwrap(), records);
        assert!(ids.iter().all(|&id| own_index(dir.path(), id).is_dir()));
        check_counters_of(&queue, ids[2]).await;
        queue.close().await.unwrap();
    }
    let (queue, _) = open(dir.path(), "one").await;
    for &id in &ids {
        let cancelled = skyhaul_model::Intent::Cancelled;
        queue.set_intent(id, cancelled, fixture::at(9)).await.unwrap();
    }
    for &id in &ids[..4] {
        queue.remove_job(id).await.unwrap();
        assert!(!dir.path().join(format!("jobs/{id}")).exists());
    }
    finish(&queue, ids[4], 0).await;
    queue.close().await.unwrap();
    let (queue, notes) = open(dir.path(), "one").await;
    assert_eq!((queue.jobs().await.unwrap().len(), notes), (2, vec![]));
    assert!(!dir.path().join(format!("jobs/{}", ids[0])).exists());
}

async fn check_counters_of(queue: &dyn Queue, id: JobId) {
    let done = fixture::all_files(queue, id, Some(FileState::Done), 1_000).await;
    assert_eq!(fixture::job(queue, id).await.files.done, done.len() as u64);
}

#[tokio::test]
async fn a_damaged_index_of_a_large_job_costs_that_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path(), "one").await;
    let (hit, other) = (large_job(&queue, "a").await, large_job(&queue, "b").await);
    finish(&queue, hit, 100).await;
    queue.relist(other, None, Recheck::Leave).await.unwrap();
    let records = queue.jobs().await.unwrap();
    queue.close().await.unwrap();
    for name in ["conf", "db"] {
        std::fs::write(own_index(dir.path(), hit).join(name), [0xa5; 700]).unwrap();
    }
    let (queue, notes) = open(dir.path(), "one").await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with(&format!("the index of job {hit} was rebuilt")), "{notes:?}");
    assert_eq!(queue.jobs().await.unwrap(), records);
    check_counters(&queue).await;
}
