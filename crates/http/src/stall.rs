//! Too slow is broken: no head in time, or a body slower than 100 bytes a second while we wait for it.
//!
//! Only time spent waiting for the network counts. What the caller does between two pieces (a full disk,
//! a rate limit) is not the server's fault.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use tokio::time::{Instant, timeout};

use crate::origin::host_name;
use crate::{Body, BodySource, Fetch, FetchError, Request, Response};

/// Slower than this is a stall (the command line's contract).
const SLOWEST_BYTES_PER_SECOND: u64 = 100;

/// A limit of less would break what is merely far away.
const SHORTEST_LIMIT: Duration = Duration::from_secs(1);

/// Holds each request to its stall limit.
#[derive(Debug)]
pub(crate) struct Stalled<F>(F);

impl<F> Stalled<F> {
    pub(crate) fn new(inner: F) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Stalled<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let limit = request.stall.max(SHORTEST_LIMIT);
        let host = host_name(&request.url);
        let Ok(answer) = timeout(limit, self.0.fetch(request)).await else {
            return Err(FetchError::Stall {
                host,
                what: format!("gave no answer for {} s", limit.as_secs()),
            });
        };
        let mut response = answer?;
        response.body = Body::new(StallBody { inner: response.body, meter: Meter::new(limit), host });
        Ok(response)
    }
}

struct StallBody {
    inner: Body,
    meter: Meter,
    host: String,
}

#[async_trait]
impl BodySource for StallBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let begun = Instant::now();
        let Ok(chunk) = timeout(self.meter.left(), self.inner.chunk()).await else {
            let what = format!(
                "sent less than {SLOWEST_BYTES_PER_SECOND} bytes/s for {} s",
                self.meter.limit.as_secs()
            );
            return Err(FetchError::Stall { host: self.host.clone(), what });
        };
        if let Ok(Some(bytes)) = &chunk {
            self.meter.record(begun.elapsed(), bytes.len());
        }
        chunk
    }

    fn take_trailers(&mut self) -> HeaderMap {
        self.inner.take_trailers()
    }
}

/// How long we have waited for how little. Pure.
#[derive(Debug)]
struct Meter {
    limit: Duration,
    waited: Duration,
    bytes: u64,
}

impl Meter {
    fn new(limit: Duration) -> Self {
        Self { limit, waited: Duration::ZERO, bytes: 0 }
    }

    /// How much longer the next piece may take.
    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.waited)
    }

    /// A piece came after `waited`. As soon as the limit's worth of bytes is there, the clock starts anew.
    fn record(&mut self, waited: Duration, bytes: usize) {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.bytes >= SLOWEST_BYTES_PER_SECOND * self.limit.as_secs() {
            *self = Self::new(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode, Version};

    use super::*;

    /// Answers after `head`, then gives a piece of `size` bytes every `gap`, `pieces` times.
    struct Slow {
        head: Duration,
        gap: Duration,
        size: usize,
        pieces: u32,
    }

    #[async_trait]
    impl Fetch for Slow {
        async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
            tokio::time::sleep(self.head).await;
            let body = SlowBody { gap: self.gap, size: self.size, left: self.pieces };
            Ok(Response {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                url: request.url,
                version: Version::HTTP_11,
                body: Body::new(body),
            })
        }
    }

    struct SlowBody {
        gap: Duration,
        size: usize,
        left: u32,
    }

    #[async_trait]
    impl BodySource for SlowBody {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            tokio::time::sleep(self.gap).await;
            let piece = (self.left > 0).then(|| Bytes::from(vec![0; self.size]));
            self.left = self.left.saturating_sub(1);
            Ok(piece)
        }
    }

    fn request() -> Request {
        Request { stall: Duration::from_secs(60), ..Request::get("http://h.example/".parse().unwrap()) }
    }

    async fn read(slow: Slow, pause: Duration) -> (Result<usize, FetchError>, Duration) {
        let begun = Instant::now();
        let outcome = async {
            let mut body = Stalled::new(slow).fetch(request()).await?.body;
            let mut total = 0;
            while let Some(piece) = body.chunk().await? {
                total += piece.len();
                tokio::time::sleep(pause).await;
            }
            Ok(total)
        };
        (outcome.await, begun.elapsed())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn no_head_in_time_is_a_stall() {
        let slow = Slow { head: SECOND * 61, gap: SECOND, size: 1, pieces: 1 };
        let (outcome, took) = read(slow, Duration::ZERO).await;
        assert_eq!(outcome.unwrap_err().to_string(), "h.example gave no answer for 60 s");
        assert_eq!(took.as_secs(), 60);
        let slow = Slow { head: SECOND * 59, gap: SECOND, size: 1, pieces: 1 };
        assert_eq!(read(slow, Duration::ZERO).await.0.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_within_the_body_is_a_stall() {
        let slow = Slow { head: SECOND, gap: SECOND * 60 + SECOND / 10, size: 1 << 20, pieces: 9 };
        let (outcome, took) = read(slow, Duration::ZERO).await;
        assert!(matches!(outcome, Err(FetchError::Stall { .. })), "{outcome:?}");
        assert_eq!(took.as_secs(), 61);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_stalls_just_below_100_bytes_a_second_and_not_above() {
        let below = Slow { head: SECOND, gap: SECOND, size: 99, pieces: 600 };
        let (outcome, took) = read(below, Duration::ZERO).await;
        assert!(matches!(outcome, Err(FetchError::Stall { .. })), "{outcome:?}");
        assert_eq!(took.as_secs(), 61);
        let above = Slow { head: SECOND, gap: SECOND, size: 101, pieces: 600 };
        assert_eq!(read(above, Duration::ZERO).await.0.unwrap(), 60_600);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_the_reader_takes_does_not_count() {
        let slow = Slow { head: SECOND, gap: SECOND, size: 50, pieces: 30 };
        assert_eq!(read(slow, SECOND * 300).await.0.unwrap(), 1500);
    }
}
