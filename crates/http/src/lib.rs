//! The one place that makes HTTP requests: client, user agent, TLS, proxy, redirects, per-host gate and limiter.
//!
//! Everything above speaks to [`Fetch`], a seam small enough for a simulation to stand in its place.
//! [`Client`] is the real one; its behaviour is stacked from wrappers in `client.rs`. Nothing here
//! outlives a crash: gates, limits and counters are in memory alone.

mod body;
mod classify;
mod client;
mod config;
mod counters;
mod credentials;
mod error;
mod gate;
mod hosts;
mod leftovers;
mod origin;
mod pace;
mod rate;
mod redirect;
mod request;
mod retry_after;
mod stall;
mod timetable;
mod transport;

use std::sync::Arc;

use async_trait::async_trait;

pub use body::{Body, BodySource};
pub use client::Client;
pub use config::{HttpConfig, HttpSetupError, Limits};
pub use counters::Counters;
pub use error::FetchError;
pub use hosts::{Closed, ClosedReason, HostStatus};
pub use rate::{ByteLimiter, Limited};
pub use request::{Request, Response};
pub use retry_after::retry_after;
pub use timetable::{RateLimit, RateLimitError};

/// Makes one request and gives the final answer's head, with the body still to be read.
///
/// Redirects are followed by the implementation (RFC 9110 section 15.4, within its limits); the status
/// may be any other than a followed redirect. Waiting for a free connection, for the rate limits or
/// for a host that asked to be left alone happens inside.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Makes the request.
    ///
    /// # Errors
    /// [`FetchError`] when no complete answer head came.
    async fn fetch(&self, request: Request) -> Result<Response, FetchError>;
}

#[async_trait]
impl<F: Fetch + ?Sized> Fetch for Arc<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.as_ref().fetch(request).await
    }
}
