//! Whether and when a failed attempt is repeated: decided here, remembered by the queue, slept by nobody.

use std::time::Duration;

use jiff::Timestamp;

/// What the failure says about another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Another try would end the same way.
    Never,
    /// It may pass: as often as the policy allows.
    Transient,
    /// It rarely passes (a page where a file should be): a few tries, then it is believed.
    Doubtful,
}

/// How often is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further attempts after the first.
    pub retries: u32,
}

/// What is done about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Again, not before this time.
    Retry {
        /// The earliest time.
        at: Timestamp,
    },
    /// No more.
    Fail,
}

/// The first wait's upper bound.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Tries after the first for what rarely passes.
const DOUBTFUL_RETRIES: u32 = 3;

impl RetryPolicy {
    /// Decides after the `failures`-th failure in a row (counted from 1, this one included).
    ///
    /// `jitter` is uniform in `[0, 1)`: waits are drawn from the whole of zero to the bound ("full
    /// jitter"), so that many files that failed together do not come back together.
    #[must_use]
    pub fn decide(self, backoff: Backoff, failures: u32, now: Timestamp, jitter: f64) -> Decision {
        let retries = match backoff {
            Backoff::Never => 0,
            Backoff::Transient => self.retries,
            Backoff::Doubtful => self.retries.min(DOUBTFUL_RETRIES),
        };
        if failures > retries {
            return Decision::Fail;
        }
        let bound = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        let wait = bound.mul_f64(jitter.clamp(0.0, 1.0));
        Decision::Retry { at: now.checked_add(wait).unwrap_or(Timestamp::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn wait(failures: u32, jitter: f64) -> Option<Duration> {
        match (RetryPolicy { retries: 10 }).decide(Backoff::Transient, failures, NOW, jitter) {
            Decision::Retry { at } => Some(at.duration_since(NOW).unsigned_abs()),
            Decision::Fail => None,
        }
    }

    #[test]
    fn waits_double_from_half_a_second_to_a_minute() {
        let bounds: Vec<_> = (1..=10).map(|n| wait(n, 1.0).unwrap().as_millis()).collect();
        assert_eq!(bounds, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(wait(5, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn retries_are_further_attempts_after_the_first() {
        assert!(wait(10, 0.5).is_some());
        assert!(wait(11, 0.5).is_none());
        let none = RetryPolicy { retries: 0 };
        assert_eq!(none.decide(Backoff::Transient, 1, NOW, 0.5), Decision::Fail);
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        let policy = RetryPolicy { retries: 10 };
        assert_eq!(policy.decide(Backoff::Never, 1, NOW, 0.5), Decision::Fail);
        assert_ne!(policy.decide(Backoff::Doubtful, 3, NOW, 0.5), Decision::Fail);
        assert_eq!(policy.decide(Backoff::Doubtful, 4, NOW, 0.5), Decision::Fail);
    }
}
