//! When a request to one host may go: the state machine, pure. Time is a duration since any fixed origin.
//!
//! Owns three things: how many requests are in flight, until when the host asked to be left alone, and
//! whether a host that had answered is away. The asynchronous half is in `hosts.rs`.

use std::time::Duration;

use http::Version;

/// A wait over one hour is cut to this: the host is asked again then (the command line's contract).
const LONGEST_QUIET: Duration = Duration::from_hours(1);

/// The wait before the first probe of a host that went away.
const FIRST_PROBE: Duration = Duration::from_secs(1);

/// No two probes are further apart.
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// How much one host can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Requests in flight; never held to fewer than one.
    pub(crate) in_flight: u32,
    /// Connections; over HTTP/1.1 each request needs one.
    pub(crate) connections: u32,
}

/// What a request that asks to go is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Go.
    Go,
    /// Go, alone, to find out whether the host is back.
    Probe,
    /// All places are taken: ask again when somebody leaves or there is more room.
    Full,
    /// Ask again at this time, or when something was released or reported, whichever is first.
    Wait {
        /// None: only a release or a report can change the answer.
        until: Option<Duration>,
    },
}

/// As what a request was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// One of many.
    Usual,
    /// The one that finds out whether the host is back.
    Probe,
}

/// What became of a request, as far as the host is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered, and asked to be left alone for so long.
    Answered {
        /// The protocol version spoken.
        version: Version,
        /// The wait that it asked for.
        quiet: Option<Duration>,
    },
    /// A connection stood, or nearly so, but no answer came of it.
    Reached,
    /// No connection could be made.
    Refused,
    /// Nothing was heard in time; says nothing about the host.
    Silent,
}

/// What a refused connection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The host is merely away: the request is not to blame.
    Away,
    /// The host never answered, or has been away for too long.
    Unknown,
}

/// From when until when the host is closed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) since: Duration,
    pub(crate) until: Duration,
    pub(crate) why: Shut,
}

/// Why the host is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// It asked for it.
    Asked,
    /// It refuses connections.
    Away,
}

/// One host's gate.
#[derive(Clone, Debug)]
pub(crate) struct HostGate {
    room: Room,
    outage: Duration,
    in_flight: u32,
    answered: bool,
    multiplexed: bool,
    quiet: Option<Quiet>,
    away: Option<Away>,
    /// Outlives `away`: a probe may still be out when others end that outage and begin the next.
    probing: bool,
}

/// From when until when the host asked to be left alone.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    since: Duration,
    until: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Away {
    since: Duration,
    interval: Duration,
    next_probe: Duration,
}

impl HostGate {
    /// An open gate; a host may be away for `outage` before its requests are let through to fail.
    pub(crate) fn new(room: Room, outage: Duration) -> Self {
        Self {
            room,
            outage,
            in_flight: 0,
            answered: false,
            multiplexed: false,
            quiet: None,
            away: None,
            probing: false,
        }
    }

    /// Whether a request may go at `now`, for somebody who bears with an outage of `outage`; none: as long as the gate
    /// does. Changes nothing.
    pub(crate) fn ask(&self, now: Duration, outage: Option<Duration>) -> Entry {
        if let Some(quiet) = self.quiet_at(now) {
            return Entry::Wait { until: Some(quiet.until) };
        }
        if self.in_flight >= self.most() {
            return Entry::Full;
        }
        match self.away {
            Some(away) if self.is_given_up(away, now, outage) => Entry::Go,
            Some(_) if self.probing => Entry::Wait { until: None },
            Some(away) if away.next_probe > now => Entry::Wait { until: Some(away.next_probe) },
            Some(_) => Entry::Probe,
            None => Entry::Go,
        }
    }

    /// Lets one in, as [`HostGate::ask`] said it may.
    pub(crate) fn enter(&mut self, pass: Pass) {
        self.in_flight += 1;
        self.probing |= pass == Pass::Probe;
    }

    /// Takes note of what became of a request; of a refused connection it tells the meaning.
    ///
    /// A probe that has reported is a usual request from then on: another may probe.
    pub(crate) fn report(
        &mut self,
        pass: &mut Pass,
        outcome: Outcome,
        now: Duration,
        outage: Option<Duration>,
    ) -> Refusal {
        let pass = std::mem::replace(pass, Pass::Usual);
        self.probing &= pass != Pass::Probe;
        match outcome {
            Outcome::Answered { version, quiet } => {
                self.answered = true;
                self.away = None;
                self.multiplexed = version >= Version::HTTP_2;
                if let Some(wait) = quiet {
                    self.be_quiet(now, wait);
                }
            }
            Outcome::Reached => self.away = None,
            // From one that was let in to find out, silence is no sign of life.
            Outcome::Silent if pass == Pass::Probe => self.probe_failed(now),
            Outcome::Silent => {}
            Outcome::Refused => return self.refused(pass, now, outage),
        }
        Refusal::Unknown
    }

    /// One that was let in is through: its body ended or was dropped, or it failed.
    pub(crate) fn leave(&mut self, pass: Pass) {
        self.in_flight = self.in_flight.saturating_sub(1);
        // A probe that was dropped unreported leaves its place to the next.
        self.probing &= pass != Pass::Probe;
    }

    /// Changes the room; what is in flight beyond it drains.
    pub(crate) fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    /// Takes another's word that the host had answered, as a restart remembers it.
    pub(crate) fn mark_answered(&mut self) {
        self.answered = true;
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether nothing may go at `now`, for somebody who bears with an outage of `outage`; none: as long as the gate
    /// does.
    pub(crate) fn closed(&self, now: Duration, outage: Option<Duration>) -> Option<Closing> {
        if let Some(Quiet { since, until }) = self.quiet_at(now) {
            return Some(Closing { since, until, why: Shut::Asked });
        }
        let away = self.away.filter(|&away| !self.is_given_up(away, now, outage))?;
        Some(Closing { since: away.since, until: away.next_probe.max(now), why: Shut::Away })
    }

    /// From when on the host has been away for longer than `outage`; none: than the gate bears with. None while it is not
    /// away.
    pub(crate) fn given_up_at(&self, outage: Option<Duration>) -> Option<Duration> {
        self.away.map(|away| away.since.saturating_add(outage.unwrap_or(self.outage)))
    }

    /// Whether forgetting the host would lose nothing that is still of use.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        self.in_flight == 0 && self.closed(now, None).is_none()
    }

    fn most(&self) -> u32 {
        let Room { in_flight, connections } = self.room;
        if self.multiplexed { in_flight.max(1) } else { in_flight.min(connections).max(1) }
    }

    fn quiet_at(&self, now: Duration) -> Option<Quiet> {
        self.quiet.filter(|quiet| quiet.until > now)
    }

    /// Being asked again while it lasts never shortens it.
    fn be_quiet(&mut self, now: Duration, wait: Duration) {
        let until = now.saturating_add(wait.min(LONGEST_QUIET));
        let before = self.quiet_at(now).unwrap_or(Quiet { since: now, until });
        self.quiet = Some(Quiet { since: before.since, until: before.until.max(until) });
    }

    fn is_given_up(&self, away: Away, now: Duration, outage: Option<Duration>) -> bool {
        now >= away.since.saturating_add(outage.unwrap_or(self.outage))
    }

    fn refused(&mut self, pass: Pass, now: Duration, outage: Option<Duration>) -> Refusal {
        match self.away {
            _ if !self.answered => return Refusal::Unknown,
            Some(away) if self.is_given_up(away, now, outage) => return Refusal::Unknown,
            Some(_) if pass == Pass::Probe => self.probe_failed(now),
            // Many fail together when a host goes; only the first of them starts the clock.
            Some(_) => {}
            None => {
                let next_probe = now.saturating_add(FIRST_PROBE);
                self.away = Some(Away { since: now, interval: FIRST_PROBE, next_probe });
            }
        }
        Refusal::Away
    }

    fn probe_failed(&mut self, now: Duration) {
        if let Some(away) = &mut self.away {
            away.interval = away.interval.saturating_mul(2).min(LONGEST_PROBE);
            away.next_probe = now.saturating_add(away.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { in_flight: 2, connections: 2 };
    const DAY: Duration = Duration::from_hours(24);
    const GO_ON: Entry = Entry::Wait { until: None };
    const FULL: Entry = Entry::Full;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn wait(seconds: u64) -> Entry {
        Entry::Wait { until: Some(s(seconds)) }
    }

    fn answered(version: Version, quiet: Option<u64>) -> Outcome {
        Outcome::Answered { version, quiet: quiet.map(s) }
    }

    /// Lets one in, reports and lets it out; gives what it was told.
    fn once(gate: &mut HostGate, outcome: Outcome, now: u64) -> (Entry, Refusal) {
        let entry = gate.ask(s(now), None);
        let pass = match entry {
            Entry::Go => Pass::Usual,
            Entry::Probe => Pass::Probe,
            Entry::Full | Entry::Wait { .. } => panic!("must wait at {now}: {entry:?}"),
        };
        gate.enter(pass);
        let mut pass = pass;
        let refusal = gate.report(&mut pass, outcome, s(now), None);
        gate.leave(pass);
        (entry, refusal)
    }

    fn known_host() -> HostGate {
        let mut gate = HostGate::new(ROOM, DAY);
        once(&mut gate, answered(Version::HTTP_11, None), 0);
        gate
    }

    #[test]
    fn a_full_host_has_room_again_when_one_leaves_or_the_room_grows() {
        let mut gate = known_host();
        gate.enter(Pass::Usual);
        gate.enter(Pass::Usual);
        assert_eq!(gate.ask(s(0), None), FULL);
        gate.set_room(Room { in_flight: 3, connections: 3 });
        assert_eq!(gate.ask(s(0), None), Entry::Go);
        gate.set_room(ROOM);
        gate.leave(Pass::Usual);
        assert_eq!(gate.ask(s(0), None), Entry::Go);
    }

    #[test]
    fn a_room_of_nothing_still_lets_one_through() {
        let gate = HostGate::new(Room { connections: 0, in_flight: 0 }, DAY);
        assert_eq!(gate.ask(s(0), None), Entry::Go);
    }

    #[test]
    fn retry_after_closes_the_whole_host_for_at_most_an_hour() {
        for (asked, until) in [(0, None), (7, Some(17)), (3600, Some(3610)), (u64::MAX, Some(3610))] {
            let mut gate = known_host();
            once(&mut gate, answered(Version::HTTP_11, Some(asked)), 10);
            let expected = until.map_or(Entry::Go, wait);
            assert_eq!(gate.ask(s(10), None), expected, "{asked}");
            let closing = until.map(|at| Closing { since: s(10), until: s(at), why: Shut::Asked });
            assert_eq!(gate.closed(s(10), None), closing);
            assert_eq!(gate.ask(s(until.unwrap_or(10)), None), Entry::Go, "{asked}");
        }
    }

    #[test]
    fn a_shorter_wait_does_not_shorten_a_longer_one() {
        let mut gate = known_host();
        gate.enter(Pass::Usual);
        once(&mut gate, answered(Version::HTTP_11, Some(100)), 0);
        gate.report(&mut Pass::Usual, answered(Version::HTTP_11, Some(1)), s(1), None);
        assert_eq!(gate.ask(s(2), None), wait(100));
        gate.report(&mut Pass::Usual, answered(Version::HTTP_11, Some(200)), s(3), None);
        let closing = Closing { since: s(0), until: s(203), why: Shut::Asked };
        assert_eq!(gate.closed(s(3), None), Some(closing), "it is one wait");
    }

    #[test]
    fn a_host_that_never_answered_is_not_waited_for() {
        let mut gate = HostGate::new(ROOM, DAY);
        for now in 0..5 {
            assert_eq!(once(&mut gate, Outcome::Refused, now), (Entry::Go, Refusal::Unknown));
        }
    }

    #[test]
    fn probes_of_a_host_that_went_away_grow_from_a_second_to_a_minute() {
        let mut gate = known_host();
        assert_eq!(once(&mut gate, Outcome::Refused, 100), (Entry::Go, Refusal::Away));
        let mut now = 100;
        for gap in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(gate.ask(s(now), None), wait(now + gap));
            now += gap;
            assert_eq!(once(&mut gate, Outcome::Refused, now), (Entry::Probe, Refusal::Away));
        }
        let closing = Closing { since: s(100), until: s(now + 60), why: Shut::Away };
        assert_eq!(gate.closed(s(now), None), Some(closing));
        assert_eq!(gate.closed(s(now), Some(s(10))), None, "whoever bears with it for so long only asks now");
        assert_eq!(once(&mut gate, Outcome::Reached, now + 60).0, Entry::Probe);
        assert_eq!(gate.ask(s(now + 60), None), Entry::Go);
    }

    #[test]
    fn one_probe_at_a_time() {
        let mut gate = known_host();
        once(&mut gate, Outcome::Refused, 0);
        assert_eq!(gate.ask(s(1), None), Entry::Probe);
        gate.enter(Pass::Probe);
        assert_eq!(gate.ask(s(1), None), GO_ON);
        // Dropped before it learnt anything.
        gate.leave(Pass::Probe);
        assert_eq!(gate.ask(s(1), None), Entry::Probe);
    }

    #[test]
    fn a_probe_of_the_last_outage_is_the_only_one_in_the_next() {
        let mut gate = known_host();
        gate.enter(Pass::Usual);
        once(&mut gate, Outcome::Refused, 0);
        assert_eq!(gate.ask(s(1), None), Entry::Probe);
        gate.enter(Pass::Probe);
        // The other request is redirected: an answer, then a refused connection.
        gate.report(&mut Pass::Usual, answered(Version::HTTP_11, None), s(1), None);
        gate.report(&mut Pass::Usual, Outcome::Refused, s(1), None);
        gate.leave(Pass::Usual);
        assert_eq!(gate.ask(s(2), None), GO_ON);
        gate.leave(Pass::Probe);
        assert_eq!(gate.ask(s(2), None), Entry::Probe);
    }

    #[test]
    fn those_that_fail_together_start_one_clock() {
        let mut gate = known_host();
        gate.enter(Pass::Usual);
        gate.enter(Pass::Usual);
        assert_eq!(gate.report(&mut Pass::Usual, Outcome::Refused, s(0), None), Refusal::Away);
        assert_eq!(gate.report(&mut Pass::Usual, Outcome::Refused, s(0), None), Refusal::Away);
        gate.leave(Pass::Usual);
        gate.leave(Pass::Usual);
        assert_eq!(gate.ask(s(0), None), wait(1));
    }

    #[test]
    fn a_silent_probe_is_no_sign_of_life() {
        let mut gate = known_host();
        once(&mut gate, Outcome::Refused, 0);
        once(&mut gate, Outcome::Silent, 1);
        assert_eq!(gate.ask(s(1), None), wait(3));
    }

    #[test]
    fn whoever_bears_with_less_or_more_is_told_so_for_itself() {
        let mut gate = known_host();
        once(&mut gate, Outcome::Refused, 0);
        let told = |gate: &mut HostGate, now, outage| {
            (
                gate.ask(s(now), Some(outage)),
                gate.report(&mut Pass::Usual, Outcome::Refused, s(now), Some(outage)),
            )
        };
        assert_eq!(told(&mut gate, 5, s(5)), (Entry::Go, Refusal::Unknown));
        assert_eq!(told(&mut gate, 5, s(6)), (Entry::Probe, Refusal::Away));
        let beyond_the_gates_own = DAY.as_secs() + 1;
        assert_eq!(told(&mut gate, beyond_the_gates_own, DAY * 2), (Entry::Probe, Refusal::Away));
        assert_eq!(gate.ask(s(beyond_the_gates_own), None), Entry::Go);
    }

    #[test]
    fn after_the_outage_limit_requests_fail_at_their_own_cost() {
        let mut gate = HostGate::new(ROOM, s(10));
        once(&mut gate, answered(Version::HTTP_11, None), 0);
        once(&mut gate, Outcome::Refused, 100);
        for now in [101, 103, 107] {
            assert_eq!(once(&mut gate, Outcome::Refused, now).1, Refusal::Away);
        }
        assert_eq!(once(&mut gate, Outcome::Refused, 110), (Entry::Go, Refusal::Unknown));
        assert_eq!(gate.closed(s(110), None), None);
        // It is known again as soon as it answers.
        once(&mut gate, answered(Version::HTTP_11, None), 111);
        assert_eq!(once(&mut gate, Outcome::Refused, 112), (Entry::Go, Refusal::Away));
    }

    #[test]
    fn a_remembered_host_is_waited_for() {
        let mut gate = HostGate::new(ROOM, DAY);
        gate.mark_answered();
        assert_eq!(once(&mut gate, Outcome::Refused, 0).1, Refusal::Away);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask,
        Report(usize, u8),
        Leave(usize),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Ask),
            3 => (0..4usize, 0..5u8).prop_map(|(which, what)| Step::Report(which, what)),
            3 => (0..4usize).prop_map(Step::Leave),
            2 => (0..90u64).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn no_history_lets_too_many_in_or_keeps_all_out_for_ever(steps in steps()) {
            let mut gate = HostGate::new(ROOM, s(600));
            let (mut inside, mut now): (Vec<Pass>, u64) = (Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Ask => match gate.ask(s(now), None) {
                        Entry::Go => { gate.enter(Pass::Usual); inside.push(Pass::Usual); }
                        Entry::Probe => { gate.enter(Pass::Probe); inside.push(Pass::Probe); }
                        // Whoever waits without a time waits for somebody.
                        Entry::Full | Entry::Wait { until: None } => prop_assert!(!inside.is_empty()),
                        Entry::Wait { until: Some(until) } => {
                            prop_assert!(until > s(now) && until <= s(now) + LONGEST_QUIET);
                        }
                    },
                    Step::Report(which, what) if which < inside.len() => {
                        let outcome = match what {
                            0 => answered(Version::HTTP_11, None),
                            1 => answered(Version::HTTP_11, Some(5)),
                            2 => Outcome::Reached,
                            3 => Outcome::Refused,
                            _ => Outcome::Silent,
                        };
                        gate.report(&mut inside[which], outcome, s(now), None);
                    }
                    Step::Leave(which) if which < inside.len() => {
                        gate.leave(inside.swap_remove(which));
                    }
                    Step::Pass(seconds) => now += seconds,
                    _ => {}
                }
                prop_assert_eq!(gate.in_flight() as usize, inside.len());
                prop_assert!(inside.len() <= ROOM.connections as usize);
                prop_assert!(inside.iter().filter(|&&pass| pass == Pass::Probe).count() <= 1);
            }
        }
    }
}
