//! Asking: one request on its way, given up as soon as we are told to stop.

use http::Method;
use skyhaul_http::{Fetch, Request, Response};
use skyhaul_model::{Backoff, ErrorKind};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::Assignment;
use crate::ask::Ask;
use crate::receive::aborted;
use crate::trouble::{Blow, Trouble};

/// Asks for one file.
pub(crate) struct Asker<'a> {
    fetch: &'a dyn Fetch,
    assignment: &'a Assignment,
    pub(crate) url: Url,
    pub(crate) stop: &'a CancellationToken,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(
        fetch: &'a dyn Fetch,
        assignment: &'a Assignment,
        stop: &'a CancellationToken,
    ) -> Result<Self, Blow> {
        let url = assignment.url.parse().map_err(|error| {
            let message = format!("'{}' is no URL: {error}", assignment.url);
            Blow::new(ErrorKind::Http, message, Backoff::Never)
        })?;
        Ok(Self { fetch, assignment, url, stop })
    }

    /// Makes a request for the file.
    pub(crate) async fn ask(&self, method: Method, ask: &Ask) -> Result<Response, Trouble> {
        self.ask_at(&self.url, method, ask).await
    }

    /// Makes a request for something else of the same site.
    pub(crate) async fn ask_at(&self, url: &Url, method: Method, ask: &Ask) -> Result<Response, Trouble> {
        let request = Request {
            method,
            headers: ask.headers(),
            secret_headers: self.assignment.secret_headers.clone(),
            stall: self.assignment.stall,
            ..Request::get(url.clone())
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Trouble::Stopped),
            answer = self.fetch.fetch(request) => Ok(answer.map_err(|error| Blow::of_fetch(&error))?),
        }
    }

    /// Does blocking work and waits for it. Work that failed because it was told to stop has stopped.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Blow> + Send + 'static,
    ) -> Result<T, Trouble> {
        self.ended(spawn_blocking(work).await.map_err(|_| aborted())?)
    }

    /// As `blocking`, for work that is soon done where the disk is not slow.
    pub(crate) async fn at_hand<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Blow> + Send + 'static,
    ) -> Result<T, Trouble> {
        self.ended(self.assignment.root.hands().run(work).await.ok_or_else(aborted)?)
    }

    fn ended<T>(&self, result: Result<T, Blow>) -> Result<T, Trouble> {
        match result {
            Err(_) if self.stop.is_cancelled() => Err(Trouble::Stopped),
            other => Ok(other?),
        }
    }
}
