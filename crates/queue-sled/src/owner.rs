//! The one thread that owns the queue, and how commands get to it and answers back.
//!
//! Commands wait in a bounded channel. The thread carries out those that are waiting and those that come
//! meanwhile, up to a bound, makes all of it durable at once, and only then answers: one sync serves a whole group. A panic
//! within ends the queue, not the process; its callers are told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use skyhaul_queue::{QueueError, Result, Revision};
use tokio::sync::{mpsc, oneshot, watch};

use crate::boot::BootId;
use crate::index::{IndexState, write_state};
use crate::keeper::Keeper;
use crate::records::Records;
use crate::recover;
use crate::state_dir::index_state;
use crate::watch::{Watch, Watchdog};

/// Commands that may wait; who comes later waits for a place.
const INBOX: usize = 256;

/// Commands that are made durable together, at most.
const GROUP: usize = 256;

/// How often to look whether a thread that is waited for is stuck.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What everybody is told once the queue is closed.
pub(crate) const CLOSED: &str = "it has been closed";

/// Gives an answer, once it is known whether everything before it is durable.
type Answer = Box<dyn FnOnce(&Durable) + Send>;

/// Whether a group is durable; if not, why not.
type Durable = std::result::Result<(), String>;

/// What a command does to the queue.
type Work = Box<dyn FnOnce(&mut Keeper) -> Answer + Send>;

enum Command {
    Run(Work),
    Close(oneshot::Sender<Result<()>>),
}

/// What is known once the queue is open.
pub(crate) struct Start {
    pub(crate) notes: Vec<String>,
    pub(crate) revisions: watch::Receiver<Revision>,
    pub(crate) incoming: PathBuf,
    pub(crate) records: Arc<Records>,
}

/// The thread, and what hangs up when it has ended.
type Thread = (JoinHandle<()>, Receiver<()>);

/// The way to the thread; joined when dropped, unless it is stuck.
pub(crate) struct Owner {
    inbox: Option<mpsc::Sender<Command>>,
    thread: Mutex<Option<Thread>>,
    watchdog: Watchdog,
    root: PathBuf,
}

impl Owner {
    /// Starts the thread, which opens the queue.
    pub(crate) async fn start(root: PathBuf, boot: BootId, patience: Duration) -> Result<(Self, Start)> {
        let (inbox, commands) = mpsc::channel(INBOX);
        let (started, start) = oneshot::channel();
        let (watch, path) = (Watch::new(), root.clone());
        let (ends, ended) = sync_channel(0);
        let watchdog = Watchdog::start(watch.clone(), patience, &root, {
            let (root, boot) = (root.clone(), boot.clone());
            move || doubt_index(&root, &boot)
        })?;
        let spawned = std::thread::Builder::new()
            .name("skyhaul-queue".to_owned())
            .spawn(move || run(&path, boot, &watch, started, commands, ends));
        let failed =
            |source| QueueError::Io { action: "cannot start a thread for", path: root.clone(), source };
        let thread = Mutex::new(Some((spawned.map_err(failed)?, ended)));
        let owner = Self { inbox: Some(inbox), thread, watchdog, root };
        let start = owner.unless_stuck(async { start.await.unwrap_or_else(|_| Err(gone())) }).await?;
        Ok((owner, start))
    }

    /// Has the thread carry out a command; the answer comes when what it did is durable.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Keeper) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let run = move |keeper: &mut Keeper| -> Answer {
            let outcome = keeper.check_running().and_then(|()| command(keeper));
            outcome.as_ref().err().into_iter().for_each(|error| keeper.notice(error));
            Box::new(move |durable| {
                let told = match durable {
                    Ok(()) => outcome,
                    Err(why) => outcome.and(Err(QueueError::Stopped(why.clone()))),
                };
                // Who asked may have gone away since.
                let _ = reply.send(told);
            })
        };
        let asked = async {
            self.send(Command::Run(Box::new(run))).await?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        };
        self.unless_stuck(asked).await
    }

    /// Ends the thread cleanly; fine if it has ended.
    pub(crate) async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.send(Command::Close(reply)).await.is_err() {
            return Ok(());
        }
        self.unless_stuck(async { answer.await.unwrap_or(Ok(())) }).await
    }

    /// The answer, or that there will be none.
    async fn unless_stuck<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            answer = answer => answer,
            () = self.watchdog.stuck() => Err(self.stuck()),
        }
    }

    /// Refuses everything once the thread is stuck.
    pub(crate) fn check_moving(&self) -> Result<()> {
        if self.watchdog.is_stuck() { Err(self.stuck()) } else { Ok(()) }
    }

    fn stuck(&self) -> QueueError {
        QueueError::Stopped(format!(
            "its index below {} does not answer any more; run the command again, the index is then rebuilt",
            self.root.display()
        ))
    }

    async fn send(&self, command: Command) -> Result<()> {
        let inbox = self.inbox.as_ref().ok_or_else(gone)?;
        inbox.send(command).await.map_err(|_| gone())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Without a sender the thread comes to its end by itself, after what was sent already.
        self.inbox = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some((thread, ended)) = thread else { return };
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK_AGAIN) {
            if self.watchdog.is_stuck() {
                // It ends with the process; until then nobody else gets the state directory.
                return;
            }
        }
        // It catches its panics itself.
        let _ = thread.join();
    }
}

/// Has the next opening rebuild the index.
fn doubt_index(root: &Path, boot: &BootId) {
    tracing::error!("the index does not answer any more");
    if let Err(error) = write_state(&index_state(root), IndexState::Rebuild, boot) {
        tracing::warn!(%error, "cannot mark the index for rebuilding");
    }
}

fn gone() -> QueueError {
    QueueError::Stopped(CLOSED.to_owned())
}

fn run(
    root: &Path,
    boot: BootId,
    watch: &Watch,
    started: oneshot::Sender<Result<Start>>,
    mut commands: mpsc::Receiver<Command>,
    _ends: SyncSender<()>,
) {
    let path = root.to_owned();
    let opened = catch_unwind(AssertUnwindSafe(|| recover::open(root, boot, watch)));
    let panicked = || QueueError::Damaged { path, what: "it cannot be opened".to_owned() };
    let mut keeper = match opened.unwrap_or_else(|_| Err(panicked())) {
        Ok((keeper, notes)) => {
            let (revisions, records) = (keeper.revisions(), keeper.records());
            let start = Start { notes, revisions, incoming: keeper.dir().incoming(), records };
            // Who opened it may have gone away; then it is closed again below.
            let _ = started.send(Ok(start));
            keeper
        }
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let closing = serve(&mut keeper, &mut commands);
    keeper.records().stop(CLOSED);
    let closed = catch_unwind(AssertUnwindSafe(|| keeper.close()));
    let closed = closed.unwrap_or_else(|_| Err(QueueError::Stopped("closing it failed".to_owned())));
    match closing {
        Some(reply) => drop(reply.send(closed)),
        None => closed
            .err()
            .into_iter()
            .for_each(|error| tracing::warn!(%error, "the queue was not closed cleanly")),
    }
}

/// Works until there is nobody left to ask for anything, or one asks to close.
fn serve(keeper: &mut Keeper, commands: &mut mpsc::Receiver<Command>) -> Option<oneshot::Sender<Result<()>>> {
    while let Some(first) = commands.blocking_recv() {
        let mut closing = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| run_group(keeper, first, commands, &mut closing)));
        if outcome.is_err() {
            keeper.stop("it met a fault of its own; open it again".to_owned());
        }
        if closing.is_some() {
            return closing;
        }
    }
    None
}

/// Carries out what waits, and what comes meanwhile, up to a bound or to the wish to close; then makes all of it
/// durable at once.
fn run_group(
    keeper: &mut Keeper,
    first: Command,
    commands: &mut mpsc::Receiver<Command>,
    closing: &mut Option<oneshot::Sender<Result<()>>>,
) {
    let mut answers: Vec<Answer> = Vec::new();
    let mut next = Some(first);
    while let Some(command) = next {
        match command {
            Command::Run(command) => answers.push(command(keeper)),
            Command::Close(reply) => {
                *closing = Some(reply);
                break;
            }
        }
        next = if answers.len() < GROUP { commands.try_recv().ok() } else { None };
    }
    let durable = keeper.commit().map_err(|error| error.to_string());
    answers.into_iter().for_each(|answer| answer(&durable));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_index_that_hangs_ends_the_queue_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        let patience = Duration::from_millis(20);
        let (owner, _) = Owner::start(root.clone(), BootId::named("one"), patience).await.unwrap();
        let (release, held) = sync_channel::<()>(0);
        let told = owner.call(move |keeper| {
            // The sender is dropped once the test is through with it.
            let _ = keeper.watch().over(|| held.recv());
            Ok(())
        });
        let told = told.await.unwrap_err().to_string();
        assert!(told.contains("does not answer any more; run the command again"), "{told}");
        let later = owner.call(|_| Ok(())).await;
        assert!(matches!(later, Err(QueueError::Stopped(_))), "{later:?}");
        let state = std::fs::read_to_string(index_state(&root)).unwrap();
        assert!(state.contains("rebuild"), "{state}");
        drop(owner);
        drop(release);
    }
}
