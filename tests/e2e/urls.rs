//! `--urls`: lists of any length, copied into the queue before the command answers.

use std::fmt::Write as _;

use skyhaul_tests::{Paged, Replica, Request, Running, Signal, Sky, skipped};

use crate::{TEN_MINUTES_TREE, knows_files, name};

fn lines(replica: &Replica, minutes: std::ops::Range<u32>) -> Vec<String> {
    minutes.map(|minute| format!("{}{TEN_MINUTES_TREE}/{}", replica.base(), name(minute))).collect()
}

#[test]
fn a_submitted_list_tells_its_files_before_anybody_works_on_it() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("list.txt", format!("{}\nnonsense\n", lines(&replica, 0..5).join("\n")));
    sky.ok("submit --urls list.txt --out out --no-start");
    let status = sky.status("1");
    assert_eq!((&status["files"]["total"], &status["files"]["pending"]), (&6.into(), &5.into()), "{status}");
    assert_eq!(status["state"], "queued");
    assert_eq!(sky.files("1").len(), 6);
    assert!(replica.requests().is_empty(), "a list asks nobody");
}

#[test]
fn a_list_is_copied_before_the_command_answers() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let list = sky.write("list.txt", lines(&replica, 0..5).join("\n"));
    sky.ok("submit --urls list.txt --out out --no-start");
    std::fs::remove_file(list).unwrap();
    sky.ok("engine run --until-idle");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 5);
}

#[test]
fn the_content_of_a_list_makes_the_job_not_its_file() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let text = lines(&replica, 0..3).join("\n");
    sky.write("one.txt", &text);
    sky.write("two.txt", &text);
    sky.write("three.txt", lines(&replica, 0..4).join("\n"));
    let submit = |line: &str| sky.ok(&format!("submit --urls {line} --no-start --json")).json();
    let first = submit("one.txt --out out");
    assert_eq!(first["created"], true);
    assert_eq!(submit("two.txt --out out")["created"], false);
    assert_eq!(submit("three.txt --out out")["created"], true);
    assert_eq!(submit("one.txt --out elsewhere")["created"], true);
    assert_eq!(submit(&format!("one.txt --out out --base {}", replica.base()))["created"], true);
}

#[test]
fn blank_lines_and_comments_are_skipped_and_line_ends_do_not_matter() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let all = lines(&replica, 0..3);
    let text = format!("\u{feff}# my list\r\n\r\n{}\r\n   \n  # more\n  {}  \n{}", all[0], all[1], all[2]);
    sky.write("list.txt", text);
    sky.ok("pull --urls list.txt --out out");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 3);
}

#[test]
fn a_list_can_come_from_stdin() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let list = sky.write("list.txt", lines(&replica, 0..3).join("\n"));
    let mut pull = sky.command(&["pull", "--urls", "-", "--out", "out"]);
    pull.stdin(std::fs::File::open(list).unwrap());
    Running::spawn(pull).finish().exits(0);
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 3);
    // The same content from a file is the same job.
    assert_eq!(sky.ok("submit --urls list.txt --out out --no-start --json").json()["created"], false);
}

#[test]
fn a_list_of_nothing_completes_with_no_files() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("list.txt", "# nothing yet\n\n");
    let status = sky.ok("pull --urls list.txt --out out --json").json();
    assert_eq!((&status["state"], &status["files"]["total"]), (&"completed".into(), &0.into()));
}

/// The most memory that a process has had resident so far, in kB.
fn peak_rss_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Takes a list of `count` lines in, works until all of it is known and some hundred files were fetched, and is
/// interrupted; then shows it. Gives the peaks of memory of the pull and of the showing.
fn peaks_with_lines(replica: &Replica, urls: &[String], count: usize) -> (u64, u64) {
    let sky = Sky::new(replica);
    let mut text = String::with_capacity(count * 120);
    for url in &urls[..count] {
        writeln!(text, "{url}").unwrap();
    }
    sky.write("list.txt", text);
    let before = replica.requests().len();
    let pull = sky.spawn("pull --urls list.txt --out out --connections 8 --requests-per-second 50");
    pull.wait_stderr("that all files are known", |text| knows_files(text, count));
    let fetched = |requests: &[Request]| requests.len() >= before + 200;
    replica.wait("two hundred fetches", fetched);
    let pulling = peak_rss_kb(pull.pid()).expect("a running process has a status");
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);

    let status = sky.status("1");
    assert_eq!(status["files"]["total"], count, "{status}");
    assert!(status["files"]["done"].as_u64() >= Some(100), "{status}");
    assert!(status["files"]["done"].as_u64() < Some(count as u64), "it was not interrupted: {status}");
    let mut showing = sky.command(&["files", "1", "--json"]);
    let mut showing = Paged::spawn(&mut showing);
    // The last lines do not fit the pipe: while they are not read, the process lives.
    assert_eq!(showing.read_lines(count - 2_000), count - 2_000);
    let shown = peak_rss_kb(showing.pid()).expect("it waits for its reader");
    assert_eq!(showing.read_lines(usize::MAX), 2_000, "every line of the list is shown once");
    (pulling, shown)
}

#[test]
fn memory_does_not_grow_with_the_length_of_a_list() {
    const LONG: usize = 200_000;
    const SHORT: usize = 20_000;
    if peak_rss_kb(std::process::id()).is_none() {
        skipped("this system does not tell how much memory a process has had");
        return;
    }
    let replica = Replica::start(&format!("--listing-size {LONG}"));
    let urls = replica.listing("name=REPLICA_BULK_RAW&start=2000-01-01&end=2001-01-01");
    assert_eq!(urls.len(), LONG);
    let short = peaks_with_lines(&replica, &urls, SHORT);
    let long = peaks_with_lines(&replica, &urls, LONG);
    let grown = (long.0.saturating_sub(short.0), long.1.saturating_sub(short.1));
    assert!(grown.0 < 40_000, "pulling {LONG} lines takes {} kB, {SHORT} take {} kB", long.0, short.0);
    assert!(grown.1 < 40_000, "showing {LONG} lines takes {} kB, {SHORT} take {} kB", long.1, short.1);
}
