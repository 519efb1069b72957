//! For tests: a network that nobody answers on.

use async_trait::async_trait;
use skyhaul_http::{Fetch, FetchError, Request, Response};

/// Takes every request and never answers.
pub(crate) struct Nowhere;

#[async_trait]
impl Fetch for Nowhere {
    async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
        std::future::pending().await
    }
}
