//! What was pulled, written down: read by coreutils, proven by a second pull, compared with the disk.

use std::process::{Command, Stdio};

use serde_json::Value;
use skyhaul_tests::{Replica, Sky, assert_keys, files_below};

use crate::{TEN_MINUTES, TEN_MINUTES_TREE, landing};

/// Runs `sha256sum -c` over a manifest in a folder; none where there is no such tool.
fn sha256sum_accepts(sky: &Sky, manifest: &str, folder: &str) -> Option<bool> {
    let sums = sky.write("sums.txt", manifest);
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "--quiet"]).arg(sums).current_dir(sky.path(folder));
    let status = check.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    Some(status.success())
}

#[test]
fn the_default_manifest_is_what_sha256sum_checks() {
    let replica = Replica::start("--small-files --missing _0609_");
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out")).exits(3);
    let manifest = sky.ok("manifest 1").stdout;
    assert_eq!(manifest.lines().count(), 9, "what was pulled, not what failed:\n{manifest}");
    assert_eq!(manifest, sky.ok("manifest 1 --format sha256sum").stdout);
    for line in manifest.lines() {
        let (digest, path) = line.split_once("  ").expect("DIGEST, two spaces, PATH");
        assert_eq!(digest.len(), 64);
        assert!(sky.path("out").join(path).is_file(), "{path} is relative to the output root");
    }
    let Some(accepted) = sha256sum_accepts(&sky, &manifest, "out") else { return };
    assert!(accepted, "sha256sum refuses:\n{manifest}");
    std::fs::write(sky.path("out").join(landing(1)), b"changed").unwrap();
    assert_eq!(sha256sum_accepts(&sky, &manifest, "out"), Some(false));
}

#[test]
fn odd_names_are_written_so_that_sha256sum_reads_them() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let url = format!("{}{TEN_MINUTES_TREE}/20220101_0600_gill_themis19_full.pgm.gz", replica.base());
    sky.write("list.txt", format!("{url}\tein Ordner mit Umlaut ä/ two  blanks .pgm.gz\n"));
    sky.ok("pull --urls list.txt --out out");
    let manifest = sky.ok("manifest 1").stdout;
    assert!(sha256sum_accepts(&sky, &manifest, "out").unwrap_or(true), "{manifest}");
}

#[test]
fn the_csv_has_a_row_a_file() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let csv = sky.ok("manifest 1 --format csv").stdout;
    assert_eq!(csv.lines().count(), 11, "{csv}");
    let head: Vec<_> = csv.lines().next().unwrap().split(',').collect();
    for column in ["path", "url", "size", "sha256"] {
        assert!(head.contains(&column), "{head:?}");
    }
    assert!(csv.contains(&landing(7)));
}

#[test]
fn a_pull_of_a_json_manifest_proves_equality_with_it() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let manifest = sky.ok("manifest 1 --format json");
    let document = manifest.json();
    for file in document["files"].as_array().unwrap() {
        assert_keys(file, &["path", "url", "size", "sha256"]);
    }
    sky.write("m.json", &manifest.stdout);
    let status = sky.ok("pull --manifest m.json --out copy --json").json();
    assert_eq!(status["files"]["done"], 10, "{status}");
    assert_eq!(status["bytes"]["total"], status["bytes"]["done"], "a manifest tells all sizes");
    assert!(sky.files("2").iter().all(|file| file["verified"] == "digest"));
    let (first, copy) = (files_below(&sky.path("out")), files_below(&sky.path("copy")));
    assert!(first == copy, "the copy differs");
    // In place: nothing is fetched, all of it is proven.
    let before = replica.requests().iter().filter(|request| request.is_fetch()).count();
    sky.ok("pull --manifest m.json --out out");
    let after = replica.requests().iter().filter(|request| request.is_fetch()).count();
    assert_eq!(before, after, "files that are equal already were fetched");
}

#[test]
fn a_pull_of_a_manifest_refuses_what_is_no_longer_the_same() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let mut document = sky.ok("manifest 1 --format json").json();
    let forged = document["files"][3]["path"].as_str().unwrap().to_owned();
    document["files"][3]["sha256"] = Value::String("ab".repeat(32));
    sky.write("m.json", document.to_string());
    sky.run("pull --manifest m.json --out copy --retries 1").exits(3);
    let failed = sky.ok("files 2 --state failed --json").json_lines();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["path"], &failed[0]["error"]["kind"]),
        (&Value::from(forged.as_str()), &"checksum".into())
    );
    assert!(!sky.path("copy").join(forged).exists());
}

#[test]
fn what_is_no_manifest_is_refused_with_a_sentence() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for text in ["", "{}", "[]", "<html></html>", "{\"files\":[{\"path\":\"a\"}]}", "{\"files\":"] {
        sky.write("m.json", text);
        let ended = sky.run("pull --manifest m.json --out copy");
        assert!(matches!(ended.code, Some(1 | 2)), "{text:?} exits {:?}", ended.code);
        assert!(ended.stderr.contains("manifest") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    assert_eq!(sky.ok("jobs --json").json(), serde_json::json!([]));
}

#[test]
fn damage_is_found_queued_again_and_mended() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.ok(&line);
    let place = |minute| sky.path("out").join(landing(minute));
    let mut bytes = std::fs::read(place(2)).unwrap();
    bytes[7_000] ^= 0x10;
    std::fs::write(place(2), bytes).unwrap();
    std::fs::write(place(3), b"short").unwrap();
    std::fs::remove_file(place(4)).unwrap();

    let found = sky.run("verify 1 --json").exits(3).json();
    let mut bad: Vec<_> =
        found["bad"].as_array().unwrap().iter().map(|bad| bad["path"].as_str().unwrap()).collect();
    bad.sort_unstable();
    assert_eq!(bad, [landing(2), landing(3), landing(4)]);
    sky.run("verify 1").exits(3);
    assert_eq!(sky.status("1")["state"], "completed", "verify alone changes nothing");

    sky.ok("verify 1 --repair");
    assert_eq!(sky.status("1")["files"]["pending"], 3);
    let before = replica.requests().len();
    sky.ok(&line);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let asked: Vec<_> = replica.end().split_off(before);
    let of_skyhaul = asked.iter().filter(|request| request.is_fetch() && request.user_agent.is_some());
    assert_eq!(of_skyhaul.count(), 3, "only the bad ones are fetched again");
    sky.ok("verify 1");
}
