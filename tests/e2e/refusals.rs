//! Servers that say no: what is believed at once, what is tried again, what is waited for.

use std::time::Duration;

use skyhaul_tests::{Replica, Request, Sky, files_below};

use crate::{TEN_MINUTES, landing};

/// Asserts that of the ten minutes all but one arrive, and gives that one's error kind.
fn one_fails(switches: &str, flags: &str) -> String {
    let replica = Replica::start(&format!("--small-files {switches}"));
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out {flags}")).exits(3);
    let status = sky.status("1");
    assert_eq!((&status["state"], &status["files"]["failed"]), (&"failed".into(), &1.into()), "{status}");
    assert!(status["finished_at"].is_string(), "{status}");
    let file = sky.file("1", "_0603_");
    assert_eq!(file["state"], "failed", "{file}");
    assert!(!sky.path("out").join(landing(3)).exists(), "a bad file lies at its final path");
    let good = files_below(&sky.path("out/THEMIS_ASI_RAW")).len();
    assert_eq!(good, 9, "the rest goes on");
    assert!(file["error"]["message"].as_str().is_some_and(|text| text.len() > 10), "{file}");
    file["error"]["kind"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_file_is_not_found() {
    assert_eq!(one_fails("--missing _0603_", ""), "not_found");
}

#[test]
fn a_missing_file_that_leads_to_a_page_is_wrong_content() {
    for answer in ["redirect", "moved", "html-page"] {
        let switches = format!("--missing _0603_ --missing-answer {answer}");
        assert_eq!(one_fails(&switches, ""), "wrong_content", "{answer}");
    }
}

#[test]
fn a_file_that_is_empty_or_cut_off_at_the_source_is_the_archives_own_damage() {
    for fault in ["truncated", "empty"] {
        let replica = Replica::start(&format!("--small-files --{fault} _0603_"));
        let sky = Sky::new(&replica);
        sky.run(&format!("pull {TEN_MINUTES} --out out")).exits(3);
        let file = sky.file("1", "_0603_");
        assert_eq!(file["error"]["kind"], "corrupt_at_source", "{fault}: {file}");
        assert!(!sky.path("out").join(landing(3)).exists(), "{fault}: it lies at its final path");
        let aside = sky.path("out/.skyhaul/corrupt").join(landing(3));
        let served = replica.fetch(file["url"].as_str().unwrap()).body;
        assert!(std::fs::read(&aside).unwrap() == served, "{fault}: the bytes are kept for a report");
        let fetches =
            replica.requests().iter().filter(|r| r.user_agent.is_some() && r.path.contains("_0603_")).count();
        assert_eq!(fetches, 2, "{fault}: fetched twice, then believed");
    }
}

#[test]
fn damage_at_the_source_can_be_accepted() {
    let replica = Replica::start("--small-files --truncated _0603_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out --accept-corrupt"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    assert_eq!(sky.file("1", "_0603_")["verified"], "none");
    assert_eq!(sky.file("1", "_0604_")["verified"], "container");
}

#[test]
fn a_page_instead_of_every_file_leaves_no_file_at_all() {
    let replica = Replica::start("--small-files --html-page always");
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out --retries 1")).exits(3);
    assert!(sky.files("1").iter().all(|file| file["error"]["kind"] == "wrong_content"));
    assert_eq!(files_below(&sky.path("out/THEMIS_ASI_RAW")).len(), 0);
}

#[test]
fn a_page_that_was_there_once_is_tried_again() {
    let replica = Replica::start("--small-files --html-page first-attempt");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn what_was_missing_is_fetched_by_retry_or_by_pulling_again() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.run(&line).exits(3);
    sky.run(&format!("{} --out by-pull", line.replace(" --out out", ""))).exits(3);

    let replica = replica.restart("--small-files");
    sky.ok("retry 1");
    let status = sky.status("1");
    assert_eq!((&status["state"], &status["files"]["pending"]), (&"queued".into(), &1.into()), "{status}");
    assert_eq!(status["finished_at"], serde_json::Value::Null);
    sky.ok("engine run --until-idle");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);

    sky.ok(&format!("{} --out by-pull", line.replace(" --out out", "")));
    assert_eq!(sky.assert_byte_true("2", "by-pull", &replica), 10);
    let fetches = replica.requests().iter().filter(|r| r.is_fetch() && r.user_agent.is_some()).count();
    assert_eq!(fetches, 2, "only what had failed is asked for");
}

#[test]
fn passing_trouble_of_a_server_is_sat_out() {
    for status in ["500", "502", "503", "504", "429"] {
        let replica = Replica::start(&format!("--small-files --refuse-files {status}@first-attempt"));
        let sky = Sky::new(&replica);
        sky.ok(&format!("pull {TEN_MINUTES} --out out"));
        assert_eq!(sky.assert_byte_true("1", "out", &replica), 10, "{status}");
    }
}

#[test]
fn trouble_that_does_not_pass_fails_after_the_retries() {
    let replica = Replica::start("--small-files --refuse-files 500");
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out --retries 1")).exits(3);
    for file in sky.files("1") {
        assert_eq!((&file["error"]["kind"], &file["attempts"]), (&"http".into(), &2.into()), "{file}");
    }
    let fetches = replica.requests().iter().filter(|request| request.is_fetch()).count();
    assert_eq!(fetches, 20, "one attempt and one further for each of ten files");
}

#[test]
fn final_refusals_have_their_kinds_and_are_not_repeated() {
    for (status, kind) in [
        ("401", "forbidden"),
        ("403", "forbidden"),
        ("451", "forbidden"),
        ("410", "not_found"),
        ("404", "not_found"),
        ("405", "http"),
    ] {
        let replica = Replica::start(&format!("--small-files --refuse-files {status}"));
        let sky = Sky::new(&replica);
        sky.run(&format!("pull {TEN_MINUTES} --out out")).exits(3);
        assert!(
            sky.files("1").iter().all(|file| file["error"]["kind"] == kind),
            "{status}: {:?}",
            sky.file("1", "_0603_")
        );
        let fetches = replica.requests().iter().filter(|request| request.is_fetch()).count();
        assert_eq!(fetches, 10, "{status} was asked again");
    }
}

/// The first request that was answered well came no sooner than the refusal told.
fn waits_for_retry_after(requests: &[Request], is_of_kind: impl Fn(&Request) -> bool, seconds: u64) {
    let mut of_kind: Vec<_> = requests.iter().filter(|request| is_of_kind(request)).collect();
    of_kind.sort_by_key(|request| request.came_ms);
    let refused = of_kind.iter().find(|request| request.status >= 400).expect("one was refused");
    let granted = of_kind.iter().find(|request| request.status < 400).expect("one was granted");
    let waited = granted.came_ms - refused.came_ms;
    assert!(waited >= seconds * 1000, "asked again after {waited} ms instead of {seconds} s");
}

#[test]
fn retry_after_holds_the_host_and_costs_no_attempt() {
    for status in [503, 429] {
        let replica = Replica::start(&format!("--small-files --refuse-files {status}/2@first:1"));
        let sky = Sky::new(&replica);
        // One connection, so that no other request was on its way when the refusal came.
        sky.ok(&format!("pull {TEN_MINUTES} --out out --connections 1"));
        assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
        assert!(sky.files("1").iter().all(|file| file["attempts"] == 1), "{status} cost an attempt");
        waits_for_retry_after(&replica.end(), |r| r.is_fetch() && r.user_agent.is_some(), 2);
    }
}

#[test]
fn a_host_that_always_says_later_is_not_asked_for_ever() {
    let replica = Replica::start("--small-files --refuse-files 503/1");
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out --retries 1")).exits(3);
    assert!(sky.files("1").iter().all(|file| file["error"]["kind"] == "http"));
}

#[test]
fn an_api_that_always_says_later_is_asked_as_often_as_retries_say() {
    let replica = Replica::start("--small-files --refuse-api 503/1");
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out --retries 1")).exits(4).tells("503");
    assert_eq!(replica.end().iter().filter(|request| request.is_api()).count(), 2);
}

#[test]
fn passing_trouble_of_the_api_is_sat_out() {
    for refusal in ["502@first:2", "500@first:1", "503/1@first:1"] {
        let replica = Replica::start(&format!("--small-files --refuse-api {refusal}"));
        let sky = Sky::new(&replica);
        sky.ok(&format!("pull {TEN_MINUTES} --out out"));
        assert_eq!(sky.assert_byte_true("1", "out", &replica), 10, "{refusal}");
    }
}

#[test]
fn an_api_that_stays_broken_exits_4_and_retry_puts_the_windows_back() {
    let replica = Replica::start("--small-files --refuse-api 502");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out --retries 1");
    sky.run(&line).exits(4).tells("502");
    assert_eq!(sky.status("1")["state"], "failed");
    let replica = replica.restart("--small-files");
    sky.ok("retry 1");
    sky.ok("engine run --until-idle");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_server_that_goes_away_in_the_middle_is_waited_for() {
    let replica = Replica::start("--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --retries 2 --connections 2"));
    replica.wait_fetches(3);
    let address = replica.host().to_owned();
    drop(replica);
    // Far longer than two retries last: a host that had answered is waited for.
    assert!(!pull.ends_within(Duration::from_secs(4)), "it gave up");
    let replica = Replica::start_at(&address, "--small-files");
    pull.finish().exits(0);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}
