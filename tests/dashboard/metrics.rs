//! The metrics of an engine that has worked, and what Prometheus' own tool says of them.

use std::io::Write;
use std::process::{Command, Stdio};

use skyhaul_tests::{Replica, Sky, skipped};

use crate::http::Question;
use crate::{link, program};

/// The metrics, by the token that a Prometheus has.
fn metrics(sky: &Sky) -> String {
    let link = link(sky);
    let port = link.trim_start_matches("http://127.0.0.1:").split('/').next().unwrap().parse().unwrap();
    let token = std::fs::read_to_string(sky.path("state/metrics.token")).unwrap();
    let answer = Question::get(port, "/metrics").with("Authorization", format!("Bearer {token}")).ask();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// The value of a sample.
fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{metrics}")).parse().unwrap()
}

#[test]
fn what_was_done_is_counted_and_prometheus_has_nothing_to_say_against_it() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    sky.ok("submit THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:09 --site gill --out out");
    sky.run("watch 1").exits(3);
    let metrics = metrics(&sky);
    assert_eq!(sample(&metrics, "skyhaul_files_done_total"), 9.0);
    assert_eq!(sample(&metrics, "skyhaul_files_failed_total"), 1.0);
    assert_eq!(sample(&metrics, "skyhaul_failures_total{kind=\"not_found\"}"), 1.0);
    assert_eq!(sample(&metrics, "skyhaul_jobs{state=\"failed\"}"), 1.0);
    assert_eq!(sample(&metrics, "skyhaul_file_size_bytes_count"), 9.0);
    let done = sky.status("1")["bytes"]["done"].as_f64().unwrap();
    assert_eq!(sample(&metrics, "skyhaul_file_size_bytes_sum"), done);
    assert_eq!(sample(&metrics, "skyhaul_received_bytes_total"), done);
    assert!(
        sample(&metrics, "skyhaul_http_received_bytes_total") > done,
        "the listing came over the network too"
    );
    let own_path = sky.path("out").display().to_string();
    assert!(!metrics.contains(&own_path) && !metrics.contains(".pgm"), "no path is a label:\n{metrics}");

    let Some(promtool) = program("promtool") else {
        return skipped("promtool is not here: 'make setup' gets it where it can");
    };
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let ended = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.trim().is_empty(), "{}: {said}", ended.status);
}

#[test]
fn the_log_names_things_as_the_metrics_do() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky =
        Sky::new(&replica).with("SKYHAUL_LOG_FORMAT", "json").with("SKYHAUL_LOG", "skyhaul_engine=debug");
    sky.ok("submit THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:09 --site gill --out out");
    sky.run("watch 1").exits(3);
    let metrics = metrics(&sky);
    sky.ok("engine stop");
    let log = std::fs::read_to_string(sky.path("state/engine.log")).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = lines.iter().find(|line| line["kind"] == "not_found").unwrap_or_else(|| panic!("{log}"));
    assert_eq!(failed["job"], 1, "{failed}");
    assert!(failed["path"].as_str().unwrap().contains("_0603_"), "{failed}");
    let host = failed["host"].as_str().unwrap();
    assert!(
        metrics.contains(&format!("skyhaul_http_host_requests_total{{host=\"{host}\"}}")),
        "{host}: {metrics}"
    );
}
