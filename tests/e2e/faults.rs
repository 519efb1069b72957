//! Servers and lines that break in the middle: the bytes are right in the end, and fetched once where they can be.

use skyhaul_tests::{Replica, Request, Sky};

use crate::{TEN_MINUTES, landing};

/// Pulls the ten minutes from a replica with these faults, asserts that they come out byte-true, and gives the
/// requests for files.
fn comes_through(switches: &str, flags: &str) -> Vec<Request> {
    let replica = Replica::start(&format!("--small-files {switches}"));
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out {flags}"));
    // The same files without the faults: what is made up is made up alike.
    let honest = Replica::start("--small-files");
    assert_eq!(sky.assert_byte_true("1", "out", &honest), 10, "{switches}");
    assert!(!sky.path("out/.skyhaul").exists(), "{switches}");
    let status = sky.status("1");
    let bytes = |key: &str| status["bytes"][key].as_u64().unwrap();
    assert!(bytes("received") >= bytes("done"), "received must cover what is done: {status}");
    let mut requests = replica.end();
    requests.retain(Request::is_fetch);
    let sent: u64 = requests.iter().map(|request| request.sent).sum();
    assert!(
        bytes("received") <= sent,
        "{} received of {sent} sent: received counts too much",
        bytes("received")
    );
    requests
}

fn total_sent(requests: &[Request]) -> u64 {
    requests.iter().map(|request| request.sent).sum()
}

fn distinct_total(requests: &[Request]) -> u64 {
    // What an undisturbed pull is sent.
    let honest = comes_through("", "");
    assert_eq!(honest.len(), 10);
    assert!(requests.len() >= honest.len());
    total_sent(&honest)
}

#[test]
fn an_undisturbed_pull_is_one_plain_request_a_file() {
    let requests = comes_through("", "");
    assert_eq!(requests.len(), 10);
    for request in &requests {
        assert_eq!((request.status, &request.range, &request.if_range), (200, &None, &None), "{request:?}");
        let agent = request.user_agent.as_deref().unwrap_or("");
        assert!(agent.starts_with("skyhaul/"), "an honest user agent: {agent}");
    }
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke_under_its_validator() {
    let requests = comes_through("--cut 10000@first-attempt", "");
    let (first, second): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.status == 200);
    assert_eq!((first.len(), second.len()), (10, 10), "{requests:?}");
    for request in second {
        assert_eq!(request.status, 206);
        assert_eq!(request.range.as_deref(), Some("bytes=10000-"), "{request:?}");
        assert!(request.if_range.as_deref().is_some_and(|tag| tag.starts_with('"')), "no ETag: {request:?}");
    }
    assert_eq!(total_sent(&requests), distinct_total(&requests), "bytes were fetched twice");
}

#[test]
fn a_connection_cut_anywhere_again_and_again_comes_through() {
    comes_through("--cut random@p:0.5 --seed 7", "--retries 40");
    comes_through("--cut random@p:0.5 --cut-style reset --seed 8", "--retries 40");
}

#[test]
fn without_an_etag_the_date_is_the_validator() {
    let requests = comes_through("--etag off --cut 10000@first-attempt", "");
    for request in requests.iter().filter(|request| request.range.is_some()) {
        assert!(request.if_range.as_deref().is_some_and(|date| date.ends_with("GMT")), "{request:?}");
    }
    assert!(requests.iter().any(|request| request.status == 206));
}

#[test]
fn without_a_strong_validator_nothing_is_resumed() {
    for switches in [
        "--etag off --last-modified off",
        "--etag weak --last-modified recent",
        "--etag weak --last-modified off",
    ] {
        let requests = comes_through(&format!("{switches} --cut 10000@first-attempt"), "");
        assert!(requests.iter().all(|request| request.status != 206), "{switches}: {requests:?}");
    }
}

#[test]
fn a_server_that_changes_its_etag_each_time_never_mixes_two_answers() {
    comes_through("--etag changing --cut 10000@first-attempt", "");
}

#[test]
fn servers_without_ranges_or_with_wrong_ones_are_started_over() {
    for ranges in ["off", "ignored", "wrong-total", "wrong-start"] {
        comes_through(&format!("--ranges {ranges} --cut 10000@first-attempt"), "");
    }
}

#[test]
fn a_stalled_body_is_given_up_and_resumed() {
    let requests = comes_through("--stall 5000@first-attempt", "--timeout 1");
    assert!(requests.iter().any(|request| request.range.as_deref() == Some("bytes=5000-")), "{requests:?}");
}

#[test]
fn a_flipped_byte_is_found_by_the_gzip_check_and_fetched_again() {
    let requests = comes_through("--flip first-attempt", "");
    assert_eq!(requests.len(), 20, "each file takes two attempts");
}

#[test]
fn a_flipped_byte_in_what_was_resumed_is_found_too() {
    comes_through("--cut 10000@first-attempt --flip first-attempt", "");
}

#[test]
fn bytes_of_two_versions_of_a_file_are_never_mixed() {
    let replica = Replica::start("--small-files --cut 10000@first-attempt --replaced _0602_,_0607_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    // What the replica serves now is the second version of the two and the first of the others.
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let honest = Replica::start("--small-files");
    for minute in [2, 7] {
        let file = sky.file("1", &format!("_06{minute:02}_"));
        let old = honest.fetch(file["url"].as_str().unwrap()).body;
        assert!(std::fs::read(sky.path("out").join(landing(minute))).unwrap() != old, "{file}");
    }
}

#[test]
fn gzip_files_sent_as_an_encoding_of_something_else_are_stored_as_they_come() {
    let requests = comes_through("--content-encoding gzip", "");
    assert_eq!(requests.len(), 10);
}

#[test]
fn a_plus_in_a_name_stays_a_plus_however_it_is_spelled() {
    for spelling in ["plain", "escaped"] {
        let replica = Replica::start(&format!("--small-files --plus {spelling}"));
        let sky = Sky::new(&replica);
        sky.ok("pull THEMIS_ASI_SKYMAP_IDLSAV --start 2020 --end 2020 --site gill --out out");
        assert_eq!(sky.assert_byte_true("1", "out", &replica), 2);
        assert!(
            sky.files("1").iter().all(|file| file["path"].as_str().unwrap().contains("-+_")),
            "{spelling}"
        );
    }
}

#[test]
fn files_of_every_format_come_through_and_say_on_whose_word() {
    let replica = Replica::start("--small-files --cut 9000@first-attempt");
    let sky = Sky::new(&replica);
    let line = "TREX_RGB_RAW_NOMINAL TREX_RGB_RAW_BURST THEMIS_ASI_HOURLY_KEOGRAM_JPG NORSTAR_RIOMETER_K0_TXT \
                --start 2021-10-30T06:01 --end 2021-10-30T06:02 --site gill,fsim --out out";
    sky.ok(&format!("pull {line}"));
    let honest = Replica::start("--small-files");
    assert!(sky.assert_byte_true("1", "out", &honest) >= 5);
    for file in sky.files("1") {
        let word = file["verified"].as_str().unwrap().to_owned();
        if file["path"].as_str().unwrap().ends_with(".txt") {
            assert_eq!(word, "length", "{file}");
        } else {
            assert!(["length", "container"].contains(&word.as_str()), "{file}");
        }
    }
}
