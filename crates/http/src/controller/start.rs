//! The controller's start: the number doubles each round trip, until more brings no more.

use std::time::Duration;

use super::End;
use super::measure::{Latency, Moment};

/// From here on bodies must have shown that more is borne; below it, the first answer of a round is reason enough.
const EAGER: u32 = 16;

/// Goodput that rises by less than this is flat.
const RISE: f64 = 1.1;

/// Times to an answer after which a round is over though no body has ended. The first ones have connecting in them.
const ROUND: u32 = 2;

/// Rounds without a rise that end the start.
const FLAT_ROUNDS: u32 = 3;

/// Rounds without a rise in which the number is doubled all the same: bodies lag behind their heads.
const LAG: u32 = 1;

/// Goodput above this part of the best may only lag behind.
const HELD: f64 = 0.9;

/// Goodput below this part of the best is a collapse.
const COLLAPSE: f64 = 0.6;

/// The rounds so far.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// When the round began.
    since: Moment,
    /// When the round before it began: answers come in bursts, a round alone may catch none or two.
    before: Moment,
    headed: bool,
    whole: bool,
    best: f64,
    best_target: u32,
    flat: u32,
}

/// What a round of the start has shown.
#[derive(Clone, Copy)]
pub(super) enum Round {
    /// Goodput rose, or has not had the time to.
    Rose,
    /// It did not, which may yet be chance.
    Flat,
    /// More brings no more than this number does.
    Knee(u32),
}

impl Start {
    /// The first round.
    pub(super) fn new(since: Moment) -> Self {
        Self { since, before: since, headed: false, whole: false, best: 0.0, best_target: 1, flat: 0 }
    }

    /// Time in which nothing was in flight is nobody's measure.
    pub(super) fn restart_measuring(&mut self, at: Moment) {
        (self.since, self.before) = (at, at);
    }

    /// An answer came to a request of this round's number.
    pub(super) fn headed(&mut self) {
        self.headed = true;
    }

    pub(super) fn ended(&mut self, end: End) {
        self.whole |= end == End::Usual;
    }

    /// When the round may be over though nothing happens.
    pub(super) fn next_look(&self, at: Moment, latency: Latency) -> Option<Duration> {
        let ends = [1, ROUND].map(|rounds| self.since.now + latency.rounds(rounds));
        ends.into_iter().find(|&when| when > at.now)
    }

    /// Whether the round is over, in which somebody waited for more.
    pub(super) fn is_over(&self, at: Moment, target: u32, latency: Latency) -> bool {
        let is_past = |rounds| at.now >= self.since.now + latency.rounds(rounds);
        let shown = if target < EAGER {
            at.now > self.since.now
        } else {
            // What comes in less time than to an answer comes in bursts.
            is_past(1) && self.whole || is_past(ROUND)
        };
        self.headed && shown
    }

    /// Judges the round that is over and begins the next.
    pub(super) fn end_round(&mut self, at: Moment, target: u32) -> Round {
        let goodput = at.rate_since(self.before);
        let collapsed = goodput < self.best * COLLAPSE;
        if goodput >= self.best * RISE {
            (self.best, self.best_target, self.flat) = (goodput, target, 0);
        } else {
            self.flat += 1;
        }
        (self.before, self.since, self.headed, self.whole) = (self.since, at, false, false);
        if self.flat >= FLAT_ROUNDS || collapsed && target >= EAGER {
            Round::Knee(self.best_target)
        } else if target < EAGER || self.flat == 0 || self.flat <= LAG && goodput >= self.best * HELD {
            Round::Rose
        } else {
            Round::Flat
        }
    }
}
