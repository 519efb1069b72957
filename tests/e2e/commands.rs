//! The life of jobs: paused, resumed, cancelled, retried, removed, named.

use std::time::Duration;

use serde_json::{Value, json};
use skyhaul_tests::{Replica, Signal, Sky, files_below};

use crate::TEN_MINUTES;

/// A corner with two jobs that wait.
fn two_waiting(replica: &Replica) -> Sky {
    let sky = Sky::new(replica);
    for out in ["a", "b"] {
        sky.ok(&format!("submit {TEN_MINUTES} --out {out} --no-start"));
    }
    sky
}

fn state(sky: &Sky, job: &str) -> String {
    sky.status(job)["state"].as_str().unwrap().to_owned()
}

/// A corner whose only job was interrupted in the middle: some files are done, some partial.
fn interrupted() -> (Replica, Sky) {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --connections 2"));
    replica.wait_fetches(2);
    // Time for the next two to come half way.
    assert!(!pull.ends_within(Duration::from_millis(300)));
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);
    (replica.restart(""), sky)
}

#[test]
fn a_paused_job_is_left_alone_until_it_is_resumed() {
    let replica = Replica::start("--small-files");
    let sky = two_waiting(&replica);
    sky.ok("pause 1");
    sky.ok("pause 1");
    sky.ok("engine run --until-idle");
    assert_eq!((state(&sky, "1").as_str(), state(&sky, "2").as_str()), ("paused", "completed"));
    assert_eq!(files_below(&sky.path("a")).len(), 0);
    sky.ok("resume 1");
    sky.ok("resume 1");
    assert!(["queued", "planning"].contains(&state(&sky, "1").as_str()));
    sky.ok("engine run --until-idle");
    assert_eq!(sky.assert_byte_true("1", "a", &replica), 10);
}

#[test]
fn a_pause_keeps_partial_files_and_a_cancel_drops_them() {
    let (_replica, sky) = interrupted();
    let partial = || files_below(&sky.path("out/.skyhaul")).values().map(Vec::len).sum::<usize>();
    sky.ok("pause 1");
    assert!(partial() > 100_000, "{} bytes of partial files", partial());
    let done = sky.ok("files 1 --state done --json").json_lines().len();
    assert!(done >= 2);
    sky.ok("cancel 1");
    sky.ok("cancel 1");
    let status = sky.status("1");
    assert_eq!(status["state"], "cancelled");
    assert!(status["finished_at"].is_string(), "{status}");
    assert!(!sky.path("out/.skyhaul").exists(), "cancelled, and partial files are still there");
    assert_eq!(files_below(&sky.path("out")).len(), done, "finished files are kept");
    assert_eq!(status["files"]["done"], done);
}

#[test]
fn a_cancelled_job_goes_on_when_it_is_pulled_again() {
    let (replica, sky) = interrupted();
    sky.ok("cancel 1");
    let done: Vec<_> = sky.ok("files 1 --state done --json").json_lines();
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let requests = replica.requests();
    for file in done {
        let path = file["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let again = requests.iter().filter(|r| r.user_agent.is_some() && r.path.ends_with(&path)).count();
        assert_eq!(again, 0, "{path} was asked for again");
    }
}

#[test]
fn a_removed_job_is_forgotten_and_its_finished_files_stay() {
    let (_replica, sky) = interrupted();
    let done = sky.ok("files 1 --state done --json").json_lines().len();
    sky.ok("remove 1");
    sky.run("status 1").exits(5);
    sky.run("remove 1").exits(5);
    assert_eq!(sky.ok("jobs --json").json(), json!([]));
    let left = files_below(&sky.path("out"));
    assert_eq!(left.len(), done, "finished files stay, partial ones go: {:?}", left.keys());
    let next = sky.ok(&format!("submit {TEN_MINUTES} --out other --no-start --json")).json();
    assert_eq!(next, json!({"id": 2, "created": true}), "an id is never used twice");
}

#[test]
fn all_means_every_job_and_no_job_is_no_failure() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for order in ["pause", "resume", "cancel", "retry", "remove"] {
        sky.ok(&format!("{order} --all"));
    }
    let sky = two_waiting(&replica);
    sky.ok("pause --all");
    assert_eq!((state(&sky, "1"), state(&sky, "2")), ("paused".to_owned(), "paused".to_owned()));
    sky.ok("resume --all");
    sky.ok("engine run --until-idle");
    assert_eq!((state(&sky, "1"), state(&sky, "2")), ("completed".to_owned(), "completed".to_owned()));
    sky.ok("retry --all");
    assert_eq!(state(&sky, "1"), "completed", "nothing had failed");
    sky.ok("remove --all");
    assert_eq!(sky.ok("jobs --json").json(), json!([]));
    assert_eq!(files_below(&sky.path("a")).len(), 10);
}

#[test]
fn orders_to_a_finished_job_do_no_harm() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    for order in ["pause", "resume", "retry"] {
        sky.ok(&format!("{order} 1"));
        assert_eq!(state(&sky, "1"), "completed", "{order}");
    }
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_name_stands_for_its_job() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let words = [
        "submit",
        "THEMIS_ASI_RAW",
        "--start",
        "2022-01-01T06",
        "--end",
        "2022-01-01T06",
        "--site",
        "gill",
        "--out",
        "out",
        "--no-start",
        "--name",
        "winter nights",
    ];
    sky.run_words(&words).exits(0);
    let status = sky.run_words(&["status", "winter nights", "--json"]).exits(0).json();
    assert_eq!((&status["id"], &status["name"]), (&1.into(), &"winter nights".into()));
    sky.run_words(&["pause", "winter nights"]).exits(0);
    assert_eq!(state(&sky, "1"), "paused");
    sky.run("status winter").exits(5);
}

#[test]
fn jobs_of_higher_priority_go_first() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for (hour, priority) in [("05", -3), ("06", 0), ("07", 9)] {
        let times = format!("--start 2022-01-01T{hour}:00 --end 2022-01-01T{hour}:19");
        sky.ok(&format!(
            "submit THEMIS_ASI_RAW {times} --site gill --out h{hour} --priority {priority} --no-start"
        ));
    }
    sky.ok("engine run --until-idle --connections 1 --in-flight 1");
    let order: Vec<_> = replica
        .requests()
        .iter()
        .filter(|request| request.is_fetch())
        .filter_map(|request| request.path.split("/ut").nth(1).map(|rest| rest[..2].to_owned()))
        .collect();
    assert_eq!(order.len(), 60);
    // Whatever is known first is begun with; from the first file of the highest on it goes by priority.
    let highest = order.iter().position(|hour| hour == "07").unwrap();
    assert!(highest < 20, "the highest came last: {order:?}");
    assert!(order[highest..].is_sorted_by(|a, b| a >= b), "{order:?}");
}

#[test]
fn an_engine_with_nothing_to_do_ends_when_told_so() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok("engine run --until-idle");
    let engine = sky.spawn("engine run");
    assert!(!engine.ends_within(Duration::from_secs(2)), "an engine stays until it is told to stop");
    engine.send(Signal::Terminate);
    let ended = engine.finish();
    assert!(matches!(ended.code, Some(0 | 130)), "{ended:?}");
}

#[test]
fn a_job_of_which_all_is_here_says_when_it_finished() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.run(&line).exits(3);
    let first = sky.status("1")["finished_at"].clone();
    assert!(first.is_string());
    let replica = replica.restart("--small-files");
    sky.ok("retry 1");
    assert_eq!(sky.status("1")["finished_at"], Value::Null);
    sky.ok(&line);
    // Times are told to the second: both ends may be of the same one.
    assert!(sky.status("1")["finished_at"].as_str() >= first.as_str());
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}
