//! Which of the few clients a request goes to, and how many connections each has to a host.
//!
//! Over HTTP/2 each lane is one connection, and the lane with the fewest requests is next. Over HTTP/1.1 a lane
//! has as many connections as it had requests at once, so that it gets no more than its part of what the
//! host's connections allow; while it is not known what a host speaks, the first one of each lane is to find
//! out. The last client is the pool that speaks HTTP/1.1 alone, and may have them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use tokio::time::Instant;

use crate::controller::LANES;

/// The lanes, and the pool after them.
const CLIENTS: usize = POOL + 1;

/// The pool's number.
pub(crate) const POOL: usize = LANES as usize;

/// Hosts remembered before those without requests are forgotten.
const REMEMBERED: usize = 1024;

/// How long after a connection stood those that wait for it may not have been given it yet.
const SETTLING: Duration = Duration::from_millis(50);

/// The lanes of every host.
#[derive(Debug)]
pub(crate) struct Lanes {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connections: u32,
    hosts: HashMap<String, Arc<Mutex<Loads>>>,
}

/// What is in flight to one host, by client.
#[derive(Clone, Copy, Debug, Default)]
struct Loads {
    requests: [u32; CLIENTS],
    /// Connections that stand, as far as is known: the end of idle ones goes unnoticed.
    open: [u32; CLIENTS],
    /// Those of them that are being opened.
    opening: [u32; CLIENTS],
    /// When the last one stood.
    stood: [Option<Instant>; CLIENTS],
    speaks: Speaks,
}

/// What a host was heard to speak on a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Speaks {
    #[default]
    Unheard,
    /// HTTP/1.1: a request at a time.
    Single,
    /// HTTP/2: all at once.
    Streams,
}

/// Whether somebody has waited for an idle connection as long as makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not yet.
    Left,
    /// Long enough.
    Over,
}

/// Which client may be used, for which host, and with how many connections.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    loads: Arc<Mutex<Loads>>,
    client: usize,
    connections: u32,
}

/// A seat that is taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Seat);

/// Which clients a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Any of the lanes.
    Lane,
    /// The pool.
    Pool,
}

impl Lanes {
    /// Lanes for so many connections to each host.
    pub(crate) fn new(connections: u32) -> Self {
        Self { state: Mutex::new(State { connections, hosts: HashMap::new() }) }
    }

    /// Changes how many connections each host may have, for requests to come.
    pub(crate) fn allow(&self, connections: u32) {
        lock(&self.state).connections = connections;
    }

    /// A place for one more request.
    pub(crate) fn place(&self, host: &str, choice: Choice) -> Place {
        let (loads, all) = self.loads(host);
        let client = {
            let mut loads = lock(&loads);
            let client = if choice == Choice::Pool { POOL } else { loads.lane(all) };
            loads.requests[client] += 1;
            client
        };
        let connections = if client == POOL { all } else { part_of(all, client).max(1) };
        Place(Seat { loads, client, connections })
    }

    fn loads(&self, host: &str) -> (Arc<Mutex<Loads>>, u32) {
        let mut state = lock(&self.state);
        let connections = state.connections.max(1);
        if let Some(loads) = state.hosts.get(host) {
            return (Arc::clone(loads), connections);
        }
        if state.hosts.len() >= REMEMBERED {
            state.hosts.retain(|_, loads| Arc::strong_count(loads) > 1);
        }
        (Arc::clone(state.hosts.entry(host.to_owned()).or_default()), connections)
    }
}

impl Loads {
    fn lane(&self, connections: u32) -> usize {
        let lanes = LANES.min(connections) as usize;
        let least = |of: &mut dyn Iterator<Item = usize>| of.min_by_key(|&lane| self.requests[lane]);
        let has_room = |&lane: &usize| {
            self.speaks == Speaks::Streams || self.requests[lane] < part_of(connections, lane)
        };
        least(&mut (0..lanes).filter(has_room)).or_else(|| least(&mut (0..lanes))).unwrap_or(0)
    }
}

/// A lane's part of the connections; all parts together are all connections.
fn part_of(connections: u32, lane: usize) -> u32 {
    let rest = (connections % LANES) as usize;
    connections / LANES + u32::from(lane < rest)
}

impl Seat {
    /// The client's number.
    pub(crate) fn client(&self) -> usize {
        self.client
    }

    /// Counts one more connection that is being opened, if there may be one.
    pub(crate) fn open(&self, patience: Patience, now: Instant) -> bool {
        let mut loads = lock(&self.loads);
        let speaks = if self.client == POOL { Speaks::Single } else { loads.speaks };
        let may = match (speaks, patience) {
            // A lane's next connection replaces its last one, and serves all that wait for it.
            (Speaks::Streams, _) => {
                let is_fresh = loads.stood[self.client].is_some_and(|stood| now < stood + SETTLING);
                loads.opening[self.client] == 0 && !is_fresh
            }
            (Speaks::Unheard, Patience::Left) => loads.open[self.client] == 0,
            (Speaks::Unheard, Patience::Over) | (Speaks::Single, _) => {
                loads.open[self.client] < self.connections
            }
        };
        loads.open[self.client] += u32::from(may);
        loads.opening[self.client] += u32::from(may);
        may
    }

    /// A connection that was being opened stands.
    pub(crate) fn opened(&self, now: Instant) {
        let mut loads = lock(&self.loads);
        loads.stood[self.client] = Some(now);
        loads.opening[self.client] = loads.opening[self.client].saturating_sub(1);
    }

    /// Nothing came of a connection that was being opened.
    pub(crate) fn failed_to_open(&self) {
        let mut loads = lock(&self.loads);
        loads.opening[self.client] = loads.opening[self.client].saturating_sub(1);
        loads.open[self.client] = loads.open[self.client].saturating_sub(1);
    }

    /// Counts one connection less.
    pub(crate) fn closed(&self) {
        let open = &mut lock(&self.loads).open[self.client];
        *open = open.saturating_sub(1);
    }

    /// No connection is idle: none stands but those of the other requests.
    pub(crate) fn none_is_idle(&self) {
        let mut loads = lock(&self.loads);
        let others = loads.requests[self.client].saturating_sub(1);
        loads.open[self.client] = others.min(self.connections - 1);
    }
}

impl Place {
    pub(crate) fn seat(&self) -> &Seat {
        &self.0
    }

    /// Takes note of what the host speaks.
    pub(crate) fn heard(&self, version: Version) {
        if self.0.client != POOL {
            let speaks = if version >= Version::HTTP_2 { Speaks::Streams } else { Speaks::Single };
            lock(&self.0.loads).speaks = speaks;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let load = &mut lock(&self.0.loads).requests[self.0.client];
        *load = load.saturating_sub(1);
    }
}

/// Nothing under these locks can panic half way, so a poisoned one is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane(lanes: &Lanes) -> Place {
        lanes.place("h", Choice::Lane)
    }

    #[test]
    fn streams_are_spread_evenly_over_all_lanes() {
        let lanes = Lanes::new(16);
        let first = lane(&lanes);
        first.heard(Version::HTTP_2);
        let places: Vec<Place> = (0..199).map(|_| lane(&lanes)).collect();
        let on =
            |number| places.iter().chain([&first]).filter(|place| place.seat().client() == number).count();
        assert_eq!([0, 1, 2, 3].map(on), [50; 4]);
    }

    #[test]
    fn a_host_with_few_requests_keeps_to_its_first_lane() {
        let lanes = Lanes::new(16);
        for _ in 0..5 {
            assert_eq!(lane(&lanes).seat().client(), 0);
        }
    }

    #[test]
    fn the_first_connection_of_a_lane_finds_out_what_the_host_speaks() {
        let lanes = Lanes::new(16);
        let places: Vec<Place> = (0..16).map(|_| lane(&lanes)).collect();
        let open =
            |patience| places.iter().filter(|place| place.seat().open(patience, Instant::now())).count();
        assert_eq!((open(Patience::Left), open(Patience::Left)), (4, 0));
        assert_eq!(open(Patience::Over), 12, "who waited long enough for an answer does not wait for ever");

        let lanes = Lanes::new(16);
        let places: Vec<Place> = (0..16).map(|_| lane(&lanes)).collect();
        let open = || places.iter().filter(|place| place.seat().open(Patience::Left, Instant::now())).count();
        assert_eq!(open(), 4);
        places[0].heard(Version::HTTP_11);
        assert_eq!((open(), open()), (12, 0));
    }

    #[test]
    fn one_connection_at_a_time_takes_the_place_of_one_that_ended() {
        let lanes = Lanes::new(4);
        let (one, two) = (lane(&lanes), lane(&lanes));
        let other = |place: &Place| Place(Seat { client: one.seat().client(), ..place.seat().clone() });
        let same = other(&two);
        one.heard(Version::HTTP_2);
        let now = Instant::now();
        let open = |place: &Place, now| place.seat().open(Patience::Over, now);
        assert!(open(&one, now) && !open(&same, now + 2 * SETTLING));
        one.seat().opened(now);
        assert!(!open(&same, now), "it is about to be given the first one");
        assert!(open(&same, now + SETTLING), "the server has ended the first one");
    }

    #[test]
    fn what_was_closed_unnoticed_is_forgotten_when_none_is_idle() {
        let lanes = Lanes::new(2);
        let (one, two) = (lanes.place("h", Choice::Pool), lanes.place("h", Choice::Pool));
        let open = |place: &Place| place.seat().open(Patience::Left, Instant::now());
        assert!(open(&one) && open(&two) && !open(&one));
        drop(two);
        let next = lanes.place("h", Choice::Pool);
        assert!(!open(&next));
        next.seat().none_is_idle();
        assert!(open(&next) && !open(&next));
        // Another host has connections of its own.
        assert!(open(&lanes.place("other", Choice::Pool)));
    }

    proptest! {
        #[test]
        fn where_each_request_has_a_connection_no_lane_gets_more_than_its_part(
            connections in 1..40u32, steps in proptest::collection::vec(any::<Option<u8>>(), 0..200)
        ) {
            let lanes = Lanes::new(connections);
            let mut held: Vec<Place> = Vec::new();
            let mut most = [0u32; LANES as usize];
            for step in steps {
                match step {
                    Some(which) if !held.is_empty() => drop(held.swap_remove(which as usize % held.len())),
                    _ if held.len() < connections as usize => held.push(lane(&lanes)),
                    _ => {}
                }
                for (number, most) in most.iter_mut().enumerate() {
                    let on = held.iter().filter(|place| place.seat().client() == number).count() as u32;
                    *most = (*most).max(on);
                    for place in held.iter().filter(|place| place.seat().client() == number) {
                        prop_assert!(on <= place.seat().connections);
                    }
                }
            }
            prop_assert!(most.iter().sum::<u32>() <= connections, "{most:?}");
        }
    }
}
