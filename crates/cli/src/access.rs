//! Getting at the queue: the one place that looks for a living engine and opens the queue where there is none.
//!
//! The queue belongs to one process at a time. A command looks for an engine first and asks that; else it
//! opens the queue itself; a queue that is somebody else's for a moment is waited for, and the engine is looked
//! for each time. What a command does is durable when each call returns, so giving up in between loses nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use skyhaul_control::{Client, ControlError};
use skyhaul_queue::{Queue, QueueError};
use skyhaul_queue_sled::{BootId, SledQueue};
use tokio::time::Instant;

use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;

/// How long a command waits for the queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks, at least; up to twice as long, so that those who wait do not all look at once.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Makes this process believe that the machine was started anew: then what was not synced is not trusted.
const PRETENDED_BOOT: &str = "SKYHAUL_BOOT_ID";

/// A way to the queue.
pub(crate) enum Access {
    /// This process has it.
    Owned(Owned),
    /// An engine has it.
    Engine(Client),
}

/// The queue, opened by this process.
pub(crate) struct Owned(Arc<SledQueue>);

impl Access {
    /// Finds the engine, or opens the queue, waiting for whoever has it for a moment.
    pub(crate) async fn open(context: &Context) -> Result<Self, CliError> {
        let state_dir = &context.settings.state_dir;
        let seeking = seek(
            async || Ok(Client::connect(state_dir).await?),
            async || SledQueue::open(state_dir, boot()).await,
        );
        match context.stop.or(seeking).await? {
            Sought::Engine(client) => Ok(Self::Engine(client)),
            Sought::Opened(opened) => {
                for note in &opened.notes {
                    context.output.note(&format!("note: {note}"));
                }
                Ok(Self::Owned(Owned(Arc::new(opened.queue))))
            }
        }
    }
}

impl Owned {
    /// The queue, for as long as it is needed.
    pub(crate) fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.0) as Arc<dyn Queue>
    }

    /// Closes the queue cleanly, so that the next start is quick.
    pub(crate) async fn close(self) -> Result<(), CliError> {
        Ok(self.0.close().await?)
    }

    /// Does `work` and closes the queue, whatever the work came to.
    pub(crate) async fn and_close<T>(
        self,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        let result = work.await;
        let closed = self.close().await;
        let value = result?;
        closed.map(|()| value)
    }
}

/// Does `work` with whoever has the queue. When that is an engine that goes away in the middle, the work is
/// done again from its beginning, unless part of its answer is out: so it must be fit to be done twice.
pub(crate) async fn with_queue<T>(
    context: &Context,
    work: impl AsyncFn(&Desk) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match Access::open(context).await? {
            Access::Owned(owned) => {
                let desk = Desk::Here(owned.queue());
                return owned.and_close(work(&desk)).await;
            }
            Access::Engine(client) => match work(&Desk::Engine(client.clone())).await {
                Err(_)
                    if Instant::now() < end && !context.output.has_answered() && has_gone(&client).await =>
                {
                    tracing::info!(pid = client.pid(), "the engine went away, beginning anew");
                }
                result => return result,
            },
        }
    }
}

/// The engine that has the queue; none when nobody has it, or for a moment only.
pub(crate) async fn engine(state_dir: &Path) -> Result<Option<Client>, CliError> {
    Ok(Client::connect(state_dir).await?)
}

/// The boot that this process runs in; another one where a test of reboots says so.
pub(crate) fn boot() -> BootId {
    match std::env::var(PRETENDED_BOOT) {
        Ok(name) if !name.is_empty() => BootId::current().pretending(&name),
        _ => BootId::current(),
    }
}

/// Whether an engine that was found has ended since.
pub(crate) async fn has_gone(client: &Client) -> bool {
    matches!(client.engine().await, Err(ControlError::Gone(_)))
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
enum Sought<E, Q> {
    Engine(E),
    Opened(Q),
}

/// Looks for an engine and tries the queue in turn, until one of them is there or patience ends.
async fn seek<E, Q>(
    mut find: impl AsyncFnMut() -> Result<Option<E>, CliError>,
    mut open: impl AsyncFnMut() -> Result<Q, QueueError>,
) -> Result<Sought<E, Q>, CliError> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(engine) = find().await? {
            return Ok(Sought::Engine(engine));
        }
        match open().await {
            Ok(opened) => return Ok(Sought::Opened(opened)),
            Err(QueueError::Locked { .. }) if Instant::now() < end => {
                tokio::time::sleep(LOOK_AGAIN.mul_f64(1.0 + fastrand::f64())).await;
            }
            Err(QueueError::Locked { pid, .. }) => return Err(no_answer(pid)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The queue is somebody's who does not answer.
fn no_answer(pid: Option<u32>) -> CliError {
    let who =
        pid.map_or_else(|| "another skyhaul".to_owned(), |pid| format!("another skyhaul (process {pid})"));
    let message = format!("{who} has the state directory and has not answered for {} s", PATIENCE.as_secs());
    CliError::new(Exit::StateUnusable, message)
        .hint("wait for it to end, stop it, or use another --state-dir")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn locked() -> QueueError {
        QueueError::Locked { path: PathBuf::from("/state"), pid: Some(4) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_comes_free_is_opened() {
        let mut tries = 0;
        let opened = seek(
            async || Ok(None::<()>),
            async || {
                tries += 1;
                if tries < 50 { Err(locked()) } else { Ok(tries) }
            },
        );
        assert_eq!(opened.await.unwrap(), Sought::Opened(50));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_comes_up_meanwhile_is_found() {
        let mut looks = 0;
        let found = seek(
            async || {
                looks += 1;
                Ok((looks == 7).then_some(looks))
            },
            async || Err::<(), _>(locked()),
        );
        assert_eq!(found.await.unwrap(), Sought::Engine(7));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_after_ten_seconds() {
        let begun = Instant::now();
        let sought = seek(async || Ok(None::<()>), async || Err::<(), _>(locked()));
        let error = sought.await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert_eq!(error.exit(), Exit::StateUnusable);
        assert!(error.to_string().contains("process 4"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn other_trouble_is_told_at_once() {
        let begun = Instant::now();
        let too_new = || QueueError::TooNew { path: PathBuf::from("/state"), found: 2, known: 1 };
        assert!(seek(async || Ok(None::<()>), async || Err::<(), _>(too_new())).await.is_err());
        let silent = || CliError::new(Exit::StateUnusable, "it does not answer");
        assert!(seek(async || Err::<Option<()>, _>(silent()), async || Ok(())).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
