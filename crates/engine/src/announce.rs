//! Telling a URL that a job has come to its end: one POST of JSON, tried a few times.
//!
//! What is told is fit to leave the machine: counts and names of datasets, but no folder, no address of a file, no
//! header and no command. A crash between a job's end and the answer loses the telling; a receiver whose
//! answer was lost is told twice, and can know that by `id` and `finished_at`.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use skyhaul_http::{Fetch, Request};
use skyhaul_model::{Backoff, Decision, ErrorKind, JobRecord, RetryPolicy, Source};
use url::Url;

/// How often a URL is tried in all.
const TRIES: u32 = 5;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a receiver is told. `docs/operations.md` shows one, and a test holds the two together.
#[derive(Debug, Serialize)]
struct Announcement<'a> {
    event: &'static str,
    id: u64,
    name: Option<&'a str>,
    state: &'static str,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    datasets: &'a [String],
    windows: Counts,
    files: Counts,
    bytes: Bytes,
    error: Option<ErrorKind>,
}

#[derive(Debug, Serialize)]
struct Counts {
    total: u64,
    done: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
struct Bytes {
    done: u64,
    received: u64,
}

/// Tells `url` of a job's end. Failures are told in the log, with the host alone: the rest of such a URL is often a secret.
pub(crate) async fn announce(fetch: &dyn Fetch, job: &JobRecord, url: &str) {
    let (id, Ok(url)) = (job.id.0, Url::parse(url)) else {
        tracing::warn!(job = job.id.0, "the URL of --on-complete-url makes no sense");
        return;
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let Some(request) = request(job, url) else { return };
    let mut failures = 0;
    loop {
        let why = match tokio::time::timeout(PATIENCE, fetch.fetch(request.clone())).await {
            Ok(Ok(answer)) if answer.status.is_success() => {
                tracing::info!(job = id, host, "told the URL of --on-complete-url");
                return;
            }
            Ok(Ok(answer)) if !may_pass(answer.status) => {
                tracing::warn!(
                    job = id,
                    host,
                    status = answer.status.as_u16(),
                    "the URL of --on-complete-url refused"
                );
                return;
            }
            Ok(Ok(answer)) => answer.status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        failures += 1;
        let now = Timestamp::now();
        let policy = RetryPolicy { retries: TRIES - 1 };
        let Decision::Retry { at } = policy.decide(Backoff::Transient, failures, now, fastrand::f64()) else {
            tracing::warn!(job = id, host, why, "gave the URL of --on-complete-url up");
            return;
        };
        tracing::debug!(job = id, host, why, "the URL of --on-complete-url is tried again");
        tokio::time::sleep(Duration::try_from(at.duration_since(now)).unwrap_or_default()).await;
    }
}

fn request(job: &JobRecord, url: Url) -> Option<Request> {
    // Plain numbers and texts can always be written.
    let body = serde_json::to_vec(&Announcement::of(job)).ok()?;
    let mut request = Request::get(url);
    request.method = Method::POST;
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = Some(body.into());
    Some(request)
}

/// Whether the same request may fare better a little later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

impl<'a> Announcement<'a> {
    fn of(job: &'a JobRecord) -> Self {
        let datasets = match &job.query.source {
            Source::Archive { datasets, .. } => datasets.as_slice(),
            Source::Urls { .. } | Source::Manifest { .. } => &[],
        };
        let (windows, files, bytes) = (job.windows, job.files, job.bytes);
        Self {
            event: "job_ended",
            id: job.id.0,
            name: job.name.as_deref(),
            state: job.state().as_str(),
            created_at: job.created_at,
            finished_at: job.finished_at,
            datasets,
            windows: Counts { total: windows.total, done: windows.listed, failed: windows.failed },
            files: Counts { total: files.total, done: files.done, failed: files.failed },
            bytes: Bytes { done: bytes.done, received: bytes.received },
            error: job.error().map(|error| error.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use bytes::Bytes;
    use skyhaul_http::{Body, BodySource, FetchError, Response};
    use skyhaul_model::{ByteCounts, FileCounts, FileError, Interval, JobPolicy, Plan, Query, WindowCounts};
    use skyhaul_queue::{JobQueue, MemoryQueue, NewJob};
    use tokio::time::Instant;

    use super::*;

    /// Gives these answers in turn, and remembers what it was asked.
    #[derive(Default)]
    struct Receiver {
        answers: Mutex<VecDeque<StatusCode>>,
        asked: Mutex<Vec<Request>>,
    }

    struct Empty;

    #[async_trait]
    impl BodySource for Empty {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            Ok(None)
        }
    }

    #[async_trait]
    impl Fetch for Receiver {
        async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
            let url = request.url.clone();
            self.asked.lock().unwrap().push(request);
            let Some(status) = self.answers.lock().unwrap().pop_front() else {
                return std::future::pending().await;
            };
            let (headers, version) = (http::HeaderMap::new(), http::Version::HTTP_11);
            Ok(Response { status, headers, url, version, body: Body::new(Empty) })
        }
    }

    fn receiver(answers: &[u16]) -> Receiver {
        let answers = answers.iter().map(|&status| StatusCode::from_u16(status).unwrap()).collect();
        Receiver { answers: Mutex::new(answers), ..Receiver::default() }
    }

    async fn ended() -> JobRecord {
        let at = |text: &str| text.parse().unwrap();
        let interval =
            Interval { start: at("2022-01-01T06:00:00Z"), end: at("2022-01-01T06:59:59Z"), site: None };
        let source =
            Source::archive("https://api.example", &["THEMIS_ASI_RAW".into()], vec![interval], &[], &[]);
        let query = Query { source, out: "/home/someone/secret-project".into() };
        let policy = JobPolicy { on_complete: Some("mail me".into()), ..JobPolicy::default() };
        let (headers, input, name) = (Vec::new(), None, Some("night".to_owned()));
        let queue = MemoryQueue::new();
        let new = NewJob { query, policy, name, priority: 0, headers, input };
        let id = queue.create_job(new, at("2026-11-22T21:00:00Z")).await.unwrap().id;
        let mut job = queue.job(id).await.unwrap().unwrap();
        job.plan = Plan::Planned;
        job.finished_at = Some(at("2026-11-22T21:05:00Z"));
        job.windows = WindowCounts { total: 2, listed: 1, failed: 1 };
        job.files = FileCounts { total: 60, pending: 0, active: 0, done: 59, failed: 1 };
        job.bytes = ByteCounts { total: None, done: 126_000_000, received: 126_100_000, adopted: 0 };
        job.window_error =
            Some(FileError::new(ErrorKind::Timeout, "https://api.example/secret gave no answer"));
        job
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_with_the_same_body() {
        let receiver = receiver(&[503, 429, 408, 200]);
        announce(&receiver, &ended().await, "https://hooks.example/x").await;
        let asked = receiver.asked.lock().unwrap();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|request| request.method == Method::POST && request.body == asked[0].body));
        assert_eq!(asked[0].headers[CONTENT_TYPE], "application/json");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_whatever_the_receiver_does() {
        for (answers, tries) in [(vec![404], 1), (vec![301], 1), (vec![500; 9], 5), (vec![], 5)] {
            let receiver = receiver(&answers);
            let begun = Instant::now();
            announce(&receiver, &ended().await, "https://hooks.example/x").await;
            assert_eq!(receiver.asked.lock().unwrap().len(), tries, "{answers:?}");
            assert!(begun.elapsed() <= PATIENCE * TRIES + Duration::from_secs(8), "{answers:?}");
        }
        let nobody = receiver(&[]);
        announce(&nobody, &ended().await, "no url").await;
        assert!(nobody.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_body_is_the_one_in_the_page_and_keeps_private_things_private() {
        let job = ended().await;
        let told = serde_json::to_value(Announcement::of(&job)).unwrap();
        let page = include_str!("../../../docs/operations.md");
        let example = page.split("```json on-complete-url\n").nth(1).unwrap().split("```").next().unwrap();
        assert_eq!(told, serde_json::from_str::<serde_json::Value>(example).unwrap());
        let text = told.to_string();
        for private in ["secret", "someone", "mail", "https:"] {
            assert!(!text.contains(private), "{private} is told");
        }
    }
}
