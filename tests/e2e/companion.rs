//! Jobs outlive terminals: the engine in the background, and commands that find it, join it or do without it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use serde_json::json;
use skyhaul_tests::{Replica, Running, Signal, Sky, eventually};

use crate::TEN_MINUTES;

/// Two minutes of another hour: two files.
const TWO_MINUTES: &str = "THEMIS_ASI_RAW --start 2022-01-01T05:00 --end 2022-01-01T05:01 --site gill";

/// A pull that has got as far as fetching.
fn pulling(sky: &Sky, replica: &Replica, fetches: usize) -> Running {
    // Two at a time: files that share the rate evenly would all come to their end together.
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --connections 2"));
    replica.wait_fetches(fetches);
    pull
}

#[test]
fn a_submitted_job_is_worked_off_in_the_background() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let created = sky.ok(&format!("submit {TEN_MINUTES} --out out --json")).json();
    assert_eq!(created, json!({"id": 1, "created": true}));
    let watched = sky.ok("watch 1 --json").json();
    assert_eq!(watched["state"], "completed");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let told = |line: &str| sky.ok(line).json();
    let up = (told("status 1 --json"), told("jobs --json"), sky.files("1"), sky.ok("manifest 1").stdout);
    assert_eq!(up.0, watched);
    sky.ok("engine stop");
    sky.run("engine status").exits(1);
    let down = (told("status 1 --json"), told("jobs --json"), sky.files("1"), sky.ok("manifest 1").stdout);
    assert_eq!(up, down, "the answers depend on who has the queue");
}

#[test]
fn twenty_submits_at_once_all_succeed_and_one_engine_does_the_work() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let submits: Vec<_> =
        (0..20).map(|n| sky.spawn(&format!("submit {TWO_MINUTES} --out out{n} --json"))).collect();
    let ids: BTreeSet<u64> =
        submits.into_iter().map(|submit| submit.finish().exits(0).json()["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=20).collect());
    sky.ok("watch");
    let jobs = sky.ok("jobs --json").json();
    let states: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["completed"; 20]);
    let log = fs::read_to_string(sky.path("state/engine.log")).unwrap();
    assert_eq!(log.matches("at work").count(), 1, "{log}");
}

#[test]
fn an_engine_is_started_and_stopped_any_number_of_times() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok("engine stop");
    sky.ok("engine start");
    let pid = sky.engine();
    sky.ok("engine start");
    assert_eq!(sky.engine(), pid);
    sky.ok("engine stop");
    sky.ok("engine stop");
    let status = sky.run("engine status --json").exits(1).json();
    assert_eq!((&status["running"], &status["pid"]), (&json!(false), &json!(null)));
    assert!(!Path::new(&format!("/proc/{pid}/stat")).exists() || is_zombie(pid), "it still runs");
}

/// Whether a process has ended and only waits to be noticed by whoever adopted it.
fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn a_second_engine_is_refused_in_a_sentence() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    let refused = sky.run("engine run").exits(6).tells("process");
    let sentences = refused.stderr.lines().filter(|line| !line.starts_with("hint:")).count();
    assert_eq!(sentences, 1, "{}", refused.stderr);
}

#[test]
fn a_holder_that_does_not_answer_is_told_after_ten_seconds() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    let pid = sky.engine();
    Signal::Stop.send(pid);
    let refused = sky.run("jobs").exits(6).tells(&pid.to_string());
    Signal::Continue.send(pid);
    assert!(refused.stderr.contains("has not answered"), "{}", refused.stderr);
    sky.ok("jobs");
}

#[test]
fn a_pull_answers_other_commands_while_it_runs() {
    let replica = Replica::start("--rate 3M");
    let sky = Sky::new(&replica);
    let pull = pulling(&sky, &replica, 1);
    let overview = sky.ok("status --json").json();
    assert_eq!(overview["engine"], json!({"running": true, "pid": pull.pid()}));
    assert_eq!(overview["jobs"][0]["id"], 1);
    let status = sky.status("1");
    assert_eq!(status["state"], "running", "{status}");
    assert!(status["rate_bytes_per_s"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(sky.files("1").len(), 10);
    sky.ok("pause 1");
    pull.finish().exits(1).tells("paused");
    assert_eq!(sky.status("1")["state"], "paused");
    sky.run("engine status").exits(1);
}

#[test]
fn a_pull_joins_the_engine_and_only_leaves_when_interrupted() {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out"));
    pull.wait_stderr("who works", |text| text.contains("works on job 1"));
    replica.wait_fetches(1);
    pull.send(Signal::Interrupt);
    pull.finish().exits(130).tells("goes on in the engine");
    sky.ok("watch 1");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
}

#[test]
fn a_pull_takes_over_when_the_engine_is_killed() {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --json"));
    pull.wait_stderr("who works", |text| text.contains("works on job 1"));
    replica.wait_fetches(2);
    Signal::Kill.send(sky.engine());
    let ended = pull.finish().exits(0).tells("went away");
    assert_eq!(ended.json()["state"], "completed");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
    sky.run("engine status").exits(1);
}

#[test]
fn a_pull_that_joined_another_goes_on_when_that_ends() {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    let first = sky.spawn(&format!("pull {TWO_MINUTES} --out first"));
    replica.wait("a listing", |requests| requests.iter().any(skyhaul_tests::Request::is_listing));
    let second = sky.spawn(&format!("pull {TEN_MINUTES} --out out"));
    first.finish().exits(0);
    second.finish().exits(0);
    let archive = Replica::start("");
    assert_eq!(sky.assert_byte_true("1", "first", &archive), 2);
    assert_eq!(sky.assert_byte_true("2", "out", &archive), 10);
}

#[test]
fn a_job_that_waits_behind_a_pull_gets_an_engine_when_the_pull_ends() {
    let replica = Replica::start("--rate 6M");
    let sky = Sky::new(&replica);
    let pull = pulling(&sky, &replica, 1);
    sky.ok(&format!("submit {TWO_MINUTES} --out waits"));
    assert_eq!(sky.status("2")["files"]["done"], 0, "a pull works on its own job");
    let pid = pull.pid();
    pull.finish().exits(0).tells("goes on with the jobs that wait");
    sky.ok("watch 2");
    assert_ne!(sky.engine(), pid);
    assert_eq!(sky.assert_byte_true("2", "waits", &Replica::start("")), 2);
}

#[test]
fn after_a_kill_of_the_engine_the_next_command_works() {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    replica.wait_fetches(2);
    Signal::Kill.send(sky.engine());
    let status = sky.status("1");
    assert!(status["files"]["done"].as_u64() >= Some(1), "{status}");
    sky.ok("engine start");
    sky.ok("watch 1");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
}

#[test]
fn an_engine_that_is_told_to_end_does_so_soon_and_loses_nothing() {
    let replica = Replica::start("--rate 2M");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    replica.wait_fetches(1);
    let begun = std::time::Instant::now();
    sky.ok("engine stop");
    assert!(begun.elapsed().as_secs() < 10, "it took {:?}", begun.elapsed());
    let status = sky.status("1");
    let (done, received) = (&status["bytes"]["done"], status["bytes"]["received"].as_u64().unwrap());
    assert!(received > done.as_u64().unwrap(), "partial files are counted: {status}");
    let replica = replica.restart("");
    let ended = sky.ok(&format!("pull {TEN_MINUTES} --out out --json")).json();
    let waste = ended["bytes"]["received"].as_u64().unwrap() - ended["bytes"]["done"].as_u64().unwrap();
    assert_eq!(waste, 0, "{ended}");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn all_that_an_engine_makes_is_its_owners_alone() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = format!("submit {TEN_MINUTES} --out out --header X-Key:hunter2hunter2");
    Running::spawn(sky.command_with_umask("000", &line)).finish().exits(0);
    sky.ok("watch 1");
    let mut sockets = 0;
    assert_private(&sky.path("state"), &mut sockets);
    assert_eq!(sockets, 1, "the socket was not looked at");
}

fn assert_private(path: &Path, sockets: &mut usize) {
    let found = fs::symlink_metadata(path).unwrap();
    let mode = found.permissions().mode() & 0o777;
    assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    *sockets += usize::from(found.file_type().is_socket());
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_private(&entry.unwrap().path(), sockets);
        }
    }
}

#[test]
fn a_secret_header_shows_nowhere() {
    let replica = Replica::start("--small-files --rate 100k");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --header X-Key:hunter2hunter2 -vv"));
    let line = fs::read(format!("/proc/{}/cmdline", sky.engine())).unwrap();
    let mut told = String::from_utf8_lossy(&line).into_owned();
    assert!(told.contains("--detached"), "not the engine's: {told}");
    for words in ["status 1 --json", "status 1", "jobs --json", "files 1 --json -vv", "watch 1 -vv"] {
        let ended = sky.ok(words);
        told.push_str(&ended.stdout);
        told.push_str(&ended.stderr);
    }
    told.push_str(&fs::read_to_string(sky.path("state/engine.log")).unwrap());
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_command_of_the_users_runs_when_a_job_has_ended() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    let told = sky.path("told");
    let hook = format!(
        "echo $SKYHAUL_JOB_ID $SKYHAUL_JOB_STATE $SKYHAUL_JOB_FILES_DONE >>{}; exit 3",
        told.display()
    );
    let line = format!("{TEN_MINUTES} --out out --on-complete");
    let words: Vec<&str> =
        ["pull"].into_iter().chain(line.split_whitespace()).chain([hook.as_str()]).collect();
    sky.run_words(&words).exits(3);
    assert_eq!(fs::read_to_string(&told).unwrap(), "1 failed 9\n");
    let _archive = replica.restart("--small-files");
    let words: Vec<&str> = ["submit"].into_iter().chain(words[1..].iter().copied()).collect();
    sky.ok("retry 1");
    sky.run_words(&words).exits(0);
    sky.ok("watch 1");
    sky.ok("engine stop");
    assert_eq!(fs::read_to_string(&told).unwrap(), "1 failed 9\n1 completed 10\n");
}

#[test]
fn the_log_can_be_json() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica).with("SKYHAUL_LOG_FORMAT", "json");
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    sky.ok("watch 1");
    sky.ok("engine stop");
    let log = fs::read_to_string(sky.path("state/engine.log")).unwrap();
    let ended = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(ended.into_iter().any(|line| line["job"] == 1 && line["state"] == "completed"), "{log}");
}

#[test]
fn certificates_that_a_running_engine_does_not_have_are_refused_and_those_it_has_are_fine() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("ca.pem", include_str!("../../crates/http/tests/fixtures/ca.pem"));
    sky.write("same.pem", include_str!("../../crates/http/tests/fixtures/ca.pem"));
    sky.ok("engine start");
    for command in ["submit", "pull"] {
        let refused = sky.run(&format!("{command} {TEN_MINUTES} --out out --cacert ca.pem")).exits(1);
        refused.tells("--cacert").tells("engine stop");
    }
    assert_eq!(sky.ok("jobs --json").json(), serde_json::json!([]));
    sky.ok("engine stop");
    sky.ok(&format!("submit {TEN_MINUTES} --out out --cacert ca.pem"));
    sky.ok(&format!("pull {TEN_MINUTES} --out out --cacert same.pem"));
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
}

#[test]
fn an_interrupted_pull_says_that_an_engine_goes_on_with_its_job_where_one_does() {
    let replica = Replica::start("--small-files --rate 1k");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TWO_MINUTES} --out other"));
    sky.ok("engine stop");
    let pull = pulling(&sky, &replica, 0);
    eventually("a job that is worked on", || {
        let jobs = sky.ok("jobs --json").json();
        jobs[1]["state"] == "running"
    });
    pull.send(Signal::Interrupt);
    pull.finish().exits(130).tells("job 2 goes on in the engine").tells("skyhaul pause 2");
    eventually("work on it", || sky.status("2")["state"] == "running");
    sky.ok("pause --all");
}
