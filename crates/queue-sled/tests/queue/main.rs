//! Tests of the embedded queue through its traits: conformance, comparison with the queue in memory,
//! crashes, damage.

// A test says what it expects by panicking.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod compare;
mod conformance;
mod crash;
mod damage;
mod directory;
mod large;
mod operation;
mod rewrite;
mod scenario;
