//! Refusals, as the log tells them: the first at once, and how many there were meanwhile with the next. Whoever knocks
//! a thousand times a second must not push all else out of the log.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two lines.
const GAP: Duration = Duration::from_secs(10);

/// Counts those who were refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Untold>);

#[derive(Debug, Default)]
struct Untold {
    told_at: Option<Instant>,
    count: u64,
}

impl Refusals {
    /// Tells the log that somebody was refused at `entry`, or counts it for the next line.
    pub(crate) fn note(&self, entry: &str, reason: impl Display) {
        if let Some(meanwhile) = self.count(Instant::now()) {
            tracing::warn!(entry, %reason, meanwhile, "refused a request");
        }
    }

    /// How many were not told of, if it is time for a line.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.told_at.is_some_and(|told_at| now < told_at + GAP) {
            untold.count += 1;
            return None;
        }
        untold.told_at = Some(now);
        Some(std::mem::take(&mut untold.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_of_in_a_line_every_ten_seconds() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        let told: Vec<_> = (0..2_500_u32).filter_map(|n| refusals.count(begun + n * GAP / 1_000)).collect();
        assert_eq!(told, [0, 999, 999]);
    }
}
