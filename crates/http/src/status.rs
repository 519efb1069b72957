//! A host as status displays and metrics show it.

use std::time::Duration;

use jiff::Timestamp;

use crate::counters::HostCounters;

/// A host that was asked and is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct HostStatus {
    /// `host` or `host:port`.
    pub host: String,
    /// Requests in flight, bodies being read included.
    pub in_flight: u32,
    /// How many may be in flight now; steered below the limits by what the host and the path bear.
    pub target: u32,
    /// Set while no request may go.
    pub closed: Option<Closed>,
    /// What was done so far.
    pub counters: HostCounters,
    /// For how long the request that was next was kept waiting so far, by reason.
    pub waits: Waits,
}

/// From when until when a host is left alone, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Since when it has been left alone.
    pub since: Timestamp,
    /// When it is asked again.
    pub until: Timestamp,
    /// Why.
    pub reason: ClosedReason,
}

/// Why a host is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// It asked for it (429 or 503 with `Retry-After`).
    RetryAfter,
    /// It had answered and now refuses connections.
    Away,
}

/// How the requests of one owner stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has none.
    Idle,
    /// Some go on, or are about to.
    UnderWay,
    /// All wait for hosts that are closed.
    KeptOut {
        /// `host` or `host:port`: the one that is asked again first.
        host: String,
        /// Until when and why it is closed to this owner.
        closed: Closed,
    },
}

/// Times spent waiting to be let in, by reason. Only the request that is next waits for a reason; those
/// behind it wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// For one of those in flight to end.
    pub room: Duration,
    /// For the limit on requests a second.
    pub request_rate: Duration,
    /// For the end of a `Retry-After`.
    pub retry_after: Duration,
    /// For a host that had answered and went away.
    pub away: Duration,
}
