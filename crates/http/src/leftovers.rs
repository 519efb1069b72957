//! Bodies that nobody wants any more: an error page, a redirect's text, a file that was paused.
//!
//! A short rest is read to its end, so that its connection can be used again; of a long one the
//! connection is closed. The place at its host is held meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Body;

/// More than this is cheaper to ask for again than to throw away.
const SHORT: u64 = 64 * 1024;

/// Nobody waits longer for what nobody wants.
const PATIENCE: Duration = Duration::from_secs(1);

/// Owns the tasks that see such bodies off; they end with it.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    tasks: Mutex<JoinSet<()>>,
}

impl Leftovers {
    /// Sees `body` off, of which `left` bytes may be to come; tells `ended` if it came to its end.
    pub(crate) fn see_off(
        &self,
        mut body: Body,
        left: Option<u64>,
        ended: impl FnOnce(Ended) + Send + 'static,
    ) {
        // Outside a runtime nothing can be read, and nothing is asked for either.
        let runtime = Handle::try_current().ok().filter(|_| left.is_none_or(|left| left <= SHORT));
        let Some(runtime) = runtime else {
            drop(body);
            return ended(Ended::Closed);
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(
            async move {
                let end = timeout(PATIENCE, read_out(&mut body)).await.unwrap_or(Ended::Closed);
                drop(body);
                ended(end);
            },
            &runtime,
        );
    }
}

/// What became of a body's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It can be used again.
    Proven,
    /// It is being closed.
    Closed,
}

async fn read_out(body: &mut Body) -> Ended {
    let mut read = 0;
    while read <= SHORT {
        match body.chunk().await {
            Ok(Some(piece)) => read += piece.len() as u64,
            Ok(None) => return Ended::Proven,
            Err(_) => break,
        }
    }
    Ended::Closed
}
