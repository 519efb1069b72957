//! Answers and their bodies: sent in pieces at the server's rate, and broken off where a fault says so.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::time::Instant;

use crate::faults::CutStyle;
use crate::meter::Connection;
use crate::throttle::Throttle;

/// What the HTTP library sends.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) ending: Ending,
}

/// Where the bytes of a body come from.
pub(crate) enum Content {
    /// They are here.
    Bytes(Bytes),
    /// They are written as they are sent; how many is known before.
    Text(u64, Box<dyn Iterator<Item = Bytes> + Send>),
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After its last byte.
    Whole,
    /// With the connection, after so many bytes.
    Cut(u64, CutStyle),
    /// Never: after so many bytes nothing more comes.
    Stall(u64),
}

impl Reply {
    /// An answer with a status, a type and bytes.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, content: Content::Bytes(bytes.into()), ending: Ending::Whole }
    }

    /// A page.
    pub(crate) fn html(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::new(status, "text/html; charset=UTF-8", text)
    }

    /// Anything that can be written as JSON.
    pub(crate) fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::new(status, "application/json", text),
            Err(error) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        }
    }

    /// The answer with one more header; one that cannot be sent is left out.
    pub(crate) fn with(mut self, name: http::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl Content {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Text(len, _) => *len,
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.len())
    }
}

/// How fast a body may go.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What all bodies share.
    pub(crate) throttle: Arc<Throttle>,
    /// This many bytes in the first second, and twice as many in each as in the one before.
    pub(crate) slow_start: Option<u64>,
}

impl Pace {
    /// When, after its begin, a body may have sent so many bytes; none if that is all the same.
    fn since_begin(&self, sent: u64) -> Option<Duration> {
        let rate = self.slow_start?.max(1);
        // rate * (2^t - 1) bytes within t seconds.
        Some(Duration::from_secs_f64((sent as f64 / rate as f64 + 1.0).log2()))
    }
}

/// A body without bytes.
pub(crate) fn nothing() -> Body {
    let never = |never: Infallible| match never {};
    http_body_util::Empty::new().map_err(never).boxed_unsync()
}

/// The body of an answer on a connection.
pub(crate) fn paced(content: Content, ending: Ending, pace: Pace, connection: Arc<Connection>) -> Body {
    let (here, more) = match content {
        Content::Bytes(bytes) => (bytes, None),
        Content::Text(_, more) => (Bytes::new(), Some(more)),
    };
    let sending = Sending { here, more, sent: 0, begun: Instant::now(), ending, pace, connection };
    let pieces = stream::unfold(sending, async |mut sending| {
        let piece = sending.next().await?;
        Some((piece.map(Frame::data), sending))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// A body on its way.
struct Sending {
    here: Bytes,
    more: Option<Box<dyn Iterator<Item = Bytes> + Send>>,
    sent: u64,
    begun: Instant,
    ending: Ending,
    pace: Pace,
    connection: Arc<Connection>,
}

impl Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let room = match self.ending {
            Ending::Whole => u64::MAX,
            Ending::Cut(after, _) | Ending::Stall(after) => after.saturating_sub(self.sent),
        };
        if room == 0 {
            return Some(Err(self.give_up().await));
        }
        let piece = self.piece(usize::try_from(room).unwrap_or(usize::MAX))?;
        self.pace.throttle.admit(piece.len()).await;
        self.sent += piece.len() as u64;
        if let Some(wait) = self.pace.since_begin(self.sent) {
            tokio::time::sleep_until(self.begun + wait).await;
        }
        Some(Ok(piece))
    }

    /// The next piece of at most `room` bytes.
    fn piece(&mut self, room: usize) -> Option<Bytes> {
        while self.here.is_empty() {
            self.here = self.more.as_mut()?.next()?;
        }
        let len = self.pace.throttle.piece_len().min(room).min(self.here.len());
        Some(self.here.split_to(len))
    }

    /// Ends a body before its time, once all that was meant to be sent has gone into the socket.
    async fn give_up(&mut self) -> io::Error {
        self.connection.sent(self.sent).await;
        match self.ending {
            Ending::Cut(_, style) => self.connection.end_by(style),
            Ending::Whole | Ending::Stall(_) => std::future::pending().await,
        }
        io::Error::from(io::ErrorKind::ConnectionAborted)
    }
}
