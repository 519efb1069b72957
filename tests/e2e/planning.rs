//! From a query to windows to files: all of them, each once, over any interruption.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use skyhaul_tests::{Asked, Page, Replica, Request, Shelf, Sky, assert_keys};

use crate::TEN_MINUTES;

/// The number of the second that a listing's time names, counted from some day long ago.
fn second(time: &str) -> i64 {
    let numbers: Vec<i64> =
        time.trim_end_matches('Z').split(['-', 'T', ' ', ':']).map(|n| n.parse().unwrap()).collect();
    let [year, month, day, hour, minute, second] = numbers[..] else { panic!("{time} is no full time") };
    // Days of the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}

/// A listing's dataset and site, and the window it covers.
fn window(request: &Request) -> ((String, String), (i64, i64)) {
    let param = |name: &str| request.param(name).unwrap_or_else(|| panic!("no {name} in {}", request.query));
    let key = (param("name").to_uppercase(), param("site_uid").to_lowercase());
    (key, (second(&param("start")), second(&param("end"))))
}

#[test]
fn three_years_of_twelve_sites_and_two_datasets_are_planned_over_a_kill_each_window_once() {
    const SITES: &str = "atha,fsim,fsmi,gako,gill,inuv,kapu,kian,kuuj,rank,snkq,whit";
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    // Years before the first camera: as many listings, and none of them has files.
    let line = format!("THEMIS_ASI_RAW REGO_RAW --start 1991 --end 1993 --site {SITES} --out out");
    let pull = sky.spawn(&format!("pull {line}"));
    let listings = |requests: &[Request]| requests.iter().filter(|request| request.is_listing()).count();
    replica.wait("half of the listings", |requests| listings(requests) >= 9_000);
    pull.kill();
    let killed = replica.moment();
    let answered = replica.requests();
    let answered = answered.iter().filter(|request| request.is_listing() && request.complete).count() as u64;
    let status = sky.status("1");
    let listed = status["windows"]["listed"].as_u64().unwrap();
    let total = status["windows"]["total"].as_u64().unwrap();
    assert!(listed <= answered && listed > 0 && listed < total, "{answered} answers, {status}");

    let status = sky.ok(&format!("pull {line} --json")).json();
    assert_eq!((&status["state"], &status["files"]["total"]), (&"completed".into(), &0.into()));
    assert_eq!(status["windows"], json!({"total": total, "listed": total, "failed": 0}));
    let requests = replica.end();
    let later =
        requests.iter().filter(|request| request.is_listing() && request.came_ms > killed).count() as u64;
    assert_eq!(later, total - listed, "windows were listed again, or left out");
    assert_windows_cover(&requests, second("1991-01-01T00:00:00"), second("1993-12-31T23:59:59"));
}

/// The windows of each dataset and site follow on one another from the first second to the last, none of a day
/// or longer; those of the moment of the kill may have been asked for twice.
fn assert_windows_cover(requests: &[Request], first: i64, last: i64) {
    let mut windows: BTreeMap<_, BTreeSet<(i64, i64)>> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.is_listing()) {
        let (key, span) = window(request);
        windows.entry(key).or_default().insert(span);
    }
    assert_eq!(windows.len(), 24);
    for (key, spans) in windows {
        let mut next = first;
        for (start, end) in spans {
            assert_eq!(start, next, "{key:?} has a gap or an overlap");
            assert!((0..86_400).contains(&(end - start)), "{key:?} has a window of {} s", end - start);
            next = end + 1;
        }
        assert_eq!(next, last + 1, "{key:?} ends elsewhere");
    }
}

#[test]
fn a_plan_tells_windows_files_bytes_and_what_is_here_and_changes_nothing() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let plan = sky.ok(&format!("plan {TEN_MINUTES} --out out --json")).json();
    assert_keys(&plan, &["windows", "files", "bytes", "free_bytes"]);
    assert_eq!((&plan["windows"]["total"], &plan["files"]), (&1.into(), &json!({"total": 10, "here": 0})));
    assert_eq!(plan["bytes"]["here"], 0);
    assert!(plan["bytes"]["total"].is_null() || plan["bytes"]["total"].as_u64() > Some(100_000), "{plan}");
    assert!(plan["free_bytes"].as_u64() > Some(0));
    assert!(!sky.path("out").exists() && !sky.path("state/jobs").exists(), "the plan left something behind");
    assert!(replica.requests().iter().all(Request::is_api), "the plan asked for files");

    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let bytes = &sky.status("1")["bytes"]["done"];
    let plan = sky.ok(&format!("plan {} --out out --json", TEN_MINUTES.replace("06:09", "06:11"))).json();
    assert_eq!(plan["files"], json!({"total": 12, "here": 10}));
    assert_eq!(&plan["bytes"]["here"], bytes);
    assert_eq!(sky.ok("jobs --json").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_plan_of_a_list_or_a_manifest_counts_without_asking_anybody() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let lines = ["/a.bin", "/b.bin", "/a.bin", "/../no.bin"].map(|path| format!("http://127.0.0.1:9{path}"));
    sky.write("list.txt", lines.join("\n"));
    sky.write("out/127.0.0.1_9/b.bin", "here");
    let plan = sky.ok("plan --urls list.txt --out out --json").json();
    assert_eq!(plan["files"], json!({"total": 3, "here": 1}), "{plan}");
    assert_eq!(plan["bytes"], json!({"total": null, "here": 4}));
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let done = sky.status("1")["bytes"]["done"].clone();
    sky.write("m.json", sky.ok("manifest 1 --format json").stdout);
    let before = replica.requests().len();
    let plan = sky.ok("plan --manifest m.json --out out --json").json();
    assert_eq!(plan["files"], json!({"total": 10, "here": 10}), "{plan}");
    assert_eq!(plan["bytes"], json!({"total": done, "here": done}));
    assert_eq!(replica.requests().len(), before);
}

#[test]
fn a_plan_can_be_made_while_another_process_owns_the_queue() {
    let replica = Replica::start("--small-files --rate 20k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --connections 2"));
    replica.wait_fetches(1);
    sky.ok(&format!("plan {TEN_MINUTES} --out elsewhere --json"));
    drop(pull);
}

#[test]
fn a_query_that_finds_nothing_completes_with_no_files_and_says_so() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = "pull THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:09 --site nono --out out";
    let ended = sky.ok(line);
    assert!(!ended.stderr.trim().is_empty(), "it does not say that there was nothing");
    let status = sky.status("1");
    assert_eq!((&status["state"], &status["files"]["total"]), (&"completed".into(), &0.into()));
    assert!(status["finished_at"].is_string());
}

#[test]
fn prefixes_of_times_mean_their_first_and_their_last_second() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    // (start, end, files): an inclusive window over minute files and over a whole night.
    let table = [
        ("2022-01-01T06:00", "2022-01-01T06:00", 1),
        ("2022-01-01T06:00:00Z", "2022-01-01T06:01:00Z", 2),
        ("2022-01-01T06", "2022-01-01T06", 60),
        ("2022-01-01", "2022-01-01", 814),
        ("2022-01-01T13:00", "2022-01-02T00:09", 44),
    ];
    for (start, end, files) in table {
        let line = format!("plan THEMIS_ASI_RAW --start {start} --end {end} --site gill --out out --json");
        assert_eq!(sky.ok(&line).json()["files"]["total"], files, "{start} to {end}");
    }
}

#[test]
fn datasets_of_all_resolutions_and_shapes_are_planned() {
    for shape in ["current", "legacy1", "legacy2"] {
        let replica = Replica::start(&format!("--small-files --dataset-shape {shape}"));
        let sky = Sky::new(&replica);
        let days = "--start 2021-12-24 --end 2021-12-28 --site gill --out out --json";
        // Five days of a dataset with two files a day, one a day, and skymaps of which some days have none.
        let table = [
            ("THEMIS_ASI_DAILY_KEOGRAM_PGM", 10),
            ("THEMIS_ASI_DAILY_KEOGRAM_JPG", 5),
            ("TREX_RGB_SKYMAP_IDLSAV", 0),
        ];
        for (dataset, files) in table {
            let plan = sky.ok(&format!("plan {dataset} {days}")).json();
            assert_eq!(plan["files"]["total"], files, "{dataset} of shape {shape}");
        }
        let years = "plan THEMIS_ASI_SKYMAP_IDLSAV --start 2020 --end 2020 --site gill --out out --json";
        assert_eq!(sky.ok(years).json()["files"]["total"], 2, "{shape}");
    }
}

/// An archive that calls its files daily ones and then refuses more than a day.
fn moody_archive(asked: &Asked) -> Page {
    let host = asked.header("host").unwrap_or("");
    let dataset = json!({"name": "MOODY", "short_description": "", "long_description": "", "level": "L0",
        "data_tree_url": format!("http://{host}/tree"), "file_listing_supported": true,
        "file_time_resolution": "1day", "supported_libraries": []});
    if asked.path().ends_with("/datasets") {
        return Page::ok(json!([dataset]).to_string()).with("Content-Type", "application/json");
    }
    if !asked.path().ends_with("/urls") {
        return Page::ok(format!("the file of {}", asked.path()));
    }
    let param = |name: &str| {
        let query = asked.target.split_once('?').map_or("", |(_, query)| query);
        let (_, value) =
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).unwrap();
        value.replace("%3A", ":")
    };
    let (start, end) = (param("start"), param("end"));
    if second(&end) - second(&start) >= 86_400 {
        let detail = "Timeframe exceeds valid range; this dataset listing must be limited to one day";
        return Page::status(400).saying(json!({"detail": detail}).to_string());
    }
    let urls = [format!("http://{host}/tree/{}.txt", &start[..10])];
    let listing = json!({"urls": urls, "path_prefix": format!("http://{host}/tree"), "count": 1,
        "total_bytes": null, "dataset": dataset});
    Page::ok(listing.to_string()).with("Content-Type", "application/json")
}

#[test]
fn a_window_that_the_archive_calls_too_long_is_split_until_it_fits() {
    let archive = Shelf::open(moody_archive);
    let sky = Sky::at(archive.base());
    let status = sky.ok("pull MOODY --start 2022-01-01 --end 2022-01-05 --out out --json").json();
    assert_eq!(status["files"]["done"], 5, "{status}");
    assert_eq!(status["windows"]["failed"], 0);
    assert_eq!(status["windows"]["total"], status["windows"]["listed"]);
    for day in 1..=5 {
        assert!(sky.path(&format!("out/MOODY/2022-01-0{day}.txt")).is_file(), "day {day}");
    }
}

#[test]
fn datasets_may_be_separated_by_commas_as_sites_may_and_parts_of_seconds_make_no_other_job() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let submit =
        |line: &str| sky.ok(&format!("submit {line} --site gill --out out --no-start --json")).json();
    let apart = "THEMIS_ASI_RAW REGO_RAW --start 2022-01-01T06:00:00Z --end 2022-01-01T06:00:59Z";
    assert_eq!(submit(apart), json!({"id": 1, "created": true}));
    let together = "REGO_RAW,themis_asi_raw --start 2022-01-01T06:00:00.25 --end 2022-01-01T06:00:59.5Z";
    assert_eq!(submit(together), json!({"id": 1, "created": false}));
}
