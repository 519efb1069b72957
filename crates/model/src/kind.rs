//! What can go wrong with a file, named by what the caller can do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of failure that users and their scripts see.
///
/// The order is part of the stored format: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// 404 or 410: the server has no such file.
    NotFound,
    /// 401, 403, 407 or 451: the server will not give it.
    Forbidden,
    /// Any other final status, or an answer that breaks the protocol.
    Http,
    /// An HTML or login page, or an unasked-for coding, instead of the file.
    WrongContent,
    /// A digest that was given does not match.
    Checksum,
    /// The body ended before its promised length.
    Truncated,
    /// Slower than the stall limit, or no answer in time.
    Timeout,
    /// The connection could not be made or broke.
    Connection,
    /// The TLS handshake failed or the certificate is not trusted.
    Tls,
    /// A redirect that must not be followed.
    Redirect,
    /// The local disk refused: full, read-only, gone.
    Disk,
    /// The name cannot or must not be created below the output root.
    Path,
    /// The remote file kept changing.
    Changed,
    /// Fetched twice, the same bytes twice, and they fail their own container check.
    CorruptAtSource,
}

/// What a failure concerns, and so what has to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This file alone.
    File,
    /// Everything on that host.
    Host,
    /// Everything that is written to that disk.
    Disk,
}

impl ErrorKind {
    /// Every kind, in stored order.
    pub const ALL: [Self; 14] = [
        Self::NotFound,
        Self::Forbidden,
        Self::Http,
        Self::WrongContent,
        Self::Checksum,
        Self::Truncated,
        Self::Timeout,
        Self::Connection,
        Self::Tls,
        Self::Redirect,
        Self::Disk,
        Self::Path,
        Self::Changed,
        Self::CorruptAtSource,
    ];

    /// The name that `files --json` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Http => "http",
            Self::WrongContent => "wrong_content",
            Self::Checksum => "checksum",
            Self::Truncated => "truncated",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Redirect => "redirect",
            Self::Disk => "disk",
            Self::Path => "path",
            Self::Changed => "changed",
            Self::CorruptAtSource => "corrupt_at_source",
        }
    }

    /// What has to wait when this happens.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Disk => Scope::Disk,
            Self::Connection => Scope::Host,
            _ => Scope::File,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_names_are_the_serialised_names() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn stored_order_is_the_order_of_all() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
