//! One rate for the whole server: each piece of a body is given the moment at which it may go.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shares a rate between all bodies.
#[derive(Debug)]
pub(crate) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes_per_s: Option<u64>,
    free_at: Instant,
}

/// How much time lost to a late timer may be made up for; more would show as bursts.
const CATCH_UP: Duration = Duration::from_millis(10);

/// The largest piece of a body.
const PIECE_MAX: u64 = 128 << 10;

impl Throttle {
    /// A throttle of this rate, or none.
    pub(crate) fn new(bytes_per_s: Option<u64>) -> Self {
        Self { state: Mutex::new(State { bytes_per_s, free_at: Instant::now() }) }
    }

    /// Sets another rate, for bodies under way too.
    pub(crate) fn set(&self, bytes_per_s: Option<u64>) {
        self.lock().bytes_per_s = bytes_per_s;
    }

    /// The size of a piece: small enough that one takes a few milliseconds.
    pub(crate) fn piece_len(&self) -> usize {
        let piece = self.lock().bytes_per_s.map_or(PIECE_MAX, |rate| (rate / 250).clamp(256, PIECE_MAX));
        usize::try_from(piece).unwrap_or(256)
    }

    /// Waits until this many bytes may go.
    pub(crate) async fn admit(&self, bytes: usize) {
        let now = Instant::now();
        let at = self.lock().reserve(now, bytes);
        if at > now {
            tokio::time::sleep_until(at).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reserve(&mut self, now: Instant, bytes: usize) -> Instant {
        let Some(rate) = self.bytes_per_s else { return now };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let start = self.free_at.max(earliest);
        self.free_at = start + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        // A piece goes when its last byte would have gone, so that not even the first piece is ahead of the rate.
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time() {
        let throttle = Throttle::new(Some(1_000_000));
        let start = Instant::now();
        for _ in 0..100 {
            throttle.admit(10_000).await;
        }
        let taken = start.elapsed();
        assert!((Duration::from_millis(980)..Duration::from_millis(1020)).contains(&taken), "{taken:?}");
        throttle.set(None);
        throttle.admit(1 << 30).await;
        assert_eq!(start.elapsed(), taken);
    }

    #[test]
    fn pieces_are_small_at_small_rates() {
        assert_eq!(Throttle::new(None).piece_len(), 128 << 10);
        assert_eq!(Throttle::new(Some(1_000_000)).piece_len(), 4000);
        assert_eq!(Throttle::new(Some(1)).piece_len(), 256);
    }
}
