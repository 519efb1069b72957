//! The engine's snapshots as they come.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use skyhaul_engine::Progress;
use tokio::time::timeout;

use super::call::{Driver, alongside, parse};
use super::sse::{Event, Parser};
use crate::error::{ControlError, Result, in_one_line};
use crate::wire::ProgressBody;

/// The longest silence; a living engine says something every 15 s.
const SILENCE: Duration = Duration::from_secs(30);

/// Snapshots of a running engine.
pub struct Events {
    body: Incoming,
    driver: Driver,
    parser: Parser,
    pid: u32,
}

impl Events {
    pub(super) fn new(body: Incoming, driver: Driver, pid: u32) -> Self {
        Self { body, driver, parser: Parser::default(), pid }
    }

    /// The next snapshot; none when the engine ends in good order. A call that is given up loses nothing.
    ///
    /// # Errors
    /// [`ControlError::Silent`] after 30 s without a word, [`ControlError::Gone`] when the connection breaks,
    /// [`ControlError::Garbled`] when a snapshot is not understood.
    pub async fn next(&mut self) -> Result<Option<Progress>> {
        loop {
            while let Some(Event { name, data }) = self.parser.next() {
                if name == "progress" {
                    return parse::<ProgressBody>(data.as_bytes()).map(|body| Some(body.into()));
                }
            }
            let frame = timeout(SILENCE, alongside(&mut self.driver, self.body.frame())).await;
            let silent = ControlError::Silent { pid: self.pid, seconds: SILENCE.as_secs() };
            match frame.map_err(|_| silent)? {
                Some(Ok(frame)) => self.parser.feed(frame.data_ref().map_or(&[][..], |data| data))?,
                Some(Err(error)) => return Err(ControlError::Gone(in_one_line(&error))),
                None => return Ok(None),
            }
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("pid", &self.pid).finish_non_exhaustive()
    }
}
