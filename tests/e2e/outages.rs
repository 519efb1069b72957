//! Archives that go away in the middle: what waits for them, for how long, and what does not.

use skyhaul_tests::{Replica, Signal, Sky, eventually};

/// Sixty small files.
const HOUR: &str = "THEMIS_ASI_RAW --start 2022-01-01T06 --end 2022-01-01T06 --site gill";

#[test]
fn an_archive_that_had_answered_is_waited_for_after_a_restart_too() {
    // Of an address of its own nobody else takes the port meanwhile.
    let replica = Replica::start_at("127.0.7.1:0", "--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {HOUR} --out out --retries 0"));
    replica.wait_fetches(1);
    eventually("a file that is done", || sky.status("1")["files"]["done"].as_u64() > Some(0));
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);
    let address = replica.host().to_owned();
    replica.end();
    let pull = sky.spawn(&format!("pull {HOUR} --out out --retries 0"));
    eventually("files that are tried", || sky.status("1")["files"]["active"].as_u64() > Some(0));
    let replica = Replica::start_at(&address, "--small-files");
    pull.finish().exits(0);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 60);
}

#[test]
fn a_jobs_own_patience_with_an_archive_that_is_away_is_what_counts() {
    let replica = Replica::start("--small-files --rate 60k");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    sky.ok(&format!("submit {HOUR} --out out --outage 1s --retries 0"));
    replica.wait_fetches(1);
    eventually("a file that is done", || sky.status("1")["files"]["done"].as_u64() > Some(0));
    replica.end();
    let status = sky.run("watch 1 --json").exits(3).json();
    assert!(status["files"]["failed"].as_u64() > Some(0), "{status}");
    // Those that were under way were cut off, the others found nobody.
    let files = sky.files("1");
    assert!(files.iter().any(|file| file["error"]["kind"] == "connection"), "{files:?}");
}
