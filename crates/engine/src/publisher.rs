//! Publishing in batches, in the order of invariant I2: sync, seal, rename, sync the folders, complete.
//!
//! While one batch is on its way the next gathers, so that the slower the disk syncs, the more files
//! share a sync. A crash may leave sealed files unpublished; their next claim says so.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_model::{FileError, JobId};
use skyhaul_queue::{Claim, FileRef, Queue};
use skyhaul_transfer::{Whole, publish, sync_data};
use tokio::task::{JoinSet, spawn_blocking};

use crate::EngineError;
use crate::outcomes::forgive_gone;

/// The most files in one batch: bounds what a crash leaves to be looked at again.
const BATCH_FILES: usize = 256;

/// A file whose bytes are whole and checked.
pub(crate) struct Ready {
    pub(crate) claim: Claim,
    pub(crate) whole: Whole,
}

/// A file whose publishing ended.
pub(crate) struct Published {
    pub(crate) claim: Claim,
    pub(crate) received: u64,
    pub(crate) result: Result<(), FileError>,
}

/// The files on their way to their final paths: one batch at a time for each root, so that a disk that hangs holds up
/// its own alone.
pub(crate) struct Publisher {
    queue: Arc<dyn Queue>,
    lanes: HashMap<PathBuf, Lane>,
    batches: JoinSet<(PathBuf, Batch)>,
}

/// How a batch ended.
type Batch = Result<Vec<Published>, EngineError>;

/// The files of one root.
#[derive(Default)]
struct Lane {
    waiting: Vec<Ready>,
    /// The jobs of those in the batch on its way.
    at_work: Vec<JobId>,
}

impl Publisher {
    pub(crate) fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, lanes: HashMap::new(), batches: JoinSet::new() }
    }

    pub(crate) fn add(&mut self, ready: Ready) {
        let root = ready.whole.root_path().to_owned();
        self.lanes.entry(root.clone()).or_default().waiting.push(ready);
        self.begin_batch(root);
    }

    /// How many files are not published yet.
    pub(crate) fn len(&self) -> usize {
        self.count(|_| true)
    }

    /// How many files of such jobs are not published yet.
    pub(crate) fn count(&self, is_meant: impl Fn(JobId) -> bool) -> usize {
        let waiting = self.lanes.values().flat_map(|lane| &lane.waiting).map(|ready| ready.claim.file.job);
        let at_work = self.lanes.values().flat_map(|lane| lane.at_work.iter().copied());
        waiting.chain(at_work).filter(|job| is_meant(*job)).count()
    }

    /// Waits for the next batch to end; pends while there is none.
    pub(crate) async fn next(&mut self) -> Result<Vec<Published>, EngineError> {
        let Some(ended) = self.batches.join_next().await else { return std::future::pending().await };
        let (root, published) = ended?;
        if let Some(lane) = self.lanes.get_mut(&root) {
            lane.at_work.clear();
        }
        self.begin_batch(root);
        published
    }

    fn begin_batch(&mut self, root: PathBuf) {
        let Some(lane) = self.lanes.get_mut(&root) else { return };
        if !lane.at_work.is_empty() {
            return;
        }
        if lane.waiting.is_empty() {
            self.lanes.remove(&root);
            return;
        }
        let rest = lane.waiting.split_off(lane.waiting.len().min(BATCH_FILES));
        let ready = std::mem::replace(&mut lane.waiting, rest);
        lane.at_work = ready.iter().map(|ready| ready.claim.file.job).collect();
        let queue = Arc::clone(&self.queue);
        self.batches.spawn(async move { (root, publish_batch(queue, ready).await) });
    }
}

async fn publish_batch(queue: Arc<dyn Queue>, ready: Vec<Ready>) -> Result<Vec<Published>, EngineError> {
    let (ready, mut published) = sync(ready).await?;
    let seals = ready.iter().map(|ready| (ready.claim.file, ready.whole.sealed.clone())).collect();
    forgive_gone(queue.seal(seals).await)?;
    published.extend(put_in_place(ready).await?);
    let done = published.iter().filter(|file| file.result.is_ok()).map(|file| file.claim.file).collect();
    complete(&*queue, done).await?;
    Ok(published)
}

/// Waits until the disk has the files' bytes; those that it refused come second.
async fn sync(ready: Vec<Ready>) -> Result<(Vec<Ready>, Vec<Published>), EngineError> {
    let sync = move || {
        let results = sync_data(ready.iter().map(|ready| &ready.whole));
        let (mut synced, mut refused) = (Vec::with_capacity(ready.len()), Vec::new());
        for (ready, result) in ready.into_iter().zip(results) {
            match result {
                Ok(()) => synced.push(ready),
                Err(error) => refused.push(Published::new(ready.claim, &ready.whole, Err(error))),
            }
        }
        (synced, refused)
    };
    Ok(spawn_blocking(sync).await?)
}

async fn put_in_place(ready: Vec<Ready>) -> Result<Vec<Published>, EngineError> {
    let (claims, wholes): (Vec<_>, Vec<_>) =
        ready.into_iter().map(|ready| (ready.claim, ready.whole)).unzip();
    let publish = move || {
        let files = claims.into_iter().zip(&wholes).zip(publish(&wholes));
        files.map(|((claim, whole), result)| Published::new(claim, whole, result)).collect()
    };
    Ok(spawn_blocking(publish).await?)
}

impl Published {
    fn new(claim: Claim, whole: &Whole, result: Result<(), FileError>) -> Self {
        Self { claim, received: whole.sealed.received, result }
    }
}

/// Reports files that lie at their final paths as done.
pub(crate) async fn complete(queue: &dyn Queue, files: Vec<FileRef>) -> Result<(), EngineError> {
    if files.is_empty() {
        return Ok(());
    }
    forgive_gone(queue.complete(files, Timestamp::now()).await)
}
