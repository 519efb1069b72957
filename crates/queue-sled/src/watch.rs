//! A watchdog over sled: an operation that does not come back ends the queue with a sentence instead of never.
//!
//! sled 0.34.7 can lock up for good in its own threads. Whoever calls it says so here; a thread looks now and
//! then how long the call has lasted. Beyond the limit the index is marked for rebuilding and everybody who waits
//! for the queue is told. The stuck thread stays behind until the process ends, which is what its owner does next.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use skyhaul_queue::{QueueError, Result};
use tokio::sync::watch;

/// An operation that lasts longer will not come back: the longest ones sync a few hundred megabytes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Where operations on sled are announced. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Running>);

#[derive(Debug)]
struct Running {
    epoch: Instant,
    /// Milliseconds after the epoch, plus one, at which the operation began; 0 while there is none.
    since: AtomicU64,
}

/// The thread that looks; ends when dropped.
pub(crate) struct Watchdog {
    stuck: watch::Receiver<bool>,
    end: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Running { epoch: Instant::now(), since: AtomicU64::new(0) }))
    }

    /// Carries out an operation that might not come back.
    pub(crate) fn over<T>(&self, operation: impl FnOnce() -> T) -> T {
        self.0.since.store(self.now() + 1, Ordering::Relaxed);
        let outcome = operation();
        self.0.since.store(0, Ordering::Relaxed);
        outcome
    }

    fn lasts(&self) -> Duration {
        match self.0.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis((self.now() + 1).saturating_sub(since)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl Watchdog {
    /// Begins to look; `bark` is called once, when an operation has lasted over the limit.
    ///
    /// # Errors
    /// [`QueueError::Io`] when no thread can be started.
    pub(crate) fn start(
        watch: Watch,
        limit: Duration,
        root: &Path,
        bark: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let (tell, stuck) = watch::channel(false);
        let (end, ended) = sync_channel(1);
        let spawned = std::thread::Builder::new()
            .name("skyhaul-watch".to_owned())
            .spawn(move || look(&watch, limit, &tell, &ended, bark));
        let failed =
            |source| QueueError::Io { action: "cannot start a thread for", path: root.to_owned(), source };
        let thread = spawned.map_err(failed)?;
        Ok(Self { stuck, end: Some(end), thread: Some(thread) })
    }

    pub(crate) fn is_stuck(&self) -> bool {
        *self.stuck.borrow()
    }

    /// Pends until an operation is stuck.
    pub(crate) async fn stuck(&self) {
        if self.stuck.clone().wait_for(|&stuck| stuck).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic about; and if it had, there is nobody to tell.
            let _ = thread.join();
        }
    }
}

fn look(
    watch: &Watch,
    limit: Duration,
    tell: &watch::Sender<bool>,
    ended: &Receiver<()>,
    bark: impl FnOnce(),
) {
    while ended.recv_timeout(limit / 4) == Err(RecvTimeoutError::Timeout) {
        if watch.lasts() > limit {
            bark();
            tell.send_replace(true);
            break;
        }
    }
    // Those that wait for the word must not take the thread's end for it.
    let _ = ended.recv();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_back_is_told_once() {
        let (watch, (barked, barks)) = (Watch::new(), sync_channel(1));
        let (release, held) = sync_channel::<()>(0);
        let dog = Watchdog::start(watch.clone(), Duration::from_millis(20), Path::new("/s"), move || {
            barked.send(()).unwrap();
        });
        let dog = dog.unwrap();
        let stuck = std::thread::spawn(move || watch.over(|| held.recv()));
        barks.recv().unwrap();
        drop(release);
        assert!(stuck.join().unwrap().is_err());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(dog.stuck());
        assert!(dog.is_stuck());
        drop(dog);
        assert!(barks.recv().is_err());
    }

    #[test]
    fn nothing_lasts_once_it_is_over() {
        let watch = Watch::new();
        assert_eq!((watch.over(|| 7), watch.lasts()), (7, Duration::ZERO));
    }
}
