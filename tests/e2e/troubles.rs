//! What is wrong with which files: every failed attempt is counted, with an example and what can be done about it.

use serde_json::json;
use skyhaul_tests::{Replica, Sky};

use crate::TEN_MINUTES;

#[test]
fn errors_are_counted_by_kind_and_host_and_outlive_the_success() {
    let replica = Replica::start("--small-files --missing _0603_ --refuse-files 500@first:3");
    let sky = Sky::new(&replica);
    sky.run(&format!("pull {TEN_MINUTES} --out out")).exits(3);
    let status = sky.status("1");
    let errors = status["errors"].as_array().unwrap();
    let of =
        |kind: &str| errors.iter().find(|error| error["kind"] == kind).unwrap_or_else(|| panic!("{status}"));
    let (http, missing) = (of("http"), of("not_found"));
    assert_eq!((&http["count"], &http["host"]), (&json!(3), &json!(replica.host())));
    assert_eq!(missing["count"], 1);
    assert!(missing["example"]["path"].as_str().unwrap().contains("_0603_"), "{missing}");
    skyhaul_tests::assert_keys(http, &["kind", "host", "count", "first_at", "last_at", "example"]);
    let told = sky.ok("status 1").stdout;
    assert!(told.contains("errors") && told.contains("skyhaul retry"), "{told}");
    let _replica = replica.restart("--small-files");
    let ended = sky.ok(&format!("pull {TEN_MINUTES} --out out --json")).json();
    assert_eq!(ended["errors"].as_array().map(Vec::len), Some(2), "history: {ended}");
}

#[test]
fn a_file_that_failed_says_why_and_when_it_is_tried_again() {
    let replica = Replica::start("--small-files --refuse-files 500");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out"));
    let mut waits = Vec::new();
    skyhaul_tests::eventually("files that wait for another try", || {
        waits = sky.ok("files 1 --state pending --json").json_lines();
        waits.iter().any(|file| file["retry_at"].is_string())
    });
    let file = waits.iter().find(|file| file["retry_at"].is_string()).unwrap();
    assert_eq!((&file["error"]["kind"], &file["restarts"]), (&json!("http"), &json!(null)), "{file}");
    sky.ok("engine stop");
    let told = sky.ok("files 1 --state pending");
    assert!(told.stdout.contains("again at"), "{}", told.stdout);
    told.tells("http: the server is not well");
}
