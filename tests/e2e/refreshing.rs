//! `refresh`: the archive is asked again, and what is new there comes.

use skyhaul_tests::{Replica, Sky};

use crate::{TEN_MINUTES, landing};

/// Listings and fetches so far.
fn asked(replica: &Replica) -> (usize, usize) {
    let requests = replica.requests();
    (requests.iter().filter(|r| r.is_listing()).count(), requests.iter().filter(|r| r.is_fetch()).count())
}

#[test]
fn files_that_arrived_late_come_with_a_refresh_and_the_others_are_not_fetched_again() {
    let replica = Replica::start("--small-files --late _0603_");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out --json");
    assert_eq!(sky.ok(&line).json()["files"]["total"], 9);
    let (before, manifest) = (asked(&replica), sky.ok("manifest 1").stdout);
    assert_eq!(sky.ok(&line).json()["files"]["total"], 9, "a pull asks for no listing that it has");
    assert_eq!(asked(&replica), before);
    sky.ok("refresh 1").tells("no engine runs");
    assert_ne!(sky.status("1")["state"], "completed");
    // What lies there is told of meanwhile, too.
    assert_eq!(sky.ok("manifest 1").stdout, manifest);
    assert_eq!(sky.ok("verify 1 --json").json()["ok"], 9);
    let ended = sky.ok(&line).json();
    assert_eq!(
        (&ended["state"], &ended["files"]["total"], &ended["files"]["done"]),
        (&"completed".into(), &10.into(), &10.into())
    );
    assert!(sky.path("out").join(landing(3)).exists());
    let bytes = |key: &str| ended["bytes"][key].as_u64().unwrap();
    assert_eq!(bytes("received"), bytes("done"), "what is here was fetched again: {ended}");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_file_that_has_changed_at_the_archive_is_fetched_again_by_a_refresh() {
    let replica = Replica::start("--small-files --replaced _0603_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let path = sky.path("out").join(landing(3));
    let before = std::fs::read(&path).unwrap();
    sky.ok("refresh 1");
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert_ne!(std::fs::read(&path).unwrap(), before, "the old version still lies there");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
}

#[test]
fn a_running_engine_takes_a_refresh_up_by_itself() {
    let replica = Replica::start("--small-files --late _0603_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    sky.ok("watch 1");
    sky.ok("refresh --all");
    skyhaul_tests::eventually("the late file", || sky.status("1")["files"]["done"] == 10);
    assert_eq!(sky.ok("watch 1 --json").json()["state"], "completed");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let told = sky.run("refresh 1 9").exits(5);
    assert!(told.stdout.contains("job 1"), "{}", told.stdout);
}
