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
    /// Sees `body` off, of which `left` bytes may be to come; tells `gone` when it is gone.
    pub(crate) fn see_off(&self, mut body: Body, left: Option<u64>, gone: impl FnOnce() + Send + 'static) {
        // Outside a runtime nothing can be read, and nothing is asked for either.
        let runtime = Handle::try_current().ok().filter(|_| left.is_none_or(|left| left <= SHORT));
        let Some(runtime) = runtime else {
            drop(body);
            return gone();
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(
            async move {
                // Whether it came to its end is its connection's affair.
                let _ = timeout(PATIENCE, read_out(&mut body)).await;
                drop(body);
                gone();
            },
            &runtime,
        );
    }
}

async fn read_out(body: &mut Body) {
    let mut read = 0;
    while read <= SHORT {
        let Ok(Some(piece)) = body.chunk().await else { return };
        read += piece.len() as u64;
    }
}
