//! Who and what is turned away, and that it learns nothing.

use std::sync::Arc;
use std::time::Duration;

use skyhaul_engine::{InFlight, Progress};
use skyhaul_model::JobId;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::raw::{answer, ask, ask_properly, connect, proof};
use crate::stage::{Stage, Way};

#[tokio::test]
async fn without_the_token_there_is_nothing() {
    let stage = Stage::set().await;
    for line in ["GET /v1/jobs", "GET /v1/events", "POST /v1/engine/stop", "GET /nowhere", "TRACE /v1/jobs"] {
        for headers in [&["Host: skyhaul"][..], &["Host: skyhaul", "Authorization: Bearer 00"][..]] {
            let answer = ask(&stage, line, headers, "").await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{line}");
        }
    }
    assert!(!stage.stop.is_cancelled());
}

#[tokio::test]
async fn web_pages_get_nothing_even_with_the_token() {
    for way in [Way::Socket, Way::Loopback] {
        let stage = Stage::set_over(way).await;
        let told = stage.told();
        let host = format!("Host: {}", told["tcp"].as_str().unwrap_or("skyhaul"));
        let proof = proof(&stage);
        let asked = async |headers: &[&str]| ask(&stage, "POST /v1/engine/stop", headers, "").await;
        let port = told["tcp"].as_str().map_or("80", |address| address.rsplit_once(':').unwrap().1);
        let rebound = format!("Host: rebound.example:{port}");
        for headers in [
            [host.as_str(), &proof, "Origin: https://evil.example"],
            [host.as_str(), &proof, "Origin: null"],
            [rebound.as_str(), &proof, "Accept: */*"],
        ] {
            let answer = asked(&headers).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{headers:?}");
        }
        assert!(!stage.stop.is_cancelled());
        assert_eq!(asked(&[&host, &proof]).await.status, 204);
        assert!(stage.stop.is_cancelled());
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let stage = Stage::set().await;
    let answer = ask_properly(&stage, "POST /v1/jobs/7", "").await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
    assert!(answer.head.contains("allow: get, patch, delete"), "{}", answer.head);
    let answer = ask_properly(&stage, "GET /v1/engine/stop", "").await;
    assert_eq!(answer.status, 405);
    assert!(!stage.stop.is_cancelled());
}

#[tokio::test]
async fn what_is_not_understood_is_told() {
    let stage = Stage::set().await;
    let table = [
        ("GET /v1/job", "", 404, "not_found"),
        ("GET /v2/jobs", "", 404, "not_found"),
        ("GET /v1/jobs/7", "", 404, "no_such_job"),
        ("POST /v1/jobs", "{", 400, "bad_request"),
        ("POST /v1/jobs", "{}", 400, "bad_request"),
        ("PATCH /v1/jobs/7", r#"{"priority":101}"#, 400, "bad_request"),
        ("PATCH /v1/jobs/7", r#"{"priority":1000}"#, 400, "bad_request"),
        ("PATCH /v1/jobs/7", r#"{"prioritie":1}"#, 400, "bad_request"),
        ("PUT /v1/jobs/7/intent", r#"{"intent":"fly"}"#, 400, "bad_request"),
        ("GET /v1/jobs/7/files?state=lost", "", 400, "bad_request"),
        ("GET /v1/jobs/7/files?limit=-1", "", 400, "bad_request"),
        ("GET /v1/jobs/7/windows?state=done", "", 400, "bad_request"),
        ("GET /v1/changes?since=x", "", 400, "bad_request"),
    ];
    for (line, body, status, code) in table {
        let answer = ask_properly(&stage, line, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{line} {body}");
    }
}

#[tokio::test]
async fn a_list_must_have_an_absolute_path() {
    let stage = Stage::set().await;
    let body = r#"{"query":{"source":{"kind":"urls","digest":"d","base":null},"base":null,"out":"/o"},
        "input":{"path":"list.jsonl","windows":[]}}"#;
    let answer = ask_properly(&stage, "POST /v1/jobs", body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("absolute"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_without_bounds_is_not_taken_in() {
    let stage = Stage::set().await;
    let head =
        format!("POST /v1/jobs HTTP/1.1\r\nHost: skyhaul\r\nConnection: close\r\n{}\r\n", proof(&stage));
    let mut stream = connect(&stage).await;
    stream.write_all(format!("{head}Content-Length: 9000000\r\n\r\n").as_bytes()).await.unwrap();
    let refused = answer(&mut *stream).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"), "told before it is sent");

    let mut stream = connect(&stage).await;
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    for _ in 0..9 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let refused = answer(&mut *stream).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"));
}

#[tokio::test(start_paused = true)]
async fn who_dawdles_is_not_waited_for() {
    let stage = Stage::set().await;
    let head =
        format!("PATCH /v1/jobs/7 HTTP/1.1\r\nHost: skyhaul\r\nConnection: close\r\n{}\r\n", proof(&stage));
    let mut stream = connect(&stage).await;
    stream.write_all(format!("{head}Content-Length: 20\r\n\r\n{{").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut *stream).await.code(), "too_slow");

    let mut stream = connect(&stage).await;
    stream.write_all(b"GET /v1/engine HT").await.unwrap();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut *stream, &mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "{rest:?}");
}

#[tokio::test]
async fn a_head_without_bounds_is_not_taken_in() {
    let stage = Stage::set().await;
    let head = format!("GET /v1/engine HTTP/1.1\r\nHost: skyhaul\r\n{}\r\nCookie: ", proof(&stage));
    let mut stream = connect(&stage).await;
    let whole = head + &"a".repeat(1 << 20) + "\r\n\r\n";
    // It may be refused, and the connection closed, before all of it is sent or the refusal is read.
    let sent = stream.write_all(whole.as_bytes()).await;
    let mut told = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut *stream, &mut told).await;
    assert!(!String::from_utf8_lossy(&told).contains(" 200 "), "{sent:?} {read:?} {told:?}");
    assert_eq!(ask_properly(&stage, "GET /v1/engine", "").await.status, 200, "the next one is answered");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_events_and_takes_none_is_let_go() {
    let stage = Stage::set().await;
    let mut stream = connect(&stage).await;
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: skyhaul\r\n{}\r\n\r\n", proof(&stage));
    stream.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let path = "p".repeat(1 << 20);
    for received in 0_u64.. {
        let file = InFlight { job: JobId(1), path: path.clone(), received, total: None };
        stage.progress.send_replace(Arc::new(Progress { in_flight: vec![file], ..Progress::default() }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        if received > 2 && stage.server.followers() == 0 {
            break;
        }
    }
    let waited = begun.elapsed().as_secs();
    assert!((60..=70).contains(&waited), "{waited} s");
}
