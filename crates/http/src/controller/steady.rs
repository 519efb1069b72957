//! The controller after its start: rest, weigh, try another target, keep or undo; and the way back from a cut.

use std::time::Duration;

use super::measure::{Latency, Moment};

/// The rest before the first trial.
pub(super) const FIRST_PATIENCE: Duration = Duration::from_secs(2);

/// The rest where all that is allowed is in flight and brought more with every step: only less could be tried.
pub(super) const CONTENT: Duration = Duration::from_secs(10);

/// Trials that change nothing are no further apart than this.
const LONGEST_PATIENCE: Duration = Duration::from_mins(1);

/// A trial is weighed over at least this.
const SHORTEST_WINDOW: Duration = Duration::from_millis(400);

/// No way back from a cut begins sooner, and none takes its steps faster than a quarter of it.
const RECOVERY: Duration = Duration::from_secs(1);

/// Another target must bring this much more to be kept.
const WORTH_CHANGING: f64 = 1.05;

/// A smaller one may cost that little where the host keeps answers waiting.
const WORTH_EASING: f64 = 0.97;

/// HTTP/2 connections slower than this (bytes a second each) may be so because of loss.
const SLOW_LANE: f64 = 1.5e6;

/// A pool of HTTP/1.1 connections must bring this much more to be kept.
const WORTH_POOLING: f64 = 1.25;

/// What a step may look at.
pub(super) struct Seen {
    pub(super) at: Moment,
    pub(super) wanted: bool,
    pub(super) in_flight: u32,
    pub(super) target: u32,
    pub(super) limit: u32,
    pub(super) latency: Latency,
    /// The HTTP/2 connections, where that is what is spoken and a pool could have more.
    pub(super) lanes: Option<u32>,
}

/// What a step asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// The same: the way back from a cut is at its end.
    Recovered,
    /// To watch anew whether the target keeps anybody waiting.
    Measure,
    /// The same; what was tried is proven to be bearable.
    Kept,
    /// Another target.
    Aim(u32),
    /// A pool of HTTP/1.1 connections.
    Pool,
    /// HTTP/2 again, with this target.
    Unpool(u32),
}

#[derive(Clone, Debug)]
pub(super) struct Steady {
    state: State,
    patience: Duration,
    /// Ends since the measurement began.
    ends: u32,
    /// Which way the next trial goes.
    next: Change,
    /// Whether a pool was tried; once is enough, the path is what it is.
    pooled: bool,
}

#[derive(Clone, Debug)]
enum State {
    Rest { until: Duration },
    Weigh { since: Moment },
    Try(Trial),
    Recover { goal: u32, next: Duration },
}

/// Another way, to be kept if it is worth it.
#[derive(Clone, Copy, Debug)]
struct Trial {
    change: Change,
    /// The target to go back to.
    from: u32,
    /// The goodput to compare with.
    base: f64,
    begun: Duration,
    /// Since when the change is in force.
    since: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    More,
    Less,
    Pool,
}

impl Steady {
    pub(super) fn resting(now: Duration, patience: Duration) -> Self {
        Self {
            state: State::Rest { until: now + patience },
            patience,
            ends: 0,
            next: Change::More,
            pooled: false,
        }
    }

    /// After a cut at `level`.
    pub(super) fn recovering(at: Moment, level: u32) -> Self {
        let state = State::Recover { goal: level, next: at.now + RECOVERY };
        Self { state, ..Self::resting(at.now, FIRST_PATIENCE) }
    }

    pub(super) fn restart_measuring(&mut self, at: Moment) {
        match &mut self.state {
            State::Weigh { since } | State::Try(Trial { since: Some(since), .. }) => {
                (*since, self.ends) = (at, 0);
            }
            State::Rest { .. } | State::Try(_) | State::Recover { .. } => {}
        }
    }

    /// A request of the trial has its answer: from now on it counts.
    pub(super) fn headed(&mut self, at: Moment) {
        let State::Try(trial) = &mut self.state else { return };
        if trial.since.is_none() && trial.change != Change::Less {
            (trial.since, self.ends) = (Some(at), 0);
        }
    }

    pub(super) fn ended(&mut self) {
        self.ends = self.ends.saturating_add(1);
    }

    /// When something may be due though nothing happens.
    pub(super) fn next_look(&self, latency: Latency) -> Option<Duration> {
        match self.state {
            State::Rest { until } => Some(until),
            State::Weigh { since } | State::Try(Trial { since: Some(since), .. }) => {
                Some(since.now + window(latency) * 4)
            }
            State::Try(trial) => Some(trial.begun + window(latency) * 8),
            State::Recover { next, .. } => Some(next),
        }
    }

    pub(super) fn step(&mut self, seen: &Seen) -> Step {
        match self.state {
            State::Rest { until } if seen.at.now >= until => {
                self.measure(seen.at);
                Step::Measure
            }
            State::Weigh { since } if self.is_weighed(since, seen) => self.weighed(since, seen),
            State::Try(trial) => self.follow(trial, seen),
            State::Recover { goal, next } if seen.at.now >= next => self.recover(goal, seen),
            State::Rest { .. } | State::Weigh { .. } | State::Recover { .. } => Step::Stay,
        }
    }

    fn measure(&mut self, at: Moment) {
        (self.state, self.ends) = (State::Weigh { since: at }, 0);
    }

    /// Long enough, and over enough ends that one large file more or less does not decide.
    fn is_weighed(&self, since: Moment, seen: &Seen) -> bool {
        let time = seen.at.now.saturating_sub(since.now);
        let window = window(seen.latency);
        time >= window * 4 || time >= window && self.ends >= seen.target.saturating_mul(2)
    }

    fn weighed(&mut self, since: Moment, seen: &Seen) -> Step {
        let base = seen.at.rate_since(since);
        // Where nobody waits, another target changes nothing.
        let Some((change, step)) = self.choose(base, seen).filter(|_| seen.wanted) else {
            self.rest(seen.at.now, self.patience);
            return Step::Stay;
        };
        self.pooled |= change == Change::Pool;
        self.state = State::Try(Trial { change, from: seen.target, base, begun: seen.at.now, since: None });
        step
    }

    fn choose(&self, base: f64, seen: &Seen) -> Option<(Change, Step)> {
        if seen.lanes.is_some_and(|lanes| !self.pooled && base < SLOW_LANE * f64::from(lanes)) {
            return Some((Change::Pool, Step::Pool));
        }
        let less = (seen.target - (seen.target / 5).max(1).min(seen.target)).max(1);
        let more = (seen.target + (seen.target / 4).max(1)).min(seen.limit);
        let (less, more) = (
            (less < seen.target).then_some((Change::Less, Step::Aim(less))),
            (more > seen.target).then_some((Change::More, Step::Aim(more))),
        );
        if self.next == Change::Less || seen.latency.is_inflated() { less.or(more) } else { more.or(less) }
    }

    fn follow(&mut self, trial: Trial, seen: &Seen) -> Step {
        let Some(since) = trial.since else {
            // Less is in force once the surplus has drained; more, once one of its requests was answered.
            if trial.change == Change::Less && seen.in_flight <= seen.target {
                self.ends = 0;
                self.state = State::Try(Trial { since: Some(seen.at), ..trial });
            } else if !seen.wanted && seen.at.now >= trial.begun + window(seen.latency) * 8 {
                return self.undo(trial, seen);
            }
            return Step::Stay;
        };
        if !self.is_weighed(since, seen) {
            return Step::Stay;
        }
        if !trial.is_worth_it(seen.at.rate_since(since), seen.latency) {
            return self.undo(trial, seen);
        }
        self.next = trial.change;
        self.patience = FIRST_PATIENCE;
        self.measure(seen.at);
        Step::Kept
    }

    fn undo(&mut self, trial: Trial, seen: &Seen) -> Step {
        self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
        self.rest(seen.at.now, self.patience);
        self.next = if trial.change == Change::More { Change::Less } else { Change::More };
        if trial.change == Change::Pool { Step::Unpool(trial.from) } else { Step::Aim(trial.from) }
    }

    fn recover(&mut self, goal: u32, seen: &Seen) -> Step {
        let goal = goal.min(seen.limit);
        if seen.target >= goal {
            self.rest(seen.at.now, FIRST_PATIENCE);
            return Step::Recovered;
        }
        // Only a target that is used up can be told to be bearable.
        if !seen.wanted {
            return Step::Stay;
        }
        let next = seen.at.now + (RECOVERY / 4).max(seen.latency.rounds(2));
        self.state = State::Recover { goal, next };
        Step::Aim(seen.target + 1)
    }

    fn rest(&mut self, now: Duration, patience: Duration) {
        self.state = State::Rest { until: now + patience };
    }
}

impl Trial {
    fn is_worth_it(&self, goodput: f64, latency: Latency) -> bool {
        let worth = match self.change {
            Change::Less if latency.is_inflated() => WORTH_EASING,
            Change::More | Change::Less => WORTH_CHANGING,
            Change::Pool => WORTH_POOLING,
        };
        goodput >= self.base * worth
    }
}

fn window(latency: Latency) -> Duration {
    latency.rounds(8).max(SHORTEST_WINDOW)
}
