//! Whether a body comes so slowly that several streams are worth their requests, however short it is.
//!
//! Under loss each stream is slow, whatever the path could carry. The last files of a job would then be waited for
//! while connections are idle.

use std::sync::Arc;
use std::time::Duration;

use crate::Spare;

/// One that is slower is held up by its congestion window, not by the path.
const SLOW_BYTES_PER_S: f64 = 1e6;

/// Less is not worth it: two of the shortest segments.
const LEAST_BYTES: u64 = 256 << 10;

/// What is measured over: time spent waiting for the body, since a slow disk is no reason for more streams.
const WINDOW: Duration = Duration::from_millis(500);

/// Watches a body come.
#[derive(Debug)]
pub(crate) struct Watch {
    spare: Arc<Spare>,
    waited: Duration,
    bytes: u64,
}

impl Watch {
    /// Begins, where those who set the limits want speed above few requests.
    pub(crate) fn begin(spare: &Arc<Spare>) -> Option<Self> {
        let watch = || Self { spare: Arc::clone(spare), waited: Duration::ZERO, bytes: 0 };
        spare.are_generous().then(watch)
    }

    /// So many bytes came after a wait, and so many are to come; whether further streams are worth it, and can be had.
    pub(crate) fn is_slow(&mut self, waited: Duration, came: u64, left: Option<u64>) -> bool {
        self.waited += waited;
        self.bytes += came;
        if self.waited < WINDOW {
            return false;
        }
        let rate = self.bytes as f64 / self.waited.as_secs_f64();
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        rate < SLOW_BYTES_PER_S
            && left.is_some_and(|left| left >= LEAST_BYTES)
            && self.spare.further().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether so many bytes in a second are slow, when so many are to come.
    fn is_slow(spare: &Arc<Spare>, rate: u64, left: u64) -> bool {
        let mut watch = Watch::begin(spare).unwrap();
        (0..10).any(|_| watch.is_slow(Duration::from_millis(100), rate / 10, Some(left)))
    }

    #[test]
    fn who_is_slow_and_far_from_the_end_is_helped_where_connections_are_spare() {
        let spare = Arc::new(Spare::new(17));
        assert!(is_slow(&spare, 900_000, LEAST_BYTES));
        assert!(!is_slow(&spare, 1_100_000, LEAST_BYTES));
        assert!(!is_slow(&spare, 900_000, LEAST_BYTES - 1));
        let _all: Vec<_> = (0..17).map(|_| spare.own()).collect();
        assert!(!is_slow(&spare, 900_000, LEAST_BYTES));
        assert!(Watch::begin(&Arc::new(Spare::new(16))).is_none(), "the usual limits mean few requests");
    }
}
