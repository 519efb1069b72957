//! An archive in this process that answers every listing with the same night, piece by piece as a socket does.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use skyhaul_http::{Body, BodySource, Fetch, FetchError, Request, Response};

use crate::night::{self, Night};

/// Bytes of an answer that come at once.
const PIECE: usize = 16 << 10;

/// Answers with a night's files, whatever is asked.
pub struct Answers(Bytes);

impl Answers {
    /// An archive that has this night alone.
    #[must_use]
    pub fn of(night: Night) -> Self {
        let urls: Vec<String> =
            (0..night::FILES).map(|file| format!("\"{}\"", night.file(file).url)).collect();
        let answer = format!("{{\"path_prefix\":\"{}\",\"urls\":[{}]}}", night::PREFIX, urls.join(","));
        Self(answer.into())
    }
}

struct Pieces(Bytes);

#[async_trait]
impl BodySource for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let piece = self.0.split_to(PIECE.min(self.0.len()));
        Ok((!piece.is_empty()).then_some(piece))
    }
}

#[async_trait]
impl Fetch for Answers {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        Ok(Response {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            url: request.url,
            version: Version::HTTP_11,
            body: Body::new(Pieces(self.0.clone())),
        })
    }
}
