//! Jobs that ended long ago are forgotten where the config file says so.

use skyhaul_tests::{Replica, Sky, files_below};

use crate::TEN_MINUTES;

#[test]
fn a_job_that_ended_long_ago_is_forgotten_and_its_files_stay() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let config = sky.write("config.toml", "forget-after = \"0s\"\n").display().to_string();
    sky.ok(&format!("pull {TEN_MINUTES} --out out --config {config}"));
    let count = || sky.ok("jobs --json").json().as_array().unwrap().len();
    assert_eq!(count(), 1, "a pull forgets nothing");
    let files = files_below(&sky.path("out"));
    let engine = sky.spawn(&format!("engine run --config {config} -v"));
    engine.wait_stderr("the job is forgotten", |told| told.contains("forgot a job that ended long ago"));
    assert_eq!((count(), files_below(&sky.path("out"))), (0, files));
    sky.ok("engine stop");
    engine.finish().exits(0);
    // The same query is a new job, and nothing of it is fetched again.
    let again = sky.ok(&format!("pull {TEN_MINUTES} --out out --json")).json();
    assert_eq!((&again["id"], &again["bytes"]["received"]), (&2.into(), &0.into()));
}
