//! What is said of windows.

use jiff::Timestamp;
use skyhaul_model::{FileError, JobId, NewWindow, WindowRecord};

/// How an unplanned job's query ended.
#[derive(Clone, Debug)]
pub enum PlanOutcome {
    /// In these windows.
    Windows(Vec<NewWindow>),
    /// The archive refused the query or could not be reached.
    Refused(FileError),
}

/// A window under a claim.
#[derive(Clone, Debug)]
pub struct ClaimedWindow {
    /// Its job.
    pub job: JobId,
    /// The window.
    pub window: WindowRecord,
}

/// How a window's claim ended.
#[derive(Clone, Debug)]
pub enum WindowOutcome {
    /// All its files are staged.
    Listed {
        /// The archive's own total in bytes, where it told.
        bytes: Option<u64>,
    },
    /// The archive refused one this long; these take its place.
    Split(Vec<NewWindow>),
    /// Given back untried: shutdown or pause.
    Released,
    /// The attempt failed; another may be made from `at` on.
    Retry {
        /// The earliest time.
        at: Timestamp,
        /// Why.
        error: FileError,
    },
    /// Given up.
    Failed(FileError),
}
