//! The kinds of failures, as scripts tell them apart.

use std::sync::atomic::{AtomicU32, Ordering};

use skyhaul_tests::{Page, Replica, Shelf, Sky};

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

#[test]
fn a_file_that_is_another_one_each_time_is_of_kind_changed() {
    let versions = AtomicU32::new(0);
    let shelf = Shelf::open(move |_| {
        // Each answer is of a new version, and breaks off.
        let version = versions.fetch_add(1, Ordering::SeqCst);
        let head = format!("HTTP/1.1 200 OK\r\netag: \"v{version}\"\r\ncontent-length: 9000\r\n\r\n");
        Page::raw([head.into_bytes(), vec![version as u8; 3_000]].concat())
    });
    assert_eq!(kind_of(&format!("{}/x.dat", shelf.base()), "--retries 4"), "changed");
}

#[test]
fn damage_at_the_source_is_kept_aside_with_a_report_until_it_is_accepted() {
    let replica = Replica::start("--small-files --damaged _0603_");
    let sky = Sky::new(&replica);
    let url = format!("{}{TEN_MINUTES_TREE}/{}", replica.base(), name(3));
    sky.write("list.txt", format!("{url}\tdeep/file.pgm.gz\n"));
    sky.run("pull --urls list.txt --out out").exits(3);
    assert_eq!(sky.file("1", "file.pgm.gz")["error"]["kind"], "corrupt_at_source");
    let aside = sky.path("out/.skyhaul/corrupt/deep/file.pgm.gz");
    let report = std::fs::read(sky.path("out/.skyhaul/corrupt/deep/file.pgm.gz.report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let damaged = std::fs::read(&aside).unwrap();
    assert_eq!((&report["url"], &report["size"]), (&url.into(), &damaged.len().into()), "{report}");
    assert_eq!(report["sha256"], skyhaul_tests::hex_sha256(&damaged));
    assert_eq!(report["fetched"].as_array().map(Vec::len), Some(2), "{report}");
    assert!(report["problem"].as_str().is_some_and(|problem| !problem.is_empty()), "{report}");
    // Whoever wants it all the same gets it, marked as what it is.
    sky.ok("pull --urls list.txt --out out --accept-corrupt");
    assert_eq!(std::fs::read(sky.path("out/deep/file.pgm.gz")).unwrap(), damaged);
    assert_eq!(sky.file("1", "file.pgm.gz")["verified"], "none");
    assert!(!sky.path("out/.skyhaul").exists());
}
