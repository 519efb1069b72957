//! The whole product through a power cut: what the queue calls done is whole at its final path, is never fetched
//! again, and the rest follows.

use std::collections::{BTreeMap, BTreeSet};

use skyhaul_tests::{Replica, Running, Sky};

use crate::disk::Survival;
use crate::folder::empty;
use crate::recording::Recorder;
use crate::{rounds, seed};

/// Some 300 files of every site.
const PULL: &str = "pull THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:29 --out out --json";

#[test]
fn a_pull_goes_on_behind_a_power_cut() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica).with("SKYHAUL_BOOT_ID", "before");
    let folder = sky.path("state").parent().unwrap().to_owned();
    let mut command = sky.command(&PULL.split(' ').collect::<Vec<_>>());
    let Some(recorder) = Recorder::attach(&mut command, &folder) else { return };
    let total = Running::spawn(command).finish().exits(0).json()["files"]["total"].as_u64().unwrap();
    let recording = recorder.finish();
    let sky = sky.with("SKYHAUL_BOOT_ID", "after");
    let served: BTreeMap<String, Vec<u8>> = sky
        .files("1")
        .iter()
        .map(|file| file["url"].as_str().unwrap())
        .map(|url| (url.to_owned(), replica.fetch(url).body))
        .collect();
    let mut random = fastrand::Rng::with_seed(seed());
    let mut disk = recording.before.clone();
    let mut applied = 0;
    for moment in recording.moments(rounds(2, 40), &mut random) {
        recording.calls[applied..moment].iter().for_each(|call| disk.apply(call));
        applied = moment;
        empty(&folder);
        disk.image(Survival::of_power_cut(&mut random), &mut random).write_to(&folder);
        let what = format!("cut at call {moment} of {}", recording.calls.len());
        let done = done(&sky, &served, &what);
        let all_said = !recording.said(moment).is_empty();
        assert!(!all_said || done.len() as u64 == total, "{what}: {} of {total} are done", done.len());
        go_on(&sky, &replica, &done, &what);
        assert_eq!(sky.assert_byte_true("1", "out", &replica) as u64, total, "{what}");
    }
}

/// The URLs of the files that the queue calls done, each of which lies there whole.
fn done(sky: &Sky, served: &BTreeMap<String, Vec<u8>>, what: &str) -> BTreeSet<String> {
    let listed = sky.run("files 1 --state done --json");
    // The power may have gone before the job was there.
    let files = if listed.code == Some(5) { Vec::new() } else { listed.exits(0).json_lines() };
    let whole = |file: &serde_json::Value| {
        let (path, url) = (file["path"].as_str().unwrap(), file["url"].as_str().unwrap());
        let lies = std::fs::read(sky.path("out").join(path));
        assert!(lies.is_ok_and(|lies| lies == served[url]), "{what}: {path} is called done and is not whole");
        url.to_owned()
    };
    files.iter().map(whole).collect()
}

/// Pulls to the end; nothing that was done is asked for.
fn go_on(sky: &Sky, replica: &Replica, done: &BTreeSet<String>, what: &str) {
    let before = replica.requests().len();
    sky.ok(PULL);
    let requests = replica.requests();
    let again = requests[before..].iter().find(|request| done.iter().any(|url| url.ends_with(&request.path)));
    assert_eq!(again, None, "{what}: asked for again although it was done");
}
