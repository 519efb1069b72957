//! Kindness to the archive: no more connections, requests and bytes than were allowed.

use skyhaul_tests::{Replica, Request, Sky};

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
    let mut came: Vec<_> = requests.iter().map(|request| request.came_ms).collect();
    came.sort_unstable();
    // Any ten requests in a row take at least nine intervals; a late arrival may make one look shorter.
    let shortest = came.windows(10).map(|ten| ten[9] - ten[0]).min();
    assert!(shortest >= Some(9 * 1000 / 12 - 250), "ten requests within {shortest:?} ms");
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
