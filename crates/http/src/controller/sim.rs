//! Simulated links and servers: the controller's test bench.
//!
//! A millisecond a step. A connection has a window that doubles each round trip while nothing holds it
//! back, bodies share their connection, connections share the link. Coarse, but each regime that matters
//! (latency, window, link, server) bounds it as it does the real thing.

use std::time::Duration;

use super::{Allowance, Controller, End, LANES, Mark, Moment, Speech};
use http::Version;

const STEP: Duration = Duration::from_millis(1);

/// TCP's first window in bytes (RFC 6928).
const FIRST_WINDOW: f64 = 14_600.0;

/// A link and the server at its end.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) rtt: Duration,
    /// Bytes a second that the link carries.
    pub(super) link: f64,
    /// Bytes a second that one connection can carry at most: loss, or the server's own rate.
    pub(super) per_connection: f64,
    pub(super) server: Server,
    /// Bytes of a file; those of each are up to a fifth more or less.
    pub(super) file: f64,
    pub(super) multiplexed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    Strong,
    /// Answers 503 to whoever has more than so many in flight.
    Capped(u32),
    /// Answers 503 to every so-manyth request, however many are in flight.
    Flaky(u32),
    /// Beyond so many in flight, it delivers ever less, and answers ever later.
    Collapsing(u32),
}

/// What happened, every tenth of a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) in_flight: u32,
    pub(super) goodput: f64,
}

pub(super) struct Outcome {
    pub(super) samples: Vec<Sample>,
    pub(super) most: u32,
    pub(super) refused: u32,
    pub(super) speech: Speech,
}

impl Outcome {
    /// Bytes a second between two times.
    pub(super) fn goodput(&self, from: f64, to: f64) -> f64 {
        let within = |sample: &&Sample| (from..to).contains(&sample.at.as_secs_f64());
        let found: Vec<f64> = self.samples.iter().filter(within).map(|sample| sample.goodput).collect();
        found.iter().sum::<f64>() / found.len().max(1) as f64
    }
}

struct Request {
    mark: Mark,
    connection: usize,
    head_due: Duration,
    /// None until the head came.
    left: Option<f64>,
}

struct Connection {
    window: f64,
    load: u32,
}

struct Run<'a> {
    world: &'a World,
    controller: Controller,
    now: Duration,
    bytes: f64,
    answers: u64,
    requests: Vec<Request>,
    connections: Vec<Connection>,
    refused: u32,
}

/// Runs for `time` with more files than can be fetched.
pub(super) fn run(world: &World, allowance: Allowance, time: Duration) -> Outcome {
    let mut run = Run {
        world,
        controller: Controller::new(allowance),
        now: Duration::ZERO,
        bytes: 0.0,
        answers: 0,
        requests: Vec::new(),
        connections: Vec::new(),
        refused: 0,
    };
    let (mut samples, mut most, mut counted) = (Vec::new(), 0, 0.0);
    while run.now < time {
        run.now += STEP;
        run.step();
        let in_flight = run.requests.len() as u32;
        most = most.max(in_flight);
        if run.now.as_millis().is_multiple_of(100) {
            samples.push(Sample { at: run.now, in_flight, goodput: (run.bytes - counted) * 10.0 });
            counted = run.bytes;
        }
    }
    Outcome { samples, most, refused: run.refused, speech: run.controller.speech() }
}

impl Run<'_> {
    fn moment(&self) -> Moment {
        Moment { now: self.now, bytes: self.bytes as u64, answers: self.answers }
    }

    fn step(&mut self) {
        self.admit();
        self.answer();
        self.carry();
        self.end();
    }

    fn admit(&mut self) {
        while (self.requests.len() as u32) < self.controller.target() {
            let mark = self.controller.begun(self.moment());
            let (connection, fresh) = self.connect();
            self.connections[connection].load += 1;
            let trips = if fresh { 2 } else { 1 };
            let head_due = self.now + self.world.rtt * trips + self.server_time();
            self.requests.push(Request { mark, connection, head_due, left: None });
        }
        self.controller.wanted(self.moment());
    }

    /// A connection for one more request, and whether it is new.
    fn connect(&mut self) -> (usize, bool) {
        let multiplexed = self.speaks_streams();
        let idle = self.connections.iter().position(|connection| connection.load == 0);
        if let Some(idle) = idle {
            return (idle, false);
        }
        if multiplexed && self.connections.len() >= LANES as usize {
            let least = (0..LANES as usize).min_by_key(|&lane| self.connections[lane].load);
            return (least.unwrap(), false);
        }
        self.connections.push(Connection { window: FIRST_WINDOW, load: 0 });
        (self.connections.len() - 1, true)
    }

    fn speaks_streams(&self) -> bool {
        self.world.multiplexed && self.controller.speech() == Speech::Offered
    }

    fn server_time(&self) -> Duration {
        match self.world.server {
            Server::Collapsing(most) => {
                let over = self.requests.len() as f64 / f64::from(most);
                Duration::from_millis(5).mul_f64(over.max(1.0).powi(2).min(400.0))
            }
            Server::Strong | Server::Capped(_) | Server::Flaky(_) => Duration::from_millis(1),
        }
    }

    fn answer(&mut self) {
        let version = if self.speaks_streams() { Version::HTTP_2 } else { Version::HTTP_11 };
        let crowd = self.requests.len() as u32;
        let mut refused = Vec::new();
        for index in 0..self.requests.len() {
            let request = &mut self.requests[index];
            if request.left.is_some() || request.head_due > self.now {
                continue;
            }
            let mark = request.mark;
            self.answers += 1;
            let moment = Moment { now: self.now, bytes: self.bytes as u64, answers: self.answers };
            let refuses = match self.world.server {
                Server::Capped(most) => crowd - refused.len() as u32 > most,
                Server::Flaky(every) => self.answers.is_multiple_of(every.into()),
                Server::Strong | Server::Collapsing(_) => false,
            };
            if refuses {
                refused.push(index);
                self.controller.pushed_back(moment, mark);
            } else {
                // Were they all of one size, those that began together would end together for ever.
                let dice = f64::from((self.answers as u32).wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
                request.left = Some(self.world.file * (0.8 + 0.4 * dice));
                self.controller.answered(moment, mark, version);
            }
        }
        self.refused += refused.len() as u32;
        for index in refused.into_iter().rev() {
            self.leave(index);
        }
    }

    fn carry(&mut self) {
        let mut bodies = vec![0u32; self.connections.len()];
        for request in self.requests.iter().filter(|request| request.left.is_some()) {
            bodies[request.connection] += 1;
        }
        let trip = self.world.rtt.as_secs_f64().max(0.0005);
        let able = |index: usize| (self.connections[index].window / trip).min(self.world.per_connection);
        let busy: Vec<usize> = (0..bodies.len()).filter(|&index| bodies[index] > 0).collect();
        let sum: f64 = busy.iter().map(|&index| able(index)).sum();
        let share = (self.capacity() / sum.max(1.0)).min(1.0);
        let rates: Vec<f64> = (0..bodies.len()).map(|index| able(index) * share).collect();
        for request in &mut self.requests {
            let Some(left) = &mut request.left else { continue };
            let each = rates[request.connection] / f64::from(bodies[request.connection]);
            let came = (each * STEP.as_secs_f64()).min(*left);
            *left -= came;
            self.bytes += came;
        }
        for &index in busy.iter().filter(|_| share >= 1.0) {
            // Each acknowledged byte opens the window by one, until something else bounds the connection.
            let most = self.world.per_connection.min(self.world.link) * trip * 2.0;
            let connection = &mut self.connections[index];
            connection.window =
                (connection.window + rates[index] * STEP.as_secs_f64()).min(most.max(FIRST_WINDOW));
        }
    }

    fn capacity(&self) -> f64 {
        match self.world.server {
            Server::Collapsing(most) => {
                let over = self.requests.len() as f64 / f64::from(most);
                self.world.link / over.max(1.0).powi(2)
            }
            Server::Strong | Server::Capped(_) | Server::Flaky(_) => self.world.link,
        }
    }

    fn end(&mut self) {
        for index in (0..self.requests.len()).rev() {
            if self.requests[index].left.is_some_and(|left| left <= 0.0) {
                self.leave(index);
            }
        }
    }

    fn leave(&mut self, index: usize) {
        let request = self.requests.swap_remove(index);
        self.connections[request.connection].load -= 1;
        self.controller.ended(self.moment(), request.mark, End::Usual);
    }
}

pub(super) const MBIT: f64 = 1e6 / 8.0;

/// The worlds of the test bench, with what each can deliver at best within the allowance.
pub(super) fn worlds() -> Vec<(&'static str, World, Allowance, f64)> {
    let plain = World {
        rtt: Duration::from_millis(40),
        link: 1000.0 * MBIT,
        per_connection: f64::INFINITY,
        server: Server::Strong,
        file: 20e3,
        multiplexed: false,
    };
    let ms = Duration::from_millis;
    let allow = |connections, in_flight| Allowance { connections, in_flight };
    let small = |count: f64| count * 20e3 / 0.042;
    vec![
        ("small files, 40 ms, HTTP/1.1", plain.clone(), allow(256, 256), 1000.0 * MBIT),
        ("small files, 40 ms, 16 connections", plain.clone(), allow(16, 64), small(16.0)),
        (
            "small files, 40 ms, HTTP/2",
            World { multiplexed: true, ..plain.clone() },
            allow(16, 256),
            1000.0 * MBIT,
        ),
        ("2 MB files, 40 ms", World { file: 2.1e6, ..plain.clone() }, allow(16, 64), 1000.0 * MBIT),
        (
            "lossy, 80 ms: 0.36 MB/s a connection",
            World { rtt: ms(80), link: 200.0 * MBIT, per_connection: 0.36e6, file: 2.1e6, ..plain.clone() },
            allow(64, 64),
            64.0 * 0.36e6,
        ),
        (
            "lossy, HTTP/2 offered",
            World {
                rtt: ms(80),
                link: 200.0 * MBIT,
                per_connection: 0.36e6,
                file: 0.5e6,
                multiplexed: true,
                ..plain.clone()
            },
            allow(64, 64),
            64.0 * 0.36e6,
        ),
        (
            "503 beyond 6 at once",
            World { server: Server::Capped(6), file: 200e3, per_connection: 5e6, ..plain.clone() },
            allow(64, 64),
            6.0 * 200e3 / 0.081,
        ),
        (
            "collapses beyond 12 at once",
            World { server: Server::Collapsing(12), file: 400e3, link: 200.0 * MBIT, ..plain.clone() },
            allow(64, 64),
            200.0 * MBIT,
        ),
        (
            "loopback",
            World { rtt: ms(0), file: 2.1e6, link: 8000.0 * MBIT, ..plain },
            allow(16, 64),
            8000.0 * MBIT,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn world(name: &str) -> (World, Allowance, f64) {
        let (_, world, allowance, best) = worlds().into_iter().find(|world| world.0 == name).unwrap();
        (world, allowance, best)
    }

    #[test]
    fn every_world_gets_most_of_what_it_can_give() {
        // From when to when (in seconds), and at least what part of the best.
        type Span = (f64, f64, f64);
        let table: [(&str, &[Span]); 9] = [
            ("small files, 40 ms, HTTP/1.1", &[(0.5, 1.0, 0.65), (1.0, 20.0, 0.85)]),
            ("small files, 40 ms, 16 connections", &[(0.0, 0.5, 0.6), (0.5, 1.0, 0.9), (1.0, 20.0, 0.95)]),
            ("small files, 40 ms, HTTP/2", &[(0.5, 1.0, 0.8), (1.0, 20.0, 0.85)]),
            ("2 MB files, 40 ms", &[(0.0, 0.5, 0.55), (0.5, 20.0, 0.95)]),
            ("lossy, 80 ms: 0.36 MB/s a connection", &[(0.5, 1.0, 0.5), (1.0, 20.0, 0.9)]),
            ("lossy, HTTP/2 offered", &[(25.0, 50.0, 0.65)]),
            ("503 beyond 6 at once", &[(3.0, 40.0, 0.9)]),
            ("collapses beyond 12 at once", &[(8.0, 20.0, 0.75), (20.0, 40.0, 0.9)]),
            ("loopback", &[(0.0, 1.0, 0.9), (1.0, 20.0, 0.9)]),
        ];
        for (name, spans) in table {
            let (world, allowance, best) = world(name);
            let until = spans.iter().map(|span| span.1).fold(0.0, f64::max);
            let outcome = run(&world, allowance, Duration::from_secs_f64(until));
            for &(from, to, least) in spans {
                let share = outcome.goodput(from, to) / best;
                assert!(share >= least, "{name} from {from} to {to} s: {share:.2}");
            }
            if name.starts_with("lossy, HTTP/2") {
                assert_eq!(outcome.speech, Speech::Pooled);
            } else {
                assert_eq!(outcome.speech, Speech::Offered, "{name}");
            }
        }
    }

    #[test]
    fn failures_that_have_another_cause_do_not_end_at_one_request() {
        let (plain, allowance, best) = world("small files, 40 ms, 16 connections");
        for every in [2, 10, 30] {
            let flaky = World { server: Server::Flaky(every), ..plain.clone() };
            let share = run(&flaky, allowance, Duration::from_secs(60)).goodput(10.0, 60.0) / best;
            assert!(share >= 0.3, "one of {every} fails: {share:.2}");
        }
        let down = World { server: Server::Flaky(1), ..plain };
        let refused = run(&down, allowance, Duration::from_secs(60)).refused;
        let alone = 60_000 / 42;
        assert!(refused < alone + alone / 10, "{refused}");
    }

    #[test]
    fn a_cap_of_the_server_is_met_ever_more_rarely() {
        let (world, allowance, _) = world("503 beyond 6 at once");
        let soon = run(&world, allowance, Duration::from_secs(30)).refused;
        let late = run(&world, allowance, Duration::from_secs(300)).refused;
        assert!(soon <= 16 && late <= soon + 4, "{soon} {late}");
    }

    #[test]
    fn a_cap_is_told_from_a_flaky_path() {
        let (capped, allowance, best) = world("503 beyond 6 at once");
        for most in [1, 2, 3, 5, 8, 13, 15] {
            let world = World { server: Server::Capped(most), ..capped.clone() };
            let outcome = run(&world, allowance, Duration::from_secs(60));
            let share = outcome.goodput(10.0, 60.0) / (best / 6.0 * f64::from(most)).min(world.link);
            assert!(
                share >= 0.75 && outcome.refused <= 40,
                "{most}: {share:.2}, {} refused",
                outcome.refused
            );
        }
    }

    #[test]
    fn what_is_slow_for_another_reason_than_loss_stays_with_http_2() {
        let (world, ..) = world("small files, 40 ms, HTTP/2");
        let slow = World { link: 1e6, ..world };
        let allowance = Allowance { connections: 16, in_flight: 64 };
        assert_eq!(run(&slow, allowance, Duration::from_secs(60)).speech, Speech::Offered);
    }

    fn any_world() -> impl Strategy<Value = World> {
        let server = prop_oneof![
            Just(Server::Strong),
            (1..40u32).prop_map(Server::Capped),
            (1..40u32).prop_map(Server::Flaky),
            (1..40u32).prop_map(Server::Collapsing),
        ];
        let rates = (1e5..1e9, 5e4..1e9, 0.0..6e6);
        (0..300u64, rates, server, any::<bool>()).prop_map(
            |(rtt, (link, per_connection, file), server, multiplexed)| World {
                rtt: Duration::from_millis(rtt),
                link,
                per_connection,
                server,
                file,
                multiplexed,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn no_world_makes_it_leave_its_limits_or_stand_still(
            world in any_world(), connections in 1..80u32, in_flight in 1..300u32
        ) {
            let outcome = run(&world, Allowance { connections, in_flight }, Duration::from_secs(5));
            let most = if world.multiplexed { in_flight } else { connections.min(in_flight) };
            prop_assert!(outcome.most <= most, "{} of {most}", outcome.most);
            let last = outcome.samples.iter().rev().take(30).any(|sample| sample.goodput > 0.0);
            prop_assert!(last || outcome.refused > 0 || world.file < 1.0);
        }
    }
}
