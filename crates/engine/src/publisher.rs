//! Publishing in batches, in the order of invariant I2: sync, seal, rename, sync the folders, complete.
//!
//! While one batch is on its way the next gathers, so that the slower the disk syncs, the more files
//! share a sync. A crash may leave sealed files unpublished; their next claim says so.

use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_model::FileError;
use skyhaul_queue::{Claim, FileRef, Queue};
use skyhaul_transfer::{Whole, publish, sync_data};
use tokio::task::{JoinHandle, spawn_blocking};

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

/// The files on their way to their final paths.
pub(crate) struct Publisher {
    queue: Arc<dyn Queue>,
    waiting: Vec<Ready>,
    batch: Option<JoinHandle<Result<Vec<Published>, EngineError>>>,
}

impl Publisher {
    pub(crate) fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, waiting: Vec::new(), batch: None }
    }

    pub(crate) fn add(&mut self, ready: Ready) {
        self.waiting.push(ready);
        self.begin_batch();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.batch.is_none() && self.waiting.is_empty()
    }

    /// Files that are not published yet and wait for the batch before theirs.
    pub(crate) fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for the batch on its way; pends while there is none.
    pub(crate) async fn next(&mut self) -> Result<Vec<Published>, EngineError> {
        let Some(batch) = self.batch.as_mut() else { return std::future::pending().await };
        let published = batch.await;
        self.batch = None;
        self.begin_batch();
        published?
    }

    fn begin_batch(&mut self) {
        if self.batch.is_some() || self.waiting.is_empty() {
            return;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(BATCH_FILES));
        let ready = std::mem::replace(&mut self.waiting, rest);
        self.batch = Some(tokio::spawn(publish_batch(Arc::clone(&self.queue), ready)));
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
