//! Windows: the pieces in which a job's list of files is asked for.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FileError, WindowId};

/// What one window asks for.
///
/// The order of the variants is part of the stored format: append only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Its first moment.
    pub start: Timestamp,
    /// Its last moment.
    pub end: Timestamp,
}

/// What becomes of the finished files of windows that are listed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recheck {
    /// They are left as they are.
    #[default]
    Leave,
    /// Their servers are asked whether they have changed.
    Done,
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

impl Span {
    /// Whether the window asks for any of it. A stretch of a list has no time of its own.
    #[must_use]
    pub fn touches(&self, target: &WindowTarget) -> bool {
        match target {
            WindowTarget::Listing { start, end, .. } => *start <= self.end && *end >= self.start,
            WindowTarget::Slice { .. } => false,
        }
    }
}

/// What is asked for, as people are told of it.
impl fmt::Display for WindowTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing { dataset, site, start, end, .. } => {
                let site = site.as_deref().unwrap_or("every site");
                write!(f, "{dataset}, {site}, {start} to {end}")
            }
            Self::Slice { first_line, .. } => write!(f, "the list from line {first_line} on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(start: i64, end: i64) -> WindowTarget {
        let at = |second| Timestamp::from_second(second).unwrap();
        WindowTarget::Listing {
            dataset: "D".to_owned(),
            prefix: "https://h/d".to_owned(),
            site: None,
            device: None,
            start: at(start),
            end: at(end),
        }
    }

    #[test]
    fn a_span_touches_what_has_a_moment_in_common_with_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let span = Span { start: at(10), end: at(20) };
        let table = [((0, 9), false), ((0, 10), true), ((12, 13), true), ((20, 30), true), ((21, 30), false)];
        for ((start, end), touched) in table {
            assert_eq!(span.touches(&listing(start, end)), touched, "{start} to {end}");
        }
        let slice = WindowTarget::Slice { offset: 0, length: 9, first_line: 1 };
        assert!(!span.touches(&slice));
        assert_eq!(slice.to_string(), "the list from line 1 on");
        assert_eq!(listing(0, 9).to_string(), "D, every site, 1970-01-01T00:00:00Z to 1970-01-01T00:00:09Z");
    }
}
