//! Server and client over real sockets, with a queue in memory behind them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod conformance;
mod raw;
mod refusals;
mod stage;
mod stale;
mod verbs;
mod waiting;
