//! `--follow`: standing jobs, whose last days are asked for again and again.

use skyhaul_tests::{Replica, Signal, Sky, eventually};

use crate::{TEN_MINUTES, landing};

#[test]
fn a_standing_job_fetches_what_arrives_late_by_itself() {
    let replica = Replica::start("--small-files --late _0603_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --follow --window 9999 --every 1s"));
    eventually("the late file", || sky.path("out").join(landing(3)).exists());
    eventually("its end", || sky.status("1")["state"] == "completed");
    let status = sky.status("1");
    assert_eq!(status["files"]["done"], 10, "{status}");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let listings = || replica.requests().iter().filter(|request| request.is_listing()).count();
    let so_far = listings();
    eventually("another round", || listings() > so_far);
}

#[test]
fn between_two_rounds_it_is_completed_and_says_when_the_next_is() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --follow"));
    let watched = sky.ok("watch 1 --json").json();
    assert_eq!(watched["state"], "completed");
    let next = watched["next_listing_at"].as_str().unwrap().to_owned();
    assert!(next.as_str() > watched["finished_at"].as_str().unwrap(), "{watched}");
    let pid = sky.engine();
    sky.ok("engine stop");
    sky.ok("engine start");
    assert_ne!(sky.engine(), pid);
    let asked = replica.requests().iter().filter(|request| request.is_listing()).count();
    assert_eq!((asked, sky.status("1")["next_listing_at"].as_str()), (1, Some(next.as_str())));
    assert!(sky.ok("status 1").stdout.contains("200 days"));
    // The newest policy wins: without the flag it stands by no longer.
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    assert_eq!(sky.status("1")["next_listing_at"], serde_json::Value::Null);
}

#[test]
fn without_an_end_it_goes_on_to_today() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    // Skymaps are few, and asked for as a whole.
    let line = "THEMIS_ASI_SKYMAP_IDLSAV --start 2009 --site gill --out out --follow";
    sky.ok(&format!("submit {line}"));
    let watched = sky.ok("watch 1 --json").json();
    assert_eq!(
        (&watched["state"], &watched["source"]["end"]),
        (&"completed".into(), &serde_json::Value::Null)
    );
    assert!(watched["files"]["done"].as_u64() > Some(0), "{watched}");
    let again = sky.ok(&format!("submit {line} --json")).json();
    assert_eq!(again["created"], false, "it is the same job tomorrow");
    sky.run("submit THEMIS_ASI_RAW --start 2009 --site gill --out out").exits(2).tells("--end");
}

#[test]
fn a_standing_pull_stays_until_it_is_interrupted() {
    let replica = Replica::start("--small-files --late _0603_");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out --follow --window 9999 --every 1s");
    let pull = sky.spawn(&line);
    eventually("the late file", || sky.path("out").join(landing(3)).exists());
    eventually("its end", || sky.status("1")["files"]["done"] == 10);
    pull.send(Signal::Interrupt);
    pull.finish().exits(130).tells("stands by");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let pull = sky.spawn(&line);
    pull.wait_stderr("what it waits for", |text| text.contains("to be listed again"));
    sky.ok("cancel 1");
    pull.finish().exits(1);
}
