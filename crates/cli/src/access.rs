//! Getting at the queue: the one place that opens it, and where a living engine will be looked for.
//!
//! The queue belongs to one process at a time. A command that finds it taken looks again until its
//! patience ends; what it does with the queue is durable when each call returns, so giving up in between
//! loses nothing.

use std::sync::Arc;
use std::time::Duration;

use skyhaul_queue::{Queue, QueueError};
use skyhaul_queue_sled::{BootId, SledQueue};
use tokio::time::Instant;

use crate::context::Context;
use crate::error::CliError;

/// How long a command waits for the queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a command may have the queue without being taken for an engine.
const MOMENT: Duration = Duration::from_millis(500);

/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The queue, opened by this process.
pub(crate) struct Access {
    queue: Arc<SledQueue>,
}

impl Access {
    /// Opens the queue, waiting for whoever has it.
    pub(crate) async fn open(context: &Context) -> Result<Self, CliError> {
        let state_dir = &context.settings.state_dir;
        let opening = patiently(PATIENCE, async || SledQueue::open(state_dir, BootId::current()).await);
        let opened = context.stop.or(async { Ok(opening.await?) }).await?;
        for note in &opened.notes {
            context.output.note(&format!("note: {note}"));
        }
        Ok(Self { queue: Arc::new(opened.queue) })
    }

    /// The queue, for as long as it is needed.
    pub(crate) fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue) as Arc<dyn Queue>
    }

    /// Closes the queue cleanly, so that the next start is quick.
    pub(crate) async fn close(self) -> Result<(), CliError> {
        Ok(self.queue.close().await?)
    }
}

/// Opens the queue, does `work` with it and closes it again, whatever the work came to.
pub(crate) async fn with_queue<T>(
    context: &Context,
    work: impl AsyncFnOnce(Arc<dyn Queue>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let access = Access::open(context).await?;
    let result = work(access.queue()).await;
    let closed = access.close().await;
    let value = result?;
    closed.map(|()| value)
}

/// A process that has the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its id, where it told.
    pub(crate) pid: Option<u32>,
}

/// Who has the queue: an engine at work in the foreground of some terminal. Whoever can open the queue
/// knows that nobody has it; commands that have it for a moment only are waited for.
pub(crate) async fn holder(context: &Context) -> Result<Option<Holder>, CliError> {
    let state_dir = &context.settings.state_dir;
    if !state_dir.exists() {
        return Ok(None);
    }
    match patiently(MOMENT, async || SledQueue::open(state_dir, BootId::current()).await).await {
        Err(QueueError::Locked { pid, .. }) => Ok(Some(Holder { pid })),
        opened => {
            opened?.queue.close().await?;
            Ok(None)
        }
    }
}

/// Tries until the queue is free, or until patience ends. A living engine that holds it is to be asked
/// instead, each time round, once engines can be asked.
async fn patiently<T>(
    patience: Duration,
    mut open: impl AsyncFnMut() -> Result<T, QueueError>,
) -> Result<T, QueueError> {
    let end = Instant::now() + patience;
    loop {
        match open().await {
            Err(QueueError::Locked { .. }) if Instant::now() < end => tokio::time::sleep(LOOK_AGAIN).await,
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::exit::Exit;

    use super::*;

    fn locked() -> QueueError {
        QueueError::Locked { path: PathBuf::from("/state"), pid: Some(4) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_comes_free_is_opened() {
        let mut tries = 0;
        let opened = patiently(PATIENCE, async || {
            tries += 1;
            if tries < 50 { Err(locked()) } else { Ok(tries) }
        });
        assert_eq!(opened.await.unwrap(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_after_ten_seconds() {
        let begun = Instant::now();
        let error = patiently(PATIENCE, async || Err::<(), _>(locked())).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert_eq!(CliError::from(error).exit(), Exit::StateUnusable);
    }

    #[tokio::test(start_paused = true)]
    async fn other_trouble_is_told_at_once() {
        let begun = Instant::now();
        let too_new = || QueueError::TooNew { path: PathBuf::from("/state"), found: 2, known: 1 };
        assert!(patiently(PATIENCE, async || Err::<(), _>(too_new())).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
