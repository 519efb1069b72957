//! The fault desk: holds the faults in force and numbers the requests, so that "the first five" and "the first
//! attempt at this file" mean something.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chance::Ticket;
use crate::faults::Faults;
use crate::seed::seed;

/// Hands each request the faults in force and a ticket.
#[derive(Debug, Default)]
pub(crate) struct FaultDesk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Arc<Faults>,
    api_requests: u64,
    file_requests: u64,
    /// By the hash of the path: a job of a million files must not make the replica large.
    attempts: HashMap<u64, u32>,
    listings: HashMap<u64, u32>,
}

/// Whether a request takes a file or only looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Take,
    Look,
}

impl FaultDesk {
    /// Starts with these faults.
    pub(crate) fn new(faults: Faults) -> Self {
        Self { state: Mutex::new(State { faults: Arc::new(faults), ..State::default() }) }
    }

    /// Puts other faults in force and starts all counting afresh.
    pub(crate) fn set(&self, faults: Faults) {
        *self.lock() = State { faults: Arc::new(faults), ..State::default() };
    }

    /// The faults in force.
    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.lock().faults)
    }

    /// Numbers a request to the API.
    pub(crate) fn api_request(&self, path: &str) -> (Arc<Faults>, Ticket) {
        let mut state = self.lock();
        state.api_requests += 1;
        let ordinal = state.api_requests;
        let words: [&[u8]; 3] = [&state.faults.seed.to_le_bytes(), path.as_bytes(), &ordinal.to_le_bytes()];
        let ticket =
            Ticket { ordinal, attempt: u32::try_from(ordinal).unwrap_or(u32::MAX), seed: seed(&words) };
        (Arc::clone(&state.faults), ticket)
    }

    /// Numbers a request for a file.
    pub(crate) fn file_request(&self, path: &str, purpose: Purpose) -> (Arc<Faults>, Ticket) {
        let mut state = self.lock();
        state.file_requests += 1;
        let ordinal = state.file_requests;
        let earlier = state.attempts.entry(seed(&[path.as_bytes()])).or_default();
        let attempt = *earlier + 1;
        if purpose == Purpose::Take {
            *earlier = attempt;
        }
        let words: [&[u8]; 3] = [&state.faults.seed.to_le_bytes(), path.as_bytes(), &attempt.to_le_bytes()];
        let ticket = Ticket { ordinal, attempt, seed: seed(&words) };
        (Arc::clone(&state.faults), ticket)
    }

    /// How many GETs of a file there were since the faults were set.
    pub(crate) fn attempts(&self, path: &str) -> u32 {
        self.lock().attempts.get(&seed(&[path.as_bytes()])).copied().unwrap_or(0)
    }

    /// Numbers a listing of one window, from 1.
    pub(crate) fn listing(&self, window: &str) -> u32 {
        let mut state = self.lock();
        let count = state.listings.entry(seed(&[window.as_bytes()])).or_default();
        *count += 1;
        *count
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_count_as_attempts_and_setting_faults_starts_afresh() {
        let desk = FaultDesk::default();
        assert_eq!(desk.file_request("/a", Purpose::Look).1.attempt, 1);
        assert_eq!(desk.file_request("/a", Purpose::Take).1.attempt, 1);
        let (_, second) = desk.file_request("/a", Purpose::Take);
        assert_eq!((second.attempt, second.ordinal), (2, 3));
        assert_eq!(desk.attempts("/a"), 2);
        desk.set(Faults::default());
        assert_eq!(desk.file_request("/a", Purpose::Take).1.attempt, 1);
    }
}
