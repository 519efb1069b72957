//! The real binaries from outside, against the command line's contract: a file a topic, a test a sentence of it.
//!
//! Nothing here knows how skyhaul is made. Archives are local replicas with small files unless bytes matter.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod checksums;
mod commands;
mod companion;
mod config;
mod coverage;
mod digests;
mod events;
mod existing;
mod exit_codes;
mod fairness;
mod faults;
mod formats;
mod holds;
mod hostile;
mod json;
mod kill;
mod kinds;
mod large;
mod limits;
mod manifest;
mod names;
mod outages;
mod output;
mod overlap;
mod planning;
mod privacy;
mod proxies;
mod real_data;
mod reboot;
mod refreshing;
mod refusals;
mod resume;
mod retention;
mod roots;
mod service;
mod sharing;
mod standing;
mod steering;
mod troubles;
mod urls;

/// Ten minutes of one site: ten files, about 20 kB each where files are small.
const TEN_MINUTES: &str = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:09 --site gill";

/// The folder that those ten files land in, below the output root.
const TEN_MINUTES_FOLDER: &str = "THEMIS_ASI_RAW/2022/01/01/gill_themis19/ut06";

/// The same folder in the archive's tree.
const TEN_MINUTES_TREE: &str = "/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19/ut06";

/// Where one of the ten files lands.
fn landing(minute: u32) -> String {
    format!("{TEN_MINUTES_FOLDER}/{}", name(minute))
}

/// What one of the ten files is called.
fn name(minute: u32) -> String {
    format!("20220101_06{minute:02}_gill_themis19_full.pgm.gz")
}

/// Whether the progress on stderr tells that a job has this many files.
fn knows_files(progress: &str, count: usize) -> bool {
    // However the number is set for people's eyes.
    let told = format!("of{count}files");
    progress.lines().any(|line| line.replace(|c: char| !c.is_alphanumeric(), "").contains(&told))
}
