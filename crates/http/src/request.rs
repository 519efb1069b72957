//! A request and the head of its answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use crate::{Body, Treatment};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, HEAD or POST.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers that any server on the way may see.
    pub headers: HeaderMap,
    /// Headers for the origin of `url` alone: dropped when a redirect leads to another scheme, host or
    /// port. Their values are never logged.
    pub secret_headers: HeaderMap,
    /// A request body, for POST.
    pub body: Option<Bytes>,
    /// No answer head within this time, or a body slower than 100 bytes/s over it, is a stall.
    pub stall: Duration,
    /// How it is treated among others.
    pub treatment: Treatment,
}

impl Request {
    /// A GET without headers of its own and with the default stall limit of 60 s.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            secret_headers: HeaderMap::new(),
            body: None,
            stall: Duration::from_secs(60),
            treatment: Treatment::default(),
        }
    }
}

/// An answer: its head, and its body to be read.
#[derive(Debug)]
pub struct Response {
    /// The final status.
    pub status: StatusCode,
    /// The final answer's headers; those of redirects on the way are gone (validators come from here alone).
    pub headers: HeaderMap,
    /// The URL that gave this answer, after redirects.
    pub url: Url,
    /// The protocol version that was spoken.
    pub version: Version,
    /// The body.
    pub body: Body,
}
