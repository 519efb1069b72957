//! The one place that makes HTTP requests: client, user agent, TLS, proxy, redirects, per-host gate and limiter.
//!
//! Everything above speaks to [`Fetch`], a seam small enough for a simulation to stand in its place.
//! [`Client`] is the real one; its behaviour is stacked from wrappers in `client.rs`. Nothing here
//! outlives a crash: gates, limits and counters are in memory alone.

mod body;
mod brake;
mod classify;
mod client;
mod clients;
mod config;
mod controller;
mod counters;
mod credentials;
mod error;
mod gate;
mod gated;
mod hosts;
mod lanes;
mod leftovers;
mod origin;
mod pace;
mod rate;
mod redirect;
mod request;
mod retry_after;
mod stall;
mod status;
mod terms;
mod timetable;
mod transport;
mod treatment;
mod trust;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;

pub use body::{Body, BodySource};
pub use client::Client;
pub use config::{HttpConfig, HttpSetupError, Limits};
pub use counters::{Counters, HostCounters};
pub use error::FetchError;
pub use rate::{ByteLimiter, Limited};
pub use request::{Request, Response};
pub use retry_after::retry_after;
pub use status::{Closed, ClosedReason, HostStatus, Standing, Waits};
pub use terms::{OwnLimits, Terms};
pub use timetable::{RateLimit, RateLimitError};
pub use treatment::{Share, Treated, Treatment, Urgency};

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

    /// How the requests under these terms stand; under way where nothing is known of hosts.
    fn standing(&self, _terms: &Terms) -> Standing {
        Standing::UnderWay
    }
}

#[async_trait]
impl<F: Fetch + ?Sized> Fetch for Arc<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.as_ref().fetch(request).await
    }

    fn standing(&self, terms: &Terms) -> Standing {
        self.as_ref().standing(terms)
    }
}
