//! The byte rate: one limiter for all bodies that share it, changeable while they are being read.
//!
//! Promises: over any stretch no more bytes are handed on than the rate allows plus a tenth of a second's
//! worth; owners of waiting bodies get them by their weights, and an owner's bodies take turns. A body that is not read on is not received on either:
//! the connection's own flow control slows the server down.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Zoned;
use jiff::civil::Time;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::pace::Pace;
use crate::turns::Turns;
use crate::{Body, BodySource, Fetch, FetchError, RateLimit, Request, Response, Share, Terms};

/// Hands on the bodies of another's answers no faster than its limiter allows.
#[derive(Debug)]
pub struct Limited<F> {
    inner: F,
    limiter: Arc<ByteLimiter>,
}

impl<F> Limited<F> {
    /// Limits the bodies that `inner` gives; several may share one limiter.
    #[must_use]
    pub fn new(inner: F, limiter: Arc<ByteLimiter>) -> Self {
        Self { inner, limiter }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Limited<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let (share, terms) = (request.treatment.share, request.treatment.terms.clone());
        let mut response = self.inner.fetch(request).await?;
        let limiter = Arc::clone(&self.limiter);
        let (inner, received) = (response.body, Bytes::new());
        response.body = Body::new(LimitedBody { inner, received, limiter, share, terms, granted: 0 });
        Ok(response)
    }
}

struct LimitedBody {
    inner: Body,
    /// Received and not yet handed on.
    received: Bytes,
    limiter: Arc<ByteLimiter>,
    share: Share,
    terms: Option<Arc<Terms>>,
    /// Bytes that the owner's own rate has let go and the shared one not yet.
    granted: usize,
}

#[async_trait]
impl BodySource for LimitedBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        while self.received.is_empty() {
            match self.inner.chunk().await? {
                Some(piece) => self.received = piece,
                None => return Ok(None),
            }
        }
        if self.granted == 0 {
            self.granted = match &self.terms {
                Some(terms) => terms.limiter().admit(self.share, self.received.len()).await,
                None => self.received.len(),
            };
        }
        let wanted = self.granted.min(self.received.len());
        let allowed = self.limiter.admit(self.share, wanted).await;
        self.granted -= allowed;
        Ok(Some(self.received.split_to(allowed)))
    }

    fn take_trailers(&mut self) -> HeaderMap {
        self.inner.take_trailers()
    }
}

/// Lets bytes through at a rate that may change with the time of day.
pub struct ByteLimiter {
    wall_clock: fn() -> Time,
    setting: Mutex<Setting>,
    line: Arc<Mutex<Line>>,
    waited: AtomicU64,
}

/// Those that wait for bytes. One at a time has the turn, and waits for the bucket.
#[derive(Default)]
struct Line {
    turns: Turns<oneshot::Sender<Turn>>,
    taken: bool,
    /// Bytes that were taken from the bucket and not used yet.
    paid: u64,
}

/// The turn. Passes on when it is dropped, also with a wait that is given up.
struct Turn {
    /// None when it was passed on.
    line: Option<Arc<Mutex<Line>>>,
}

struct Setting {
    limit: RateLimit,
    bucket: Option<Arc<Bucket>>,
    /// When a timetable is looked at again.
    look_again: Option<Instant>,
}

/// How often a timetable is looked at, and how soon a change of limits is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl ByteLimiter {
    /// A limiter on the local wall clock.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, || Zoned::now().time())
    }

    /// Changes the limit; bodies in flight notice within a second.
    pub fn set(&self, limit: RateLimit) {
        let fresh = Setting::new(limit, self.wall_clock, None);
        *lock(&self.setting) = fresh;
    }

    fn with_clock(limit: RateLimit, wall_clock: fn() -> Time) -> Self {
        let setting = Mutex::new(Setting::new(limit, wall_clock, None));
        Self { wall_clock, setting, line: Arc::default(), waited: AtomicU64::new(0) }
    }

    /// For how long bodies that were next have waited for the rate.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.load(Ordering::Relaxed))
    }

    /// Whether bodies wait for the rate at this moment.
    pub(crate) fn is_scarce(&self) -> bool {
        lock(&self.line).taken
    }

    /// Waits until at least one and at most `wanted` bytes may go; gives how many.
    pub(crate) async fn admit(&self, share: Share, wanted: usize) -> usize {
        if self.bucket().is_none() {
            return wanted;
        }
        let mut turn = self.turn(share).await;
        loop {
            let Some(bucket) = self.bucket() else { return wanted };
            if let Some(used) = turn.use_paid(share, wanted) {
                return used;
            }
            let (cells, bytes) = bucket.cells_for(wanted);
            match bucket.pace.take(cells) {
                Ok(()) => turn.pay(bytes),
                Err(wait) => {
                    let begun = Instant::now();
                    tokio::time::sleep(wait.min(LOOK_EVERY)).await;
                    let waited = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.waited.fetch_add(waited, Ordering::Relaxed);
                    // Now that there are bytes, they go to whoever has had the least.
                    turn = self.next_turn(turn, share).await;
                }
            }
        }
    }

    /// Waits for the turn.
    async fn turn(&self, share: Share) -> Turn {
        let (give, coming) = oneshot::channel();
        {
            let mut line = lock(&self.line);
            if !line.taken {
                line.taken = true;
                return Turn::new(&self.line);
            }
            line.turns.wait(share, give);
        }
        self.given(coming).await
    }

    /// Offers the turn to the others, and waits on if one of them takes it.
    async fn next_turn(&self, turn: Turn, share: Share) -> Turn {
        let (give, coming) = oneshot::channel();
        lock(&self.line).turns.wait_on(share, give);
        drop(turn);
        self.given(coming).await
    }

    async fn given(&self, coming: oneshot::Receiver<Turn>) -> Turn {
        // The giver is only ever dropped with the line, which we hold.
        coming.await.unwrap_or_else(|_| Turn::new(&self.line))
    }

    /// What holds now; none: no limit.
    fn bucket(&self) -> Option<Arc<Bucket>> {
        let mut setting = lock(&self.setting);
        if setting.look_again.is_some_and(|at| at <= Instant::now()) {
            let (limit, old) = (setting.limit.clone(), setting.bucket.take());
            *setting = Setting::new(limit, self.wall_clock, old);
        }
        setting.bucket.clone()
    }
}

impl Turn {
    fn new(line: &Arc<Mutex<Line>>) -> Self {
        Self { line: Some(Arc::clone(line)) }
    }

    /// Uses what was paid for, as far as it goes.
    fn use_paid(&self, share: Share, wanted: usize) -> Option<usize> {
        let mut line = lock(self.line.as_ref()?);
        let used = usize::try_from(line.paid).unwrap_or(usize::MAX).min(wanted);
        line.paid -= used as u64;
        line.turns.charge(share, used as u64);
        (used > 0).then_some(used)
    }

    fn pay(&self, bytes: u64) {
        if let Some(line) = &self.line {
            lock(line).paid = bytes;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        while let Some(line) = self.line.take() {
            let next = {
                let mut line = lock(&line);
                let next = line.turns.next();
                line.taken = next.is_some();
                next
            };
            // One that gave up waiting gives the turn back.
            let refused = next.and_then(|next| next.send(Self { line: Some(line) }).err());
            self.line = refused.and_then(|mut turn| turn.line.take());
        }
    }
}

impl fmt::Debug for ByteLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteLimiter")
    }
}

impl Setting {
    /// The limit as it is at this time of day; `old` goes on where its rate still holds.
    fn new(limit: RateLimit, wall_clock: fn() -> Time, old: Option<Arc<Bucket>>) -> Self {
        // The system's zone is looked up by reading a hundred folders, which a constant rate need not wait for.
        let rate = limit.at(if limit.changes() { wall_clock() } else { Time::midnight() });
        let look_again = limit.changes().then(|| Instant::now() + LOOK_EVERY);
        let bucket = match old {
            Some(old) if rate == Some(old.rate) => Some(old),
            _ => rate.map(|rate| Arc::new(Bucket::new(rate))),
        };
        Self { limit, bucket, look_again }
    }
}

/// A rate in cells: small enough that rounding is lost, large enough that a cell's time is many nanoseconds.
struct Bucket {
    rate: u64,
    cell_bytes: u64,
    burst_cells: NonZeroU32,
    pace: Pace,
}

impl Bucket {
    fn new(rate: u64) -> Self {
        // A cell is worth about ten microseconds, the burst a tenth of a second.
        let rate = rate.max(1);
        let cell_bytes = rate.div_ceil(100_000);
        let interval = Duration::from_secs_f64(cell_bytes as f64 / rate as f64);
        let burst = u32::try_from(rate / cell_bytes / 10).unwrap_or(u32::MAX);
        let burst_cells = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Self { rate, cell_bytes, burst_cells, pace: Pace::new(interval, burst_cells) }
    }

    /// How many cells to take for `wanted` bytes, at most half a burst of them, and what they are worth.
    fn cells_for(&self, wanted: usize) -> (NonZeroU32, u64) {
        let most = (self.burst_cells.get() / 2).max(1);
        let cells = (wanted as u64).div_ceil(self.cell_bytes).clamp(1, u64::from(most));
        let cells = u32::try_from(cells).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        (cells, u64::from(cells.get()) * self.cell_bytes)
    }
}

/// Nothing under these locks can panic half way, so a poisoned one is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI8;

    use super::*;
    use crate::OwnLimits;

    /// Gives pieces of one size for ever.
    struct Endless(usize);

    #[async_trait]
    impl BodySource for Endless {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            Ok(Some(Bytes::from(vec![0; self.0])))
        }
    }

    fn body(limiter: &Arc<ByteLimiter>, piece: usize) -> LimitedBody {
        let limiter = Arc::clone(limiter);
        let (inner, share) = (Body::new(Endless(piece)), Share::default());
        LimitedBody { inner, received: Bytes::new(), limiter, share, terms: None, granted: 0 }
    }

    /// Bytes that come through `readers` bodies in `time`.
    async fn received(limiter: &Arc<ByteLimiter>, piece: usize, readers: usize, time: Duration) -> u64 {
        let end = Instant::now() + time;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..readers {
            let mut body = body(limiter, piece);
            tasks.spawn(async move {
                let mut total = 0;
                while let Ok(piece) = tokio::time::timeout_at(end, body.chunk()).await {
                    total += piece.unwrap().unwrap().len() as u64;
                }
                total
            });
        }
        tasks.join_all().await.into_iter().sum()
    }

    fn limiter(rate: u64) -> Arc<ByteLimiter> {
        Arc::new(ByteLimiter::new(RateLimit::constant(rate)))
    }

    #[tokio::test(start_paused = true)]
    async fn an_owners_own_rate_and_the_shared_one_both_hold() {
        for (own, shared, expected) in [(100_000, 1_000_000, 100_000), (1_000_000, 100_000, 100_000)] {
            let limit_rate = RateLimit::constant(own);
            let terms = Arc::new(Terms::new(OwnLimits { limit_rate, ..OwnLimits::default() }));
            let shared = limiter(shared);
            let mut tasks = tokio::task::JoinSet::new();
            let end = Instant::now() + Duration::from_secs(10);
            for _ in 0..3 {
                let mut body = LimitedBody { terms: Some(Arc::clone(&terms)), ..body(&shared, 16_384) };
                tasks.spawn(async move {
                    let mut total = 0;
                    while let Ok(piece) = tokio::time::timeout_at(end, body.chunk()).await {
                        total += piece.unwrap().unwrap().len() as u64;
                    }
                    total
                });
            }
            let total: u64 = tasks.join_all().await.into_iter().sum();
            let ratio = total as f64 / (expected * 10) as f64;
            assert!((0.97..=1.03).contains(&ratio), "{own}: {total}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_within_three_percent_over_four_orders_of_magnitude() {
        for rate in [1_000, 100_000, 123_457, 3_333_333, 100_000_000] {
            for (piece, readers) in [(16_384, 1), (1_500, 7), (400_000, 16)] {
                let total = received(&limiter(rate), piece, readers, Duration::from_secs(10)).await;
                let ratio = total as f64 / (rate as f64 * 10.0);
                assert!((0.97..=1.03).contains(&ratio), "{rate} {piece} {readers}: {ratio}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn saved_up_time_is_a_burst_of_a_fifth_of_a_second_at_most() {
        let limiter = limiter(1_000_000);
        received(&limiter, 1_000, 1, Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        let total = received(&limiter, 1_000, 4, Duration::from_millis(1)).await;
        assert!(total <= 200_000, "{total}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_hands_pieces_on_as_they_come() {
        let limiter = Arc::new(ByteLimiter::new(RateLimit::off()));
        let mut body = body(&limiter, 1 << 20);
        assert_eq!(body.chunk().await.unwrap().unwrap().len(), 1 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_limit_reaches_a_body_that_waits() {
        let limiter = limiter(1);
        let mut slow = body(&limiter, 1_000);
        slow.chunk().await.unwrap();
        let changed = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            limiter.set(RateLimit::off());
        };
        let begun = Instant::now();
        let (piece, ()) = tokio::join!(slow.chunk(), changed);
        assert_eq!(piece.unwrap().unwrap().len(), 999);
        assert!(begun.elapsed() <= LOOK_EVERY, "{:?}", begun.elapsed());
    }

    static HOUR: AtomicI8 = AtomicI8::new(7);

    #[tokio::test(start_paused = true)]
    async fn a_timetable_changes_the_rate_while_bodies_are_read() {
        let timetable = RateLimit::parse("08:00,100k 18:00,10k").unwrap();
        let clock = || Time::constant(HOUR.load(Ordering::Relaxed), 30, 0, 0);
        let limiter = Arc::new(ByteLimiter::with_clock(timetable, clock));
        for (hour, rate) in [(7, 10_000.0), (8, 100_000.0), (18, 10_000.0)] {
            HOUR.store(hour, Ordering::Relaxed);
            tokio::time::sleep(LOOK_EVERY * 2).await;
            let total = received(&limiter, 4_096, 2, Duration::from_secs(20)).await as f64 / 20.0;
            assert!((0.97..=1.03).contains(&(total / rate)), "{hour}: {total}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_the_rate_evenly() {
        let limiter = limiter(1_000_000);
        let end = Instant::now() + Duration::from_secs(5);
        let mut shares = Vec::new();
        let mut tasks = tokio::task::JoinSet::new();
        for piece in [50_000, 50_000, 50_000] {
            let mut body = body(&limiter, piece);
            tasks.spawn(async move {
                let mut total = 0u64;
                while let Ok(piece) = tokio::time::timeout_at(end, body.chunk()).await {
                    total += piece.unwrap().unwrap().len() as u64;
                }
                total
            });
        }
        shares.extend(tasks.join_all().await);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(*least * 10 > *most * 9, "{shares:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn owners_get_bytes_by_their_priority_however_many_bodies_they_have() {
        let limiter = limiter(1_000_000);
        let end = Instant::now() + Duration::from_secs(20);
        let mut tasks = tokio::task::JoinSet::new();
        for (owner, priority, bodies) in [(1, 20, 1), (2, 0, 12)] {
            for _ in 0..bodies {
                let share = Share::by_priority(owner, priority);
                let mut body = LimitedBody { share, ..body(&limiter, 30_000) };
                tasks.spawn(async move {
                    let mut total = 0.0;
                    while let Ok(piece) = tokio::time::timeout_at(end, body.chunk()).await {
                        total += piece.unwrap().unwrap().len() as f64;
                    }
                    (owner, total)
                });
            }
        }
        let all = tasks.join_all().await;
        let of = |who| all.iter().filter(|body| body.0 == who).map(|body| body.1).sum::<f64>();
        assert!((1.9..2.1).contains(&(of(1) / of(2))), "{} {}", of(1), of(2));
        assert!(limiter.waited() > Duration::from_secs(18), "{:?}", limiter.waited());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_passes_the_turn_on() {
        let limiter = limiter(1_000);
        let mut tasks = tokio::task::JoinSet::new();
        for patience in [50, 60, 70, 10_000] {
            let mut body = body(&limiter, 500);
            let patience = Duration::from_millis(patience);
            tasks.spawn(async move {
                let read = async {
                    for _ in 0..20 {
                        body.chunk().await.unwrap();
                    }
                };
                tokio::time::timeout(patience, read).await.is_ok()
            });
        }
        let done = tasks.join_all().await.into_iter().filter(|&done| done).count();
        assert_eq!(done, 1);
    }
}
