//! One file: ask, judge the answer, receive, verify, publish.
//!
//! The asking and the judging are pure functions (`ask`, `judge`); the bytes go through one blocking
//! writer (`writer`), and all that must survive a crash goes through `durable`. A crash may lose what
//! was received since the last checkpoint, never more, and never leaves a wrong file at a final path
//! (invariants I1 to I5).

mod answer;
mod ask;
mod assignment;
mod bad;
mod bring;
mod check;
mod checks;
mod conclude;
mod content;
mod durable;
mod end;
mod existing;
mod extents;
mod folder;
mod fresh;
mod hands;
mod head;
mod index;
mod judge;
mod lengths;
mod meta;
mod meter;
mod partial;
mod parts;
mod place;
mod publish;
mod ranges;
mod receive;
mod recheck;
mod recover;
mod report;
mod request;
mod root;
mod segments;
mod settle;
mod slow;
mod spare;
mod spelling;
mod store;
mod sync;
mod traces;
mod transfer;
mod trouble;
mod validator;
mod verify;
mod version;
mod writer;

#[cfg(test)]
mod tests;

pub use assignment::Assignment;
pub use check::{Checked, Expected, check_file};
pub use end::{Cost, End, Failure, Recovery, Whole};
pub use meter::Meter;
pub use publish::publish;
pub use recover::recover;
pub use root::OutputRoot;
pub use spare::Spare;
pub use sync::sync_data;
pub use transfer::transfer;
