//! The shapes of `--json`, field by field, as the contract writes them down.

use serde_json::{Value, json};
use skyhaul_tests::{Replica, Sky, assert_keys, hex_sha256};

use crate::{TEN_MINUTES, TEN_MINUTES_TREE, landing, name};

const JOB: [&str; 14] = [
    "id",
    "name",
    "state",
    "priority",
    "created_at",
    "finished_at",
    "out",
    "source",
    "windows",
    "files",
    "bytes",
    "rate_bytes_per_s",
    "eta_s",
    "error",
];

fn assert_job(job: &Value) {
    assert_keys(job, &JOB);
    assert_keys(&job["windows"], &["total", "listed", "failed"]);
    assert_keys(&job["files"], &["total", "pending", "active", "done", "failed"]);
    assert_keys(&job["bytes"], &["total", "done", "received", "adopted"]);
    assert!(job["id"].is_u64() && job["priority"].is_i64(), "{job}");
    for time in [&job["created_at"], &job["finished_at"]] {
        let is_time = |text: &str| text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
        assert!(time.is_null() || time.as_str().is_some_and(is_time), "{time} is no time in UTC");
    }
}

#[test]
fn a_jobs_status_has_the_documented_fields_before_and_after() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:09 --site GILL --device themis19 --out out";
    sky.ok(&format!("submit {line} --name winter --priority -7 --no-start"));
    let queued = sky.status("winter");
    assert_job(&queued);
    assert_eq!(
        (&queued["id"], &queued["name"], &queued["priority"]),
        (&1.into(), &"winter".into(), &(-7).into())
    );
    assert!(["planning", "queued"].contains(&queued["state"].as_str().unwrap()), "{queued}");
    assert_eq!(queued["finished_at"], Value::Null);
    assert_eq!(queued["out"], sky.path("out").to_str().unwrap());
    let source = &queued["source"];
    assert_keys(source, &["kind", "api", "datasets", "start", "end", "sites", "devices"]);
    assert_eq!((&source["kind"], &source["api"]), (&"archive".into(), &replica.base().into()));
    assert_eq!(source["datasets"], json!(["THEMIS_ASI_RAW"]));
    assert_eq!((&source["sites"], &source["devices"]), (&json!(["gill"]), &json!(["themis19"])));
    assert_eq!(
        (&source["start"], &source["end"]),
        (&"2022-01-01T06:00:00Z".into(), &"2022-01-01T06:09:59Z".into())
    );

    let done = sky.ok(&format!("pull {line} --name winter --priority -7 --json")).json();
    assert_job(&done);
    assert_eq!(done["state"], "completed");
    assert!(done["finished_at"].is_string());
    assert_eq!(done["windows"], json!({"total": 1, "listed": 1, "failed": 0}));
    assert_eq!(done["files"], json!({"total": 10, "pending": 0, "active": 0, "done": 10, "failed": 0}));
    let bytes = &done["bytes"];
    assert_eq!(
        (&bytes["total"], &bytes["received"], &bytes["adopted"]),
        (&bytes["done"], &bytes["done"], &0.into())
    );
    assert_eq!(done["error"], Value::Null);
    let mut shown = sky.status("1");
    // The rate of what is over is nobody's promise.
    for key in ["rate_bytes_per_s", "eta_s"] {
        shown[key] = done[key].clone();
    }
    assert_eq!(shown, done, "the status document of pull and of status differ");
}

#[test]
fn a_list_jobs_source_is_of_kind_urls() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("list.txt", format!("{}{TEN_MINUTES_TREE}/{}\n", replica.base(), name(3)));
    let status = sky.ok("pull --urls list.txt --out out --json").json();
    assert_job(&status);
    assert_eq!(status["source"]["kind"], "urls", "{status}");
    assert_eq!(status["files"]["done"], 1);
}

#[test]
fn submit_answers_with_the_id_and_whether_it_is_new() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let line = format!("submit {TEN_MINUTES} --out out --no-start --json");
    assert_eq!(sky.ok(&line).json(), json!({"id": 1, "created": true}));
    assert_eq!(sky.ok(&line).json(), json!({"id": 1, "created": false}));
    assert!(replica.requests().iter().all(|request| !request.is_fetch()), "submit --no-start fetched");
}

#[test]
fn jobs_and_status_without_a_job_are_lists_of_job_objects() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    assert_eq!(sky.ok("jobs --json").json(), json!([]));
    let idle = sky.ok("status --json").json();
    assert_eq!(idle, json!({"engine": {"running": false, "pid": null}, "jobs": []}));
    sky.ok(&format!("pull {TEN_MINUTES} --out done"));
    sky.ok(&format!("submit {TEN_MINUTES} --out waiting --no-start"));
    let jobs = sky.ok("jobs --json").json();
    let ids: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["id"].as_u64()).collect();
    assert_eq!(ids, [Some(1), Some(2)]);
    jobs.as_array().unwrap().iter().for_each(assert_job);
    let status = sky.ok("status --json").json();
    let unfinished: Vec<_> =
        status["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_u64()).collect();
    assert_eq!(unfinished, [Some(2)]);
    assert_job(&status["jobs"][0]);
}

#[test]
fn files_are_one_object_a_line() {
    let replica = Replica::start("--small-files --missing _0604_");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --no-start"));
    sky.run(&format!("pull {TEN_MINUTES} --out out")).exits(3);
    let files = sky.files("1");
    assert_eq!(files.len(), 10);
    for file in &files {
        assert_keys(file, &["path", "url", "state", "size", "sha256", "verified", "attempts", "error"]);
    }
    let done = sky.file("1", "_0603_");
    let bytes = std::fs::read(sky.path("out").join(landing(3))).unwrap();
    assert_eq!(done["path"], landing(3));
    assert_eq!(done["url"], format!("{}{TEN_MINUTES_TREE}/{}", replica.base(), name(3)));
    assert_eq!(
        (&done["state"], &done["verified"], &done["attempts"]),
        (&"done".into(), &"container".into(), &1.into())
    );
    assert_eq!((&done["size"], &done["sha256"]), (&bytes.len().into(), &hex_sha256(&bytes).into()));
    assert_eq!(done["error"], Value::Null);
    let failed = sky.file("1", "_0604_");
    assert_eq!(
        (&failed["state"], &failed["verified"], &failed["sha256"]),
        (&"failed".into(), &Value::Null, &Value::Null)
    );
    assert_keys(&failed["error"], &["kind", "message"]);
    assert_eq!(failed["error"]["kind"], "not_found");
    for (state, count) in [("done", 9), ("failed", 1), ("pending", 0), ("active", 0)] {
        let lines = sky.ok(&format!("files 1 --state {state} --json")).json_lines();
        assert_eq!(lines.len(), count, "{state}");
        assert!(lines.iter().all(|file| file["state"] == state));
    }
}

#[test]
fn the_path_of_a_file_is_a_string_even_where_it_can_have_none() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let good = format!("{}{TEN_MINUTES_TREE}/{}", replica.base(), name(3));
    sky.write("list.txt", format!("{good}\nnonsense\n{good}?twice\n"));
    sky.run("pull --urls list.txt --out out").exits(3);
    let listed = sky.files("1");
    let shown: Vec<_> =
        listed.iter().map(|file| (file["path"].as_str().unwrap(), file["error"]["kind"].as_str())).collect();
    assert!(shown[0].0.ends_with(&name(3)) && shown[0].1.is_none(), "{listed:?}");
    assert_eq!(shown[1..], [("nonsense", Some("path")), (&*format!("{good}?twice"), Some("path"))]);
}

#[test]
fn damage_on_the_disk_has_the_kinds_that_files_fail_with() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let place = |minute| sky.path("out").join(landing(minute));
    let mut bytes = std::fs::read(place(1)).unwrap();
    bytes[100] ^= 1;
    std::fs::write(place(1), &bytes).unwrap();
    std::fs::write(place(2), &bytes[..100]).unwrap();
    std::fs::remove_file(place(3)).unwrap();
    let found = sky.run("verify 1 --json").exits(3).json();
    let kinds: Vec<_> = found["bad"].as_array().unwrap().iter().map(|bad| bad["kind"].clone()).collect();
    assert_eq!(kinds, ["checksum", "truncated", "not_found"], "{found}");
}

#[test]
fn verify_counts_the_files_and_names_the_bad_ones() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert_eq!(sky.ok("verify 1 --json").json(), json!({"files": 10, "ok": 10, "bad": []}));
    std::fs::remove_file(sky.path("out").join(landing(5))).unwrap();
    let found = sky.run("verify 1 --json").exits(3).json();
    assert_eq!((&found["files"], &found["ok"]), (&10.into(), &9.into()));
    assert_eq!(found["bad"].as_array().map(Vec::len), Some(1));
    assert_keys(&found["bad"][0], &["path", "kind", "message"]);
    assert_eq!(found["bad"][0]["path"], landing(5));
}

#[test]
fn the_catalogue_is_the_archives_own_objects() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let own: Value =
        serde_json::from_slice(&replica.fetch("/api/v1/data_distribution/datasets?name=REGO").body).unwrap();
    assert_eq!(sky.ok("datasets rego --json").json(), own);
    let raw = own.as_array().unwrap().iter().find(|dataset| dataset["name"] == "REGO_RAW").unwrap();
    let shown = sky.ok("datasets show rego_raw --json").json();
    assert!(shown == *raw || shown == json!([raw]), "{shown}");
    let path = "/api/v1/data_distribution/observatories?instrument_array=rego";
    let own: Value = serde_json::from_slice(&replica.fetch(path).body).unwrap();
    assert_eq!(sky.ok("sites rego --json").json(), own);
    let all = sky.ok("sites --json").json();
    assert!(all.as_array().map(Vec::len) > own.as_array().map(Vec::len), "{all}");
}

#[test]
fn citations_are_an_array_of_dataset_citation_and_doi() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok("submit THEMIS_ASI_RAW REGO_RAW --start 2022-01-01 --end 2022-01-01 --out out --no-start");
    let cited = sky.ok("cite 1 --json").json();
    let cited = cited.as_array().unwrap();
    assert_eq!(cited.len(), 2);
    for citation in cited {
        assert_keys(citation, &["dataset", "citation", "doi", "doi_details"]);
    }
    let doi = |name: &str| {
        cited.iter().find(|citation| citation["dataset"] == name).map(|citation| &citation["doi"])
    };
    assert!(
        doi("REGO_RAW")
            .unwrap()
            .as_str()
            .is_some_and(|doi| doi.to_lowercase().contains("10.11575/z7x6-5c42"))
    );
    assert_eq!(doi("THEMIS_ASI_RAW"), Some(&Value::Null));
    let told = sky.ok("cite THEMIS_ASI_RAW");
    let told = format!("{}{}", told.stdout, told.stderr);
    assert!(told.contains("data.phys.ucalgary.ca"), "no page for acknowledgement: {told}");
    let one = sky.ok("cite rego_raw --json").json();
    assert_eq!(one[0]["dataset"], "REGO_RAW");
}
