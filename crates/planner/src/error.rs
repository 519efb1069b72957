//! Why planning did not succeed, and whether another try may.

use skyhaul_archive::ArchiveError;
use skyhaul_model::{Backoff, ErrorKind, FileError};
use thiserror::Error;

/// A query or a window that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .error.message)]
pub struct PlanError {
    /// What is shown and kept.
    pub error: FileError,
    /// Whether another try may end better.
    pub backoff: Backoff,
    /// Whether this one counts as an attempt.
    pub cost: PlanCost,
}

/// Whether a failure counts as an attempt (invariant I8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanCost {
    /// It does.
    Attempt,
    /// It does not: the archive's host, which had answered before, is merely away.
    Away,
    /// It does not, so many times in a row: the archive asked to be left alone for a while.
    AskedToWait,
}

impl PlanError {
    /// A refusal that another try would meet again.
    pub(crate) fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { error: FileError::new(kind, message), backoff: Backoff::Never, cost: PlanCost::Attempt }
    }

    /// Trouble on this machine that may pass.
    pub(crate) fn local(what: &str, error: &std::io::Error) -> Self {
        let error = FileError::new(ErrorKind::Disk, format!("{what}: {error}"));
        Self { error, backoff: Backoff::Transient, cost: PlanCost::Attempt }
    }
}

impl From<ArchiveError> for PlanError {
    fn from(error: ArchiveError) -> Self {
        let cost = match &error {
            ArchiveError::Fetch(fetch) if fetch.is_outage() => PlanCost::Away,
            _ if error.costs_no_attempt() => PlanCost::AskedToWait,
            _ => PlanCost::Attempt,
        };
        Self { error: error.to_file_error(), backoff: error.retry_class(), cost }
    }
}
