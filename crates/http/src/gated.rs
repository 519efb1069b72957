//! Sends each request through its host's gate, and gives its place back when its body has ended.
//!
//! A place is held until the body ends, or is dropped and has been seen off.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use crate::controller::End;
use crate::gate::{Outcome, Refusal};
use crate::hosts::{Admission, Host, Hosts};
use crate::leftovers::Leftovers;
use crate::origin::host_name;
use crate::retry_after::retry_after;
use crate::terms::Seat;
use crate::{Body, BodySource, Fetch, FetchError, Request, Response, Treatment};

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
    async fn fetch(&self, mut request: Request) -> Result<Response, FetchError> {
        let name = host_name(&request.url);
        let host = self.hosts.host(&name);
        let Treatment { urgency, terms, .. } = &request.treatment;
        let (mut seat, mut outage) = (None, None);
        if let Some(terms) = terms {
            if terms.has_heard_from(&name) {
                self.hosts.mark_answered(&name);
            }
            seat = Some(terms.seat(&name, host.connections(), *urgency).await);
            outage = terms.outage();
        }
        let admission = host.enter(*urgency, outage).await;
        if let Some(seat) = &mut seat {
            seat.left(admission.pass);
        }
        request.treatment.speech = admission.speech;
        let mut permit = Permit { host, admission, end: End::Usual, outage, _seat: seat };
        match self.inner.fetch(request).await {
            Ok(mut response) => {
                permit.answered(&response);
                let left = response.headers.get(CONTENT_LENGTH);
                let left = left.and_then(|length| length.to_str().ok()?.parse().ok());
                let leftovers = Arc::clone(&self.hosts.leftovers);
                let inner = Some((response.body, permit));
                let trailers = HeaderMap::new();
                response.body = Body::new(GatedBody { inner, left, leftovers, trailers });
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
    /// What came behind the content, and outlives the place.
    trailers: HeaderMap,
}

#[async_trait]
impl BodySource for GatedBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some((body, permit)) = &mut self.inner else { return Ok(None) };
        let chunk = body.chunk().await;
        match &chunk {
            Ok(Some(piece)) => self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64)),
            Ok(None) => {
                self.trailers = body.take_trailers();
                self.inner = None;
            }
            // Kept, so that a failed body stays failed; its place is given back when it is dropped.
            Err(_) => permit.end = End::Broken,
        }
        chunk
    }

    fn take_trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }
}

impl Drop for GatedBody {
    fn drop(&mut self) {
        if let Some((body, permit)) = self.inner.take() {
            self.leftovers.see_off(body, self.left, move || drop(permit));
        }
    }
}

/// A place inside a host's gate.
#[derive(Debug)]
struct Permit {
    host: Arc<Host>,
    admission: Admission,
    end: End,
    /// How long the owner of the request bears with a host that is away, where it says so.
    outage: Option<Duration>,
    /// Its place among the owner's own.
    _seat: Option<Seat>,
}

impl Permit {
    fn answered(&mut self, response: &Response) {
        let mark = self.admission.mark;
        match response.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                self.host.steer(|controller, at| controller.pushed_back(at, mark));
            }
            status => {
                let version = response.version;
                self.host.steer(|controller, at| controller.answered(at, mark, version));
                if status.is_server_error() {
                    self.end = End::Broken;
                }
            }
        }
        let quiet = asked_quiet(response);
        self.report(Outcome::Answered { version: response.version, quiet });
    }

    fn report(&mut self, outcome: Outcome) -> Refusal {
        self.host.report(&mut self.admission.pass, outcome, self.outage)
    }

    fn failed(&mut self, error: FetchError) -> FetchError {
        match error {
            FetchError::Connect { host, source, .. } => {
                let refusal = self.report(Outcome::Refused);
                let answered_before = refusal == Refusal::Away;
                if answered_before {
                    let mark = self.admission.mark;
                    self.host.steer(|controller, at| controller.pushed_back(at, mark));
                }
                FetchError::Connect { host, answered_before, source }
            }
            // Says nothing about the host: it was not asked.
            FetchError::Request { .. } => error,
            _ => {
                self.end = End::Broken;
                let silent = matches!(error, FetchError::Stall { .. });
                let outcome = if silent { Outcome::Silent } else { Outcome::Reached };
                self.report(outcome);
                error
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.host.leave(&self.admission, self.end);
    }
}

/// How long the host asks to be left alone.
fn asked_quiet(response: &Response) -> Option<Duration> {
    let asks = matches!(response.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let quiet = asks.then(|| retry_after(&response.headers, Timestamp::now())).flatten();
    if let Some(wait) = quiet {
        tracing::info!(host = %host_name(&response.url), ?wait, "asked to be left alone");
    }
    quiet
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::header::RETRY_AFTER;
    use http::{HeaderMap, Version};
    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;
    use crate::counters::Tally;
    use crate::{Closed, ClosedReason, HttpConfig, Limits, OwnLimits, Standing, Terms, Urgency};

    /// More hosts than are remembered.
    const MANY: usize = 1100;

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
        let hosts =
            Arc::new(Hosts::new(&config.limits(), config.outage, Arc::new(Tally::default())).unwrap());
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
        let status = &rig.hosts.status(Timestamp::UNIX_EPOCH)[..];
        let [status] = status else { panic!("{status:?}") };
        assert_eq!(
            status.closed,
            Some(Closed { since: Timestamp::UNIX_EPOCH, until, reason: ClosedReason::RetryAfter })
        );
        assert_eq!((status.host.as_str(), status.in_flight), ("h.example", 0));
        whole(&rig.fetch).await.unwrap();
        let waits = rig.hosts.status(Timestamp::UNIX_EPOCH)[0].waits;
        assert_eq!(
            (waits.retry_after.as_secs(), waits.room, waits.away),
            (30, Duration::ZERO, Duration::ZERO)
        );
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
    async fn who_gives_up_while_a_host_is_away_has_waited_for_it() {
        let config = HttpConfig { outage: Duration::from_secs(10), ..HttpConfig::default() };
        let rig = rig(&config, &[OK, Step::Refuse]);
        whole(&rig.fetch).await.unwrap();
        while whole(&rig.fetch).await.is_err_and(|error| error.is_outage()) {}
        let waits = rig.hosts.status(Timestamp::UNIX_EPOCH)[0].waits;
        assert!((9..12).contains(&waits.away.as_secs()), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn short_patience_with_a_host_that_is_away_does_not_wait_behind_a_long_one() {
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &[OK, Step::Refuse]);
        whole(&rig.fetch).await.unwrap();
        let begun = Instant::now();
        let bears_with = |outage| {
            let terms = Terms::new(OwnLimits { outage: Some(outage), ..OwnLimits::default() });
            let treatment = Treatment::default().under(Arc::new(terms));
            Request { treatment, ..request("http://h.example/") }
        };
        let mut patient = JoinSet::new();
        for _ in 0..20 {
            let (fetch, request) = (Arc::clone(&rig.fetch), bears_with(Duration::MAX));
            patient.spawn(async move { fetch.fetch(request).await.is_ok() });
            tokio::task::yield_now().await;
        }
        let error = rig.fetch.fetch(bears_with(Duration::from_secs(10))).await.err().unwrap();
        assert!(!error.is_outage(), "{error}");
        let waited = begun.elapsed();
        assert!((10..12).contains(&waited.as_secs()), "{waited:?}");
        let probed = std::iter::from_fn(|| patient.try_join_next()).count();
        assert!(probed < 5, "{probed} of the others did not wait on");
    }

    /// Since and until when a host keeps an owner out, in whole seconds after `begun`, and why.
    fn kept_out(rig: &Rig, terms: &Terms, begun: Instant) -> Result<(i64, i64, ClosedReason), Standing> {
        let now = Timestamp::UNIX_EPOCH.checked_add(begun.elapsed()).unwrap();
        match terms.standing(|host| rig.hosts.closed(host, terms.outage(), now)) {
            Standing::KeptOut { closed: Closed { since, until, reason }, .. } => {
                Ok((since.as_second(), until.as_second(), reason))
            }
            other => Err(other),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_all_of_whose_requests_wait_for_a_closed_host_is_kept_out() {
        let steps = [Step::Answer(503, Some("30")), OK, OK, Step::Refuse, Step::Refuse, OK];
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &steps);
        let (begun, terms) = (Instant::now(), Arc::new(Terms::new(OwnLimits::default())));
        let begin = |url: &str| {
            let treatment = Treatment::default().under(Arc::clone(&terms));
            let (fetch, request) = (Arc::clone(&rig.fetch), Request { treatment, ..request(url) });
            tokio::spawn(async move { fetch.fetch(request).await })
        };
        let kept_out_after = async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            kept_out(&rig, &terms, begun)
        };
        assert_eq!(kept_out_after(0).await, Err(Standing::Idle));
        drop(begin("http://h.example/1").await);
        let waiting = begin("http://h.example/2");
        assert_eq!(kept_out_after(10).await, Ok((0, 30, ClosedReason::RetryAfter)));
        let body = begin("http://other.example/").await.unwrap();
        assert_eq!(kept_out_after(0).await, Err(Standing::UnderWay), "another host goes on");
        drop(body);
        drop(waiting.await);
        // What is left of a body is seen off first.
        assert_eq!(kept_out_after(1).await, Err(Standing::Idle));
        let refused = begin("http://h.example/3").await.unwrap();
        assert!(refused.is_err_and(|error| error.is_outage()));
        let waiting = [begin("http://h.example/4"), begin("http://h.example/5")];
        assert_eq!(kept_out_after(2).await, Ok((31, 34, ClosedReason::Away)));
        terms.set(OwnLimits { outage: Some(Duration::ZERO), ..OwnLimits::default() });
        assert_eq!(kept_out_after(0).await, Err(Standing::UnderWay), "it bears with no outage any more");
        drop(waiting);
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
        for number in 0..MANY {
            rig.fetch.fetch(request(&format!("http://h{number}.example/"))).await.unwrap();
        }
        assert!(rig.hosts.status(Timestamp::UNIX_EPOCH).len() < MANY);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_ahead_does_not_queue_behind_the_others() {
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &[OK]);
        let mut tasks = JoinSet::new();
        let begun = Instant::now();
        for urgency in [Urgency::Usual; 20].into_iter().chain([Urgency::Ahead; 2]) {
            let fetch = Arc::clone(&rig.fetch);
            let treatment = Treatment { urgency, ..Treatment::default() };
            tasks.spawn(async move {
                let request = Request { treatment, ..request("http://h.example/") };
                let mut body = fetch.fetch(request).await.unwrap().body;
                while body.chunk().await.unwrap().is_some() {}
                (urgency, begun.elapsed())
            });
            // Each is in line before the next one comes.
            tokio::task::yield_now().await;
        }
        let ends = tasks.join_all().await;
        let last = ends.iter().filter(|end| end.0 == Urgency::Ahead).map(|end| end.1).max().unwrap();
        assert!(last < Duration::from_millis(50), "{last:?}");
        assert!(ends.iter().any(|end| end.1 > Duration::from_millis(200)), "all were served");
    }

    #[tokio::test(start_paused = true)]
    async fn going_ahead_and_giving_up_holds_nobody_back() {
        let rig = rig(&HttpConfig { connections: 1, ..HttpConfig::default() }, &[OK]);
        let held = rig.fetch.fetch(request("http://h.example/")).await.unwrap();
        let treatment = Treatment { urgency: Urgency::Ahead, ..Treatment::default() };
        let ahead = rig.fetch.fetch(Request { treatment, ..request("http://h.example/") });
        assert!(tokio::time::timeout(Duration::from_secs(1), ahead).await.is_err());
        drop(held);
        assert_eq!(whole(&rig.fetch).await.unwrap(), 200);
    }
}
