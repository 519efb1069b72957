//! One large file: several streams bring it, and whatever ends them, little of it comes twice.

use skyhaul_tests::{Replica, Request, Sky};

const LENGTH: usize = 80 << 20;
const PATH: &str = "/sort_by_project/large/noise.bin";

/// A replica that serves the file, slowly enough that what a kill costs is little, and a list of it.
fn a_large_file() -> (Sky, Replica) {
    let sky = Sky::at("http://127.0.0.1:9");
    let mut random = fastrand::Rng::with_seed(0x1a26e);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(LENGTH).collect();
    sky.write(&format!("data{PATH}"), bytes);
    let replica = Replica::start(&format!("--data {} --rate 10M", sky.path("data").display()));
    sky.write("list.txt", format!("{}{PATH}\n", replica.base()));
    (sky, replica)
}

/// Whether it asked for some bytes of one version, and not for all the rest.
fn is_segment(request: &Request) -> bool {
    let is_bounded = request.range.as_deref().is_some_and(|range| !range.ends_with('-'));
    is_bounded && request.status == 206 && request.if_range.is_some()
}

#[test]
fn several_streams_bring_it_and_a_kill_costs_little_of_it() {
    let (sky, replica) = a_large_file();
    let line = "pull --urls list.txt --out out --json";
    let pull = sky.spawn(line);
    replica
        .wait("a segment", |requests| requests.iter().any(|request| is_segment(request) && request.complete));
    assert_eq!(pull.kill().code, None, "it ended before it was killed");
    let status = sky.ok(line).json();
    assert_eq!(status["state"], "completed", "{status}");
    let served = std::fs::read(sky.path("data").join(PATH.trim_start_matches('/'))).unwrap();
    let file = sky.file("1", "noise.bin");
    let lies = std::fs::read(sky.path("out").join(file["path"].as_str().unwrap())).unwrap();
    assert!(lies == served, "the bytes differ");
    assert!(!sky.path("out/.skyhaul").exists(), "the bookkeeping is still there");

    let received = status["bytes"]["received"].as_u64().unwrap();
    let requests = replica.end();
    let sent: u64 = requests.iter().map(|request| request.sent).sum();
    let most = (LENGTH + LENGTH / 20) as u64;
    assert!(received <= most && sent <= most, "{received} bytes were received and {sent} sent of {LENGTH}");
    let first = requests.iter().min_by_key(|request| request.came_ms).unwrap();
    assert_eq!(first.range, None, "nothing is asked before the file itself");
}
