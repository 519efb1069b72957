//! Bytes a second: constant, by a timetable, shared by priority.

use jiff::SignedDuration;
use jiff::civil::Time;
use skyhaul_tests::{Running, eventually};

use crate::{STRETCH_MS, Stage, bytes, row};

/// How far from what was asked a rate may be over a stretch.
const BOUND: f64 = 0.03;

/// Files in a second.
const FILES: u64 = 50;

/// Seconds for which there is work, with some to spare.
const SECONDS: u64 = 20;

const MS_OF_A_MINUTE: u64 = 60_000;

/// Prints a rate that was seen over a stretch and asserts that it is the one that was asked for.
fn hold(what: &str, asked: u64, bytes: u64) {
    let seen = bytes * 1000 / STRETCH_MS;
    let off = seen as f64 / asked as f64 - 1.0;
    row(what, &format!("{asked} B/s"), &format!("{seen} B/s, {:+.1} %", off * 100.0));
    assert!(off.abs() <= BOUND, "{what} is {off:.3} off");
}

fn a_constant_rate(flag: &str, rate: u64) {
    let stage = Stage::with_files(&[("one", FILES * SECONDS)], rate / FILES);
    let pull = stage.sky.spawn(&format!("pull --urls one.txt --out out --verify length --limit-rate {flag}"));
    let from = stage.under_way();
    hold(&format!("--limit-rate {flag}"), rate, bytes(&stage.stretch(from), "one"));
    pull.kill();
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn a_hundred_kilobytes_a_second() {
    a_constant_rate("100k", 100_000);
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn a_megabyte_a_second() {
    a_constant_rate("1M", 1_000_000);
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn ten_megabytes_a_second() {
    a_constant_rate("10M", 10_000_000);
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn a_hundred_megabytes_a_second() {
    a_constant_rate("100M", 100_000_000);
}

#[test]
#[ignore = "waits for a minute to begin; 'make bench-limits' runs it"]
fn a_timetable() {
    let (early, late) = (2_000_000, 8_000_000);
    let stage = Stage::with_files(&[("one", 90 * FILES + 4 * FILES * SECONDS)], early / FILES);
    // The first minute of the clock that leaves time for a stretch before it.
    let change = ((stage.replica.moment() + 2 * STRETCH_MS) / MS_OF_A_MINUTE + 1) * MS_OF_A_MINUTE;
    let at = Time::midnight() + SignedDuration::from_millis(change as i64);
    let before = at - SignedDuration::from_mins(9);
    let timetable = format!("{},2M {},8M", before.strftime("%H:%M"), at.strftime("%H:%M"));
    let pull =
        ["pull", "--urls", "one.txt", "--out", "out", "--verify", "length", "--limit-rate", &timetable];
    let pull = Running::spawn(stage.sky.command(&pull));
    hold(&format!("{timetable}, before"), early, bytes(&stage.stretch(change - STRETCH_MS), "one"));
    // The clock is looked at once a second.
    hold(&format!("{timetable}, after"), late, bytes(&stage.stretch(change + 1_500), "one"));
    pull.kill();
}

/// A user with an engine for 2 MB/s that begins with two jobs of these folders, each with a priority.
fn two_jobs(stage: &Stage, priorities: [i8; 2]) -> Running {
    for (folder, priority) in ["one", "two"].into_iter().zip(priorities) {
        let line = format!("submit --urls {folder}.txt --out {folder} --priority {priority} --no-start");
        stage.sky.ok(&line);
    }
    stage.sky.spawn("engine run --verify length --limit-rate 2M")
}

/// Prints how much more one has got than another and asserts that it is about that.
fn compare(what: &str, expected: f64, seen: f64) {
    row(what, &format!("{expected} : 1"), &format!("{seen:.2} : 1"));
    assert!((seen / expected - 1.0).abs() <= 0.15, "{what}: {seen}");
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn equals_get_equal_parts_however_many_files_they_have() {
    let stage = Stage::with_files(&[("one", 3_000), ("two", 500)], 2_000_000 / FILES);
    let engine = two_jobs(&stage, [0, 0]);
    let requests = stage.stretch(stage.under_way());
    let (one, two) = (bytes(&requests, "one"), bytes(&requests, "two"));
    compare("equals, of 3,000 files and 500", 1.0, one as f64 / two as f64);
    hold("both together", 2_000_000, one + two);
    engine.kill();
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn twenty_more_of_priority_is_twice_as_much() {
    let size = 30_000_000;
    let stage = Stage::with_files(&[("one", 1), ("two", 1)], size);
    let engine = two_jobs(&stage, [20, 0]);
    eventually("the end of the more urgent one", || stage.sky.status("1")["state"] == "completed");
    let two = stage.sky.status("2")["bytes"]["received"].as_u64().unwrap();
    compare("a file of each, priorities 20 and 0", 2.0, size as f64 / two as f64);
    engine.kill();
}
