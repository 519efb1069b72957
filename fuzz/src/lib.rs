//! What strangers can send us, thrown at the code that reads it.
//!
//! A target is a function of any bytes that must neither panic nor break the promise that it holds the code
//! to. The tests replay `corpus/TARGET/*` on every run; `make fuzz` looks for new inputs, guided by the
//! coverage that they reach, and leaves what fails in `found/TARGET`. A failing input becomes a file of the
//! corpus together with the change that mends it.
#![expect(clippy::unwrap_used, reason = "a target fails by a panic")]

mod answers;
mod checksum_lists;
mod containers;
mod digest_headers;
mod ledgers;
mod listings;
mod names;
mod scripted;
mod url_lists;

/// A target: panics where a promise does not hold for these bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder in the corpus.
pub const TARGETS: [(&str, Target); 8] = [
    ("answers", answers::answers),
    ("checksum_lists", checksum_lists::checksum_lists),
    ("containers", containers::containers),
    ("digest_headers", digest_headers::digest_headers),
    ("ledgers", ledgers::ledgers),
    ("listings", listings::listings),
    ("names", names::names),
    ("url_lists", url_lists::url_lists),
];

/// Runs what is async to its end, on a runtime of its own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}
