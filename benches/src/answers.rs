//! Servers in this process that answer everything with the same, piece by piece as a socket does.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use skyhaul_http::{Body, BodySource, Fetch, FetchError, Request, Response};

use crate::night::{self, Night};

/// Bytes of an answer that come at once.
const PIECE: usize = 16 << 10;

/// Answers with the same body, whatever is asked.
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

    /// An archive that knows the dataset of the nights.
    #[must_use]
    pub fn of_the_catalogue() -> Self {
        let tree = night::PREFIX;
        let answer = format!(
            r#"[{{"name":"THEMIS_ASI_RAW","data_tree_url":"{tree}","file_listing_supported":true,"file_time_resolution":"1min"}}]"#
        );
        Self(answer.into())
    }

    /// A server of files that are all these bytes.
    #[must_use]
    pub fn of_file(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
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
