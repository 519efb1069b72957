//! Files: their records and the one function that changes their state.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ErrorKind, FileSeq, RelPath};

/// What the planner knows of a file before anything was asked of its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Where it is fetched from.
    pub url: String,
    /// Where it lands below the output root; or why it cannot land anywhere.
    pub path: Result<RelPath, FileError>,
    /// Its size in bytes where a manifest told it.
    pub size: Option<u64>,
    /// The SHA-256 that a manifest demands.
    pub sha256: Option<[u8; 32]>,
}

/// The state of a file, as stored and as shown.
///
/// The order is part of the stored format: append only. `Active` is never stored; a claim lives in
/// memory and a crash turns it back into `Pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Waits for a worker, perhaps until a due time.
    Pending,
    /// A worker has it.
    Active,
    /// At its final path, whole, proven and durable.
    Done,
    /// Given up; `retry` puts it back.
    Failed,
}

/// On whose word a file's content is known good: the strongest check that applied.
///
/// The order is part of the stored format: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Nothing was known to check against.
    None,
    /// Only the length was known, and it agreed.
    Length,
    /// The file format's own check passed.
    Container,
    /// A digest from the user or the server agreed.
    Digest,
}

/// How a file came to lie where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Fetched by this job.
    Fetched,
    /// Taken over as it lay.
    Adopted,
}

/// Why the bytes that are held of a file cannot be gone on from: the next attempt fetches all of it.
///
/// The order is part of the stored format: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoResume {
    /// The server gives no parts of files.
    NoRanges,
    /// The server tells nothing that the version held could be known by.
    NoValidator,
    /// The server has another version by now.
    Changed,
}

/// What is known of a file whose bytes are whole, checked and synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of all of it.
    pub sha256: [u8; 32],
    /// The strongest check that applied.
    pub verified: Verified,
    /// Fetched, or taken over as it lay.
    pub proof: Proof,
    /// Body bytes received over the network for this file, repeats and earlier attempts included.
    pub received: u64,
}

/// Why an attempt, a file or a window failed, as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// One sentence that says what and, where it helps, what to do.
    pub message: String,
}

impl FileError {
    /// A failure of `kind`, told in `message`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// One file of a job, as pages and reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its place in the job.
    pub seq: FileSeq,
    /// What was planned.
    pub spec: FileSpec,
    /// Its state now.
    pub state: FileState,
    /// Attempts that were begun and counted.
    pub attempts: u32,
    /// The last attempt's failure; none once done.
    pub error: Option<FileError>,
    /// When it is tried again at the earliest.
    pub not_before: Option<Timestamp>,
    /// What is known of the bytes at the final path; set when done, and while the server is to be asked whether it still
    /// has the same.
    pub sealed: Option<Sealed>,
    /// Body bytes received so far, in bytes.
    pub received: u64,
    /// Why the next attempt begins anew, as far as the last one found out; none where it goes on, or where
    /// there is nothing to go on from.
    #[serde(default)]
    pub no_resume: Option<NoResume>,
}

/// What may happen to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileEvent {
    /// A worker takes it.
    Claim,
    /// The worker gives it back untried: pause, shutdown, host or disk trouble, a crash.
    Release,
    /// The attempt failed and another may follow.
    Retry,
    /// The attempt failed and none follows.
    Fail,
    /// It is published.
    Complete,
    /// A person asks for another go.
    Requeue,
    /// A later check found the published bytes missing, damaged or superseded.
    Invalidate,
    /// The server is to be asked whether it still has the published bytes.
    Recheck,
}

/// A transition that must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("a file that is {from:?} cannot take the event {event:?}")]
pub struct Illegal {
    /// The state it was in.
    pub from: FileState,
    /// What was asked.
    pub event: FileEvent,
}

impl FileState {
    /// The state after `event`: the one place where a file's state may change (invariant I6).
    ///
    /// # Errors
    /// [`Illegal`] when the event makes no sense in this state.
    pub fn after(self, event: FileEvent) -> Result<Self, Illegal> {
        use FileEvent as E;
        match (self, event) {
            (Self::Pending, E::Claim) => Ok(Self::Active),
            (Self::Active, E::Release | E::Retry) => Ok(Self::Pending),
            // Recovery replays what a claim led to, and claims are not recorded.
            (Self::Pending, E::Release | E::Retry) => Ok(Self::Pending),
            (Self::Active | Self::Pending, E::Complete) => Ok(Self::Done),
            (Self::Active | Self::Pending, E::Fail) => Ok(Self::Failed),
            (Self::Failed, E::Requeue) => Ok(Self::Pending),
            (Self::Done, E::Invalidate | E::Recheck) => Ok(Self::Pending),
            (from, event) => Err(Illegal { from, event }),
        }
    }

    /// The name that `files --json` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl Verified {
    /// The name that `files --json` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Length => "length",
            Self::Container => "container",
            Self::Digest => "digest",
        }
    }
}

impl NoResume {
    /// The name that `files --json` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRanges => "no_ranges",
            Self::NoValidator => "no_validator",
            Self::Changed => "changed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [FileState; 4] =
        [FileState::Pending, FileState::Active, FileState::Done, FileState::Failed];
    const EVENTS: [FileEvent; 8] = [
        FileEvent::Claim,
        FileEvent::Release,
        FileEvent::Retry,
        FileEvent::Fail,
        FileEvent::Complete,
        FileEvent::Requeue,
        FileEvent::Invalidate,
        FileEvent::Recheck,
    ];

    #[test]
    fn done_is_left_only_when_the_bytes_are_doubted() {
        for event in EVENTS {
            let next = FileState::Done.after(event);
            let doubts = matches!(event, FileEvent::Invalidate | FileEvent::Recheck);
            assert_eq!(next.is_ok(), doubts, "{event:?}");
        }
    }

    #[test]
    fn only_a_claim_makes_a_file_active() {
        for state in STATES {
            for event in EVENTS {
                if state.after(event) == Ok(FileState::Active) {
                    assert_eq!((state, event), (FileState::Pending, FileEvent::Claim));
                }
            }
        }
    }

    #[test]
    fn an_illegal_transition_names_both_sides() {
        let error = FileState::Failed.after(FileEvent::Claim).unwrap_err();
        assert_eq!(error.to_string(), "a file that is Failed cannot take the event Claim");
    }
}
