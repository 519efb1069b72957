//! What one owner's requests are held to beside the limits of the client, and what they may count on. A job is such
//! an owner.
//!
//! Promises: of one owner never more requests are in flight to a host than it allows itself; they are evenly spaced
//! where it wants them to be, in order of arrival, those that go ahead before the others; its bodies together keep
//! its rate. Nobody takes a place at the host while waiting here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::gate::Pass;
use crate::origin::host_name;
use crate::pace::counted;
use crate::rate::ByteLimiter;
use crate::treatment::Urgency;
use crate::{Closed, RateLimit, Standing};

/// Hosts remembered before idle ones are forgotten: a list of URLs may name millions.
const REMEMBERED: usize = 1024;

/// Requests in flight to a host that an owner with a byte rate has always.
const LEAST_COMPANY: u32 = 2;

/// How soon one that was kept back for the rate looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An owner's own limits. Where the client's are lower, those hold as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// The most connections per host. Where it is below the client's, a request counts as one, whatever it is
    /// spoken in.
    pub connections: Option<u32>,
    /// The most requests in flight per host.
    pub in_flight: Option<u32>,
    /// The time between two requests to one host; one that goes a little late puts off none behind it.
    pub request_interval: Option<Duration>,
    /// The most body bytes a second, over all hosts together.
    pub limit_rate: RateLimit,
    /// How long a host that had answered may be away before that is held against a request; none: as long as the
    /// client says.
    pub outage: Option<Duration>,
}

/// One owner's terms.
pub struct Terms {
    limits: Mutex<OwnLimits>,
    limiter: ByteLimiter,
    places: Mutex<HashMap<String, Arc<Place>>>,
    /// How many wait here.
    waiting: AtomicUsize,
    /// Whether one has found no seat.
    has_bound: AtomicBool,
    answered: Mutex<HashSet<String>>,
}

/// One owner at one host.
#[derive(Debug, Default)]
struct Place {
    /// Held by whoever is next of the usual ones; the others queue for it in order.
    turn: tokio::sync::Mutex<()>,
    /// Told whenever those who wait should look again.
    changed: Notify,
    seats: Mutex<Seats>,
}

#[derive(Debug)]
struct Seats {
    taken: u32,
    /// How many of those were let in by the host, but to find out whether it is back.
    inside: u32,
    /// How many go ahead of the others and have not been let in yet.
    ahead: u32,
    /// How many may be in flight while the owner has a byte rate. Bodies that wait for the rate need no company: a
    /// connection that it would hold is of use to others.
    company: u32,
    /// Somebody is on the way from here to the host: when that one goes is when the next interval begins.
    leaving: bool,
    /// When the last one left, or was to leave, if it did so hardly later.
    last_left: Option<Instant>,
}

/// One of an owner's requests in flight; over when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    terms: Arc<Terms>,
    place: Arc<Place>,
    leaving: bool,
    is_inside: bool,
}

impl Terms {
    /// Terms with these limits, of an owner that has heard from no host yet.
    #[must_use]
    pub fn new(limits: OwnLimits) -> Self {
        let limiter = ByteLimiter::new(limits.limit_rate.clone());
        Self {
            limits: Mutex::new(limits),
            limiter,
            places: Mutex::default(),
            waiting: AtomicUsize::new(0),
            has_bound: AtomicBool::new(false),
            answered: Mutex::default(),
        }
    }

    /// Changes the limits; what is in flight goes on, its bodies at the new rate within a second.
    pub fn set(&self, limits: OwnLimits) {
        let before = std::mem::replace(&mut *lock(&self.limits), limits.clone());
        if before.limit_rate != limits.limit_rate {
            self.limiter.set(limits.limit_rate);
        }
        // Whether the new ones bind will show.
        self.has_bound.store(false, Ordering::Relaxed);
        for place in lock(&self.places).values() {
            place.changed.notify_waiters();
        }
    }

    /// Takes the caller's word that the URL's host had answered this owner before: when it refuses connections it is
    /// thought to be away, not wrong.
    pub fn mark_answered(&self, url: &Url) {
        lock(&self.answered).insert(host_name(url));
    }

    /// How many of the owner's requests could not go yet because of its own limits: where some wait already, more
    /// would only wait behind them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether the owner's own limits are such that requests may have to wait for them.
    #[must_use]
    pub fn are_tight(&self) -> bool {
        let limits = lock(&self.limits);
        let by_time = limits.request_interval.is_some() || limits.limit_rate != RateLimit::default();
        by_time || self.has_bound.load(Ordering::Relaxed)
    }

    /// How the owner's requests stand, where `closed` tells which hosts are closed to it.
    pub(crate) fn standing(&self, closed: impl Fn(&str) -> Option<Closed>) -> Standing {
        let mut standing = Standing::Idle;
        for (name, place) in lock(&self.places).iter() {
            let Seats { taken, inside, .. } = *lock(&place.seats);
            if taken == 0 {
                continue;
            }
            let Some(closed) = closed(name).filter(|_| inside == 0) else { return Standing::UnderWay };
            match standing {
                Standing::KeptOut { closed: earlier, .. } if earlier.until <= closed.until => {}
                _ => standing = Standing::KeptOut { host: name.clone(), closed },
            }
        }
        standing
    }

    pub(crate) fn has_heard_from(&self, host: &str) -> bool {
        lock(&self.answered).contains(host)
    }

    pub(crate) fn outage(&self) -> Option<Duration> {
        lock(&self.limits).outage
    }

    /// What the owner's bodies share.
    pub(crate) fn limiter(&self) -> &ByteLimiter {
        &self.limiter
    }

    /// Waits for a seat, where the client itself would use as many as `connections` of the host.
    pub(crate) async fn seat(self: &Arc<Self>, host: &str, connections: u32, urgency: Urgency) -> Seat {
        let place = self.place(host);
        let _waiting = Waiting::new(&self.waiting);
        let (ahead, turn) = match urgency {
            Urgency::Ahead => (Some(GoingAhead::new(&place)), None),
            Urgency::Usual => (None, Some(place.turn.lock().await)),
        };
        loop {
            // Made before the look, so that nothing that changes in between is missed.
            let changed = place.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let looked = self.look(&place, connections, urgency);
            self.has_bound.fetch_or(looked.is_err(), Ordering::Relaxed);
            match looked {
                Ok(leaving) => {
                    drop((ahead, turn));
                    let (terms, place) = (Arc::clone(self), Arc::clone(&place));
                    return Seat { terms, place, leaving, is_inside: false };
                }
                // Being told early, or waking late, only looks again.
                Err(Some(until)) => drop(timeout_at(until, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// Takes a seat, and tells whether the interval waits for its leaving; or when to look again, none: when told.
    fn look(&self, place: &Place, connections: u32, urgency: Urgency) -> Result<bool, Option<Instant>> {
        let mut seats = lock(&place.seats);
        if urgency == Urgency::Usual && self.has_a_rate() && seats.taken >= seats.company {
            self.reconsider(&mut seats);
            return Err(Some(Instant::now() + LOOK_AGAIN));
        }
        seats.take(&lock(&self.limits), connections, urgency)
    }

    fn has_a_rate(&self) -> bool {
        lock(&self.limits).limit_rate != RateLimit::default()
    }

    /// More company while the rate has bytes to spare, less when bodies wait for it.
    fn reconsider(&self, seats: &mut Seats) {
        let company = seats.company;
        let company =
            if self.limiter.is_scarce() { company.saturating_sub(1) } else { company.saturating_add(1) };
        seats.company = company.max(LEAST_COMPANY);
    }

    fn place(&self, host: &str) -> Arc<Place> {
        let mut places = lock(&self.places);
        if places.len() >= REMEMBERED && !places.contains_key(host) {
            let spaced = lock(&self.limits).request_interval.unwrap_or_default();
            // Whoever holds a handle waits there or is in flight.
            places.retain(|_, place| Arc::strong_count(place) > 1 || lock(&place.seats).left_within(spaced));
        }
        Arc::clone(places.entry(host.to_owned()).or_default())
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self { taken: 0, inside: 0, ahead: 0, company: LEAST_COMPANY, leaving: false, last_left: None }
    }
}

impl Seats {
    fn take(
        &mut self,
        limits: &OwnLimits,
        connections: u32,
        urgency: Urgency,
    ) -> Result<bool, Option<Instant>> {
        if urgency == Urgency::Usual && self.ahead > 0 {
            return Err(None);
        }
        let own = limits.connections.filter(|&own| own < connections);
        let most = own.unwrap_or(u32::MAX).min(limits.in_flight.unwrap_or(u32::MAX)).max(1);
        if self.taken >= most {
            return Err(None);
        }
        if let Some(interval) = limits.request_interval {
            if self.leaving {
                return Err(None);
            }
            if self.left_within(interval) {
                return Err(self.last_left.map(|last| last + interval));
            }
            self.leaving = true;
        }
        self.taken += 1;
        Ok(limits.request_interval.is_some())
    }

    fn left_within(&self, interval: Duration) -> bool {
        self.last_left.is_some_and(|last| last.elapsed() < interval)
    }
}

impl Seat {
    /// The request goes to its host now.
    pub(crate) fn left(&mut self, pass: Pass) {
        if pass == Pass::Usual && !std::mem::replace(&mut self.is_inside, true) {
            lock(&self.place.seats).inside += 1;
        }
        if std::mem::take(&mut self.leaving) {
            let interval = lock(&self.terms.limits).request_interval.unwrap_or_default();
            let mut seats = lock(&self.place.seats);
            seats.leaving = false;
            seats.last_left = Some(counted(seats.last_left, interval, Instant::now()));
            drop(seats);
            self.place.changed.notify_waiters();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.place.seats);
        seats.taken = seats.taken.saturating_sub(1);
        seats.inside = seats.inside.saturating_sub(u32::from(self.is_inside));
        seats.leaving &= !self.leaving;
        self.terms.reconsider(&mut seats);
        drop(seats);
        self.place.changed.notify_waiters();
    }
}

/// One that waits; counted until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the others back until it is let in, or gives up.
struct GoingAhead<'a>(&'a Place);

impl<'a> GoingAhead<'a> {
    fn new(place: &'a Place) -> Self {
        lock(&place.seats).ahead += 1;
        Self(place)
    }
}

impl Drop for GoingAhead<'_> {
    fn drop(&mut self) {
        lock(&self.0.seats).ahead -= 1;
        self.0.changed.notify_waiters();
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("limits", &*lock(&self.limits)).finish_non_exhaustive()
    }
}

/// Nothing under these locks can panic half way, so a poisoned one is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    const HOST: &str = "h.example";

    fn terms(connections: Option<u32>, in_flight: Option<u32>) -> Arc<Terms> {
        Arc::new(Terms::new(OwnLimits { connections, in_flight, ..OwnLimits::default() }))
    }

    fn every(interval: Duration) -> Arc<Terms> {
        Arc::new(Terms::new(OwnLimits { request_interval: Some(interval), ..OwnLimits::default() }))
    }

    /// The seat, where there is one at once.
    fn now(seat: impl Future<Output = Seat>) -> Option<Seat> {
        match pin!(seat).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(seat) => Some(seat),
            Poll::Pending => None,
        }
    }

    #[test]
    fn connections_bind_only_below_the_clients_and_requests_in_flight_always() {
        let table = [
            (Some(2), None, 16, Some(2)),
            (Some(2), Some(9), 16, Some(2)),
            (Some(16), None, 16, None),
            (Some(16), Some(3), 16, Some(3)),
            (Some(0), None, 16, Some(1)),
            (None, None, 1, None),
        ];
        for (connections, in_flight, clients, most) in table {
            let terms = terms(connections, in_flight);
            let seat = || now(terms.seat(HOST, clients, Urgency::Usual));
            let seats: Vec<_> = (0..20).map_while(|_| seat()).collect();
            assert_eq!(seats.len(), most.unwrap_or(20), "{connections:?} {in_flight:?} of {clients}");
            assert!(
                now(terms.seat("other.example", clients, Urgency::Usual)).is_some(),
                "each host has its own"
            );
            drop(seats);
            assert!(seat().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_spaced_from_their_leaving_however_long_the_host_keeps_them() {
        let terms = every(Duration::from_millis(250));
        let (begun, mut left) = (Instant::now(), Vec::new());
        for waits_for_the_host in [0, 600, 0, 100, 0] {
            let mut seat = terms.seat(HOST, 16, Urgency::Usual).await;
            sleep(Duration::from_millis(waits_for_the_host)).await;
            seat.left(Pass::Usual);
            left.push(begun.elapsed().as_millis());
        }
        let apart = left.windows(2).map(|pair| pair[1] - pair[0]);
        assert_eq!(apart.collect::<Vec<_>>(), [850, 250, 350, 250]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_ahead_is_next() {
        let terms = terms(None, Some(1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = terms.seat(HOST, 16, Urgency::Usual).await;
        let mut tasks = tokio::task::JoinSet::new();
        for (name, urgency) in [("a", Urgency::Usual), ("b", Urgency::Usual), ("listing", Urgency::Ahead)] {
            let (terms, order) = (Arc::clone(&terms), Arc::clone(&order));
            tasks.spawn(async move {
                let seat = terms.seat(HOST, 16, urgency).await;
                lock(&order).push(name);
                drop(seat);
            });
            tokio::task::yield_now().await;
        }
        drop(first);
        tasks.join_all().await;
        assert_eq!(*lock(&order), ["listing", "a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn new_limits_hold_for_those_that_wait() {
        let terms = terms(None, Some(1));
        let _first = terms.seat(HOST, 16, Urgency::Usual).await;
        let waiting = tokio::spawn({
            let terms = Arc::clone(&terms);
            async move { terms.seat(HOST, 16, Urgency::Usual).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && terms.are_tight());
        terms.set(OwnLimits { in_flight: Some(2), ..OwnLimits::default() });
        waiting.await.unwrap();
        assert!(!terms.are_tight(), "the new ones have bound nobody yet");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_on_its_way_does_not_hold_the_others_up() {
        let terms = every(Duration::from_secs(1));
        let on_its_way = terms.seat(HOST, 16, Urgency::Usual).await;
        assert!(now(terms.seat(HOST, 16, Urgency::Ahead)).is_none());
        drop(on_its_way);
        let mut seat = now(terms.seat(HOST, 16, Urgency::Usual)).expect("none has left yet");
        seat.left(Pass::Usual);
        drop(seat);
        assert!(now(terms.seat(HOST, 16, Urgency::Usual)).is_none(), "one has left");
    }

    #[test]
    fn memory_is_bounded_by_the_hosts_in_use() {
        let terms = terms(None, None);
        let kept = now(terms.seat(HOST, 16, Urgency::Usual));
        for n in 0..3 * REMEMBERED {
            drop(now(terms.seat(&n.to_string(), 16, Urgency::Usual)));
        }
        assert!(lock(&terms.places).len() <= REMEMBERED + 1);
        assert!(kept.is_some() && lock(&terms.places).contains_key(HOST));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_wait_for_their_owners_rate_keep_further_requests_back() {
        let limit_rate = RateLimit::constant(1000);
        let terms = Arc::new(Terms::new(OwnLimits { limit_rate, ..OwnLimits::default() }));
        let seat = || now(terms.seat(HOST, 16, Urgency::Usual));
        let few: Vec<_> = (0..8).map_while(|_| seat()).collect();
        assert_eq!(few.len(), 2, "nobody knows yet how far the rate goes");
        // While it has bytes to spare, there are more.
        for _ in 0..4 {
            drop(terms.seat(HOST, 16, Urgency::Usual).await);
        }
        let more: Vec<_> = (0..20).map_while(|_| seat()).collect();
        assert!(more.len() > 4, "{}", more.len());
        let body = tokio::spawn({
            let terms = Arc::clone(&terms);
            async move {
                for _ in 0..8 {
                    terms.limiter().admit(crate::Share::default(), 500).await;
                }
            }
        });
        sleep(Duration::from_millis(10)).await;
        drop((few, more));
        let few: Vec<_> = (0..20).map_while(|_| seat()).collect();
        assert_eq!(few.len(), 2, "bodies wait for the rate");
        assert!(terms.are_tight());
        assert!(now(terms.seat(HOST, 16, Urgency::Ahead)).is_some(), "a listing is small");
        body.abort();
    }

    proptest! {
        /// Whatever comes and goes, no more than allowed are in, and each who waits is let in once there is room.
        #[test]
        fn never_more_than_allowed(most in 1u32..4, steps in prop::collection::vec(0u8..3, 0..60)) {
            let terms = terms(None, Some(most));
            let mut inside: Vec<Seat> = Vec::new();
            for step in steps {
                if step == 0 && !inside.is_empty() {
                    inside.remove(0);
                } else {
                    let urgency = if step == 1 { Urgency::Usual } else { Urgency::Ahead };
                    let has_room = inside.len() < most as usize;
                    let seat = now(terms.seat(HOST, 16, urgency));
                    prop_assert_eq!(seat.is_some(), has_room);
                    inside.extend(seat);
                }
            }
        }
    }
}
