//! Every verb, from the client through the server to the queue and back.

use std::sync::Arc;

use skyhaul_control::{Client, ControlError, ErrorCode, Started};
use skyhaul_engine::{InFlight, JobPace, Progress};
use skyhaul_model::{FileSeq, FileState, Intent, JobId, JobPolicy, Query};
use skyhaul_queue::conformance::fixture;
use skyhaul_queue::{
    FileQuery, JobQueue, JobUpdate, NewJob, QueueError, Requeued, SecretHeader, WindowQuery,
};
use tokio::task::JoinSet;

use crate::raw::ask_properly;
use crate::stage::{Stage, Way};

const ALL: FileQuery = FileQuery { state: None, after: None, limit: 100 };

#[tokio::test]
async fn the_engine_tells_who_it_is_and_is_stopped() {
    for way in [Way::Socket, Way::Loopback] {
        let stage = Stage::set_over(way).await;
        let client = stage.client().await;
        let info = client.engine().await.unwrap();
        assert_eq!((info.running, info.pid, info.started), (true, std::process::id(), Started::OnDemand));
        assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
        client.stop().await.unwrap();
        assert!(stage.stop.is_cancelled());
        client.stop().await.unwrap();
        assert!(client.engine().await.is_ok(), "the server goes on until it is shut down");
    }
}

#[tokio::test]
async fn jobs_are_made_found_changed_and_forgotten() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    drop(stage.progress);
    let new = || NewJob { name: Some("night".to_owned()), priority: 3, ..fixture::new_job("a") };
    let created = client.submit(new()).await.unwrap();
    assert!(created.created);
    let again = client.submit(new()).await.unwrap();
    assert_eq!((again.id, again.created), (created.id, false));

    let id = created.id;
    let job = client.job(id).await.unwrap().unwrap();
    assert_eq!(Some(job.clone()), stage.queue.job(id).await.unwrap());
    assert_eq!(client.job_by_key(&new().query.key()).await.unwrap(), Some(job.clone()));
    assert_eq!(client.jobs().await.unwrap(), [job]);
    assert_eq!(client.job_by_key(&fixture::new_job("b").query.key()).await.unwrap(), None);

    let policy = JobPolicy { retries: 3, ..JobPolicy::default() };
    let update = JobUpdate { name: None, priority: Some(-100), policy: Some(policy.clone()) };
    client.update(id, update).await.unwrap();
    let job = client.job(id).await.unwrap().unwrap();
    assert_eq!((job.name.as_deref(), job.priority, job.policy), (Some("night"), -100, policy));

    for intent in [Intent::Paused, Intent::Cancelled, Intent::Run] {
        assert_eq!(client.set_intent(id, intent).await.unwrap().note, None);
        assert_eq!(client.job(id).await.unwrap().unwrap().intent, intent);
    }
    client.set_hold(id, Some(fixture::error("full"))).await.unwrap();
    assert_eq!(client.job(id).await.unwrap().unwrap().hold, Some(fixture::error("full")));
    client.set_hold(id, None).await.unwrap();
    assert_eq!(client.job(id).await.unwrap().unwrap().hold, None);

    client.remove(id).await.unwrap();
    assert_eq!(client.job(id).await.unwrap(), None);
    assert_eq!(client.jobs().await.unwrap(), []);
}

#[tokio::test]
async fn an_engine_is_ordered_to_work_on_a_job_and_to_stay() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let id = client.submit(fixture::new_job("a")).await.unwrap().id;
    assert!(!stage.scope.has(id));
    for intent in [Intent::Paused, Intent::Run] {
        client.set_intent(id, intent).await.unwrap();
        client.set_hold(id, Some(fixture::error("full"))).await.unwrap();
        client.work_on(id).await.unwrap();
        let job = client.job(id).await.unwrap().unwrap();
        assert_eq!((job.intent, job.hold, stage.scope.has(id)), (Intent::Run, None, true));
    }
    let missing = client.work_on(JobId(42)).await;
    assert!(matches!(missing, Err(ControlError::Refused(body)) if body.code == ErrorCode::NoSuchJob));
    assert!(!stage.scope.has(JobId(42)));
    client.stay().await.unwrap();
    assert!(stage.stay.is_cancelled());
    assert_eq!(client.engine().await.unwrap().started, Started::Lasting);
}

#[tokio::test]
async fn followers_are_counted_while_they_follow() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    assert_eq!(stage.server.followers(), 0);
    let mut events = client.events().await.unwrap();
    events.next().await.unwrap();
    assert_eq!(stage.server.followers(), 1);
    drop(events);
    while stage.server.followers() > 0 {
        // The connection's end is noticed when there is something to say.
        stage.progress.send_replace(Arc::new(Progress { rate_bytes_per_s: 1, ..Progress::default() }));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn failures_come_back_as_what_they_were() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let queue: &dyn JobQueue = &client;
    let missing = queue.set_intent(JobId(42), Intent::Paused, fixture::at(0)).await;
    assert!(matches!(missing, Err(QueueError::NoSuchJob(JobId(42)))), "{missing:?}");

    let named = |tag| NewJob { name: Some("night".to_owned()), ..fixture::new_job(tag) };
    let holder = client.submit(named("a")).await.unwrap().id;
    let taken = queue.create_job(named("b"), fixture::at(0)).await;
    assert!(
        matches!(&taken, Err(QueueError::NameTaken(name, id)) if name == "night" && *id == holder),
        "{taken:?}"
    );

    let id = fixture::listed(&*stage.queue, "c", 0..2).await;
    let bad = |seq| vec![(seq, fixture::error("gone"))];
    let first = client.files(id, ALL).await.unwrap().files[0].seq;
    let pending: QueueError = client.invalidate(id, bad(first)).await.unwrap_err().into();
    assert!(
        matches!(pending, QueueError::Conflict(job, seq, illegal)
        if job == id && seq == first && illegal.from == FileState::Pending),
        "{pending:?}"
    );
    let unknown: QueueError = client.invalidate(id, bad(FileSeq(u64::MAX))).await.unwrap_err().into();
    assert!(matches!(unknown, QueueError::NoSuchFile(job, _) if job == id), "{unknown:?}");
    let remote = client.retry(JobId(42)).await.unwrap_err();
    assert!(
        matches!(&remote, ControlError::Refused(body) if body.code == ErrorCode::NoSuchJob),
        "{remote:?}"
    );
    assert_eq!(remote.to_string(), "there is no job 42");
}

#[tokio::test]
async fn files_and_windows_come_in_pages_and_bad_ones_are_put_back() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let id = fixture::listed(&*stage.queue, "a", 0..5).await;
    let done = fixture::claim(&*stage.queue, 1, 1).await[0].file;
    fixture::finish(&*stage.queue, done, 10, 2).await;

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = client.files(id, FileQuery { after, limit: 2, ..ALL }).await.unwrap();
        assert!(page.files.len() <= 2);
        seen.extend(page.files);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, fixture::all_files(&*stage.queue, id, None, 100).await);
    let of_state =
        async |state| client.files(id, FileQuery { state: Some(state), ..ALL }).await.unwrap().files.len();
    assert_eq!((of_state(FileState::Done).await, of_state(FileState::Pending).await), (1, 4));

    client.invalidate(id, vec![(done.seq, fixture::error("gone"))]).await.unwrap();
    assert_eq!((of_state(FileState::Done).await, of_state(FileState::Pending).await), (0, 5));
    assert_eq!(client.retry(id).await.unwrap(), Requeued { files: 0, windows: 0 });
    let windows = client.windows(id, WindowQuery { after: None, limit: 0 }).await.unwrap();
    assert_eq!((windows.windows.len(), windows.next), (1, None));
}

#[tokio::test]
async fn cancel_and_remove_drop_the_partial_files_of_jobs_that_nobody_works_on() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    drop(stage.progress);
    let out = tempfile::tempdir().unwrap();
    let real = out.path().canonicalize().unwrap();
    for order in ["cancel", "remove"] {
        let new = fixture::new_job(order);
        let new = NewJob { query: Query { out: real.display().to_string(), ..new.query }, ..new };
        let id = client.submit(new.clone()).await.unwrap().id;
        let partials = real.join(".skyhaul").join(new.query.key().short());
        std::fs::create_dir_all(&partials).unwrap();
        std::fs::write(partials.join("x.part"), "bytes").unwrap();
        std::fs::write(real.join("finished"), "bytes").unwrap();
        let steered = match order {
            "cancel" => client.set_intent(id, Intent::Cancelled).await.unwrap(),
            _ => client.remove(id).await.unwrap(),
        };
        assert_eq!(steered.note, None);
        assert!(!partials.exists(), "{order}");
        assert!(real.join("finished").exists());
    }
}

#[tokio::test]
async fn an_engine_that_has_a_job_in_hand_drops_its_partial_files_itself() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let out = tempfile::tempdir().unwrap();
    let new = fixture::new_job("a");
    let new = NewJob { query: Query { out: out.path().display().to_string(), ..new.query }, ..new };
    let id = client.submit(new.clone()).await.unwrap().id;
    let partials = out.path().join(".skyhaul").join(new.query.key().short());
    std::fs::create_dir_all(&partials).unwrap();
    let job = client.job(id).await.unwrap().unwrap();
    let in_hand = Arc::new(Progress { jobs: vec![job], ..Progress::default() });
    let engine = async {
        while stage.queue.job(id).await.unwrap().unwrap().intent != Intent::Cancelled {
            tokio::task::yield_now().await;
        }
        // The answer is due with the next snapshot; until it comes, snapshots keep coming.
        loop {
            stage.progress.send_replace(Arc::clone(&in_hand));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        steered = client.set_intent(id, Intent::Cancelled) => assert_eq!(steered.unwrap().note, None),
        () = engine => {}
    }
    assert!(partials.exists(), "its workers may still be writing there");
}

#[tokio::test]
async fn secrets_go_in_and_never_come_back() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let header = SecretHeader { name: "authorization".to_owned(), value: "hunter2".to_owned() };
    let id =
        client.submit(NewJob { headers: vec![header.clone()], ..fixture::new_job("a") }).await.unwrap().id;
    assert_eq!(stage.queue.secret_headers(id).await.unwrap(), [header]);
    assert_eq!(JobQueue::secret_headers(&client, id).await.unwrap(), []);
    assert!(matches!(JobQueue::secret_headers(&client, JobId(9)).await, Err(QueueError::NoSuchJob(_))));
    for path in ["/v1/jobs", "/v1/jobs/1", "/v1/jobs/1/files", "/v1/jobs/1/windows", "/v1/progress"] {
        let answer = ask_properly(&stage, &format!("GET {path}"), "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("hunter2"), "{path}");
    }
    assert!(!format!("{client:?}").contains(stage.told()["token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_snapshot_comes_over_as_it_is() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    assert_eq!(client.progress().await.unwrap(), Progress::default());
    client.submit(fixture::new_job("a")).await.unwrap();
    let snapshot = Progress {
        jobs: client.jobs().await.unwrap(),
        in_flight: vec![InFlight { job: JobId(1), path: "a/b.pgm.gz".into(), received: 7, total: Some(9) }],
        rate_bytes_per_s: 11_000_000,
        files_per_s: 2.5,
        eta_s: Some(4),
        paces: vec![JobPace { job: JobId(1), rate_bytes_per_s: 5, eta_s: None }],
    };
    stage.progress.send_replace(Arc::new(snapshot.clone()));
    assert_eq!(client.progress().await.unwrap(), snapshot);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_at_once() {
    let stage = Stage::set().await;
    let dir = stage.dir.path().to_owned();
    let mut clients = JoinSet::new();
    for number in 0..50 {
        let dir = dir.clone();
        clients.spawn(async move {
            let client = Client::connect(&dir).await.unwrap().unwrap();
            let id = client.submit(fixture::new_job(&format!("job{number}"))).await.unwrap().id;
            client.update(id, JobUpdate { priority: Some(number), ..JobUpdate::default() }).await.unwrap();
            for _ in 0..5 {
                assert_eq!(client.job(id).await.unwrap().unwrap().priority, number);
            }
            id
        });
    }
    let mut ids: Vec<_> = clients.join_all().await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert_eq!(stage.client().await.jobs().await.unwrap().len(), 50);
    stage.server.shutdown().await;
}
