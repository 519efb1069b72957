//! Why no answer, or no whole body, came: by what the caller can do about it.

use skyhaul_model::ErrorKind;
use thiserror::Error;

/// A boxed cause; the HTTP library's own types stay inside this crate.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A request's failure.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No connection could be made: name resolution, refused, unreachable, proxy.
    #[error("cannot connect to {host}")]
    Connect {
        /// `host` or `host:port`.
        host: String,
        /// Whether the host had answered before, so that it is thought to be away for a while: the file
        /// is given back untried, and the gate keeps the host closed until its next probe is due.
        answered_before: bool,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The TLS handshake failed or the certificate is not trusted.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// `host` or `host:port`.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// No answer head in time, or the body slower than the stall limit.
    #[error("{host} {what}")]
    Stall {
        /// `host` or `host:port`.
        host: String,
        /// What it did, as "gave no answer for 60 s".
        what: String,
    },
    /// The connection broke, before the head or within the body.
    #[error("the connection to {host} broke")]
    Broken {
        /// `host` or `host:port`.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The body ended before its promised end.
    #[error("the answer from {host} ended too early")]
    Truncated {
        /// `host` or `host:port`.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The answer breaks the protocol.
    #[error("the answer from {host} makes no sense")]
    Protocol {
        /// `host` or `host:port`.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A redirect that must not be followed.
    #[error("{url} redirects {why}")]
    Redirect {
        /// The URL that redirected.
        url: String,
        /// Why it was not followed, as "to http, which is not encrypted".
        why: String,
    },
    /// The request itself cannot be made.
    #[error("{url} cannot be asked for: {why}")]
    Request {
        /// The URL.
        url: String,
        /// Why.
        why: String,
    },
}

impl FetchError {
    /// The kind that users see.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } | Self::Broken { .. } => ErrorKind::Connection,
            Self::Tls { .. } => ErrorKind::Tls,
            Self::Stall { .. } => ErrorKind::Timeout,
            Self::Truncated { .. } => ErrorKind::Truncated,
            Self::Protocol { .. } | Self::Request { .. } => ErrorKind::Http,
            Self::Redirect { .. } => ErrorKind::Redirect,
        }
    }

    /// Whether another try may end better.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Redirect { .. } | Self::Request { .. })
    }

    /// Whether the host is merely away: no attempt is counted.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Connect { answered_before: true, .. })
    }
}
