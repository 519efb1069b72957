//! How an attempt, or the recovery of one, ends.

use std::path::Path;
use std::sync::Arc;

use skyhaul_model::{Backoff, FileError, NoResume, RelPath, Sealed};

use crate::ask::Slot;
use crate::durable::Synced;
use crate::parts::PartPaths;
use crate::{Assignment, OutputRoot};

/// How an attempt ended.
#[derive(Debug)]
pub enum End {
    /// The bytes are whole and checked: sync, seal, then publish.
    Whole(Whole),
    /// The published file that was asked about is still the file; nothing has been touched.
    Unchanged,
    /// It failed.
    Failed(Failure),
    /// It was told to stop; what was received is kept.
    Stopped {
        /// Body bytes received for the file over all attempts.
        received: u64,
    },
}

/// A file whose bytes are whole and checked, but perhaps not synced ([`sync_data`](crate::sync_data)) and at their
/// final path ([`publish`](crate::publish)) yet.
#[derive(Debug)]
pub struct Whole {
    /// What is known of the bytes.
    pub sealed: Sealed,
    pub(crate) synced: Synced,
    pub(crate) lies: Lies,
    /// The part's names, and those of what else is kept of the file until it is published.
    pub(crate) paths: Box<PartPaths>,
    pub(crate) root: Arc<OutputRoot>,
    pub(crate) path: RelPath,
}

/// Where a file's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    /// In the part.
    InPart,
    /// At the final path already.
    InPlace,
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
    /// Why what had come was, or is, of no use for going on; none where it is, or where nothing had come.
    pub no_resume: Option<NoResume>,
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
    /// The disk does not tell: the seal stands until it does.
    Unreadable(FileError),
}

impl Whole {
    /// The real path of the output root that it is below.
    #[must_use]
    pub fn root_path(&self) -> &Path {
        self.root.path()
    }

    /// Of synced bytes that lie in this part.
    pub(crate) fn in_part(assignment: &Assignment, sealed: Sealed, part: PartPaths) -> Self {
        let (root, path) = (Arc::clone(&assignment.root), assignment.path.clone());
        Self { sealed, synced: Synced::Yes, lies: Lies::InPart, paths: Box::new(part), root, path }
    }

    /// Of synced bytes that lie at the final path.
    pub(crate) fn in_place(assignment: &Assignment, sealed: Sealed) -> Self {
        let unused = PartPaths::of(assignment, Slot::One);
        Self { lies: Lies::InPlace, ..Self::in_part(assignment, sealed, unused) }
    }
}
