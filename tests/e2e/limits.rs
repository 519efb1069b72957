//! Kindness to the archive: no more connections, requests and bytes than were allowed.

use skyhaul_tests::{Replica, Request, Sky, eventually};

use crate::TEN_MINUTES;

/// The most requests that the replica was certainly answering at one moment.
fn most_at_once(requests: &[Request]) -> usize {
    // Times are cut to milliseconds: each request is counted from the end of its first to the start of its last.
    let spans: Vec<_> = requests
        .iter()
        .map(|request| (request.came_ms + 1, (request.came_ms + request.elapsed_ms).saturating_sub(1)))
        .filter(|(start, end)| start < end)
        .collect();
    let at = |moment| spans.iter().filter(|(start, end)| *start <= moment && moment < *end).count();
    spans.iter().map(|(start, _)| at(*start)).max().unwrap_or(0)
}

fn pulled_from(switches: &str, flags: &str) -> Vec<Request> {
    let replica = Replica::start(&format!("--small-files {switches}"));
    let sky = Sky::new(&replica);
    let hour = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:29 --site gill";
    sky.ok(&format!("pull {hour} --out out {flags}"));
    assert_eq!(sky.status("1")["files"]["done"], 30);
    let files = sky.files("1");
    assert!(files.iter().all(|file| file["attempts"] == 1), "{files:?}");
    replica.end()
}

#[test]
fn no_more_connections_than_allowed_and_as_many_where_they_help() {
    for connections in [1, 3] {
        let requests = pulled_from("--latency-files 60", &format!("--connections {connections}"));
        assert!(most_at_once(&requests) <= connections, "{} at once", most_at_once(&requests));
        if connections > 1 {
            assert!(most_at_once(&requests) > 1, "one after the other");
        }
    }
}

#[test]
fn a_server_that_closes_further_connections_is_not_provoked() {
    pulled_from("--latency-files 30 --connections-per-client 2", "--connections 2");
}

#[test]
fn no_more_requests_in_flight_than_allowed() {
    let requests = pulled_from("--latency-files 60", "--in-flight 2");
    assert!(most_at_once(&requests) <= 2, "{} at once", most_at_once(&requests));
}

#[test]
fn connections_are_used_again() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok("pull REPLICA_BULK_RAW --start 2000-01-01 --end 2000-01-02 --out out --connections 4");
    let status = sky.status("1");
    assert_eq!(status["files"]["done"], 1000, "{status}");
    // A thousand small files over connections of their own would be a thousand; the log numbers them.
    let numbers = replica.requests().iter().map(|request| request.connection).max();
    assert!(numbers < Some(100), "{numbers:?} connections for a thousand files");
}

#[test]
fn requests_are_spaced_evenly_with_no_burst() {
    let requests = pulled_from("", "--requests-per-second 12");
    assert_spaced(&requests, 12);
}

#[test]
fn no_more_bytes_a_second_than_allowed() {
    let requests = pulled_from("", "--limit-rate 300k");
    let sent: u64 = requests.iter().filter(|request| request.is_fetch()).map(|request| request.sent).sum();
    let first = requests.iter().filter(|request| request.is_fetch()).map(|request| request.came_ms).min();
    let last = requests.iter().map(|request| request.came_ms + request.elapsed_ms).max();
    // What waits in the buffers of thirty small answers is sent before it is read: half the time is well beyond it.
    let least = sent * 1000 / 300_000 / 2;
    assert!(
        last.zip(first).is_some_and(|(last, first)| last - first >= least),
        "{sent} bytes in {first:?}..{last:?} ms"
    );
}

#[test]
fn a_job_of_its_own_wishes_does_not_exceed_the_engines() {
    let replica = Replica::start("--small-files --latency-files 60");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --connections 8 --no-start"));
    sky.ok("engine run --until-idle --connections 2");
    assert_eq!(sky.status("1")["state"], "completed");
    let most = most_at_once(&replica.end());
    assert!(most <= 2, "{most} at once");
}

/// A corner whose engine is up and takes what comes.
fn with_engine(switches: &str) -> (Replica, Sky) {
    let replica = Replica::start(&format!("--small-files {switches}"));
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    (replica, sky)
}

const HALF_AN_HOUR: &str = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:29 --site gill";

#[test]
fn a_jobs_own_limits_hold_in_an_engine_that_was_up_before() {
    let (replica, sky) = with_engine("--latency-files 60");
    sky.ok(&format!("submit {HALF_AN_HOUR} --out out --connections 2"));
    assert_eq!(sky.ok("watch 1 --json").json()["files"]["done"], 30);
    let before = replica.requests().len();
    let most = most_at_once(&replica.requests());
    assert!(most <= 2, "{most} at once");
    sky.ok(&format!("submit {HALF_AN_HOUR} --out again --requests-per-second 12"));
    assert_eq!(sky.ok("watch 2 --json").json()["files"]["done"], 30);
    assert_spaced(&replica.requests()[before..], 12);
}

/// Any ten requests in a row take at least nine intervals; a late arrival may make one look shorter.
fn assert_spaced(requests: &[Request], per_second: u64) {
    let mut came: Vec<_> = requests.iter().map(|request| request.came_ms).collect();
    came.sort_unstable();
    let shortest = came.windows(10).map(|ten| ten[9] - ten[0]).min();
    assert!(shortest >= Some(9 * 1000 / per_second - 250), "ten requests within {shortest:?} ms");
}

#[test]
fn a_job_that_limits_itself_holds_nobody_up_and_takes_up_another_rate_at_once() {
    let (_replica, sky) = with_engine("");
    sky.ok(&format!("submit {HALF_AN_HOUR} --out out --limit-rate 3k"));
    eventually("files in work", || sky.status("1")["files"]["active"].as_u64() > Some(0));
    sky.ok(&format!("submit {TEN_MINUTES} --out other"));
    assert_eq!(sky.ok("watch 2 --json").json()["files"]["done"], 10);
    // Its seven hundred kilobytes take four minutes.
    let slow = sky.status("1");
    assert_eq!(slow["state"], "running", "{slow}");
    sky.ok("set 1 --limit-rate off");
    assert_eq!(sky.ok("watch 1 --json").json()["files"]["done"], 30);
}

#[test]
fn an_engines_own_settings_hold_where_a_job_says_nothing() {
    let replica = Replica::start("--small-files --damaged all");
    let sky = Sky::new(&replica);
    let query = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:01 --site gill";
    sky.ok(&format!("submit {query} --out plain --no-start"));
    sky.ok(&format!("submit {query} --out strict --no-start --verify auto"));
    sky.run("engine run --until-idle --verify length").exits(3);
    assert_eq!(sky.status("1")["files"]["done"], 2);
    assert_eq!(sky.status("2")["files"]["failed"], 2, "a job's own wish wins");
}
