//! Why an attempt cannot go on, and what that costs.

use std::io;
use std::path::Path;

use skyhaul_http::FetchError;
use skyhaul_model::{Backoff, ErrorKind, FileError};

use crate::Cost;

/// Why an attempt ends without a whole file.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was told to stop.
    Stopped,
    /// It failed.
    Failed(Blow),
}

/// A failure before it is known what had been received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blow {
    pub(crate) error: FileError,
    pub(crate) backoff: Backoff,
    pub(crate) cost: Cost,
}

impl Blow {
    /// A failure that costs an attempt.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>, backoff: Backoff) -> Self {
        Self { error: FileError::new(kind, message), backoff, cost: Cost::Attempt }
    }

    /// A failure that another try would only repeat.
    pub(crate) fn last(error: FileError) -> Self {
        Self { error, backoff: Backoff::Never, cost: Cost::Attempt }
    }

    /// What the HTTP client's failure means for the file.
    pub(crate) fn of_fetch(error: &FetchError) -> Self {
        let backoff = if error.is_transient() { Backoff::Transient } else { Backoff::Never };
        let cost = if error.is_outage() { Cost::HostAway } else { Cost::Attempt };
        Self { error: FileError::new(error.kind(), with_causes(error)), backoff, cost }
    }

    /// What the disk's refusal to `verb` the `path` means.
    pub(crate) fn of_disk(verb: &str, path: &Path, error: &io::Error) -> Self {
        let told = disk_error(verb, path, error);
        let cost = if takes_no_more(error) { Cost::DiskHold } else { Cost::Attempt };
        let backoff = if told.kind == ErrorKind::Path { Backoff::Never } else { Backoff::Transient };
        Self { error: told, backoff, cost }
    }

    /// What lies in a part is not what was written there; nothing of it is kept.
    pub(crate) fn of_meddling(part: &Path) -> Self {
        let message = format!(
            "{} is not as it was written: another program, or the disk, has changed it; the file is begun anew",
            part.display()
        );
        Self::new(ErrorKind::Disk, message, Backoff::Transient)
    }
}

impl From<Blow> for Trouble {
    fn from(blow: Blow) -> Self {
        Self::Failed(blow)
    }
}

/// The disk's refusal in words: kind `path` where the name is at fault, else `disk`.
pub(crate) fn disk_error(verb: &str, path: &Path, error: &io::Error) -> FileError {
    use io::ErrorKind as E;
    let kind = match error.kind() {
        E::NotADirectory | E::IsADirectory | E::InvalidFilename | E::DirectoryNotEmpty => ErrorKind::Path,
        _ => ErrorKind::Disk,
    };
    FileError::new(kind, format!("cannot {verb} {}: {error}", path.display()))
}

/// Whether the whole disk is in trouble, so that the next file would fare no better.
fn takes_no_more(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    /// POSIX gives EIO no kind of its own in the standard library.
    const EIO: i32 = 5;
    matches!(
        error.kind(),
        E::StorageFull | E::QuotaExceeded | E::ReadOnlyFilesystem | E::StaleNetworkFileHandle
    ) || (cfg!(unix) && error.raw_os_error() == Some(EIO))
}

fn with_causes(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_in_trouble_holds_the_job_and_a_bad_name_fails_the_file() {
        let table = [
            (io::ErrorKind::StorageFull, ErrorKind::Disk, Cost::DiskHold, Backoff::Transient),
            (io::ErrorKind::QuotaExceeded, ErrorKind::Disk, Cost::DiskHold, Backoff::Transient),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::Disk, Cost::DiskHold, Backoff::Transient),
            (io::ErrorKind::PermissionDenied, ErrorKind::Disk, Cost::Attempt, Backoff::Transient),
            (io::ErrorKind::NotADirectory, ErrorKind::Path, Cost::Attempt, Backoff::Never),
        ];
        for (given, kind, cost, backoff) in table {
            let blow = Blow::of_disk("write", Path::new("x"), &given.into());
            assert_eq!((blow.error.kind, blow.cost, blow.backoff), (kind, cost, backoff), "{given:?}");
        }
        if cfg!(unix) {
            let blow = Blow::of_disk("write", Path::new("x"), &io::Error::from_raw_os_error(5));
            assert_eq!(blow.cost, Cost::DiskHold);
        }
    }

    #[test]
    fn a_host_that_is_away_costs_nothing_and_causes_are_told() {
        let connect = |answered_before| FetchError::Connect {
            host: "h.example".into(),
            answered_before,
            source: "connection refused".into(),
        };
        let blow = Blow::of_fetch(&connect(true));
        assert_eq!((blow.cost, blow.error.kind), (Cost::HostAway, ErrorKind::Connection));
        assert_eq!(blow.error.message, "cannot connect to h.example: connection refused");
        assert_eq!(Blow::of_fetch(&connect(false)).cost, Cost::Attempt);
        let redirect = FetchError::Redirect { url: "https://a.example/".into(), why: "in circles".into() };
        assert_eq!(Blow::of_fetch(&redirect).backoff, Backoff::Never);
    }
}
