//! A file that several windows of one query list is one file, whatever happens on the way.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skyhaul_tests::{Asked, Page, Replica, Shelf, Sky, files_below};

/// How often each file was fetched.
fn fetches(replica: &Replica) -> BTreeMap<String, usize> {
    let mut fetches = BTreeMap::new();
    for request in replica.requests().iter().filter(|request| request.is_fetch()) {
        *fetches.entry(request.path.clone()).or_default() += 1;
    }
    fetches
}

/// Asserts that a finished job has so many files, each planned, kept and told of once.
fn assert_each_once(sky: &Sky, replica: &Replica, plan: &Value, files: usize) {
    let status = sky.status("1");
    assert_eq!(
        (&status["state"], &status["files"]["total"]),
        (&"completed".into(), &json!(files)),
        "{status}"
    );
    let done = &status["bytes"]["done"];
    assert_eq!(&status["bytes"]["total"], done, "{status}");
    assert_eq!((&plan["files"]["total"], &plan["bytes"]["total"]), (&json!(files), done), "{plan}");
    let manifest = sky.ok("manifest 1").stdout;
    assert_eq!((sky.files("1").len(), manifest.lines().count()), (files, files), "{manifest}");
    assert_eq!(sky.assert_byte_true("1", "out", replica), files);
}

#[test]
fn events_in_one_hour_of_hourly_data_are_one_file() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let rows = (1..6).map(|ten| format!("2022-01-01T06:{ten}0:00Z,2022-01-01T06:{ten}3:00Z,gill\n"));
    sky.write("events.csv", rows.collect::<String>());
    let plan = sky.ok("plan THEMIS_ASI_RAW_ROW2 --events events.csv --out out --json").json();
    assert_eq!(plan["windows"]["total"], 5);
    sky.ok("pull THEMIS_ASI_RAW_ROW2 --events events.csv --out out");
    assert!(fetches(&replica).into_values().eq([1]), "{:?}", fetches(&replica));
    assert_each_once(&sky, &replica, &plan, 1);

    sky.ok("refresh 1");
    let line = "pull THEMIS_ASI_RAW_ROW2 --events events.csv --out out --json";
    let status = sky.ok(line).json();
    assert_eq!((&status["files"]["total"], &status["bytes"]["total"]), (&1.into(), &plan["bytes"]["total"]));
    assert_eq!(status["bytes"]["received"], status["bytes"]["done"], "it was fetched again");
}

#[test]
fn events_of_one_day_of_daily_data_are_one_file_over_a_kill_and_a_refresh() {
    // Files named without a time that a clock could read.
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let rows = "2018-05-01T06:00,2018-05-01T06:30,chur\n2018-05-01T09:00,2018-05-01T09:30,chur\n\
                2018-05-02T01:00,2018-05-02T01:30,chur\n2018-05-02T03:00,2018-05-02T03:30,chur\n";
    sky.write("events.csv", rows);
    let line = "NORSTAR_RIOMETER_K0_TXT --events events.csv --out out";
    let plan = sky.ok(&format!("plan {line} --json")).json();
    let listed = |replica: &Replica| replica.requests().iter().filter(|request| request.is_listing()).count();
    let before = listed(&replica);
    let pull = sky.spawn(&format!("pull {line} --requests-per-second 2"));
    replica.wait("two listings", |requests| {
        requests.iter().filter(|request| request.is_listing()).count() >= before + 2
    });
    pull.kill();
    sky.ok(&format!("pull {line}"));
    assert_eq!(fetches(&replica).len(), 2);
    assert_each_once(&sky, &replica, &plan, 2);

    sky.ok("refresh 1");
    let received = sky.status("1")["bytes"]["received"].clone();
    let status = sky.ok(&format!("pull {line} --json")).json();
    assert_eq!(status["files"], json!({"total": 2, "pending": 0, "active": 0, "done": 2, "failed": 0}));
    assert_eq!(status["bytes"]["received"], received, "something was fetched again");
    assert_eq!((sky.files("1").len(), &status["bytes"]["total"]), (2, &plan["bytes"]["total"]));
}

/// An archive whose listings name one file for each day and one for all days, and one that cannot land anywhere.
fn timeless_archive(asked: &Asked) -> Page {
    let tree = format!("http://{}/tree", asked.header("host").unwrap_or(""));
    let dataset = json!({"name": "TIMELESS", "short_description": "", "long_description": "", "level": "L0",
        "data_tree_url": tree, "file_listing_supported": true, "file_time_resolution": "1min",
        "supported_libraries": []});
    if asked.path().ends_with("/datasets") {
        return Page::ok(json!([dataset]).to_string()).with("Content-Type", "application/json");
    }
    if !asked.path().ends_with("/urls") {
        return Page::ok(format!("the file of {}", asked.path()));
    }
    let day = asked.target.split("start=").nth(1).unwrap_or("")[..10].to_owned();
    let urls = [format!("{tree}/of_{day}.txt"), format!("{tree}/of_all.txt"), format!("{tree}/../no.txt")];
    let listing =
        json!({"urls": urls, "path_prefix": tree, "count": 3, "total_bytes": null, "dataset": dataset});
    Page::ok(listing.to_string()).with("Content-Type", "application/json")
}

#[test]
fn a_url_in_the_listings_of_many_days_is_one_file() {
    let archive = Shelf::open(timeless_archive);
    let sky = Sky::at(archive.base());
    let line = "TIMELESS --start 2022-01-01 --end 2022-01-03 --out out --json";
    assert_eq!(sky.ok(&format!("plan {line}")).json()["files"]["total"], 5);
    for _ in 0..2 {
        let status = sky.run(&format!("pull {line}")).exits(3).json();
        let counts = json!({"total": 5, "pending": 0, "active": 0, "done": 4, "failed": 1});
        assert_eq!(status["files"], counts, "one for each day, one for all, and one that cannot land");
        assert_eq!(files_below(&sky.path("out")).len(), 4);
        sky.ok("refresh 1");
    }
}
