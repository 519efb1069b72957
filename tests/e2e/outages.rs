//! Archives that go away in the middle: what waits for them, for how long, and what does not.

use serde_json::Value;
use skyhaul_tests::{Replica, Signal, Sky, eventually};

/// Sixty small files.
const HOUR: &str = "THEMIS_ASI_RAW --start 2022-01-01T06 --end 2022-01-01T06 --site gill";

#[test]
fn an_archive_that_had_answered_is_waited_for_after_a_restart_too() {
    // Of an address of its own nobody else takes the port meanwhile.
    let replica = Replica::start_at("127.0.7.1:0", "--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {HOUR} --out out --retries 0"));
    replica.wait_fetches(1);
    eventually("a file that is done", || sky.status("1")["files"]["done"].as_u64() > Some(0));
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);
    let address = replica.host().to_owned();
    replica.end();
    let pull = sky.spawn(&format!("pull {HOUR} --out out --retries 0"));
    eventually("files that are tried", || sky.status("1")["files"]["active"].as_u64() > Some(0));
    let replica = Replica::start_at(&address, "--small-files");
    pull.finish().exits(0);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 60);
}

#[test]
fn a_pull_whose_archive_is_away_says_so_and_goes_on_when_it_is_back() {
    let replica = Replica::start_at("127.0.7.2:0", "--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {HOUR} --out out"));
    replica.wait_fetches(1);
    eventually("a file that is done", || sky.status("1")["files"]["done"].as_u64() > Some(0));
    let address = replica.host().to_owned();
    replica.end();
    let held = held_for(&sky, "connection", &address);
    assert!(held["eta_s"].is_null(), "{held}");
    sky.ok("status").tells("job 1 is held").tells(&address);
    let told = format!("job 1 is held: {address} does not answer");
    pull.wait_stderr("the hold", |text| text.contains(&told));
    let done: Vec<_> = sky.files("1").into_iter().filter(|file| file["state"] == "done").collect();
    let replica = Replica::start_at(&address, "--small-files --rate 100k");
    let ended = pull.finish().exits(0).tells("job 1 goes on");
    assert_eq!(ended.stderr.matches(&told).count(), 1, "it is told once: {}", ended.stderr);
    let requests = replica.requests();
    let is_asked_for =
        |file: &&Value| requests.iter().any(|request| file["url"].as_str().unwrap().ends_with(&request.path));
    assert_eq!(done.iter().find(is_asked_for), None, "what was done was asked for again");
    let status = sky.status("1");
    assert!(status["state"] == "completed" && status["error"].is_null(), "{status}");
    let replica = replica.restart("--small-files");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 60);
}

#[test]
fn an_archive_that_asks_for_an_hour_is_left_alone_for_it_and_that_is_told() {
    let replica = Replica::start_at("127.0.7.3:0", "--small-files --refuse-files 429/3600");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {HOUR} --out out"));
    replica.wait("a refusal", |requests| requests.iter().any(|request| request.status == 429));
    let held = held_for(&sky, "http", replica.host());
    assert_eq!(held["files"]["done"], 0);
    pull.wait_stderr("the hold", |text| text.contains("asked to be left alone"));
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);
    let status = sky.status("1");
    assert!(status["state"] == "queued" && status["error"].is_null(), "nothing is written of it: {status}");
}

/// Waits until job 1 is held for a reason of this kind that names the host; its status then.
fn held_for(sky: &Sky, kind: &str, host: &str) -> Value {
    let mut status = Value::Null;
    eventually(&format!("a hold of kind {kind}"), || {
        status = sky.status("1");
        status["state"] == "paused" && status["error"]["kind"] == kind
    });
    assert!(status["error"]["message"].as_str().unwrap().contains(host), "{status}");
    status
}

#[test]
fn a_jobs_own_patience_with_an_archive_that_is_away_is_what_counts() {
    let replica = Replica::start("--small-files --rate 60k");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    sky.ok(&format!("submit {HOUR} --out out --outage 1s --retries 0"));
    replica.wait_fetches(1);
    eventually("a file that is done", || sky.status("1")["files"]["done"].as_u64() > Some(0));
    replica.end();
    let status = sky.run("watch 1 --json").exits(3).json();
    assert!(status["files"]["failed"].as_u64() > Some(0), "{status}");
    // Those that were under way were cut off, the others found nobody.
    let files = sky.files("1");
    assert!(files.iter().any(|file| file["error"]["kind"] == "connection"), "{files:?}");
}
