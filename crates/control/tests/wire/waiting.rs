//! Answers that wait: long polls and snapshots as they come.

use std::sync::Arc;
use std::time::Duration;

use skyhaul_control::{Client, ControlError};
use skyhaul_engine::Progress;
use skyhaul_model::Intent;
use skyhaul_queue::conformance::fixture;
use skyhaul_queue::{JobQueue, Revision};

use crate::raw::{Answer, ask_properly};
use crate::stage::Stage;

fn at_rate(rate_bytes_per_s: u64) -> Arc<Progress> {
    Arc::new(Progress { rate_bytes_per_s, ..Progress::default() })
}

#[tokio::test]
async fn a_change_wakes_who_waits_for_it() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let id = client.submit(fixture::new_job("a")).await.unwrap().id;
    let now = client.change(Revision::default()).await.unwrap();
    let (woken, changed) = tokio::join!(client.change(now), async {
        // Nothing has changed: only the pause that follows can be what wakes.
        tokio::task::yield_now().await;
        stage.queue.set_intent(id, Intent::Paused, fixture::at(1)).await
    });
    changed.unwrap();
    assert!(woken.unwrap() > now);
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_a_change_ends_with_the_same_revision() {
    let stage = Stage::set().await;
    let now = stage.queue.changed_since(Revision::default()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let Answer { body, .. } = ask_properly(&stage, &format!("GET /v1/changes?since={}", now.0), "").await;
    assert_eq!(body, format!("{{\"revision\":{}}}", now.0));
    assert_eq!(begun.elapsed().as_secs(), 25);
}

#[tokio::test]
async fn snapshots_are_delivered_and_the_end_is_told() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let mut events = client.events().await.unwrap();
    for rate in [0, 10, 20] {
        stage.progress.send_replace(at_rate(rate));
        assert_eq!(events.next().await.unwrap().unwrap().rate_bytes_per_s, rate);
    }
    let Stage { server, dir, .. } = stage;
    let (ended, ()) = tokio::join!(events.next(), server.shutdown());
    assert_eq!(ended.unwrap(), None);
    assert!(Client::connect(dir.path()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_call_for_the_next_snapshot_may_be_given_up() {
    let stage = Stage::set().await;
    let mut events = stage.client().await.events().await.unwrap();
    assert_eq!(events.next().await.unwrap(), Some(Progress::default()));
    for rate in 1..4 {
        stage.progress.send_replace(at_rate(rate));
        let given_up = tokio::time::timeout(Duration::from_millis(1), events.next()).await;
        let next = match given_up {
            Ok(next) => next,
            Err(_) => events.next().await,
        };
        assert_eq!(next.unwrap().unwrap().rate_bytes_per_s, rate);
    }
}

#[tokio::test]
async fn the_end_of_the_server_ends_every_wait() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let now = client.change(Revision::default()).await.unwrap();
    let mut events = client.events().await.unwrap();
    events.next().await.unwrap();
    let waiting = tokio::spawn(async move { client.change(now).await });
    tokio::task::yield_now().await;
    let Stage { server, .. } = stage;
    let (ended, (), waited) = tokio::join!(events.next(), server.shutdown(), waiting);
    assert_eq!(ended.unwrap(), None);
    match waited.unwrap() {
        Ok(revision) => assert_eq!(revision, now),
        Err(error) => {
            assert!(matches!(error, ControlError::Gone(_)), "it came too late to be let in: {error}");
        }
    }
}
