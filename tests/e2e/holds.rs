//! Jobs that the engine holds back by itself, with the reason told, and that go on by themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use skyhaul_tests::{Replica, Sky, eventually, skipped};

use crate::{TEN_MINUTES, landing};

/// Waits until job 1 is held for a reason that says this; its status then.
fn held_for(sky: &Sky, reason: &str) -> Value {
    let mut status = Value::Null;
    eventually(&format!("a hold that says '{reason}'"), || {
        status = sky.status("1");
        let told = status["error"]["message"].as_str().unwrap_or("");
        status["state"] == "paused" && told.contains(reason)
    });
    assert_eq!(status["error"]["kind"], "disk");
    status
}

#[test]
fn a_job_under_its_floor_waits_and_goes_on_when_the_floor_is_lowered() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --min-free 9000T"));
    held_for(&sky, "--min-free");
    assert_eq!(sky.status("1")["files"]["done"], 0);
    let pid = sky.engine();
    sky.ok("set 1 --min-free 0");
    sky.ok("watch 1");
    assert_eq!(sky.engine(), pid, "the same engine went on");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_foreground_pull_under_its_floor_says_how_to_go_on() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.run(&format!("{line} --min-free 9000T")).exits(1).tells("--min-free").tells("same command again");
    sky.ok(&format!("{line} --min-free 0"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_foreground_pull_that_may_wait_for_space_goes_on_by_itself() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --min-free 9000T --wait-for-space"));
    pull.wait_stderr("the hold", |text| text.contains("job 1 is held: "));
    held_for(&sky, "--min-free");
    sky.ok("set 1 --min-free 0");
    pull.finish().exits(0);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn an_output_folder_that_goes_away_is_waited_for_and_nothing_is_written_in_its_place() {
    let replica = Replica::start("--rate 4M");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --in-flight 2"));
    eventually("a finished file", || sky.status("1")["files"]["done"].as_u64() > Some(0));
    fs::rename(sky.path("out"), sky.path("away")).unwrap();
    held_for(&sky, "is not there");
    sky.ok("status").tells("job 1 is held").tells("is not there");
    assert!(!sky.path("out").exists(), "the folder was made anew");
    // As the mount point of a disk that is not mounted.
    fs::create_dir(sky.path("out")).unwrap();
    held_for(&sky, "is empty");
    assert_eq!(fs::read_dir(sky.path("out")).unwrap().count(), 0, "something was written beside the disk");
    fs::remove_dir(sky.path("out")).unwrap();
    fs::rename(sky.path("away"), sky.path("out")).unwrap();
    sky.ok("watch 1");
    assert_eq!(sky.assert_byte_true("1", "out", &Replica::start("")), 10);
    let attempts = sky.files("1").iter().filter_map(|file| file["attempts"].as_u64()).max();
    assert_eq!(attempts, Some(1), "that the disk was away cost attempts");
}

#[test]
fn a_folder_that_was_emptied_on_purpose_is_taken_again_once_somebody_says_so() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.run(&line).exits(3);
    fs::remove_dir_all(sky.path("out")).unwrap();
    let _replica = replica.restart("--small-files");
    sky.run(&line).exits(1).tells("is empty");
    fs::create_dir(sky.path("out/mine")).unwrap();
    sky.ok(&line);
    assert!(sky.path("out").join(landing(3)).exists());
}

/// A file system of a few megabytes; gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; none where only others may.
    fn mount(place: &Path, size: &str) -> Option<Self> {
        fs::create_dir(place).unwrap();
        let options = format!("size={size}");
        let line = ["-t", "tmpfs", "-o", options.as_str(), "tmpfs"];
        let mounted = Command::new("mount").args(line).arg(place).output();
        mounted.is_ok_and(|ended| ended.status.success()).then(|| Self(place.to_owned()))
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        let grown = Command::new("mount").args(["-o", options.as_str()]).arg(&self.0).status();
        assert!(grown.is_ok_and(|status| status.success()), "cannot remount {}", self.0.display());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Detached at once, whoever still has a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_parks_the_job_and_more_room_lets_it_go_on() {
    let replica = Replica::start("");
    let sky = Sky::new(&replica);
    let Some(disk) = SmallDisk::mount(&sky.path("disk"), "7m") else {
        return skipped("a file system can only be mounted by root");
    };
    // Ten files of two megabytes.
    sky.ok(&format!("submit {TEN_MINUTES} --out disk/out --min-free 0"));
    held_for(&sky, "");
    let pid = sky.engine();
    disk.grow("64m");
    sky.ok("watch 1");
    assert_eq!(sky.engine(), pid, "the same engine went on");
    assert_eq!(sky.assert_byte_true("1", "disk/out", &replica), 10);
    let attempts = sky.files("1").iter().filter_map(|file| file["attempts"].as_u64()).max();
    assert_eq!(attempts, Some(1), "a full disk cost attempts");
    sky.ok("engine stop");
}
