//! Killed with no chance to tidy up, as often as one likes: nothing finished is lost, little is fetched twice.

use std::collections::BTreeSet;
use std::time::Duration;

use skyhaul_tests::{Replica, Request, Sky};

use crate::TEN_MINUTES;

const HOUR: &str = "pull THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:59 --site gill --connections 3 --out out --json";

/// The paths of a job's files that are reported done.
fn done(sky: &Sky) -> BTreeSet<String> {
    let files = sky.ok("files 1 --state done --json").json_lines();
    files.iter().filter_map(|file| file["url"].as_str()).map(path_of).collect()
}

fn path_of(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest[rest.find('/').unwrap_or(0)..].to_owned()
}

fn whole_fetches(requests: &[Request]) -> usize {
    requests.iter().filter(|request| request.is_fetch() && request.complete).count()
}

#[test]
fn an_hour_killed_ten_times_arrives_byte_true_with_little_waste_and_nothing_done_twice() {
    const KILLS: usize = 10;
    // Slow enough that ten kills cannot come too late, nor each cost much, on a machine busy with other tests; and few
    // enough connections that files come one after the other.
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut done_before: Vec<(u64, BTreeSet<String>)> = Vec::new();
    for _ in 0..KILLS {
        let so_far = replica.requests();
        let pull = sky.spawn(HOUR);
        // Some progress most times (the first time in any case), so that ten kills fall all over the hour; then any
        // moment.
        let progress = if so_far.is_empty() { 1 } else { random.usize(0..3) };
        let enough = whole_fetches(&so_far) + progress;
        replica
            .wait("progress", |requests| requests.len() > so_far.len() && whole_fetches(requests) >= enough);
        pull.ends_within(Duration::from_millis(random.u64(0..600)));
        let ended = pull.kill();
        assert_eq!(ended.code, None, "it ended before it was killed: {}", ended.stderr);
        done_before.push((replica.moment(), done(&sky)));
    }
    let status = sky.ok(HOUR).json();
    assert_eq!(status["state"], "completed", "{status}");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 60);
    assert!(!sky.path("out/.skyhaul").exists(), "the bookkeeping is still there");

    let bytes = |key: &str| status["bytes"][key].as_u64().unwrap();
    assert_eq!(bytes("adopted"), 0, "it took its own files for somebody else's");
    let received_twice = bytes("received") - bytes("done");
    assert!(received_twice * 20 <= bytes("done"), "{received_twice} bytes of {} were waste", bytes("done"));
    assert!(done_before.windows(2).all(|pair| pair[0].1.is_subset(&pair[1].1)), "something done was lost");
    assert!(done_before.iter().any(|(_, files)| !files.is_empty()), "the kills all came too early");

    let requests = replica.end();
    for (killed, files) in &done_before {
        let again = requests.iter().find(|request| {
            request.came_ms > *killed && request.user_agent.is_some() && files.contains(&request.path)
        });
        assert_eq!(again, None, "asked for again although it was done");
    }
    let by_skyhaul = |request: &&Request| request.is_fetch() && request.user_agent.is_some();
    let sent: u64 = requests.iter().filter(by_skyhaul).map(|request| request.sent).sum();
    let total = bytes("done");
    assert!(sent <= total + total / 20, "{sent} bytes were sent for {total}");
}

#[test]
fn a_kill_before_the_first_byte_leaves_a_job_that_goes_on() {
    let replica = Replica::start("--small-files --latency-api 300");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out"));
    replica.wait("the first question", |requests| !requests.is_empty());
    pull.kill();
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    assert_eq!(sky.ok("jobs --json").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_finished_job_survives_the_kill_of_the_next() {
    let replica = Replica::start("--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let first = "pull THEMIS_ASI_RAW --start 2022-01-01T05:00 --end 2022-01-01T05:01 --site gill --out first";
    sky.ok(first);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --connections 2"));
    replica.wait_fetches(3);
    pull.kill();
    assert_eq!(sky.status("1")["state"], "completed");
    assert_eq!(sky.assert_byte_true("1", "first", &replica), 2);
    let killed = replica.moment();
    sky.ok(first);
    let again = replica
        .requests()
        .into_iter()
        .find(|request| request.user_agent.is_some() && request.came_ms > killed);
    assert_eq!(again, None, "the finished job asked again");
}

#[test]
fn what_is_partial_is_called_something_else_and_is_gone_at_the_end() {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    let line = "pull THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:03 --site gill --connections 2 --out out";
    let pull = sky.spawn(line);
    replica.wait_fetches(1);
    pull.kill();
    for (path, bytes) in skyhaul_tests::files_below(&sky.path("out")) {
        if !path.starts_with(".skyhaul/") {
            let served =
                replica.fetch(&path.replace("THEMIS_ASI_RAW", "/sort_by_project/THEMIS/asi/stream0"));
            assert!(bytes == served.body, "{path} lies at its final path and is not whole");
        }
    }
    sky.ok(line);
    let left: Vec<_> =
        std::fs::read_dir(sky.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["THEMIS_ASI_RAW"]);
}
