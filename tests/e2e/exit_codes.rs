//! The exit codes, each from what it is for.

use skyhaul_tests::{Page, Replica, Shelf, Signal, Sky};

use crate::TEN_MINUTES;

/// An address at which nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

#[test]
fn what_is_done_exits_0() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    for line in
        ["jobs", "status", "status 1", "files 1", "verify 1", "manifest 1", "cite 1", "--help", "--version"]
    {
        sky.ok(line);
    }
    for line in
        ["datasets", "datasets rego", "datasets show REGO_RAW", "sites", "sites rego", "cite REGO_RAW"]
    {
        sky.ok(line);
    }
}

#[test]
fn a_wrong_command_line_exits_2_with_a_sentence() {
    let sky = Sky::at(NOBODY);
    sky.write("list.txt", "http://127.0.0.1:9/a\n");
    let lines = [
        "frobnicate",
        "pull",
        "pull THEMIS_ASI_RAW --out out",
        "pull THEMIS_ASI_RAW --start 2022 --out out",
        "pull THEMIS_ASI_RAW --start 2022-01-02 --end 2022-01-01 --out out",
        "submit THEMIS_ASI_RAW --start 2022-01-01T06:01 --end 2022-01-01T06:00 --out out --no-start",
        "plan THEMIS_ASI_RAW --start 2023 --end 2022 --out out",
        "pull THEMIS_ASI_RAW --start 2022-13 --end 2023 --out out",
        "pull THEMIS_ASI_RAW --start 2022-02-30 --end 2023 --out out",
        "pull THEMIS_ASI_RAW --start never --end 2023 --out out",
        "pull THEMIS_ASI_RAW --start 0022 --end 2022 --out out",
        "plan THEMIS_ASI_RAW --start 2022 --end 99999 --out out",
        "plan THEMIS_ASI_RAW --start 2022-01-01T06:00:00.5Z --end 2022-01-01T06:00:00.1Z --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --on-existing perhaps --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --verify hardly --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --connections 0 --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --connections many --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --limit-rate fast --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --limit-rate 25:00,2M --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --priority 101 --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --priority -101 --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --retries -1 --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --header nonsense --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --min-free lots --out out",
        "pull THEMIS_ASI_RAW --start 2022 --end 2022 --cacert missing.pem --out out",
        "pull THEMIS_ASI_RAW --urls list.txt --out out",
        "pull --urls missing.txt --out out",
        "pull --urls list.txt --base nonsense --out out",
        "pull --base http://h/ --out out",
        "files 1 --state lost",
        "manifest 1 --format xml",
        "sites moonbase",
        "status 1 2",
        "pause",
        "--api nonsense jobs",
        "--config missing.toml jobs",
    ];
    for line in lines {
        let ended = sky.run(line).exits(2);
        assert!(!ended.stderr.trim().is_empty(), "{line} says nothing");
        assert_eq!(ended.stdout, "", "{line} answers on stdout");
    }
    assert!(!sky.path("out").exists(), "a wrong command line made the output folder");
}

#[test]
fn failures_of_commands_exit_1_with_a_sentence() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.run("datasets show THEMIS_ASI_RAV").exits(1).tells("THEMIS_ASI_RAW");
    sky.run("engine status").exits(1);
    let status = sky.run("engine status --json").exits(1).json();
    assert_eq!((&status["running"], &status["pid"]), (&false.into(), &serde_json::Value::Null));
    assert!(status["version"].is_string());
}

#[test]
fn a_disk_without_the_room_asked_for_exits_1_with_the_job_paused() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.run(&format!("{line} --min-free 900T")).exits(1).tells("wait-for-space");
    assert_eq!(sky.status("1")["state"], "paused");
    assert!(replica.requests().iter().all(|request| !request.is_fetch()), "it was fetched all the same");
    sky.ok(&format!("{line} --min-free 0"));
    assert_eq!(sky.status("1")["state"], "completed");
}

#[test]
fn why_a_job_is_held_back_stands_in_its_error() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let ended = sky.run(&format!("pull {TEN_MINUTES} --out out --min-free 900T --json")).exits(1).json();
    assert_eq!(ended["state"], "paused");
    assert!(!ended["error"].is_null(), "{ended}");
    let status = sky.status("1");
    assert!(!status["error"].is_null(), "paused, and nobody knows why: {status}");
}

#[test]
fn files_that_failed_for_good_exit_3() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    sky.run(&line).exits(3);
    sky.run(&line).exits(3);
    assert_eq!(sky.status("1")["state"], "failed");
}

#[test]
fn an_archive_that_refuses_or_is_not_there_exits_4() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.run("pull NO_SUCH_DATASET --start 2022 --end 2022 --out out").exits(4).tells("NO_SUCH_DATASET");
    assert_eq!(sky.status("1")["state"], "failed");
    sky.run("plan NO_SUCH_DATASET --start 2022 --end 2022 --out out").exits(4);

    let away = Sky::at(NOBODY);
    away.run(&format!("pull {TEN_MINUTES} --retries 0 --out out")).exits(4).tells("127.0.0.1:9");
    for line in ["datasets", "sites rego", "cite REGO_RAW", &format!("plan {TEN_MINUTES} --out out")] {
        away.run(line).exits(4);
    }
}

#[test]
fn an_incomplete_list_wins_over_failed_files() {
    let day_two_is_broken = |asked: &skyhaul_tests::Asked| {
        let host = asked.header("host").unwrap_or("");
        let dataset = serde_json::json!({"name": "HALF", "short_description": "", "long_description": "",
            "data_tree_url": format!("http://{host}/t"), "file_listing_supported": true, "level": "L0",
            "supported_libraries": [], "file_time_resolution": "1min"});
        if asked.path().ends_with("/datasets") {
            Page::ok(serde_json::json!([dataset]).to_string())
        } else if asked.path().ends_with("/urls") && asked.target.contains("2022-01-02") {
            Page::status(422)
                .saying(r#"{"detail":[{"loc":["query","start"],"msg":"a bad day","type":"value"}]}"#)
        } else if asked.path().ends_with("/urls") {
            let urls = [format!("http://{host}/t/gone.txt"), format!("http://{host}/t/here.txt")];
            let prefix = format!("http://{host}/t");
            let listing = serde_json::json!({"urls": urls, "path_prefix": prefix, "count": 2, "total_bytes": null,
                "dataset": dataset});
            Page::ok(listing.to_string())
        } else if asked.path().ends_with("/here.txt") {
            Page::ok("here")
        } else {
            Page::status(404)
        }
    };
    let archive = Shelf::open(day_two_is_broken);
    let sky = Sky::at(archive.base());
    sky.run("pull HALF --start 2022-01-01 --end 2022-01-02 --retries 1 --out out")
        .exits(4)
        .tells("a bad day");
    let status = sky.status("1");
    assert_eq!(status["windows"]["failed"], 1, "{status}");
    assert_eq!((&status["files"]["done"], &status["files"]["failed"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(std::fs::read(sky.path("out/HALF/here.txt")).unwrap(), b"here");
}

#[test]
fn a_job_that_is_not_there_exits_5_and_the_others_are_done() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for line in ["status 1", "files 1", "verify 1", "manifest 1", "status nobody", "cite 1"] {
        sky.run(line).exits(5);
    }
    for order in ["pause", "resume", "cancel", "retry", "remove"] {
        sky.run(&format!("{order} 1")).exits(5);
    }
    let first = format!("submit {TEN_MINUTES} --no-start --out");
    sky.ok(&format!("{first} a"));
    sky.ok(&format!("{first} b"));
    sky.run("pause 1 77 2 nobody").exits(5).tells("77");
    for job in ["1", "2"] {
        assert_eq!(sky.status(job)["state"], "paused");
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_exits_6() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let file = sky.write("file", "no folder");
    for line in ["jobs", "status", &format!("pull {TEN_MINUTES} --out out")] {
        let ended = sky.run(&format!("--state-dir {} {line}", file.display())).exits(6);
        assert!(ended.stderr.contains("file"), "it names no path: {}", ended.stderr);
    }
    sky.ok("jobs");
    // docs/format.md: the file that says which format the directory has.
    let format = sky.path("state/format");
    let text = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, text.replace(|c: char| c.is_ascii_digit(), "9")).unwrap();
    sky.run("jobs").exits(6);
    assert_eq!(std::fs::read_to_string(&format).unwrap(), text.replace(|c: char| c.is_ascii_digit(), "9"));
    std::fs::write(&format, text).unwrap();
    sky.ok("jobs");
}

#[test]
fn a_state_directory_whose_owner_does_not_answer_exits_6() {
    let replica = Replica::start("--small-files --rate 30k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --connections 2"));
    replica.wait_fetches(1);
    pull.send(Signal::Stop);
    sky.run("jobs").exits(6).tells(&pull.pid().to_string());
    pull.send(Signal::Continue);
    assert_eq!(pull.finish().exits(0).code, Some(0));
}

#[test]
fn an_interrupted_pull_exits_130() {
    let replica = Replica::start("--small-files --rate 30k");
    let sky = Sky::new(&replica);
    let pull = sky.spawn(&format!("pull {TEN_MINUTES} --out out --connections 2"));
    replica.wait_fetches(1);
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);
}

#[test]
fn a_listing_that_takes_longer_than_the_timeout_is_given_up() {
    let replica = Replica::start("--small-files --latency-api 60000");
    let sky = Sky::new(&replica);
    let ended = sky.run(&format!("pull {TEN_MINUTES} --out out --timeout 1 --retries 1")).exits(4);
    ended.tells(replica.host());
    assert_eq!(sky.status("1")["error"]["kind"], "timeout");
}
