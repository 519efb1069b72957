//! What a client has done so far. In memory alone: a restart begins at zero.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a client has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, every hop of a redirect counted.
    pub requests: u64,
    /// Body bytes received, also those that nobody wanted.
    pub bytes_received: u64,
    /// Connections that gave at least one answer, told apart by their local address.
    pub connections: u64,
}

/// Local addresses remembered; far more than connections can be open at once.
const REMEMBERED: usize = 4096;

/// The live counters behind [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: AtomicU64,
    bytes_received: AtomicU64,
    connections: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    addresses: HashSet<SocketAddr>,
    oldest_first: VecDeque<SocketAddr>,
}

impl Tally {
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that the connection with this local address gave an answer.
    pub(crate) fn answered_on(&self, local: SocketAddr) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.addresses.insert(local) {
            return;
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        seen.oldest_first.push_back(local);
        if seen.oldest_first.len() > REMEMBERED
            && let Some(oldest) = seen.oldest_first.pop_front()
        {
            seen.addresses.remove(&oldest);
        }
    }

    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            requests: self.requests.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_counted_once_and_memory_is_bounded() {
        let tally = Tally::default();
        for _ in 0..2 {
            tally.answered_on(SocketAddr::from(([127, 0, 0, 1], 9)));
        }
        assert_eq!(tally.snapshot().connections, 1);
        for port in 0..5000 {
            tally.answered_on(SocketAddr::from(([127, 0, 0, 2], port)));
        }
        assert_eq!(tally.snapshot().connections, 5001);
        assert_eq!(tally.seen.lock().unwrap().addresses.len(), REMEMBERED);
    }
}
