//! How many requests one host is to have in flight: the adaptive controller. Pure; time and bytes are passed in.
//!
//! It begins with what a polite client may open, doubles every round trip while goodput rises (`start.rs`), and
//! then keeps to the knee (`steady.rs`): now and then it tries a little more (or, where the host has become slow
//! to answer, a little less) and keeps what the measurement says. A host that pushes back is asked for half as
//! much, and that level is remembered, unless the failures go on whatever the number (`blame.rs`). Promises: the
//! target is never above the limits and never below one; a host that pushes back at the same number again and
//! again is asked for that many ever more rarely.

mod blame;
#[cfg(test)]
mod curves;
mod measure;
#[cfg(test)]
mod sim;
mod start;
mod steady;

use std::time::Duration;

use http::Version;

use blame::Blame;
use measure::{Latency, Trouble};
use start::{Round, Start};
use steady::{Steady, Step};

pub(crate) use measure::Moment;

/// How many are let in at first: as many as the default allows in all. Round trips spent on finding out whether so few
/// are borne cost more than anything else in a short job, and a server that does not bear them says so.
const FIRST: u32 = 16;

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
            Phase::Start(start) => start.next_look(at, self.latency),
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
                let rest = if self.lanes().is_some() { steady::FIRST_PATIENCE } else { steady::CONTENT };
                self.phase = Phase::Steady(Steady::resting(at.now, rest));
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
        let lanes = self.lanes();
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

    /// The HTTP/2 connections, where that is what is spoken and a pool could have more.
    fn lanes(&self) -> Option<u32> {
        let streams = self.multiplexed && self.speech == Speech::Offered;
        (streams && self.allowance.connections > 2 * LANES).then_some(LANES)
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
            Self::Start(start) => start.restart_measuring(at),
            Self::Steady(steady) => steady.restart_measuring(at),
        }
    }

    fn headed(&mut self, at: Moment) {
        match self {
            Self::Start(start) => start.headed(),
            Self::Steady(steady) => steady.headed(at),
        }
    }

    fn ended(&mut self, end: End) {
        match self {
            Self::Start(start) => start.ended(end),
            Self::Steady(steady) => steady.ended(),
        }
    }
}
