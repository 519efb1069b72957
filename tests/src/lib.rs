//! The harness of the end-to-end tests: it drives the real `skyhaul` and `skyhaul-replica` from outside, as
//! users and their scripts do, and knows nothing of how they are made.
//!
//! Everything here ends: every child is killed and waited for, every thread is joined, every wait has a deadline
//! after which the test fails with a sentence that shows what the programs said.

mod binaries;
mod child;
mod paged;
mod replica;
mod shelf;
mod sky;
#[cfg(unix)]
mod terminal;
mod tree;
mod wire;

pub use child::{Ended, Running, Signal};
pub use paged::Paged;
pub use replica::{Replica, Request};
pub use shelf::{Asked, Page, Shelf};
pub use sky::Sky;
#[cfg(unix)]
pub use terminal::Terminal;
pub use tree::{files_below, hex_sha256, published_data};
pub use wire::{Answer, get};

use std::io::Write as _;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails: far more than it needs on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until something that cannot be waited for is as wanted, by looking again and again.
///
/// # Panics
/// It never is.
#[track_caller]
pub fn eventually(what: &str, mut wanted: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !wanted() {
        assert!(Instant::now() < until, "there never was {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asserts that a JSON object has these keys; more are fine, for the contract lets keys be added.
///
/// # Panics
/// A key is missing, or the value is no object.
pub fn assert_keys(value: &serde_json::Value, keys: &[&str]) {
    let Some(object) = value.as_object() else { panic!("no object: {value}") };
    for key in keys {
        assert!(object.contains_key(*key), "the key {key} is missing in {value}");
    }
}

/// Says beside the test's result that it was not run, and why; and once more in the file that `SKYHAUL_SKIPPED` names,
/// where `make test` reads it: among a thousand results nobody sees it.
pub fn skipped(why: &str) {
    // There is nowhere left to tell that stderr, or the file, is gone.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    if let Some(list) = std::env::var_os("SKYHAUL_SKIPPED") {
        let list = std::fs::OpenOptions::new().create(true).append(true).open(list);
        let _ = list.and_then(|mut list| list.write_all(format!("{why}\n").as_bytes()));
    }
}
