//! Evenly spaced permission: the home of the rate limiting library, on the runtime's clock.
//!
//! The clock is tokio's, so that tests that pause it pause the limits too.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// Gives out one cell per interval, and a burst of saved ones.
#[derive(Debug)]
pub(crate) struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Nanos>>,
    clock: RuntimeClock,
    burst: NonZeroU32,
}

impl Pace {
    /// One cell per `interval` (a nanosecond at least), of which `burst` may be taken at once.
    pub(crate) fn new(interval: Duration, burst: NonZeroU32) -> Self {
        let clock = RuntimeClock { origin: Instant::now() };
        let interval = interval.max(Duration::from_nanos(1));
        // Only an interval of zero is refused.
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MAX));
        let limiter = RateLimiter::direct_with_clock(quota.allow_burst(burst), clock);
        Self { limiter, clock, burst }
    }

    /// Takes `cells` (never more than the burst), or tells how long to wait before asking again.
    pub(crate) fn take(&self, cells: NonZeroU32) -> Result<(), Duration> {
        match self.limiter.check_n(cells.min(self.burst)) {
            // More than the burst holds cannot be asked for, see above.
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(not_yet)) => Err(not_yet.wait_time_from(self.clock.now())),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct RuntimeClock {
    origin: Instant,
}

impl Clock for RuntimeClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.origin.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn cells_come_evenly_once_the_burst_is_used() {
        let two = NonZeroU32::new(2).unwrap();
        let pace = Pace::new(Duration::from_millis(100), two);
        assert_eq!(pace.take(two), Ok(()));
        let wait = pace.take(NonZeroU32::MIN).unwrap_err();
        assert!(wait > Duration::from_millis(90) && wait <= Duration::from_millis(100), "{wait:?}");
        tokio::time::sleep(wait).await;
        assert_eq!(pace.take(NonZeroU32::MIN), Ok(()));
        assert!(pace.take(NonZeroU32::MIN).is_err());
    }
}
