//! Orders to a running engine: each takes effect while the work goes on.

use std::time::Duration;

use skyhaul_tests::{Replica, Sky, eventually, files_below};

use crate::reboot::parts;
use crate::{TEN_MINUTES, landing};

/// A corner whose engine is in the middle of a job.
fn at_work(rate: &str) -> (Replica, Sky) {
    let replica = Replica::start(&format!("--rate {rate}"));
    let sky = Sky::new(&replica);
    // Two at a time, so that some are done, some partial and some not begun.
    sky.ok(&format!("submit {TEN_MINUTES} --out out --in-flight 2"));
    replica.wait_fetches(2);
    (replica, sky)
}

/// Waits until no file of the job is with a worker any more.
fn wait_still(sky: &Sky) {
    // Each look is a process of its own, which takes its time.
    let still = (0..500).any(|_| sky.status("1")["files"]["active"] == 0);
    assert!(still, "workers go on: {}", sky.status("1"));
}

#[test]
fn a_pause_stops_the_traffic_over_a_restart_and_a_resume_goes_on_by_ranges() {
    let (replica, sky) = at_work("1M");
    // Seconds before it is whole.
    let is_begun = |length| (256 << 10..1 << 20).contains(&length);
    eventually("a part of some size", || parts(&sky).into_values().any(is_begun));
    sky.ok("pause 1");
    wait_still(&sky);
    replica.fetch("/paused");
    let done = sky.ok("files 1 --state done --json").json_lines().len();
    sky.ok("engine stop");
    sky.ok("engine start");
    let watch = sky.spawn("watch 1");
    assert!(!watch.ends_within(Duration::from_secs(2)), "a paused job is not finished");
    let status = sky.status("1");
    assert_eq!((&status["state"], &status["files"]["done"]), (&"paused".into(), &done.into()));
    replica.fetch("/resumed");
    sky.ok("resume 1");
    watch.finish().exits(0).tells("is paused");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
    let requests = replica.end();
    let when = |path: &str| requests.iter().find(|request| request.path == path).unwrap().came_ms;
    let (paused, resumed) = (when("/paused"), when("/resumed"));
    let by_skyhaul = || requests.iter().filter(|request| request.user_agent.is_some());
    let meanwhile: Vec<_> =
        by_skyhaul().filter(|request| (paused..resumed).contains(&request.came_ms)).collect();
    assert!(meanwhile.is_empty(), "asked while paused: {meanwhile:?}");
    let by_range = by_skyhaul().filter(|request| request.came_ms >= resumed && request.status == 206).count();
    assert!(by_range > 0, "partial files were not gone on with");
}

#[test]
fn a_cancel_drops_partial_files_and_keeps_finished_ones() {
    let (_replica, sky) = at_work("4M");
    sky.ok("cancel 1");
    wait_still(&sky);
    sky.run("watch 1").exits(1).tells("cancelled");
    sky.ok("engine stop");
    let done = sky.ok("files 1 --state done --json").json_lines().len();
    assert!((2..10).contains(&done), "{done} files are done");
    assert!(!sky.path("out/.skyhaul").exists(), "partial files are still there");
    assert_eq!(files_below(&sky.path("out")).len(), done);
}

#[test]
fn a_removed_job_is_forgotten_while_the_engine_goes_on() {
    let (_replica, sky) = at_work("4M");
    sky.ok("remove 1");
    sky.run("status 1").exits(5);
    sky.ok("engine stop");
    assert!(!sky.path("out/.skyhaul").exists(), "partial files are still there");
    assert!(files_below(&sky.path("out")).len() >= 2, "finished files are kept");
}

#[test]
fn a_failed_file_is_tried_again_and_a_damaged_one_repaired() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    sky.run("watch 1").exits(3);
    let replica = replica.restart("--small-files");
    sky.ok("retry 1");
    sky.ok("watch 1");
    let pid = sky.engine();
    let path = sky.path("out").join(landing(4));
    std::fs::write(&path, "damaged").unwrap();
    sky.run("verify 1").exits(3);
    sky.ok("verify 1 --repair");
    sky.ok("watch 1");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    assert_eq!(sky.engine(), pid, "one engine did all of it");
}

#[test]
fn a_changed_priority_takes_effect_at_once() {
    let replica = Replica::start("--small-files --rate 40k");
    let sky = Sky::new(&replica).with("SKYHAUL_CONFIG", "");
    sky.write("c.toml", "connections = 1\nin-flight = 1\n");
    let sky = {
        let config = sky.path("c.toml").display().to_string();
        sky.with("SKYHAUL_CONFIG", &config)
    };
    let job = |hour: &str| {
        let times = format!("--start 2022-01-01T{hour}:00 --end 2022-01-01T{hour}:05");
        format!("submit THEMIS_ASI_RAW {times} --site gill --out h{hour}")
    };
    sky.ok(&job("05"));
    replica.wait_fetches(1);
    sky.ok(&format!("{} --no-start", job("07")));
    sky.ok("set 2 --priority 9 --name urgent");
    assert_eq!(sky.status("urgent")["priority"], 9);
    let watched = sky.ok("watch urgent --json").json();
    assert_eq!(watched["state"], "completed");
    assert!(sky.status("1")["files"]["pending"].as_u64() > Some(0), "the other job went on beside it");
    sky.ok(&format!("{} --priority 20", job("05")));
    assert_eq!(sky.status("1")["priority"], 20);
    sky.run("set 2 --cacert ca.pem").exits(2);
    sky.run("set 9 --priority 1").exits(5);
}

#[test]
fn an_engine_outlives_a_job_that_is_removed_while_it_is_listed() {
    let replica = Replica::start("--small-files --latency-api 700");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    let pid = sky.engine();
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    // The catalogue has been asked: the listing is next, and takes its time.
    replica.wait("the catalogue's answer", |requests| !requests.is_empty());
    eventually("a listing that is waited for", || sky.status("1")["windows"]["total"] == 1);
    sky.ok("remove 1");
    sky.ok(&format!("submit {TEN_MINUTES} --out other"));
    assert_eq!(sky.ok("watch 2 --json").json()["files"]["done"], 10);
    assert_eq!(sky.engine(), pid, "it was another engine");
}

#[test]
fn jobs_that_are_removed_at_work_take_neither_the_engine_nor_other_files_along() {
    let replica = Replica::start("--rate 3M");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    let pid = sky.engine();
    sky.ok(&format!("submit {TEN_MINUTES} --out kept"));
    for job in 2..8 {
        sky.ok(&format!("submit {TEN_MINUTES} --out gone-{job}"));
        eventually("files at work", || sky.status(&job.to_string())["files"]["active"] != 0);
        sky.ok(&format!("remove {job}"));
    }
    assert_eq!(sky.ok("watch 1 --json").json()["files"]["done"], 10);
    assert_eq!(sky.engine(), pid, "it was another engine");
    assert_eq!(sky.assert_byte_true("1", "kept", &Replica::start("")), 10);
}

#[test]
fn a_retry_that_can_mend_nothing_says_so() {
    let sky = Sky::at("http://127.0.0.1:9");
    sky.write("list.txt", "no url at all\n");
    sky.run("pull --urls list.txt --out out").exits(3);
    let told = sky.ok("retry 1");
    assert!(told.stdout.contains("none of its failures can be mended"), "{}", told.stdout);
    assert_eq!(told.stderr, "", "no engine is needed for that");
}
