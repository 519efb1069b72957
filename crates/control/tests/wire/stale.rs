//! What a dead engine leaves behind, in every form: it reads as "no engine", and the next one replaces it.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use skyhaul_control::{Client, ControlError};
use skyhaul_queue::MemoryQueue;
use tokio::net::UnixListener;

use crate::stage::{Stage, Way, no_engine, start, tell, told};

async fn finds_nobody(stage_dir: &std::path::Path) {
    assert!(Client::connect(stage_dir).await.unwrap().is_none());
}

#[tokio::test]
async fn no_file_no_folder_no_engine() {
    let dir = tempfile::tempdir().unwrap();
    finds_nobody(dir.path()).await;
    finds_nobody(&dir.path().join("nowhere")).await;
}

#[tokio::test]
async fn half_a_file_is_no_engine() {
    let stage = Stage::set().await;
    let path = stage.dir.path().join("engine.json");
    let whole = std::fs::read(&path).unwrap();
    for keep in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        finds_nobody(stage.dir.path()).await;
    }
    for junk in [&b"\0\0\0\0\0\0\0\0"[..], b"[]", b"{\"format\":1}", b"\xff\xfe"] {
        std::fs::write(&path, junk).unwrap();
        finds_nobody(stage.dir.path()).await;
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(stage.client().await.pid(), std::process::id());
}

#[tokio::test]
async fn a_dead_process_is_no_engine() {
    let stage = Stage::set().await;
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let mut file = stage.told();
    file["pid"] = json!(pid);
    tell(stage.dir.path(), &file);
    finds_nobody(stage.dir.path()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_was_given_the_same_number_is_no_engine() {
    let stage = Stage::set().await;
    let mut file = stage.told();
    let started = file["start_time"].as_u64().unwrap();
    file["start_time"] = json!(started + 1);
    tell(stage.dir.path(), &file);
    finds_nobody(stage.dir.path()).await;
}

#[tokio::test]
async fn nobody_at_the_address_is_no_engine_and_the_next_one_takes_over() {
    for way in [Way::Socket, Way::Loopback] {
        let stage = Stage::set_over(way).await;
        let client = stage.client().await;
        let before = stage.told();
        let Stage { dir, server, .. } = stage;
        // As a crash would: nothing is cleared away.
        drop(server);
        let gone = client.until_gone(std::time::Duration::ZERO).await;
        assert!(matches!(gone, Err(ControlError::Silent { .. })), "its process lives");
        while Client::connect(dir.path()).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(told(dir.path()), before, "its traces are there");

        let next = start(dir.path(), way, Arc::new(MemoryQueue::new()), no_engine()).await.unwrap();
        let found = Client::connect(dir.path()).await.unwrap().unwrap();
        assert_eq!(found.jobs().await.unwrap(), []);
        assert_ne!(told(dir.path())["token"], before["token"]);
        assert!(client.jobs().await.is_err(), "the old token opens nothing");
        next.shutdown().await;
    }
}

#[tokio::test]
async fn a_server_that_is_shut_down_leaves_nothing() {
    let stage = Stage::set().await;
    let client = stage.client().await;
    let socket = stage.told()["socket"].as_str().unwrap().to_owned();
    let Stage { dir, server, .. } = stage;
    server.shutdown().await;
    assert!(!std::path::Path::new(&socket).exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    finds_nobody(dir.path()).await;
    assert!(matches!(client.jobs().await, Err(ControlError::Gone(_))));
}

#[tokio::test]
async fn a_living_engine_is_not_replaced() {
    let stage = Stage::set().await;
    let refused = start(stage.dir.path(), Way::Socket, Arc::new(MemoryQueue::new()), no_engine()).await;
    assert!(matches!(refused, Err(ControlError::AlreadyRunning(_))), "{refused:?}");
    assert!(stage.client().await.engine().await.unwrap().running);
}

#[tokio::test]
async fn another_token_is_an_error_and_not_a_way_in() {
    let stage = Stage::set().await;
    let mut file = stage.told();
    file["token"] = json!("0".repeat(64));
    tell(stage.dir.path(), &file);
    let refused = Client::connect(stage.dir.path()).await;
    assert!(matches!(refused, Err(ControlError::Refused(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_lives_and_does_not_answer_is_told_after_ten_seconds() {
    let stage = Stage::set().await;
    let deaf = stage.dir.path().join("deaf.sock");
    let _listener = UnixListener::bind(&deaf).unwrap();
    let mut file = stage.told();
    file["socket"] = json!(deaf);
    tell(stage.dir.path(), &file);
    let silent = Client::connect(stage.dir.path()).await.unwrap_err();
    assert!(matches!(silent, ControlError::Silent { seconds: 10, .. }), "{silent}");
}
