//! The per-host gate, asynchronous half: who waits, in which order, and who is let in next.
//!
//! Promises: at most as many requests in flight per host as are allowed, and as the controller finds
//! useful; requests evenly spaced where that is asked for; a host that asked to be left alone, or that is
//! away, is left alone. Waiting is in order of arrival, those that go ahead before the others, but for those whose
//! own patience with a host that is away has ended; giving up a wait costs nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::config::{HttpSetupError, Limits};
use crate::controller::{Allowance, Controller, End, Mark, Moment, Speech};
use crate::counters::{HostTally, Tally};
use crate::gate::{Closing, Entry, HostGate, Outcome, Pass, Refusal, Room, Shut};
use crate::leftovers::Leftovers;
use crate::pace::Spacing;
use crate::status::{Closed, ClosedReason, HostStatus, Waits};
use crate::treatment::Urgency;

/// Hosts remembered before idle ones are forgotten: a list of URLs may name millions.
const REMEMBERED: usize = 1024;

/// How soon one looks again that may go out of turn and found no room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Every host's gate.
#[derive(Debug)]
pub(crate) struct Hosts {
    origin: Instant,
    outage: Duration,
    state: Mutex<State>,
    tally: Arc<Tally>,
    pub(crate) leftovers: Arc<Leftovers>,
}

#[derive(Debug)]
struct State {
    allowance: Allowance,
    interval: Option<Duration>,
    hosts: HashMap<String, Arc<Host>>,
}

/// One host, and those that wait for it.
#[derive(Debug)]
pub(crate) struct Host {
    origin: Instant,
    tally: Arc<HostTally>,
    door: Mutex<Door>,
    usual: Queue,
    ahead: Queue,
    /// Told when it has refused a connection.
    refused: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Held by whoever is next; the others queue for it in order.
    turn: tokio::sync::Mutex<()>,
    /// Told whenever the one who is next should ask again.
    changed: Notify,
}

#[derive(Debug)]
struct Door {
    gate: HostGate,
    controller: Controller,
    allowance: Allowance,
    pace: Option<Spacing>,
    waits: Waits,
    /// How many go ahead of the others and have not been let in yet.
    ahead: u32,
}

/// What somebody is let in with.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) pass: Pass,
    pub(crate) mark: Mark,
    pub(crate) speech: Speech,
}

/// Why somebody must wait, and until when at the latest.
struct Delay {
    reason: Reason,
    until: Option<Duration>,
}

#[derive(Clone, Copy)]
enum Reason {
    Room,
    RequestRate,
    RetryAfter,
    Away,
}

impl Hosts {
    pub(crate) fn new(limits: &Limits, outage: Duration, tally: Arc<Tally>) -> Result<Self, HttpSetupError> {
        let interval = limits.request_interval()?;
        let state = State { allowance: allowance(limits), interval, hosts: HashMap::new() };
        let leftovers = Arc::default();
        Ok(Self { origin: Instant::now(), outage, state: Mutex::new(state), tally, leftovers })
    }

    /// Changes the limits of every host, those in flight drain.
    pub(crate) fn set_limits(&self, limits: &Limits) -> Result<(), HttpSetupError> {
        let interval = limits.request_interval()?;
        let mut state = lock(&self.state);
        let repace = state.interval != interval;
        (state.allowance, state.interval) = (allowance(limits), interval);
        for host in state.hosts.values() {
            let mut door = lock(&host.door);
            door.allow(state.allowance);
            if repace {
                door.pace = interval.map(Spacing::new);
            }
            host.tell();
        }
        Ok(())
    }

    pub(crate) fn mark_answered(&self, name: &str) {
        lock(&self.host(name).door).gate.mark_answered();
    }

    /// Every host that is remembered, by name; `wall_now` turns waits into times.
    pub(crate) fn status(&self, wall_now: Timestamp) -> Vec<HostStatus> {
        let now = self.origin.elapsed();
        let state = lock(&self.state);
        let mut all: Vec<HostStatus> =
            state.hosts.iter().map(|(name, host)| host.status(name, now, wall_now)).collect();
        all.sort_unstable_by(|a, b| a.host.cmp(&b.host));
        all
    }

    /// Whether a host is closed to somebody who bears with an `outage` of their own.
    pub(crate) fn closed(&self, name: &str, outage: Option<Duration>, wall_now: Timestamp) -> Option<Closed> {
        let now = self.origin.elapsed();
        let host = Arc::clone(lock(&self.state).hosts.get(name)?);
        let closing = lock(&host.door).gate.closed(now, outage)?;
        Some(closed(closing, now, wall_now))
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        let mut state = lock(&self.state);
        if let Some(host) = state.hosts.get(name) {
            return Arc::clone(host);
        }
        if state.hosts.len() >= REMEMBERED {
            let now = self.origin.elapsed();
            // Whoever holds a handle is about to enter or is inside.
            state.hosts.retain(|_, host| Arc::strong_count(host) > 1 || !lock(&host.door).gate.is_idle(now));
        }
        let door = Door::new(state.allowance, self.outage, state.interval.map(Spacing::new));
        let host = Arc::new(Host {
            origin: self.origin,
            tally: self.tally.host(name),
            door: Mutex::new(door),
            usual: Queue::default(),
            ahead: Queue::default(),
            refused: Notify::new(),
        });
        state.hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }
}

impl Host {
    /// Waits for its turn and for the gate; bears with an `outage` of its own, where it has one.
    pub(crate) async fn enter(&self, urgency: Urgency, outage: Option<Duration>) -> Admission {
        let _ahead = (urgency == Urgency::Ahead).then(|| GoingAhead::new(self));
        tokio::select! {
            biased;
            admission = self.enter_in_turn(urgency, outage) => admission,
            admission = self.enter_to_fail(urgency, outage) => admission,
        }
    }

    async fn enter_in_turn(&self, urgency: Urgency, outage: Option<Duration>) -> Admission {
        let queue = match urgency {
            Urgency::Ahead => &self.ahead,
            Urgency::Usual => &self.usual,
        };
        let _turn = queue.turn.lock().await;
        loop {
            let delay = match self.try_enter(urgency, outage) {
                Ok(admission) => return admission,
                Err(delay) => delay,
            };
            let _noted = Waiting { host: self, reason: delay.reason, begun: Instant::now() };
            match delay.until {
                Some(until) => {
                    // Being told early, or waking late, only asks again.
                    let _ = tokio::time::timeout_at(self.origin + until, queue.changed.notified()).await;
                }
                None => queue.changed.notified().await,
            }
        }
    }

    /// Enters once the host has been away for longer than is borne with, however long others in the line bear with it.
    async fn enter_to_fail(&self, urgency: Urgency, outage: Option<Duration>) -> Admission {
        loop {
            // Made before the look, so that a refusal in between is not missed.
            let refused = self.refused.notified();
            let given_up = lock(&self.door).gate.given_up_at(outage);
            match given_up.map(|at| at.saturating_sub(self.origin.elapsed())) {
                None => refused.await,
                Some(left) if !left.is_zero() => sleep(left).await,
                Some(_) => match self.try_enter(urgency, outage) {
                    Ok(admission) => return admission,
                    Err(_) => sleep(LOOK_AGAIN).await,
                },
            }
        }
    }

    /// The most connections that the client's limits allow.
    pub(crate) fn connections(&self) -> u32 {
        lock(&self.door).allowance.connections
    }

    /// Takes note of what became of a request, for the gate.
    pub(crate) fn report(&self, pass: &mut Pass, outcome: Outcome, outage: Option<Duration>) -> Refusal {
        let now = self.origin.elapsed();
        let refusal = lock(&self.door).gate.report(pass, outcome, now, outage);
        self.tell();
        if outcome == Outcome::Refused {
            self.refused.notify_waiters();
        }
        refusal
    }

    /// Takes note of something that the controller should know.
    pub(crate) fn steer(&self, news: impl FnOnce(&mut Controller, Moment)) {
        let at = self.moment();
        let mut door = lock(&self.door);
        news(&mut door.controller, at);
        door.make_room();
        drop(door);
        self.tell();
    }

    /// One that was let in is through.
    pub(crate) fn leave(&self, admission: &Admission, end: End) {
        let at = self.moment();
        let mut door = lock(&self.door);
        door.gate.leave(admission.pass);
        door.controller.ended(at, admission.mark, end);
        door.make_room();
        drop(door);
        self.tell();
    }

    /// Enters, or tells when to ask again.
    fn try_enter(&self, urgency: Urgency, outage: Option<Duration>) -> Result<Admission, Delay> {
        let at = self.moment();
        let mut door = lock(&self.door);
        if urgency == Urgency::Usual && door.ahead > 0 {
            return Err(Delay { reason: Reason::Room, until: None });
        }
        let pass = door.ask(at, outage)?;
        if let Some(wait) = door.pace.as_ref().and_then(|pace| pace.take().err()) {
            return Err(Delay { reason: Reason::RequestRate, until: Some(at.now + wait) });
        }
        door.gate.enter(pass);
        let mark = door.controller.begun(at);
        Ok(Admission { pass, mark, speech: door.controller.speech() })
    }

    fn moment(&self) -> Moment {
        let counters = self.tally.snapshot();
        Moment { now: self.origin.elapsed(), bytes: counters.bytes_received, answers: counters.answers }
    }

    fn tell(&self) {
        self.ahead.changed.notify_one();
        self.usual.changed.notify_one();
    }

    fn status(&self, name: &str, now: Duration, wall_now: Timestamp) -> HostStatus {
        let door = lock(&self.door);
        HostStatus {
            host: name.to_owned(),
            in_flight: door.gate.in_flight(),
            target: door.controller.target(),
            closed: door.gate.closed(now, None).map(|closing| closed(closing, now, wall_now)),
            counters: self.tally.snapshot(),
            waits: door.waits,
        }
    }
}

/// A wait of who is next. It is noted however it ends: who gives up has waited the longest.
struct Waiting<'a> {
    host: &'a Host,
    reason: Reason,
    begun: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *lock(&self.host.door).waits.of(self.reason) += self.begun.elapsed();
    }
}

/// Keeps the others back until it is let in, or gives up.
struct GoingAhead<'a>(&'a Host);

impl<'a> GoingAhead<'a> {
    fn new(host: &'a Host) -> Self {
        lock(&host.door).ahead += 1;
        Self(host)
    }
}

impl Drop for GoingAhead<'_> {
    fn drop(&mut self) {
        lock(&self.0.door).ahead -= 1;
        self.0.tell();
    }
}

impl Door {
    fn new(allowance: Allowance, outage: Duration, pace: Option<Spacing>) -> Self {
        let controller = Controller::new(allowance);
        let room = Room { in_flight: controller.target(), connections: allowance.connections };
        let gate = HostGate::new(room, outage);
        Self { gate, controller, allowance, pace, waits: Waits::default(), ahead: 0 }
    }

    fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
        self.controller.allow(allowance);
        self.make_room();
    }

    /// Lets the gate know what the controller finds.
    fn make_room(&mut self) {
        let (in_flight, connections) = (self.controller.target(), self.allowance.connections);
        self.gate.set_room(Room { in_flight, connections });
    }

    /// Asks the gate. A full one is looked at by the controller, which may make more room.
    fn ask(&mut self, at: Moment, outage: Option<Duration>) -> Result<Pass, Delay> {
        let mut entry = self.gate.ask(at.now, outage);
        let mut look = None;
        if entry == Entry::Full {
            look = self.controller.wanted(at);
            self.make_room();
            entry = self.gate.ask(at.now, outage);
        }
        let reason = match self.gate.closed(at.now, None).map(|closing| closing.why) {
            Some(Shut::Asked) => Reason::RetryAfter,
            Some(Shut::Away) => Reason::Away,
            None => Reason::Room,
        };
        match entry {
            Entry::Go => Ok(Pass::Usual),
            Entry::Probe => Ok(Pass::Probe),
            Entry::Full => Err(Delay { reason: Reason::Room, until: look }),
            Entry::Wait { until } => Err(Delay { reason, until }),
        }
    }
}

impl Waits {
    fn of(&mut self, reason: Reason) -> &mut Duration {
        match reason {
            Reason::Room => &mut self.room,
            Reason::RequestRate => &mut self.request_rate,
            Reason::RetryAfter => &mut self.retry_after,
            Reason::Away => &mut self.away,
        }
    }
}

fn allowance(limits: &Limits) -> Allowance {
    Allowance { connections: limits.connections, in_flight: limits.in_flight }
}

fn closed(closing: Closing, now: Duration, wall_now: Timestamp) -> Closed {
    let reason = match closing.why {
        Shut::Asked => ClosedReason::RetryAfter,
        Shut::Away => ClosedReason::Away,
    };
    let since = wall_now.checked_sub(now.saturating_sub(closing.since)).unwrap_or(Timestamp::MIN);
    let until = wall_now.checked_add(closing.until.saturating_sub(now)).unwrap_or(Timestamp::MAX);
    Closed { since, until, reason }
}

/// Nothing under these locks can panic half way, so a poisoned one is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
