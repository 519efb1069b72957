//! How many requests one host is to have in flight: the adaptive controller. Pure; time and bytes are passed in.
//!
//! It begins with a few, doubles every round trip while goodput rises, and then keeps to the knee: now
//! and then it tries a little more (or, where the host has become slow to answer, a little less) and
//! keeps what the measurement says. A host that pushes back is asked for half as much, and that level
//! is remembered, unless the failures go on whatever the number (`blame.rs`). Promises: the target is never above the limits and never below one; a host that pushes
//! back at the same number again and again is asked for that many ever more rarely.

mod blame;
#[cfg(test)]
mod curves;
mod measure;
#[cfg(test)]
mod sim;
mod steady;

use std::time::Duration;

use http::Version;

use blame::Blame;
use measure::{Latency, Trouble};
use steady::{Steady, Step};

pub(crate) use measure::Moment;

/// How many are let in at first. Few enough for any server, and the number of connections that fill a clean link.
const FIRST: u32 = 4;

/// Up to here the first answer of a round is reason enough to double; beyond it bodies must have shown it.
const EAGER: u32 = 16;

/// Goodput that rises by less than this is flat.
const RISE: f64 = 1.1;

/// Rounds without a rise that end the start. Bodies lag behind their heads by a round or two.
const FLAT_ROUNDS: u32 = 3;

/// Goodput below this part of the best is a collapse.
const COLLAPSE: f64 = 0.6;

/// HTTP/2 connections per host. One is never best and four are as good as many on a clean path.
pub(crate) const LANES: u32 = 4;

/// What the user allows to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Connections; over HTTP/1.1 each request in flight needs one.
    pub(crate) connections: u32,
    /// Requests in flight.
    pub(crate) in_flight: u32,
}

/// What the next request is to be spoken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/2 where the server offers it.
    #[default]
    Offered,
    /// HTTP/1.1, for its many connections: what is lost on one does not hold up the others.
    Pooled,
}

/// What a request was let in under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    generation: u32,
    begun: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a whole body, or by being dropped.
    Usual,
    /// By a broken connection, a stall, or an answer that blames the server.
    Broken,
}

/// Steers one host.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    allowance: Allowance,
    /// Whether the host was last heard to speak HTTP/2.
    multiplexed: bool,
    speech: Speech,
    target: u32,
    /// Grows with every change of the target, so that old requests are told from new ones.
    generation: u32,
    in_flight: u32,
    /// Whether the target kept somebody waiting since it was last looked at.
    wanted: bool,
    latency: Latency,
    trouble: Trouble,
    blame: Blame,
    phase: Phase,
    ceiling: Option<Ceiling>,
    /// Push-backs of requests up to this generation are accounted for.
    cut_at: Option<u32>,
}

#[derive(Clone, Debug)]
enum Phase {
    Start(Start),
    Steady(Steady),
}

#[derive(Clone, Debug)]
struct Start {
    since: Moment,
    headed: bool,
    whole: bool,
    best: f64,
    best_target: u32,
    flat: u32,
}

/// A number in flight at which the host pushed back.
#[derive(Clone, Copy, Debug)]
struct Ceiling {
    level: u32,
    until: Duration,
    rest: Duration,
}

impl Ceiling {
    const FIRST_REST: Duration = Duration::from_secs(2);
    const LONGEST_REST: Duration = Duration::from_mins(10);
}

impl Controller {
    pub(crate) fn new(allowance: Allowance) -> Self {
        let mut controller = Self {
            allowance,
            multiplexed: false,
            speech: Speech::Offered,
            target: FIRST,
            generation: 0,
            in_flight: 0,
            wanted: false,
            latency: Latency::default(),
            trouble: Trouble::default(),
            blame: Blame::default(),
            phase: Phase::Start(Start::new(Moment::default())),
            ceiling: None,
            cut_at: None,
        };
        controller.target = controller.target.min(controller.most());
        controller
    }

    /// How many requests may be in flight now; at least one.
    pub(crate) fn target(&self) -> u32 {
        self.target
    }

    /// What the next request is to be spoken in.
    pub(crate) fn speech(&self) -> Speech {
        self.speech
    }

    /// Changes what is allowed; the start goes on from where it was.
    pub(crate) fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
        self.target = self.target.min(self.most());
    }

    /// A request was let in.
    pub(crate) fn begun(&mut self, at: Moment) -> Mark {
        if self.in_flight == 0 && !self.wanted {
            self.phase.restart_measuring(at);
        }
        self.in_flight += 1;
        Mark { generation: self.generation, begun: at.now }
    }

    /// The target keeps somebody waiting. Gives when to ask again, if nothing happens before.
    pub(crate) fn wanted(&mut self, at: Moment) -> Option<Duration> {
        self.wanted = true;
        self.look(at);
        match &self.phase {
            Phase::Start(start) => {
                Some(start.since.now + self.latency.rounds(4)).filter(|&when| when > at.now)
            }
            Phase::Steady(steady) => steady.next_look(self.latency).filter(|&when| when > at.now),
        }
    }

    /// An answer's head came, and nothing in it says that the server has too much to do.
    pub(crate) fn answered(&mut self, at: Moment, mark: Mark, version: Version) {
        self.multiplexed = version >= Version::HTTP_2;
        self.target = self.target.min(self.most());
        self.latency.record(at.now.saturating_sub(mark.begun));
        if mark.generation == self.generation {
            self.phase.headed(at);
        }
        self.look(at);
    }

    /// The server has too much to do: 429, 503, or a refused connection of a host that had answered.
    pub(crate) fn pushed_back(&mut self, at: Moment, mark: Mark) {
        self.blame.pushed_back();
        if self.is_accounted_for(at, mark) {
            return;
        }
        let level = self.in_flight.min(self.target);
        // Once may be chance. Again at the same number is a limit of the server's.
        let again = self.ceiling.filter(|ceiling| level.abs_diff(ceiling.level) <= 1);
        let rest = again.map_or(Ceiling::FIRST_REST, |ceiling| (ceiling.rest * 4).min(Ceiling::LONGEST_REST));
        self.ceiling = Some(Ceiling { level, until: at.now + rest, rest });
        self.cut(at, level);
    }

    /// A request that was let in is through.
    pub(crate) fn ended(&mut self, at: Moment, mark: Mark, end: End) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.phase.ended(end);
        self.blame.record(end);
        if self.trouble.record(end) && !self.is_accounted_for(at, mark) {
            let before = self.target;
            self.cut(at, before);
        }
        self.look(at);
    }

    /// The most that the limits allow.
    fn most(&self) -> u32 {
        let Allowance { connections, in_flight } = self.allowance;
        let most = match self.speech {
            Speech::Offered if self.multiplexed => in_flight,
            Speech::Offered => connections.min(in_flight),
            // The connections that spoke HTTP/2 are still open.
            Speech::Pooled => connections.saturating_sub(LANES).min(in_flight),
        };
        most.max(1)
    }

    /// Whether a failure calls for no cut: it has had its, or none would help.
    fn is_accounted_for(&self, at: Moment, mark: Mark) -> bool {
        self.blame.is_lifted(at.now) || self.cut_at.is_some_and(|cut| mark.generation <= cut)
    }

    /// Half of `level`, and slowly up again.
    fn cut(&mut self, at: Moment, level: u32) {
        self.cut_at = Some(self.generation);
        let target = self.blame.cut(level, at.now);
        self.aim(target);
        self.trouble = Trouble::default();
        self.phase = if self.blame.is_lifted(at.now) {
            self.ceiling = None;
            Phase::Start(Start::new(at))
        } else {
            Phase::Steady(Steady::recovering(at, level))
        };
    }

    fn aim(&mut self, target: u32) {
        self.target = target.clamp(1, self.most());
        self.generation = self.generation.wrapping_add(1);
        self.wanted = false;
    }

    /// Ends the round, the measurement or the trial that is due.
    fn look(&mut self, at: Moment) {
        match &mut self.phase {
            Phase::Start(start) => {
                if self.wanted && start.is_over(at, self.target, self.latency) {
                    let end = start.end_round(at, self.target);
                    self.after_round(at, end);
                }
            }
            Phase::Steady(_) => self.steer(at),
        }
    }

    fn after_round(&mut self, at: Moment, end: Round) {
        match end {
            Round::Rose if self.target >= self.most() => {
                self.phase = Phase::Steady(Steady::resting(at.now, steady::CONTENT));
            }
            Round::Rose => self.aim(self.target.saturating_mul(2)),
            Round::Flat => self.wanted = false,
            Round::Knee(target) => {
                self.aim(target);
                self.phase = Phase::Steady(Steady::resting(at.now, steady::FIRST_PATIENCE));
            }
        }
    }

    fn steer(&mut self, at: Moment) {
        let limit = self.limit(at.now);
        let (wanted, in_flight, target, latency) = (self.wanted, self.in_flight, self.target, self.latency);
        let streams = self.multiplexed && self.speech == Speech::Offered;
        let lanes = (streams && self.allowance.connections > 2 * LANES).then_some(LANES);
        let seen = steady::Seen { at, wanted, in_flight, target, limit, latency, lanes };
        let Phase::Steady(steady) = &mut self.phase else { return };
        match steady.step(&seen) {
            Step::Stay => {}
            Step::Recovered => self.blame.recovered(),
            Step::Aim(target) => self.aim(target),
            Step::Pool => {
                self.speech = Speech::Pooled;
                self.aim(self.most());
            }
            Step::Unpool(target) => {
                self.speech = Speech::Offered;
                self.aim(target);
            }
            Step::Measure => self.wanted = false,
            Step::Kept => {
                self.wanted = false;
                self.ceiling = self.ceiling.filter(|ceiling| self.target < ceiling.level);
            }
        }
    }

    /// How far the target may grow at this time.
    fn limit(&self, now: Duration) -> u32 {
        match self.ceiling {
            Some(ceiling) if ceiling.until > now => self.most().min(ceiling.level.saturating_sub(1).max(1)),
            Some(ceiling) => self.most().min(ceiling.level),
            None => self.most(),
        }
    }
}

impl Phase {
    /// Time in which nothing was in flight is nobody's measure.
    fn restart_measuring(&mut self, at: Moment) {
        match self {
            Self::Start(start) => start.since = at,
            Self::Steady(steady) => steady.restart_measuring(at),
        }
    }

    fn headed(&mut self, at: Moment) {
        match self {
            Self::Start(start) => start.headed = true,
            Self::Steady(steady) => steady.headed(at),
        }
    }

    fn ended(&mut self, end: End) {
        match self {
            Self::Start(start) => start.whole |= end == End::Usual,
            Self::Steady(steady) => steady.ended(),
        }
    }
}

/// What a round of the start has shown.
#[derive(Clone, Copy)]
enum Round {
    /// Goodput rose, or has not had the time to.
    Rose,
    /// It did not, which may yet be chance.
    Flat,
    /// More brings no more than this number does.
    Knee(u32),
}

impl Start {
    fn new(since: Moment) -> Self {
        Self { since, headed: false, whole: false, best: 0.0, best_target: 1, flat: 0 }
    }

    fn is_over(&self, at: Moment, target: u32, latency: Latency) -> bool {
        let shown = target < EAGER || self.whole || at.now >= self.since.now + latency.rounds(4);
        self.headed && shown && at.now > self.since.now
    }

    fn end_round(&mut self, at: Moment, target: u32) -> Round {
        let goodput = at.rate_since(self.since);
        let collapsed = goodput < self.best * COLLAPSE;
        if goodput >= self.best * RISE {
            (self.best, self.best_target, self.flat) = (goodput, target, 0);
        } else {
            self.flat += 1;
        }
        (self.since, self.headed, self.whole) = (at, false, false);
        if self.flat >= FLAT_ROUNDS || collapsed && target >= EAGER {
            Round::Knee(self.best_target)
        } else if self.flat == 0 || target < EAGER {
            Round::Rose
        } else {
            Round::Flat
        }
    }
}
