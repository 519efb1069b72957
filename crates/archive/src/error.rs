//! Why the archive gave no usable answer: by what the caller can do about it.

use std::io;
use std::time::Duration;

use skyhaul_http::FetchError;
use skyhaul_model::{Backoff, ErrorKind, FileError};
use thiserror::Error;

/// A question to the archive that failed.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The API's base URL cannot be used.
    #[error("'{api}' is no base url of an archive: {why}")]
    Api {
        /// What was given.
        api: String,
        /// Why not.
        why: String,
    },
    /// The time span is longer than the dataset's listings allow: ask again in smaller spans.
    #[error("the archive lists less at a time: {detail}")]
    SpanTooLong {
        /// The archive's own words.
        detail: String,
    },
    /// There is no such dataset.
    #[error("the archive has no dataset {dataset}")]
    UnknownDataset {
        /// The name that was asked for.
        dataset: String,
    },
    /// The archive refuses the question; asking again would end the same way.
    #[error("the archive refused with status {status}: {detail}")]
    Refused {
        /// The HTTP status, 4xx.
        status: u16,
        /// The archive's own words, in one sentence.
        detail: String,
    },
    /// The archive, or what stands before it, is in trouble: it may pass.
    #[error("the archive is unavailable: {what}")]
    Unavailable {
        /// The HTTP status.
        status: Option<u16>,
        /// What it answered.
        what: String,
        /// How long it asks to be left alone. The HTTP client has closed the host for that long already.
        retry_after: Option<Duration>,
    },
    /// A page for people came instead of data: of a gateway, a log-in.
    #[error("the archive answered with a web page instead of data")]
    Page,
    /// The answer says success but makes no sense, or is cut.
    #[error("the archive's answer makes no sense: {what}")]
    Answer {
        /// What is wrong with it.
        what: String,
    },
    /// No answer came, or not all of it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The answer cannot be kept: temporary space is full or not writable.
    #[error("cannot keep the archive's listing in the temporary directory {}", std::env::temp_dir().display())]
    Spool {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// Whether asking again may end better.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.retry_class() != Backoff::Never
    }

    /// What the failure says about another try.
    #[must_use]
    pub fn retry_class(&self) -> Backoff {
        match self {
            Self::Unavailable { .. } | Self::Page | Self::Answer { .. } | Self::Spool { .. } => {
                Backoff::Transient
            }
            Self::Fetch(error) if error.is_transient() => Backoff::Transient,
            Self::Fetch(_)
            | Self::Api { .. }
            | Self::SpanTooLong { .. }
            | Self::UnknownDataset { .. }
            | Self::Refused { .. } => Backoff::Never,
        }
    }

    /// Whether the archive is merely away, or asked to be left alone: no attempt is counted, within the
    /// bounds of the command line's contract.
    #[must_use]
    pub fn costs_no_attempt(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_outage(),
            Self::Unavailable { retry_after, .. } => retry_after.is_some(),
            _ => false,
        }
    }

    /// The kind that users see.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Spool { .. } => ErrorKind::Disk,
            Self::Page => ErrorKind::WrongContent,
            Self::UnknownDataset { .. } => ErrorKind::NotFound,
            Self::Refused { status: 401 | 403 | 407 | 451, .. } => ErrorKind::Forbidden,
            Self::Refused { status: 404 | 410, .. } => ErrorKind::NotFound,
            Self::Api { .. }
            | Self::SpanTooLong { .. }
            | Self::Refused { .. }
            | Self::Unavailable { .. }
            | Self::Answer { .. } => ErrorKind::Http,
        }
    }

    /// The failure as a job or window shows it: the causes stand in the same sentence, since nobody sees
    /// the error itself any more.
    #[must_use]
    pub fn to_file_error(&self) -> FileError {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !message.contains(&said) {
                message = format!("{message}: {said}");
            }
            cause = error.source();
        }
        FileError::new(self.kind(), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_pass_is_never_tried_again() {
        let refused = |status| ArchiveError::Refused { status, detail: String::new() };
        let table = [
            (refused(400), false, ErrorKind::Http),
            (refused(403), false, ErrorKind::Forbidden),
            (refused(404), false, ErrorKind::NotFound),
            (ArchiveError::UnknownDataset { dataset: "X".into() }, false, ErrorKind::NotFound),
            (ArchiveError::SpanTooLong { detail: String::new() }, false, ErrorKind::Http),
            (ArchiveError::Page, true, ErrorKind::WrongContent),
            (ArchiveError::Answer { what: String::new() }, true, ErrorKind::Http),
            (
                ArchiveError::Unavailable { status: Some(502), what: String::new(), retry_after: None },
                true,
                ErrorKind::Http,
            ),
            (ArchiveError::Spool { source: io::Error::other("full") }, true, ErrorKind::Disk),
        ];
        for (error, transient, kind) in table {
            assert_eq!((error.is_transient(), error.kind()), (transient, kind), "{error:?}");
        }
    }
}
