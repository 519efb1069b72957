//! How many streams one file is fetched by: one more as long as the last has helped. Pure.

use std::time::Duration;

use super::Pace;

/// The most streams of one file.
const MOST: u32 = 8;

/// So many at once where one is known as slow.
const SEVERAL: u32 = 4;

/// A further stream has helped if it raised the goodput by this factor.
const RISE: f64 = 1.1;

/// Windows without a rise after which no further stream is tried: one may be chance.
const FLAT_WINDOWS: u32 = 2;

/// What is measured over: the shorter time if enough came in it, else the longer.
const SHORT_WINDOW: Duration = Duration::from_millis(250);
const LONG_WINDOW: Duration = Duration::from_millis(500);
const ENOUGH_BYTES: u64 = 16 << 20;

/// Decides how many streams there should be.
#[derive(Clone, Debug)]
pub(crate) struct Ramp {
    target: u32,
    /// The longest time that is measured over.
    window: Duration,
    best: f64,
    flat: u32,
    /// The last measured goodput, in bytes a second.
    rate: f64,
    since: Duration,
    bytes: u64,
}

impl Ramp {
    /// Begins with one stream at the time `now`, when so many bytes had come; or with several, if one is known as slow.
    pub(crate) fn new(now: Duration, received: u64, pace: Pace) -> Self {
        let (target, window) = match pace {
            Pace::Unknown => (1, LONG_WINDOW),
            // What is left is little: there is no time to add them one by one.
            Pace::Slow => (SEVERAL, SHORT_WINDOW),
        };
        Self { target, window, best: 0.0, flat: 0, rate: 0.0, since: now, bytes: received }
    }

    /// How many streams there should be.
    pub(crate) fn target(&self) -> u32 {
        self.target
    }

    /// Bytes a second that one of so many streams brought lately.
    pub(crate) fn rate_of_one(&self, streams: usize) -> f64 {
        self.rate / streams.max(1) as f64
    }

    /// Looks at what came until `now`, by so many streams.
    pub(crate) fn look(&mut self, now: Duration, received: u64, streams: u32) {
        let (elapsed, came) = (now.saturating_sub(self.since), received.saturating_sub(self.bytes));
        if elapsed < SHORT_WINDOW || elapsed < self.window && came < ENOUGH_BYTES {
            return;
        }
        self.rate = came as f64 / elapsed.as_secs_f64();
        (self.since, self.bytes) = (now, received);
        // Silence says nothing about how many it takes.
        if came == 0 || streams < self.target || self.flat >= FLAT_WINDOWS {
            return;
        }
        if self.rate >= self.best * RISE {
            (self.best, self.flat) = (self.rate, 0);
            self.target = (self.target + 1).min(MOST);
        } else {
            self.flat += 1;
        }
    }

    /// A stream broke or was refused: those that are left are enough.
    pub(crate) fn settle(&mut self, streams: u32) {
        self.target = streams.max(1);
        self.flat = FLAT_WINDOWS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the number of streams comes to rest on a path that gives so much to so many.
    fn rests_at(goodput: impl Fn(u32) -> f64) -> u32 {
        let mut ramp = Ramp::new(Duration::ZERO, 0, Pace::Unknown);
        let mut received = 0.0;
        for tick in 1..2_000u32 {
            received += goodput(ramp.target()) * 0.01;
            ramp.look(Duration::from_millis(10) * tick, received as u64, ramp.target());
        }
        ramp.target()
    }

    #[test]
    fn streams_are_added_while_they_help() {
        let capped_each = |streams| 1e6 * f64::from(streams);
        assert_eq!(rests_at(capped_each), MOST);
        let capped_together = |_| 5e6;
        assert_eq!(rests_at(capped_together), 2, "one was tried");
        let wan = |streams| [69e6, 112.7e6, 116e6, 117.7e6, 117e6, 116e6, 115e6, 114e6][streams as usize - 1];
        assert_eq!(rests_at(wan), 3);
        let silent = |_| 0.0;
        assert_eq!(rests_at(silent), 1);
    }

    #[test]
    fn what_is_not_there_is_not_judged_and_what_broke_is_not_replaced() {
        let mut ramp = Ramp::new(Duration::ZERO, 0, Pace::Unknown);
        ramp.look(Duration::from_secs(1), 1_000, 1);
        assert_eq!(ramp.target(), 2);
        ramp.look(Duration::from_secs(2), 10_000, 1);
        assert_eq!((ramp.target(), ramp.rate_of_one(1)), (2, 9_000.0));
        ramp.settle(1);
        ramp.look(Duration::from_secs(3), 1_000_000, 1);
        assert_eq!(ramp.target(), 1);
    }
}
