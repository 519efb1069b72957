//! The replica as its clients see it: a running server, asked over plain sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

mod client;
mod faults;
mod files;
mod listing;
mod program;
mod real_data;
mod sources;
