//! Whether fewer requests in flight make for fewer failures.
//!
//! A cut is the answer to a host that is overloaded. Where the failures go on at ever smaller numbers, they have
//! another cause (a flaky path, files that always break): cutting on would end at one request in flight and heal
//! nothing. Then the host is asked for half of the first number again, and failures are no push-back for a while.

use std::time::Duration;

use super::End;

/// Cuts in a row, none of them made up for, that show that cutting does not help.
const FUTILE: u32 = 4;

/// So many ends must have been seen over them.
const ENOUGH: u32 = 12;

/// For how long failures are excused at first.
const FIRST_EXCUSE: Duration = Duration::from_secs(30);

/// And at most.
const LONGEST_EXCUSE: Duration = Duration::from_mins(10);

/// The cuts since the host last bore what it was asked for, each at a number well below the one before: a host that
/// fails again and again at the same number has its limit there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blame {
    cuts: u32,
    /// The number in flight before the last of them.
    last: u32,
    /// The number in flight before the first of them.
    from: u32,
    ended: u32,
    failed: u32,
    excuse: Duration,
    excused_until: Option<Duration>,
}

impl Default for Blame {
    fn default() -> Self {
        Self { cuts: 0, last: 0, from: 0, ended: 0, failed: 0, excuse: FIRST_EXCUSE, excused_until: None }
    }
}

impl Blame {
    /// A request has ended.
    pub(super) fn record(&mut self, end: End) {
        self.ended = self.ended.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(end == End::Broken));
    }

    /// A request that will end as others do was answered with a push-back.
    pub(super) fn pushed_back(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// Whether failures at this time say nothing about the number in flight.
    pub(super) fn is_lifted(&self, now: Duration) -> bool {
        self.excused_until.is_some_and(|until| now < until)
    }

    /// The host failed with `level` in flight: how many it is to be asked for from now on.
    pub(super) fn cut(&mut self, level: u32, now: Duration) -> u32 {
        if self.cuts == 0 {
            (self.from, self.ended, self.failed) = (level, 0, 0);
        }
        if self.cuts == 0 || level <= self.last / 4 * 3 || level == 1 {
            (self.cuts, self.last) = (self.cuts + 1, level);
        }
        // A host that fails nearly everything is down or drowning, whatever it is asked for. One that fails much is
        // more likely to have a limit far below: that it fails one at a time, too, is the proof that it has not.
        let mostly_fails = self.failed.saturating_mul(4) > self.ended.saturating_mul(3);
        let is_proven = level == 1 || self.failed.saturating_mul(4) <= self.ended;
        if self.cuts < FUTILE || self.ended < ENOUGH || mostly_fails || !is_proven {
            return (level / 2).max(1);
        }
        self.excused_until = Some(now + self.excuse);
        self.excuse = (self.excuse * 2).min(LONGEST_EXCUSE);
        self.cuts = 0;
        (self.from / 2).max(1)
    }

    /// The host bears again what it was asked for: the next cut is the first.
    pub(super) fn recovered(&mut self) {
        self.cuts = 0;
    }
}
