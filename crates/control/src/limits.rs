//! The limits that a running engine keeps towards hosts: shown, and changed until the engine ends.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use skyhaul_http::{Client, Counters, HostStatus, Limits, RateLimit};

/// The engine's HTTP client, as those see it who look at it from outside.
#[derive(Debug)]
pub struct Network {
    client: Client,
    limits: Mutex<Limits>,
    certificates: Option<String>,
}

/// Limits on the wire. `docs/api.md` has the words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsBody {
    connections: u32,
    in_flight: u32,
    requests_per_second: Option<f64>,
    limit_rate: String,
}

impl Network {
    /// The network through this client, which was set up with these limits.
    #[must_use]
    pub fn new(client: Client, limits: Limits) -> Self {
        Self { client, limits: Mutex::new(limits), certificates: None }
    }

    /// The same, of a client that trusts the certificates of a file with this SHA-256, where there is one.
    #[must_use]
    pub fn trusting(self, certificates: Option<String>) -> Self {
        Self { certificates, ..self }
    }

    pub(crate) fn certificates(&self) -> Option<String> {
        self.certificates.clone()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.client.counters()
    }

    pub(crate) fn hosts(&self) -> Vec<HostStatus> {
        self.client.hosts()
    }

    pub(crate) fn limits(&self) -> LimitsBody {
        LimitsBody::from(&*self.limits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the limits, or says in words why not.
    pub(crate) fn set_limits(&self, wanted: LimitsBody) -> Result<(), String> {
        let wanted = Limits::try_from(wanted)?;
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        self.client.set_limits(&wanted).map_err(|error| error.to_string())?;
        *limits = wanted;
        Ok(())
    }
}

impl From<&Limits> for LimitsBody {
    fn from(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            in_flight: limits.in_flight,
            requests_per_second: limits.requests_per_second,
            limit_rate: limits.limit_rate.to_string(),
        }
    }
}

impl TryFrom<LimitsBody> for Limits {
    type Error = String;

    fn try_from(body: LimitsBody) -> Result<Self, String> {
        if body.connections == 0 || body.in_flight == 0 {
            return Err("'connections' and 'in_flight' must be at least 1".to_owned());
        }
        let limit_rate = RateLimit::parse(&body.limit_rate).map_err(|error| error.to_string())?;
        let LimitsBody { connections, in_flight, requests_per_second, .. } = body;
        Ok(Self { connections, in_flight, requests_per_second, limit_rate })
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_http::HttpConfig;

    use super::*;

    #[test]
    fn limits_are_changed_whole_or_not_at_all() {
        let config = HttpConfig::default();
        let network = Network::new(Client::new(config.clone()).unwrap(), config.limits());
        let before = network.limits();
        assert_eq!(
            before,
            LimitsBody {
                connections: 16,
                in_flight: 64,
                requests_per_second: None,
                limit_rate: "off".into()
            }
        );
        let wrong = [
            LimitsBody { connections: 0, ..before.clone() },
            LimitsBody { in_flight: 0, ..before.clone() },
            LimitsBody { requests_per_second: Some(0.0), ..before.clone() },
            LimitsBody { limit_rate: "fast".into(), ..before.clone() },
        ];
        for body in wrong {
            assert!(network.set_limits(body.clone()).is_err(), "{body:?}");
            assert_eq!(network.limits(), before);
        }
        let after = LimitsBody { limit_rate: "08:00,2M 18:00,off".into(), connections: 4, ..before };
        network.set_limits(after.clone()).unwrap();
        assert_eq!(network.limits().connections, 4);
        assert_eq!(Limits::try_from(network.limits()), Limits::try_from(after));
    }
}
