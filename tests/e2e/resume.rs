//! The same command again: one job, which goes on where it was.

use std::time::Duration;

use skyhaul_tests::{Replica, Signal, Sky};

use crate::TEN_MINUTES;

#[test]
fn pulling_twice_is_one_job_and_the_second_asks_nothing_of_the_archive() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.ok(&line);
    let before = replica.requests().len();
    sky.ok(&line);
    assert_eq!(replica.requests().len(), before);
    let jobs = sky.ok("jobs --json").json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs}");
}

#[test]
fn a_job_is_the_same_however_it_is_spelled() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let spellings = [
        "THEMIS_ASI_RAW REGO_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:01 --site gill,fsmi --out out",
        "rego_raw themis_asi_raw --start 2022-01-01T06:00:00Z --end 2022-01-01T06:01:59Z --site FSMI --site gill --out out",
        "REGO_RAW THEMIS_ASI_RAW REGO_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:01Z --site gill,fsmi,gill --out ./out/../out",
        "THEMIS_ASI_RAW REGO_RAW --start 2022-01-01T06 --end 2022-01-01T06:01 --site fsmi,gill --out out --priority 5 --connections 2 --retries 3 --name again",
    ];
    let answers: Vec<_> = spellings
        .iter()
        .map(|spelling| sky.ok(&format!("submit {spelling} --no-start --json")).json())
        .collect();
    assert_eq!(answers[0]["created"], true);
    for answer in &answers[1..] {
        assert_eq!((&answer["id"], &answer["created"]), (&answers[0]["id"], &false.into()));
    }
    let status = sky.status("again");
    assert_eq!(
        (&status["id"], &status["priority"]),
        (&answers[0]["id"], &5.into()),
        "the newest policy wins"
    );
    let pulled = sky.ok(&format!("pull {} --json", spellings[1])).json();
    assert_eq!(pulled["id"], answers[0]["id"]);
    assert_eq!(pulled["files"]["done"], 8, "{pulled}");
}

#[test]
fn another_time_site_output_or_api_is_another_job() {
    let (replica, other) = (Replica::start("--small-files"), Replica::start("--small-files"));
    let sky = Sky::new(&replica);
    let lines = [
        format!("{TEN_MINUTES} --out out"),
        format!("{TEN_MINUTES} --out other"),
        format!("{TEN_MINUTES},fsmi --out out"),
        format!("{TEN_MINUTES} --device themis19 --out out"),
        TEN_MINUTES.replace("06:09", "06:10") + " --out out",
        format!("{TEN_MINUTES} --out out --api {}", other.base()),
    ];
    for line in &lines {
        let answer = sky.ok(&format!("submit {line} --no-start --json")).json();
        assert_eq!(answer["created"], true, "{line}");
    }
}

#[test]
fn an_output_folder_and_a_link_to_it_are_one_place() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    std::fs::create_dir(sky.path("real")).unwrap();
    std::os::unix::fs::symlink(sky.path("real"), sky.path("link")).unwrap();
    sky.ok(&format!("pull {TEN_MINUTES} --out link"));
    let again = sky.ok(&format!("submit {TEN_MINUTES} --out real --no-start --json")).json();
    assert_eq!(again["created"], false);
    assert_eq!(sky.assert_byte_true("1", "real", &replica), 10);
}

fn interrupted_by(signal: Signal) {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out --connections 2");
    let pull = sky.spawn(&line);
    replica.wait_fetches(2);
    // Time for the next two to come half way.
    assert!(!pull.ends_within(Duration::from_millis(300)));
    pull.send(signal);
    let ended = pull.finish().exits(130);
    assert!(ended.stderr.contains("skyhaul"), "it does not say how to go on: {}", ended.stderr);
    let status = sky.status("1");
    assert_eq!(status["state"], "queued", "Ctrl-C leaves the job queued, not paused: {status}");
    assert_eq!(status["finished_at"], serde_json::Value::Null);
    let finished = status["files"]["done"].as_u64().unwrap();
    assert!((1..10).contains(&finished), "{status}");

    let replica = replica.restart("");
    sky.ok(&line);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let status = sky.status("1");
    let waste = status["bytes"]["received"].as_u64().unwrap() - status["bytes"]["done"].as_u64().unwrap();
    assert_eq!(waste, 0, "a clean stop wastes nothing: {status}");
    let resumed = replica.end().iter().filter(|request| request.range.is_some()).count();
    assert!(resumed > 0, "no partial file was resumed");
}

#[test]
fn an_interrupted_pull_goes_on_with_the_same_command() {
    interrupted_by(Signal::Interrupt);
}

#[test]
fn a_terminated_pull_goes_on_with_the_same_command() {
    interrupted_by(Signal::Terminate);
}

#[test]
fn a_pull_resumes_a_paused_and_a_cancelled_job() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for order in ["pause", "cancel"] {
        let line = format!("{TEN_MINUTES} --out {order}");
        let id = sky.ok(&format!("submit {line} --no-start --json")).json()["id"].clone();
        sky.ok(&format!("{order} {id}"));
        let pulled = sky.ok(&format!("pull {line} --json")).json();
        assert_eq!((&pulled["id"], &pulled["state"]), (&id, &"completed".into()));
    }
}

#[test]
fn what_a_kill_at_the_very_end_left_is_tidied_by_the_next_pull() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    sky.write("out/.skyhaul/lock", "");
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert!(!sky.path("out/.skyhaul").exists());
}
