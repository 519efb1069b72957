//! How an attempt, or the recovery of one, ends.

use std::sync::Arc;

use skyhaul_model::{Backoff, FileError, RelPath, Sealed};

use crate::parts::PartPaths;
use crate::{Assignment, OutputRoot};

/// How an attempt ended.
#[derive(Debug)]
pub enum End {
    /// The bytes are whole, checked and synced: seal, then publish.
    Whole(Whole),
    /// It failed.
    Failed(Failure),
    /// It was told to stop; what was received is kept.
    Stopped {
        /// Body bytes received for the file over all attempts.
        received: u64,
    },
}

/// A file whose bytes are whole, checked and synced, but perhaps not at their final path yet.
#[derive(Debug)]
pub struct Whole {
    /// What is known of the bytes.
    pub sealed: Sealed,
    /// Where they lie; none when they lie at the final path already.
    pub(crate) part: Option<Box<PartPaths>>,
    pub(crate) root: Arc<OutputRoot>,
    pub(crate) path: RelPath,
}

/// A failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: FileError,
    /// What the failure says about another try.
    pub backoff: Backoff,
    /// Body bytes received for the file over all attempts.
    pub received: u64,
    /// Whether bytes that the next attempt can go on from have been added.
    pub progressed: bool,
    /// What the failure costs.
    pub cost: Cost,
}

/// What a failure costs (invariant I8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// An attempt.
    Attempt,
    /// Nothing: the host had answered before and is away.
    HostAway,
    /// Nothing at first: the server named a time to come back.
    RetryAfter,
    /// Nothing: the disk takes no more, and the whole job has to wait for it.
    DiskHold,
}

/// What was found of bytes that had been sealed before a crash.
#[derive(Debug)]
pub enum Recovery {
    /// They lie at the final path, durably.
    Published,
    /// They lie in the part, ready to be published.
    Part(Whole),
    /// Neither: the file has to be fetched again.
    Gone,
}

impl Whole {
    pub(crate) fn new(assignment: &Assignment, sealed: Sealed, part: Option<PartPaths>) -> Self {
        let (root, path) = (Arc::clone(&assignment.root), assignment.path.clone());
        Self { sealed, part: part.map(Box::new), root, path }
    }
}
