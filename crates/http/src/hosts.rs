//! The per-host gate, asynchronous half: who waits, in which order, and who is let in next.
//!
//! Promises: at most the configured requests in flight per host, a place being held until the body ends
//! or is dropped; requests evenly spaced where that is asked for; a host that asked to be left alone, or
//! that is away, is left alone. Waiting is in order of arrival, and giving up a wait costs nothing.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{HttpSetupError, Limits};
use crate::gate::{Entry, HostGate, Outcome, Pass, Refusal, Room, Shut};
use crate::leftovers::{Ended, Leftovers};
use crate::origin::host_name;
use crate::pace::Pace;
use crate::retry_after::retry_after;
use crate::{Body, BodySource, Fetch, FetchError, Request, Response};

/// A host as status displays show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// `host` or `host:port`.
    pub host: String,
    /// Requests in flight, bodies being read included.
    pub in_flight: u32,
    /// Set while no request may go.
    pub closed: Option<Closed>,
}

/// Until when and why a host is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When it is asked again.
    pub until: Timestamp,
    /// Why.
    pub reason: ClosedReason,
}

/// Why a host is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// It asked for it (429 or 503 with `Retry-After`).
    RetryAfter,
    /// It had answered and now refuses connections.
    Away,
}

/// Hosts remembered before idle ones are forgotten: a list of URLs may name millions.
const REMEMBERED: usize = 1024;

/// What a connection's own task needs to close it, by a wide margin.
const CLOSING: Duration = Duration::from_millis(10);

/// What it needs to be offered for the next request after a body's end, likewise.
const IDLING: Duration = Duration::from_millis(2);

/// Every host's gate.
#[derive(Debug)]
pub(crate) struct Hosts {
    origin: Instant,
    outage: Duration,
    state: Mutex<State>,
    leftovers: Arc<Leftovers>,
}

#[derive(Debug)]
struct State {
    room: Room,
    interval: Option<Duration>,
    hosts: HashMap<String, Arc<Host>>,
}

#[derive(Debug)]
struct Host {
    origin: Instant,
    door: Mutex<Door>,
    /// Held by whoever is next; the others queue for it in order.
    turn: tokio::sync::Mutex<()>,
    /// Told whenever the one who is next should ask again.
    changed: Notify,
}

#[derive(Debug)]
struct Door {
    gate: HostGate,
    pace: Option<Pace>,
}

/// Sends each request through its host's gate.
#[derive(Debug)]
pub(crate) struct Gated<F> {
    inner: F,
    hosts: Arc<Hosts>,
}

impl<F> Gated<F> {
    pub(crate) fn new(inner: F, hosts: Arc<Hosts>) -> Self {
        Self { inner, hosts }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Gated<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let mut permit = self.hosts.host(&host_name(&request.url)).enter().await;
        match self.inner.fetch(request).await {
            Ok(mut response) => {
                permit.answered(&response);
                let left = response.headers.get(CONTENT_LENGTH);
                let left = left.and_then(|length| length.to_str().ok()?.parse().ok());
                let leftovers = Arc::clone(&self.hosts.leftovers);
                response.body =
                    Body::new(GatedBody { inner: Some((response.body, permit)), left, leftovers });
                Ok(response)
            }
            Err(error) => Err(permit.failed(error)),
        }
    }
}

/// A body that gives its place back at its end, or when it has been seen off.
struct GatedBody {
    inner: Option<(Body, Permit)>,
    /// What is to come, where the head told; an upper bound.
    left: Option<u64>,
    leftovers: Arc<Leftovers>,
}

#[async_trait]
impl BodySource for GatedBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some((body, _)) = &mut self.inner else { return Ok(None) };
        let chunk = body.chunk().await;
        match &chunk {
            Ok(Some(piece)) => self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64)),
            Ok(None) => {
                if let Some((_, permit)) = self.inner.take() {
                    permit.give_back(Ended::Proven);
                }
            }
            // Kept, so that a failed body stays failed; its place is given back when it is dropped.
            Err(_) => {}
        }
        chunk
    }
}

impl Drop for GatedBody {
    fn drop(&mut self) {
        if let Some((body, permit)) = self.inner.take() {
            self.leftovers.see_off(body, self.left, move |ended| permit.give_back(ended));
        }
    }
}

impl Hosts {
    pub(crate) fn new(limits: &Limits, outage: Duration) -> Result<Self, HttpSetupError> {
        let state = State { room: room(limits), interval: limits.request_interval()?, hosts: HashMap::new() };
        Ok(Self { origin: Instant::now(), outage, state: Mutex::new(state), leftovers: Arc::default() })
    }

    /// Changes the limits of every host, those in flight drain.
    pub(crate) fn set_limits(&self, limits: &Limits) -> Result<(), HttpSetupError> {
        let interval = limits.request_interval()?;
        let mut state = lock(&self.state);
        let repace = state.interval != interval;
        (state.room, state.interval) = (room(limits), interval);
        for host in state.hosts.values() {
            let mut door = lock(&host.door);
            door.gate.set_room(state.room);
            if repace {
                door.pace = interval.map(spaced);
            }
            host.changed.notify_one();
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
        let mut all: Vec<HostStatus> = state
            .hosts
            .iter()
            .map(|(name, host)| {
                let door = lock(&host.door);
                let closed = door.gate.closed(now).map(|(until, shut)| closed(until - now, shut, wall_now));
                HostStatus { host: name.clone(), in_flight: door.gate.in_flight(), closed }
            })
            .collect();
        all.sort_unstable_by(|a, b| a.host.cmp(&b.host));
        all
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut state = lock(&self.state);
        if let Some(host) = state.hosts.get(name) {
            return Arc::clone(host);
        }
        if state.hosts.len() >= REMEMBERED {
            let now = self.origin.elapsed();
            // Whoever holds a handle is about to enter or is inside.
            state.hosts.retain(|_, host| Arc::strong_count(host) > 1 || !lock(&host.door).gate.is_idle(now));
        }
        let door = Door { gate: HostGate::new(state.room, self.outage), pace: state.interval.map(spaced) };
        let host = Arc::new(Host {
            origin: self.origin,
            door: Mutex::new(door),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        });
        state.hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }
}

impl Host {
    /// Waits for its turn and for the gate; gives the place inside.
    async fn enter(self: Arc<Self>) -> Permit {
        let turn = self.turn.lock().await;
        let pass = loop {
            let until = match self.try_enter() {
                Ok(pass) => break pass,
                Err(until) => until,
            };
            match until {
                Some(until) => {
                    // Being told early, or waking late, only asks again.
                    let _ = tokio::time::timeout_at(self.origin + until, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        };
        drop(turn);
        Permit { host: self, pass, rest: CLOSING }
    }

    /// Enters, or tells when to ask again.
    fn try_enter(&self) -> Result<Pass, Option<Duration>> {
        let now = self.origin.elapsed();
        let mut door = lock(&self.door);
        let pass = match door.gate.ask(now) {
            Entry::Go => Pass::Usual,
            Entry::Probe => Pass::Probe,
            Entry::Wait { until } => return Err(until),
        };
        if let Some(wait) = door.pace.as_ref().and_then(|pace| pace.take(NonZeroU32::MIN).err()) {
            return Err(Some(now + wait));
        }
        door.gate.enter(pass);
        Ok(pass)
    }
}

/// A place inside a host's gate.
#[derive(Debug)]
struct Permit {
    host: Arc<Host>,
    pass: Pass,
    /// How long the place is left empty when it is given back.
    rest: Duration,
}

impl Permit {
    fn answered(&mut self, response: &Response) {
        let asks = matches!(response.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let quiet = asks.then(|| retry_after(&response.headers, Timestamp::now())).flatten();
        if let Some(wait) = quiet {
            tracing::info!(host = %host_name(&response.url), ?wait, "asked to be left alone");
        }
        self.report(Outcome::Answered { version: response.version, quiet });
    }

    fn failed(&mut self, error: FetchError) -> FetchError {
        match error {
            FetchError::Connect { host, source, .. } => {
                self.rest = Duration::ZERO;
                let answered_before = self.report(Outcome::Refused) == Refusal::Away;
                FetchError::Connect { host, answered_before, source }
            }
            FetchError::Stall { .. } => {
                self.report(Outcome::Silent);
                error
            }
            // Says nothing about the host: it was not asked.
            FetchError::Request { .. } => error,
            _ => {
                self.report(Outcome::Reached);
                error
            }
        }
    }

    fn give_back(mut self, ended: Ended) {
        if ended == Ended::Proven {
            self.rest = IDLING;
        }
    }

    fn report(&mut self, outcome: Outcome) -> Refusal {
        let now = self.host.origin.elapsed();
        let refusal = lock(&self.host.door).gate.report(&mut self.pass, outcome, now);
        self.host.changed.notify_one();
        refusal
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.host.origin.elapsed();
        lock(&self.host.door).gate.leave(self.pass, now, self.rest);
        self.host.changed.notify_one();
    }
}

fn room(limits: &Limits) -> Room {
    Room { connections: limits.connections, in_flight: limits.in_flight }
}

fn spaced(interval: Duration) -> Pace {
    Pace::new(interval, NonZeroU32::MIN)
}

fn closed(wait: Duration, shut: Shut, wall_now: Timestamp) -> Closed {
    let reason = match shut {
        Shut::Asked => ClosedReason::RetryAfter,
        Shut::Away => ClosedReason::Away,
    };
    Closed { until: wall_now.checked_add(wait).unwrap_or(Timestamp::MAX), reason }
}

/// Nothing under these locks can panic half way, so a poisoned one is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;
    use http::{HeaderMap, Version};
    use tokio::task::JoinSet;

    use super::*;
    use crate::HttpConfig;

    /// Answers by script: one step a request, the last one for ever. Keeps when it was asked.
    #[derive(Default)]
    struct Script {
        steps: Mutex<Vec<Step>>,
        asked: Mutex<Vec<Duration>>,
        inside: Mutex<(u32, u32)>,
    }

    #[derive(Clone, Copy)]
    enum Step {
        Answer(u16, Option<&'static str>),
        Refuse,
    }

    struct Piece(Option<Bytes>);

    #[async_trait]
    impl BodySource for Piece {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            Ok(self.0.take())
        }
    }

    #[derive(Clone)]
    struct Scripted(Arc<Script>, Instant);

    #[async_trait]
    impl Fetch for Scripted {
        async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
            self.0.asked.lock().unwrap().push(self.1.elapsed());
            {
                let mut inside = self.0.inside.lock().unwrap();
                inside.0 += 1;
                inside.1 = inside.1.max(inside.0);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.0.inside.lock().unwrap().0 -= 1;
            let step = {
                let mut steps = self.0.steps.lock().unwrap();
                if steps.len() > 1 { steps.remove(0) } else { steps[0] }
            };
            let host = host_name(&request.url);
            let Step::Answer(status, retry) = step else {
                return Err(FetchError::Connect { host, answered_before: false, source: "refused".into() });
            };
            let mut headers = HeaderMap::new();
            if let Some(retry) = retry {
                headers.insert(RETRY_AFTER, retry.parse().unwrap());
            }
            Ok(Response {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
                url: request.url,
                version: Version::HTTP_11,
                body: Body::new(Piece(Some(Bytes::from_static(b"x")))),
            })
        }
    }

    struct Rig {
        fetch: Arc<Gated<Scripted>>,
        hosts: Arc<Hosts>,
        script: Arc<Script>,
    }

    fn rig(config: &HttpConfig, steps: &[Step]) -> Rig {
        let hosts = Arc::new(Hosts::new(&config.limits(), config.outage).unwrap());
        let script = Arc::new(Script { steps: Mutex::new(steps.to_vec()), ..Script::default() });
        let inner = Scripted(Arc::clone(&script), Instant::now());
        Rig { fetch: Arc::new(Gated::new(inner, Arc::clone(&hosts))), hosts, script }
    }

    fn request(url: &str) -> Request {
        Request::get(url.parse().unwrap())
    }

    async fn whole(fetch: &Gated<Scripted>) -> Result<u16, FetchError> {
        let mut response = fetch.fetch(request("http://h.example/")).await?;
        while response.body.chunk().await?.is_some() {}
        Ok(response.status.as_u16())
    }

    /// So many at once; gives what became of each.
    async fn crowd(rig: &Rig, count: usize) -> Vec<Result<u16, FetchError>> {
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let fetch = Arc::clone(&rig.fetch);
            tasks.spawn(async move { whole(&fetch).await });
        }
        tasks.join_all().await
    }

    fn asked_ms(rig: &Rig) -> Vec<u128> {
        rig.script.asked.lock().unwrap().iter().map(Duration::as_millis).collect()
    }

    const OK: Step = Step::Answer(200, None);

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_connections_are_in_flight_and_all_get_through() {
        let rig = rig(&HttpConfig { connections: 3, ..HttpConfig::default() }, &[OK]);
        assert!(crowd(&rig, 50).await.iter().all(Result::is_ok));
        assert_eq!(rig.script.inside.lock().unwrap().1, 3);
        assert_eq!(rig.hosts.status(Timestamp::UNIX_EPOCH)[0].in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_until_the_body_ends_or_is_dropped() {
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &[OK]);
        let mut first = rig.fetch.fetch(request("http://h.example/")).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(99), whole(&rig.fetch)).await;
        assert!(waiting.is_err(), "the place is taken");
        while first.body.chunk().await.unwrap().is_some() {}
        whole(&rig.fetch).await.unwrap();
        let unread = rig.fetch.fetch(request("http://h.example/")).await.unwrap();
        // Another host is another gate.
        rig.fetch.fetch(request("http://other.example/")).await.unwrap();
        drop(unread);
        whole(&rig.fetch).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn more_room_lets_those_in_that_wait() {
        let config = HttpConfig { connections: 1, ..HttpConfig::default() };
        let rig = rig(&config, &[OK]);
        let held = rig.fetch.fetch(request("http://h.example/")).await.unwrap();
        let more = Limits { connections: 2, ..config.limits() };
        let (second, ()) = tokio::join!(whole(&rig.fetch), async { rig.hosts.set_limits(&more).unwrap() });
        assert_eq!(second.unwrap(), 200);
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_evenly_spaced_without_a_burst() {
        let config = HttpConfig { requests_per_second: Some(4.0), ..HttpConfig::default() };
        let rig = rig(&config, &[OK]);
        crowd(&rig, 5).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        crowd(&rig, 3).await;
        let asked = asked_ms(&rig);
        let gaps: Vec<u128> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|&gap| gap >= 250), "{gaps:?}");
        assert!(asked[4] < 1_020, "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_everybody_and_its_answer_is_given() {
        let steps = [Step::Answer(429, Some("30")), OK];
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &steps);
        let outcomes = crowd(&rig, 4).await;
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(429))).count(), 1);
        let asked = asked_ms(&rig);
        assert!(asked[1] >= 30_000 && asked[3] < 30_100, "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_status_tells_who_is_closed_and_why() {
        let rig = rig(&HttpConfig::default(), &[Step::Answer(503, Some("30")), OK]);
        whole(&rig.fetch).await.unwrap();
        let until = Timestamp::from_second(30).unwrap();
        let closed = Some(Closed { until, reason: ClosedReason::RetryAfter });
        let expected = HostStatus { host: "h.example".to_owned(), in_flight: 0, closed };
        assert_eq!(rig.hosts.status(Timestamp::UNIX_EPOCH), [expected]);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_on_other_statuses_asks_nothing() {
        let rig = rig(&HttpConfig::default(), &[Step::Answer(404, Some("30")), OK]);
        whole(&rig.fetch).await.unwrap();
        assert_eq!(rig.hosts.status(Timestamp::UNIX_EPOCH)[0].closed, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_went_away_is_probed_by_one_at_a_time() {
        let steps = [OK, Step::Refuse, Step::Refuse, Step::Refuse, OK];
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &steps);
        whole(&rig.fetch).await.unwrap();
        let outcomes = crowd(&rig, 6).await;
        let away = outcomes.iter().filter(|outcome| outcome.as_ref().is_err_and(FetchError::is_outage));
        assert_eq!(away.count(), 3);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
        let asked = asked_ms(&rig);
        let gaps: Vec<u128> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[1] >= 1_000 && gaps[2] >= 2_000 && gaps[3] >= 4_000, "{gaps:?}");
        assert!(gaps[4] < 100 && gaps[5] < 100, "{gaps:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_stays_away_costs_attempts_in_the_end() {
        let config = HttpConfig { outage: Duration::from_secs(10), ..HttpConfig::default() };
        let rig = rig(&config, &[OK, Step::Refuse]);
        whole(&rig.fetch).await.unwrap();
        let outcomes = crowd(&rig, 200).await;
        let count =
            |outage| outcomes.iter().filter(|o| o.as_ref().is_err_and(|e| e.is_outage() == outage)).count();
        assert!(count(true) >= 3 && count(false) > 100, "{} {}", count(true), count(false));
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_a_wait_lets_the_next_one_go() {
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &[OK]);
        let held = rig.fetch.fetch(request("http://h.example/")).await.unwrap();
        let impatient = tokio::time::timeout(Duration::from_secs(1), whole(&rig.fetch));
        let patient = whole(&rig.fetch);
        let release = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(held);
        };
        let (gone, served, ()) = tokio::join!(impatient, patient, release);
        assert!(gone.is_err());
        assert_eq!(served.unwrap(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_hosts_are_forgotten_when_there_are_too_many() {
        let rig = rig(&HttpConfig::default(), &[OK]);
        for number in 0..REMEMBERED + 10 {
            rig.fetch.fetch(request(&format!("http://h{number}.example/"))).await.unwrap();
        }
        assert!(rig.hosts.status(Timestamp::UNIX_EPOCH).len() <= REMEMBERED);
    }
}
