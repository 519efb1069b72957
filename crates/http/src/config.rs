//! What a client is set up with, and why that can fail.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::RateLimit;

/// A client's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// The most TCP connections per host; at least 1.
    pub connections: u32,
    /// The most requests in flight per host; over HTTP/1.1 never more than the connections.
    pub in_flight: u32,
    /// The most requests a second per host, evenly spaced; none: as fast as connections allow.
    pub requests_per_second: Option<f64>,
    /// The most body bytes a second, over all hosts together.
    pub limit_rate: RateLimit,
    /// A PEM file of further certificates to trust, beside the system's.
    pub cacert: Option<PathBuf>,
    /// How long a host that had answered may refuse connections before that costs attempts.
    pub outage: Duration,
    /// How long a connection may take to stand. Shorter than the requests' stall limit, so that a host
    /// that is away is told from one that is slow.
    pub connect_timeout: Duration,
}

/// The settings that may change while a client is at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// See [`HttpConfig::connections`].
    pub connections: u32,
    /// See [`HttpConfig::in_flight`].
    pub in_flight: u32,
    /// See [`HttpConfig::requests_per_second`].
    pub requests_per_second: Option<f64>,
    /// See [`HttpConfig::limit_rate`].
    pub limit_rate: RateLimit,
}

/// Why a client cannot be set up, or a limit not be set.
#[derive(Debug, Error)]
pub enum HttpSetupError {
    /// The certificate file cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CertificatesUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate file holds no usable certificate.
    #[error("{} holds no usable certificate: it must be PEM, with BEGIN CERTIFICATE lines", path.display())]
    CertificatesInvalid {
        /// The file.
        path: PathBuf,
        /// Why, where more is known.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// A rate of requests that makes no sense.
    #[error("{0} is no rate of requests: give a number from 0.0001 a second upwards")]
    RequestRate(f64),
    /// The HTTP client cannot be built: TLS, proxy or system trouble.
    #[error("cannot set up the http client")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 16,
            in_flight: 64,
            requests_per_second: None,
            limit_rate: RateLimit::off(),
            cacert: None,
            outage: Duration::from_hours(24),
            connect_timeout: Duration::from_secs(30),
        }
    }
}

impl HttpConfig {
    /// The part that may change later.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            in_flight: self.in_flight,
            requests_per_second: self.requests_per_second,
            limit_rate: self.limit_rate.clone(),
        }
    }
}

impl Limits {
    /// The time between two requests to one host; none when they need not be spaced.
    pub(crate) fn request_interval(&self) -> Result<Option<Duration>, HttpSetupError> {
        let Some(rate) = self.requests_per_second else { return Ok(None) };
        // Far below one request an hour a client looks dead, and far above a million spacing is lost in
        // the clock's own steps.
        if !rate.is_finite() || rate < 1e-4 {
            return Err(HttpSetupError::RequestRate(rate));
        }
        Ok((rate <= 1e6).then(|| Duration::from_secs_f64(1.0 / rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_requests_is_a_time_between_two() {
        let interval = |rate| {
            Limits { requests_per_second: Some(rate), ..HttpConfig::default().limits() }.request_interval()
        };
        assert_eq!(interval(4.0).unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(interval(1e9).unwrap(), None);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
