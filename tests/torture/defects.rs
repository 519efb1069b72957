//! Who guards the guards: programs that are careless on purpose are found out by the same means.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use skyhaul_tests::Running;

use crate::disk::Survival;
use crate::driver::{Place, Then, acks, own_test, say};
use crate::oracle::{History, Round};
use crate::power::record;
use crate::recording::{Call, Recorder, Recording};
use crate::script::Kind;

/// How the careless program keeps its promises, and where.
const CARELESS: &str = "SKYHAUL_TORTURE_CARELESS";

/// Promises that it makes.
const PROMISES: usize = 20;

/// Not a test: a program that keeps numbers in a file and says which it has kept.
#[test]
#[ignore = "other tests run it"]
fn careless() {
    let Ok(order) = std::env::var(CARELESS) else { return };
    let (way, folder) = order.split_once(':').unwrap();
    for number in 1..=PROMISES {
        keep(way, Path::new(folder), number);
        say(&format!("kept {number}"));
    }
}

fn keep(way: &str, folder: &Path, number: usize) {
    let sync_folder = || File::open(folder).unwrap().sync_all().unwrap();
    let line = format!("{number}\n");
    match way {
        "replaced" | "replaced unsynced" => {
            let fresh = folder.join("numbers.new");
            let mut file = File::create(&fresh).unwrap();
            file.write_all(line.as_bytes()).unwrap();
            if way == "replaced" {
                file.sync_data().unwrap();
            }
            std::fs::rename(fresh, folder.join("numbers")).unwrap();
            sync_folder();
        }
        _ => {
            let mut file = OpenOptions::new().append(true).create(true).open(folder.join("numbers")).unwrap();
            file.write_all(line.as_bytes()).unwrap();
            if way != "appended unsynced" {
                file.sync_data().unwrap();
            }
            if way != "appended in an unsynced folder" {
                sync_folder();
            }
        }
    }
}

/// In how many of many power cuts a promise of the careless program is broken; none where it cannot be recorded.
fn broken_promises(way: &str) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().canonicalize().unwrap();
    let mut command = own_test("defects::careless", CARELESS, &format!("{way}:{}", root.display()));
    let recorder = Recorder::attach(&mut command, &root)?;
    Running::spawn(command).finish().exits(0);
    let recording = recorder.finish();
    let mut random = fastrand::Rng::with_seed(7);
    let moments = recording.moments(60, &mut random);
    let is_broken = |moment: usize| {
        let mut disk = recording.before.clone();
        recording.calls[..moment].iter().for_each(|call| disk.apply(call));
        let files = disk.image(Survival::of_power_cut(&mut random), &mut random).files;
        let held = files.get("numbers").map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        let said = recording.said(moment);
        let number = |line: &str| line.parse::<usize>().ok();
        let promised = said.lines().filter_map(|line| line.strip_prefix("kept ").and_then(number)).max();
        held.lines().filter_map(number).max() < promised
    };
    Some(moments.into_iter().map(is_broken).filter(|broken| *broken).count())
}

#[test]
fn a_program_that_syncs_all_it_must_keeps_its_promises() {
    for way in ["appended", "replaced"] {
        assert!(broken_promises(way).is_none_or(|broken| broken == 0), "{way}");
    }
}

#[test]
fn a_missing_sync_is_found_out() {
    for way in ["appended unsynced", "appended in an unsynced folder", "replaced unsynced"] {
        assert!(broken_promises(way).is_none_or(|broken| broken > 0), "{way}");
    }
}

/// The recording of a queue whose ledgers were never synced.
fn unsynced(recording: Recording) -> Recording {
    let is_ledger = |call: &Call| match call {
        Call::Create { inode, path } if path.ends_with("ledger") => Some(*inode),
        _ => None,
    };
    let ledgers: BTreeSet<u64> = recording.calls.iter().filter_map(is_ledger).collect();
    let is_kept = |call: &Call| !matches!(call, Call::Sync { inode } if ledgers.contains(inode));
    Recording { calls: recording.calls.into_iter().filter(is_kept).collect(), ..recording }
}

#[tokio::test]
async fn a_queue_that_does_not_sync_its_ledgers_is_found_out() {
    let place = Place::new();
    let round = Round { seed: 5, kind: Kind::Mixed, length: 20 };
    let Some(recording) = record(&place, "one", round, Then::Wait) else { return };
    let recording = unsynced(recording);
    let mut disk = recording.before.clone();
    recording.calls.iter().for_each(|call| disk.apply(call));
    let lies = tempfile::tempdir().unwrap();
    disk.image(Survival::NONE, &mut fastrand::Rng::with_seed(7)).write_to(lies.path());
    let acks = acks(&recording.said(recording.calls.len()));
    let history = History::new(&place.lists());
    let compared = history.compare(&lies.path().join("state"), "after", round, acks).await;
    assert!(compared.is_err(), "what was never synced was lost, and nobody noticed");
}
