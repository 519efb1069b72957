//! `--checksums FILE`: digests that files must have, in the formats of their tools.

use serde_json::json;
use skyhaul_tests::{Replica, Sky, hex_sha256};

use crate::{TEN_MINUTES, TEN_MINUTES_TREE, landing, name};

/// A line of `sha256sum` for one of the ten files.
fn line(replica: &Replica, minute: u32, path: &str) -> String {
    let body = replica.fetch(&format!("{TEN_MINUTES_TREE}/{}", name(minute))).body;
    format!("{}  {path}\n", hex_sha256(&body))
}

#[test]
fn files_that_match_are_verified_by_digest_and_others_as_ever() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    // By path, and by name alone.
    sky.write("SHA256SUMS", line(&replica, 0, &landing(0)) + &line(&replica, 1, &name(1)));
    let pull = sky.ok(&format!("pull {TEN_MINUTES} --out out --checksums SHA256SUMS"));
    pull.tells("8 of 10 files are not named in the list");
    let verified = |minute: u32| sky.file("1", &name(minute))["verified"].clone();
    assert_eq!(
        [verified(0), verified(1), verified(2)],
        ["digest", "digest", "container"].map(|how| json!(how))
    );
}

#[test]
fn a_file_that_does_not_match_fails_and_does_not_arrive() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let wrong = format!("{}  {}\n", "0".repeat(64), landing(3));
    // The list is taken in before the command answers.
    let list = sky.write("SHA256SUMS", wrong);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --checksums SHA256SUMS --retries 1"));
    std::fs::remove_file(list).unwrap();
    sky.run("watch 1").exits(3);
    assert_eq!(sky.file("1", &name(3))["error"]["kind"], "checksum");
    assert!(!sky.path("out").join(landing(3)).exists());
    assert_eq!(sky.status("1")["files"]["done"], 9);
}

#[test]
fn files_that_are_here_already_are_compared_when_the_list_comes_later() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let pull = format!("pull {TEN_MINUTES} --out out --retries 0");
    sky.ok(&pull);
    sky.write("SHA256SUMS", line(&replica, 0, &landing(0)) + &format!("{}  {}\n", "0".repeat(64), name(3)));
    sky.run(&format!("{pull} --checksums SHA256SUMS")).exits(3);
    assert_eq!(sky.file("1", &name(3))["error"]["kind"], "checksum");
    assert_eq!(sky.file("1", &name(0))["state"], "done");
    // The newest list wins.
    sky.write("SHA256SUMS", line(&replica, 3, &landing(3)));
    sky.ok(&format!("{pull} --checksums SHA256SUMS"));
    assert_eq!(sky.file("1", &name(3))["verified"], "digest");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_list_that_cannot_be_read_is_a_wrong_command_line() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("SHA256SUMS", "no digest at all\n");
    sky.run(&format!("pull {TEN_MINUTES} --out out --checksums SHA256SUMS")).exits(2).tells("SHA256SUMS");
    sky.run(&format!("submit {TEN_MINUTES} --out out --checksums missing")).exits(2).tells("missing");
    assert_eq!(sky.ok("jobs --json").json(), json!([]));
}
