//! Windows: the pieces in which a job's list of files is asked for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FileError, WindowId};

/// What one window asks for.
///
/// The order of the variants is part of the stored format: append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowTarget {
    /// One call of the archive's listing.
    Listing {
        /// Dataset name as the archive spells it.
        dataset: String,
        /// The URL below which the dataset's files lie, without a trailing slash.
        prefix: String,
        /// One site, or every site.
        site: Option<String>,
        /// One device, or every device.
        device: Option<String>,
        /// First second asked for.
        start: Timestamp,
        /// Last second asked for.
        end: Timestamp,
    },
    /// A stretch of the job's own copy of a URL list or manifest.
    Slice {
        /// Where it begins, in bytes.
        offset: u64,
        /// How long it is, in bytes.
        length: u64,
        /// The number of its first line, counted from 1.
        first_line: u64,
    },
}

/// A window that is to be planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewWindow {
    /// What it asks for.
    pub target: WindowTarget,
}

/// What has become of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowState {
    /// Not listed yet, perhaps waiting for a due time.
    Pending,
    /// Listed: all its files are in the queue.
    Listed {
        /// Files it brought, after de-duplication.
        files: u64,
        /// The archive's own total in bytes, where it told.
        bytes: Option<u64>,
        /// When.
        at: Timestamp,
    },
    /// Replaced by smaller windows, because the archive refused one this long.
    Split,
    /// Given up; `retry` puts it back.
    Failed,
}

/// A window of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRecord {
    /// Its number.
    pub id: WindowId,
    /// What it asks for.
    pub target: WindowTarget,
    /// What has become of it.
    pub state: WindowState,
    /// Attempts that failed since it last made progress.
    pub failures: u32,
    /// The last failure.
    pub error: Option<FileError>,
    /// When it is tried again at the earliest.
    pub not_before: Option<Timestamp>,
}
