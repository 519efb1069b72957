//! The client: all behaviour stacked in one place.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use url::Url;

use crate::config::{HttpConfig, HttpSetupError, Limits};
use crate::counters::{Counters, Tally};
use crate::gated::Gated;
use crate::hosts::Hosts;
use crate::lanes::Lanes;
use crate::origin::host_name;
use crate::rate::{ByteLimiter, Limited};
use crate::redirect::Redirects;
use crate::stall::Stalled;
use crate::status::{HostStatus, Standing};
use crate::transport::Transport;
use crate::{Fetch, FetchError, Request, Response, Terms};

/// The HTTP client. Clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    stack: Stack,
    hosts: Arc<Hosts>,
    lanes: Arc<Lanes>,
    limiter: Arc<ByteLimiter>,
    tally: Arc<Tally>,
}

/// From the caller to the wire. The order matters: a redirect passes the gate of each host on its way,
/// waiting at a gate or for the byte rate is no stall, and a stalled request keeps its place until it
/// is given up.
type Stack = Limited<Redirects<Gated<Stalled<Transport>>>>;

impl Client {
    /// Sets a client up: reads certificates and proxy variables, connects to nothing.
    ///
    /// # Errors
    /// [`HttpSetupError`] when the certificates cannot be used, a limit makes no sense, or TLS cannot be
    /// set up.
    pub fn new(config: HttpConfig) -> Result<Self, HttpSetupError> {
        let tally = Arc::new(Tally::default());
        let hosts = Arc::new(Hosts::new(&config.limits(), config.outage, Arc::clone(&tally))?);
        let lanes = Arc::new(Lanes::new(config.connections));
        let transport = Transport::new(&config, Arc::clone(&lanes), Arc::clone(&tally))?;
        let limiter = Arc::new(ByteLimiter::new(config.limit_rate));
        let gated = Gated::new(Stalled::new(transport), Arc::clone(&hosts));
        let stack = Limited::new(Redirects::new(gated), Arc::clone(&limiter));
        Ok(Self { inner: Arc::new(Inner { stack, hosts, lanes, limiter, tally }) })
    }

    /// Changes the limits; requests and bodies in flight go on under the new ones.
    ///
    /// # Errors
    /// [`HttpSetupError::RequestRate`] when the rate of requests makes no sense; nothing is changed then.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), HttpSetupError> {
        self.inner.hosts.set_limits(limits)?;
        self.inner.lanes.allow(limits.connections);
        self.inner.limiter.set(limits.limit_rate.clone());
        Ok(())
    }

    /// Takes the caller's word that the URL's host had answered before, as a queue remembers it over a
    /// restart: when it refuses connections it is thought to be away, not wrong.
    pub fn mark_answered(&self, url: &Url) {
        self.inner.hosts.mark_answered(&host_name(url));
    }

    /// Every host that was asked and is remembered, by name.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostStatus> {
        self.inner.hosts.status(Timestamp::now())
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.inner.tally.snapshot(self.inner.limiter.waited())
    }
}

#[async_trait]
impl Fetch for Client {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.inner.stack.fetch(request).await
    }

    fn standing(&self, terms: &Terms) -> Standing {
        let (hosts, now) = (&self.inner.hosts, Timestamp::now());
        terms.standing(|host| hosts.closed(host, terms.outage(), now))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
