//! The machine goes down in the middle and comes up again: another boot id, and garbage where nothing was synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use skyhaul_tests::{Replica, Request, Signal, Sky, eventually};

use crate::{TEN_MINUTES, landing};

/// The parts that are worth going on with: everything large among the bookkeeping.
pub(crate) fn parts(sky: &Sky) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    collect(&sky.path("out/.skyhaul"), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            collect(&entry.path(), found);
        } else if metadata.len() > 64 << 10 {
            found.insert(entry.path(), metadata.len());
        }
    }
}

/// The first byte that a request asked for.
fn from(request: &Request) -> Option<u64> {
    request.range.as_deref()?.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

/// Files that are done, parts that were synced when a pull was ended in order, and more of the same parts, which a
/// pull had received when it was killed.
struct BrokenOff {
    sky: Sky,
    replica: Replica,
    done: BTreeSet<String>,
    synced: BTreeMap<PathBuf, u64>,
    held: BTreeMap<PathBuf, u64>,
}

/// Two at a time, so that those which are gone on with are the first.
const PULL: &str = "--out out --in-flight 2";

fn broken_off() -> BrokenOff {
    let replica = Replica::start("--rate 8M");
    let sky = Sky::new(&replica).with("SKYHAUL_BOOT_ID", "before");
    let line = format!("pull {TEN_MINUTES} {PULL}");
    let end_when = |what: &str, enough: &dyn Fn() -> bool, signal: Signal| {
        let pull = sky.spawn(&line);
        eventually(what, enough);
        pull.send(signal);
        pull.finish();
    };
    end_when("a file", &|| sky.path("out").join(landing(0)).exists(), Signal::Terminate);
    // Without the parts that there may be: how long those that follow are is then known.
    sky.ok("cancel 1");
    let replica = replica.restart("--stall 300000");
    end_when(
        "two parts",
        &|| parts(&sky).values().filter(|length| **length > 200_000).count() == 2,
        Signal::Terminate,
    );
    let synced = parts(&sky);
    let replica = replica.restart("--stall 200000");
    let grown =
        || parts(&sky).iter().all(|(path, now)| *now > synced.get(path).copied().unwrap_or(0) + 100_000);
    end_when("more of both", &grown, Signal::Kill);
    let done = sky.ok("files 1 --state done --json").json_lines();
    let done = done.iter().filter_map(|file| file["url"].as_str()).map(str::to_owned).collect();
    let held = parts(&sky);
    BrokenOff { sky, replica, done, synced, held }
}

#[test]
fn after_a_reboot_the_job_goes_on_and_a_part_is_trusted_only_as_far_as_it_was_synced() {
    let BrokenOff { sky, replica, done, synced, held } = broken_off();
    assert!(!done.is_empty() && synced.len() == 2, "{done:?} {synced:?}");
    // What a power cut may leave: lengths that were recorded and bytes that never reached the disk.
    for path in held.keys() {
        let mut bytes = fs::read(path).unwrap();
        bytes[usize::try_from(synced[path]).unwrap()..].fill(0);
        bytes.extend([0xa5; 30_000]);
        fs::write(path, bytes).unwrap();
    }
    let replica = replica.restart("");
    let sky = sky.with("SKYHAUL_BOOT_ID", "after");
    let ended = sky.ok(&format!("pull {TEN_MINUTES} {PULL} --json")).json();
    assert_eq!(ended["state"], "completed");
    let requests = replica.end();
    let resumed: BTreeSet<u64> = requests.iter().filter_map(from).collect();
    assert_eq!(resumed, synced.values().copied().collect(), "where the parts were gone on from");
    let again = requests.iter().find(|request| done.iter().any(|url| url.ends_with(&request.path)));
    assert_eq!(again, None, "asked for again although it was done");
    assert!(!requests.iter().any(Request::is_api), "the archive was asked again for what is known");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
}

#[test]
fn after_a_mere_crash_all_of_a_part_is_trusted() {
    let BrokenOff { sky, replica, held, .. } = broken_off();
    let replica = replica.restart("");
    sky.ok(&format!("pull {TEN_MINUTES} {PULL}"));
    let resumed: BTreeSet<u64> = replica.end().iter().filter_map(from).collect();
    assert_eq!(resumed, held.values().copied().collect(), "where the parts were gone on from");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
}
