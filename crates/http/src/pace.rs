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

/// Lets one go per interval, evenly.
///
/// One that goes a little late, because a timer woke it late, does not put off those behind it: else each would add its
/// own millisecond, and two hundred requests a second would be a hundred and sixty.
#[derive(Debug)]
pub(crate) struct Spacing {
    pace: Pace,
    /// The cells of an interval, and those of the lateness that is overlooked.
    saved_up: NonZeroU32,
}

impl Spacing {
    /// One per `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        let cell = interval / PARTS.get();
        let spared = lateness(interval).as_nanos() / cell.as_nanos().max(1);
        let spared = u32::try_from(spared).unwrap_or(u32::MAX);
        let saved_up = PARTS.saturating_add(spared);
        Self { pace: Pace::new(cell, saved_up), saved_up }
    }

    /// Lets one go, or tells how long to wait before asking again.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        // Who comes later than what is overlooked begins anew: no time is saved up that nobody used.
        self.pace.take(self.saved_up).or_else(|_| self.pace.take(PARTS))
    }
}

/// Into how many cells an interval is cut.
const PARTS: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// How late one may go as if it had gone in time: what timers and busy machines take, never much of a long interval.
fn lateness(interval: Duration) -> Duration {
    (interval / 2).clamp(Duration::from_millis(4), Duration::from_millis(25))
}

/// When one counts as gone that goes `now`, at least an `interval` behind the `last` one: see [`Spacing`].
pub(crate) fn counted(last: Option<Instant>, interval: Duration, now: Instant) -> Instant {
    let due = last.map(|last| last + interval);
    due.filter(|&due| due <= now && now - due <= lateness(interval)).unwrap_or(now)
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
    /// When each of `count` goes of those that wait as they are told and are woken `late`, as `next` tells.
    async fn gone(
        count: usize,
        late: Duration,
        mut next: impl FnMut() -> Result<(), Duration>,
    ) -> Vec<Instant> {
        let mut gone = Vec::with_capacity(count);
        while gone.len() < count {
            match next() {
                Ok(()) => gone.push(Instant::now()),
                Err(wait) => tokio::time::sleep(wait + late).await,
            }
        }
        gone
    }

    #[tokio::test(start_paused = true)]
    async fn who_wakes_late_puts_nobody_off() {
        for (per_second, late) in [(2, 20), (20, 20), (200, 2), (1000, 2)] {
            let (interval, late) = (Duration::from_secs(1) / per_second, Duration::from_millis(late));
            let spacing = Spacing::new(interval);
            let by_the_host = gone(200, late, || spacing.take()).await;
            let mut last = None;
            let by_the_owner = gone(200, late, || match last.map(|last: Instant| last + interval) {
                Some(due) if due > Instant::now() => Err(due - Instant::now()),
                _ => {
                    last = Some(counted(last, interval, Instant::now()));
                    Ok(())
                }
            })
            .await;
            for gone in [by_the_host, by_the_owner] {
                let took = gone[199] - gone[0];
                let (least, most) = (interval * 199 - lateness(interval), interval * 199 + late * 2);
                assert!((least..=most).contains(&took), "{per_second} a second: {took:?}");
                let nearest = gone.windows(2).map(|two| two[1] - two[0]).min().unwrap();
                assert!(nearest + lateness(interval) >= interval, "{per_second} a second: {nearest:?} apart");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_nobody_used_is_not_saved_up() {
        let interval = Duration::from_millis(100);
        let spacing = Spacing::new(interval);
        spacing.take().unwrap();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        spacing.take().unwrap();
        let wait = spacing.take().unwrap_err();
        assert!(wait > interval - Duration::from_millis(1), "{wait:?}");
        let now = Instant::now();
        assert_eq!(counted(Some(now - Duration::from_secs(9)), interval, now), now);
    }
}
