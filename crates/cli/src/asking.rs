//! Asking the archive on behalf of a person who waits: three tries within ten seconds, then no more.
//!
//! Work in the queue is patient; a command that only asks is not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skyhaul_archive::{Archive, ArchiveError};
use skyhaul_http::{Fetch, FetchError, Request, Response};
use skyhaul_model::Backoff;
use skyhaul_planner::PlanError;
use tokio::time::{Instant, sleep, timeout};

use crate::args::TransferArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::policy::client;

/// How often a question is asked.
const TRIES: u32 = 3;

/// How long all tries together may take, and how long an answer's head may be waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wait before the second try; doubled before the third.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// An archive that is asked without patience. Blocking: reads certificates.
pub(crate) fn archive(api: &str, transfer: &TransferArgs) -> Result<Archive, CliError> {
    let fetch = Hasty(Arc::new(client(transfer)?));
    Archive::new(Arc::new(fetch), api).map_err(|error| CliError::from_error(Exit::Usage, &error))
}

/// A failed question's way to say whether asking again may help.
pub(crate) trait Passing {
    /// Whether it may pass.
    fn may_pass(&self) -> bool;
}

impl Passing for ArchiveError {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }
}

impl Passing for PlanError {
    fn may_pass(&self) -> bool {
        self.backoff != Backoff::Never
    }
}

/// Asks up to three times, as long as ten seconds have not gone by since the first.
pub(crate) async fn ask<T, E, F>(mut question: impl FnMut() -> F) -> Result<T, E>
where
    E: Passing,
    F: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match question().await {
            Err(error) if error.may_pass() && begun.elapsed() + wait < PATIENCE => {
                sleep(wait).await;
                wait *= 2;
            }
            result => return result,
        }
    }
    question().await
}

/// The error that a command ends with when the archive did not answer, or refused.
pub(crate) fn unanswered<E: Passing + std::error::Error + 'static>(error: &E, api: &str) -> CliError {
    let told = CliError::from_error(Exit::Unlisted, error);
    if error.may_pass() {
        told.hint(format!("is {} the archive, and can it be reached?", human::url(api)))
    } else {
        told
    }
}

/// Waits for an answer's head only as long as a person would, whatever the host's gate says. A body
/// that flows may take its time.
struct Hasty<F>(F);

#[async_trait]
impl<F: Fetch> Fetch for Hasty<F> {
    async fn fetch(&self, mut request: Request) -> Result<Response, FetchError> {
        request.stall = request.stall.min(PATIENCE);
        let host = request.url.host_str().unwrap_or_default().to_owned();
        match timeout(PATIENCE, self.0.fetch(request)).await {
            Ok(result) => result,
            Err(_) => {
                Err(FetchError::Stall { host, what: format!("gave no answer for {} s", PATIENCE.as_secs()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Trouble(bool);

    impl Passing for Trouble {
        fn may_pass(&self) -> bool {
            self.0
        }
    }

    async fn tries(trouble: bool, each: Duration) -> (u32, Duration) {
        let (begun, mut tries) = (Instant::now(), 0);
        let result = ask(|| {
            tries += 1;
            async move {
                sleep(each).await;
                Err::<(), _>(Trouble(trouble))
            }
        });
        assert_eq!(result.await, Err(Trouble(trouble)));
        (tries, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn passing_trouble_is_tried_three_times_within_ten_seconds() {
        let (count, took) = tries(true, Duration::from_millis(100)).await;
        assert_eq!((count, took.as_millis()), (3, 1_800));
        assert_eq!(tries(true, Duration::from_secs(9)).await.0, 2);
        assert_eq!(tries(true, Duration::from_secs(10)).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_believed() {
        assert_eq!(tries(false, Duration::ZERO).await, (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_host_is_given_up_after_ten_seconds() {
        struct Silent;
        #[async_trait]
        impl Fetch for Silent {
            async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
                std::future::pending().await
            }
        }
        let begun = Instant::now();
        let request = Request::get("http://h.example/x".parse().unwrap());
        let error = Hasty(Silent).fetch(request).await.unwrap_err();
        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(error.to_string(), "h.example gave no answer for 10 s");
    }
}
