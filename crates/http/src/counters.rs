//! What a client has done so far, in all and by host. In memory alone: a restart begins at zero.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a client has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, every hop of a redirect and every repetition counted.
    pub requests: u64,
    /// Body bytes received, also those that nobody wanted.
    pub bytes_received: u64,
    /// Connections that gave at least one answer, told apart by their local address.
    pub connections: u64,
    /// Requests sent again at once, because the connection that they were given had been closed meanwhile.
    pub replays: u64,
    /// Time that bodies waited for the byte rate, summed over the bodies that were next.
    pub limited: Duration,
}

/// What was done with one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// Requests sent; divide the connections by it for how seldom one had to be opened.
    pub requests: u64,
    /// Answers received, of any status.
    pub answers: u64,
    /// Body bytes received.
    pub bytes_received: u64,
    /// Connections that gave at least one answer.
    pub connections: u64,
    /// Requests sent again at once on another connection.
    pub replays: u64,
}

/// Local addresses remembered; far more than connections can be open at once.
const REMEMBERED_CONNECTIONS: usize = 4096;

/// Hosts remembered before those that nobody uses are forgotten.
const REMEMBERED_HOSTS: usize = 1024;

/// The live counters behind [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    all: HostTally,
    hosts: Mutex<HashMap<String, Arc<HostTally>>>,
    seen: Mutex<Seen>,
}

/// The live counters behind [`HostCounters`].
#[derive(Debug, Default)]
pub(crate) struct HostTally {
    requests: AtomicU64,
    answers: AtomicU64,
    bytes_received: AtomicU64,
    connections: AtomicU64,
    replays: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    addresses: HashSet<SocketAddr>,
    oldest_first: VecDeque<SocketAddr>,
}

impl Tally {
    /// The counters of one host.
    pub(crate) fn host(&self, name: &str) -> Arc<HostTally> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        if hosts.len() >= REMEMBERED_HOSTS {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        Arc::clone(hosts.entry(name.to_owned()).or_default())
    }

    pub(crate) fn request(&self, host: &HostTally) {
        self.count(host, |tally| &tally.requests, 1);
    }

    pub(crate) fn replay(&self, host: &HostTally) {
        self.count(host, |tally| &tally.replays, 1);
    }

    pub(crate) fn received(&self, host: &HostTally, bytes: usize) {
        self.count(host, |tally| &tally.bytes_received, bytes as u64);
    }

    /// Notes that the connection with this local address gave an answer.
    pub(crate) fn answered_on(&self, host: &HostTally, local: Option<SocketAddr>) {
        self.count(host, |tally| &tally.answers, 1);
        let Some(local) = local else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.addresses.insert(local) {
            return;
        }
        self.count(host, |tally| &tally.connections, 1);
        seen.oldest_first.push_back(local);
        if seen.oldest_first.len() > REMEMBERED_CONNECTIONS
            && let Some(oldest) = seen.oldest_first.pop_front()
        {
            seen.addresses.remove(&oldest);
        }
    }

    /// Whether a connection with this local address has given an answer before.
    pub(crate) fn has_answered_on(&self, local: SocketAddr) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).addresses.contains(&local)
    }

    pub(crate) fn snapshot(&self, limited: Duration) -> Counters {
        let HostCounters { requests, answers: _, bytes_received, connections, replays } = self.all.snapshot();
        Counters { requests, bytes_received, connections, replays, limited }
    }

    fn count(&self, host: &HostTally, which: impl Fn(&HostTally) -> &AtomicU64, count: u64) {
        for tally in [&self.all, host] {
            which(tally).fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl HostTally {
    pub(crate) fn snapshot(&self) -> HostCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HostCounters {
            requests: read(&self.requests),
            answers: read(&self.answers),
            bytes_received: read(&self.bytes_received),
            connections: read(&self.connections),
            replays: read(&self.replays),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_counted_once_and_memory_is_bounded() {
        let tally = Tally::default();
        let host = tally.host("a.example");
        let address = |ip, port| SocketAddr::from(([127, 0, 0, ip], port));
        for _ in 0..2 {
            tally.answered_on(&host, Some(address(1, 9)));
        }
        assert_eq!((host.snapshot().connections, host.snapshot().answers), (1, 2));
        assert!(tally.has_answered_on(address(1, 9)) && !tally.has_answered_on(address(2, 9)));
        for port in 0..5000 {
            tally.answered_on(&host, Some(address(2, port)));
        }
        assert_eq!(tally.snapshot(Duration::ZERO).connections, 5001);
        assert_eq!(tally.seen.lock().unwrap().addresses.len(), REMEMBERED_CONNECTIONS);
    }

    #[test]
    fn hosts_are_told_apart_and_forgotten_when_nobody_uses_them() {
        let tally = Tally::default();
        let (a, b) = (tally.host("a"), tally.host("b"));
        tally.received(&a, 5);
        tally.received(&b, 7);
        assert_eq!((a.snapshot().bytes_received, tally.host("b").snapshot().bytes_received), (5, 7));
        for number in 0..3000 {
            tally.request(&tally.host(&format!("h{number}")));
        }
        assert!(tally.hosts.lock().unwrap().len() <= REMEMBERED_HOSTS);
        assert_eq!(tally.host("a").snapshot().bytes_received, 5);
        let all = tally.snapshot(Duration::ZERO);
        assert_eq!((all.requests, all.bytes_received), (3000, 12));
    }
}
