//! An answer's body, read piece by piece.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;

use crate::FetchError;

/// Where a body's bytes come from.
#[async_trait]
pub trait BodySource: Send {
    /// The next piece; none at the proven end of the message (RFC 9112 section 8).
    ///
    /// # Errors
    /// [`FetchError`] when the body broke off, stalled, or broke the protocol.
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError>;

    /// Takes the fields that came behind the content (RFC 9110 section 6.5); none before its end.
    fn take_trailers(&mut self) -> HeaderMap {
        HeaderMap::new()
    }
}

/// An answer's body. Dropping it before its end gives the connection up.
pub struct Body(Box<dyn BodySource>);

impl Body {
    /// A body that reads from `source`.
    #[must_use]
    pub fn new(source: impl BodySource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// The next piece; none at the proven end of the message.
    ///
    /// # Errors
    /// [`FetchError`] when the body broke off, stalled, or broke the protocol.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        self.0.chunk().await
    }

    /// Takes the fields that came behind the content (RFC 9110 section 6.5); none before its end.
    pub fn take_trailers(&mut self) -> HeaderMap {
        self.0.take_trailers()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
