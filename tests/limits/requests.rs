//! Requests a second: as many as allowed, one after the other at even distances.

use crate::{STRETCH_MS, Stage, row};

/// How many of the distances may be further off than a fifth: a busy machine wakes a thread late now and then.
const LATE_SHARE: f64 = 0.05;

/// How far a distance may be off beside that, in milliseconds: times are cut to one, and a wake-up takes some.
const COARSE_MS: u64 = 3;

fn a_rate_of_requests(per_second: u64) {
    let stage = Stage::with_files(&[("one", 20 * per_second)], 2_000);
    let flags = format!("--requests-per-second {per_second} --verify length");
    let pull = stage.sky.spawn(&format!("pull --urls one.txt --out out {flags}"));
    let from = stage.under_way();
    let mut came: Vec<_> = stage.stretch(from).iter().map(|request| request.came_ms).collect();
    pull.kill();
    came.sort_unstable();
    let even = 1000 / per_second;
    let mut off: Vec<_> = came.windows(2).map(|two| (two[1] - two[0]).abs_diff(even)).collect();
    off.sort_unstable();
    let of = |share: f64| off.get((off.len() as f64 * share) as usize).copied().unwrap_or_default();
    let (median, late) = (of(0.5), of(1.0 - LATE_SHARE));
    let (seen, wanted) = (came.len() as u64, per_second * STRETCH_MS / 1000);
    let told = format!("{seen}; apart {even} ms ± {median} (median), ± {late} (95 %)");
    row(&format!("--requests-per-second {per_second}"), &format!("{wanted} in 10 s"), &told);
    assert!(seen.abs_diff(wanted) <= 1 + wanted / 100, "{seen} requests instead of {wanted}");
    assert!(late <= even / 5 + COARSE_MS, "{late} ms off");
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn two_requests_a_second() {
    a_rate_of_requests(2);
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn twenty_requests_a_second() {
    a_rate_of_requests(20);
}

#[test]
#[ignore = "measures for some seconds; 'make bench-limits' runs it"]
fn two_hundred_requests_a_second() {
    a_rate_of_requests(200);
}
