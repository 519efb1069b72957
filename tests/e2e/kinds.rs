//! The kinds of failures, as scripts tell them apart.

use skyhaul_tests::{Replica, Sky};

use crate::{TEN_MINUTES_TREE, name};

/// Pulls one URL that cannot be had and gives the kind of its error.
fn kind_of(url: &str, flags: &str) -> String {
    let sky = Sky::at("http://127.0.0.1:9");
    sky.write("list.txt", format!("{url}\tfile.pgm.gz\n"));
    sky.run(&format!("pull --urls list.txt --out out {flags}")).exits(3);
    assert!(!sky.path("out/file.pgm.gz").exists(), "{url}: a bad file lies at its final path");
    let file = sky.file("1", "file.pgm.gz");
    assert_eq!(file["url"], url);
    assert!(file["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{file}");
    file["error"]["kind"].as_str().unwrap_or("").to_owned()
}

fn kind_at(switches: &str, flags: &str) -> String {
    let replica = Replica::start(&format!("--small-files {switches}"));
    kind_of(&format!("{}{TEN_MINUTES_TREE}/{}", replica.base(), name(3)), flags)
}

#[test]
fn a_host_that_never_answered_costs_attempts_and_is_of_kind_connection() {
    assert_eq!(kind_of("http://127.0.0.1:9/x.pgm.gz", "--retries 1"), "connection");
    assert_eq!(kind_of("http://no-such-host.invalid/x.pgm.gz", "--retries 0"), "connection");
}

#[test]
fn a_server_that_speaks_no_tls_is_of_kind_tls() {
    let replica = Replica::start("--small-files");
    let url = format!("https://{}/x.pgm.gz", replica.host());
    assert_eq!(kind_of(&url, "--retries 0"), "tls");
}

#[test]
fn a_body_that_never_begins_is_of_kind_timeout() {
    assert_eq!(kind_at("--stall 0", "--retries 0 --timeout 1"), "timeout");
}

#[test]
fn a_body_that_never_ends_well_is_truncated_or_a_broken_connection() {
    for style in ["close", "reset"] {
        let kind = kind_at(&format!("--cut 0 --cut-style {style}"), "--retries 1");
        assert!(["truncated", "connection"].contains(&kind.as_str()), "{style}: {kind}");
    }
}

#[test]
fn what_fails_its_own_check_each_time_in_another_way_is_of_kind_checksum() {
    assert_eq!(kind_at("--flip always", "--retries 2"), "checksum");
}

#[test]
fn lengths_alone_are_believed_when_told_so() {
    let replica = Replica::start("--small-files --flip always");
    let sky = Sky::new(&replica);
    sky.write("list.txt", format!("{}{TEN_MINUTES_TREE}/{}\n", replica.base(), name(3)));
    sky.ok("pull --urls list.txt --out out --verify length");
    assert_eq!(sky.file("1", "_0603_")["verified"], "length");
}
