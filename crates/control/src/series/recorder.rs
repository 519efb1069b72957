//! The task that keeps the series: it looks at the counts every ten seconds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use skyhaul_engine::{Counts, Tally};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Sample, Series, Span, store};

/// How often the counts are looked at: the shortest step.
const LOOK: Duration = Duration::from_secs(10);

/// Looks between two writings of what is new.
const LOOKS_A_WRITING: u32 = 6;

/// The series of a state directory, kept up to date by a task of its own.
#[derive(Debug)]
pub(crate) struct Recorder {
    series: Shared,
    /// Ends with the token that it was started with.
    task: JoinHandle<()>,
}

/// The series, for whoever shows them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Series>>);

impl Recorder {
    /// Goes on with what the state directory remembers, until `stop`.
    pub(crate) fn start(state_dir: &Path, tally: Arc<Tally>, stop: CancellationToken) -> Self {
        let (path, series) = (state_dir.join("series.json"), Shared::default());
        let task = tokio::spawn(record(path, tally, series.clone(), stop));
        Self { series, task }
    }

    pub(crate) fn series(&self) -> Shared {
        self.series.clone()
    }

    /// Waits until the last of it is written, after the stop.
    pub(crate) async fn join(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the recorder of the series broke");
        }
    }
}

impl Shared {
    /// See [`Series::over`].
    pub(crate) fn over(&self, span: Span, now: Timestamp) -> Vec<(i64, Sample)> {
        self.lock().over(span, now)
    }

    fn lock(&self) -> MutexGuard<'_, Series> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn record(path: PathBuf, tally: Arc<Tally>, series: Shared, stop: CancellationToken) {
    let known = path.clone();
    if let Ok(remembered) = spawn_blocking(move || store::read(&known)).await {
        *series.lock() = remembered;
    }
    let mut before = Counts::default();
    let mut is_new = false;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for look in 0_u32.. {
        let is_over = tokio::select! {
            _ = looks.tick() => false,
            () = stop.cancelled() => true,
        };
        let counts = tally.counts();
        let happened = Sample::between(&before, &counts);
        series.lock().add(Timestamp::now(), happened);
        (before, is_new) = (counts, is_new || happened != Sample::default());
        if is_new && (is_over || look % LOOKS_A_WRITING == 0) {
            let now = series.lock().clone();
            write(&path, now).await;
            is_new = false;
        }
        if is_over {
            return;
        }
    }
}

/// A disk that is full must not end an engine for want of a picture.
async fn write(path: &Path, series: Series) {
    let path = path.to_owned();
    match spawn_blocking(move || store::write(&path, series)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the series cannot be written"),
        Err(error) => tracing::warn!(%error, "the series cannot be written"),
    }
}
