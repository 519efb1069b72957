//! A lane's bytes on their way to the disk: one batch is written while the next gathers.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crc32fast::Hasher;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::durable;
use crate::extents::Extents;
use crate::receive::aborted;
use crate::trouble::Blow;

/// A batch goes to the disk when it has this many bytes,
const BATCH_BYTES: u64 = 256 << 10;

/// or when this much time has passed: what a kill loses of each lane.
const BATCH_AGE: Duration = Duration::from_millis(25);

/// The part that all lanes of a file write to.
#[derive(Debug)]
pub(super) struct Target {
    file: File,
    pub(super) path: PathBuf,
    written: Mutex<Extents>,
}

impl Target {
    /// The part at `path`, in which these bytes lie already.
    pub(super) fn new(file: File, path: PathBuf, held: Extents) -> Self {
        Self { file, path, written: Mutex::new(held) }
    }

    /// Which bytes have been written.
    pub(super) fn written(&self) -> Extents {
        self.lock().clone()
    }

    /// How many they are without a gap, and in all.
    pub(super) fn extent(&self) -> (u64, u64) {
        let written = self.lock();
        (written.prefix(), written.total())
    }

    fn write(&self, at: u64, batch: &[Bytes]) -> Result<(), Blow> {
        let (mut end, mut crc) = (at, Hasher::new());
        for bytes in batch {
            durable::write_at(&self.file, bytes, end)
                .map_err(|error| Blow::of_disk("write", &self.path, &error))?;
            end += bytes.len() as u64;
            crc.update(bytes);
        }
        self.lock().add(at, end, crc.finalize());
        Ok(())
    }

    /// Nothing under this lock can panic half way, so a poisoned one is as good as another.
    fn lock(&self) -> MutexGuard<'_, Extents> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came to one lane and is not written yet; at most two batches.
#[derive(Debug)]
pub(super) struct Spool {
    target: Arc<Target>,
    /// Where the batch belongs.
    at: u64,
    batch: Vec<Bytes>,
    bytes: u64,
    flushed: Instant,
    writing: Option<JoinHandle<Result<(), Blow>>>,
}

impl Spool {
    pub(super) fn new(target: &Arc<Target>, at: u64) -> Self {
        let target = Arc::clone(target);
        Self { target, at, batch: Vec::new(), bytes: 0, flushed: Instant::now(), writing: None }
    }

    /// Takes the lane's next bytes; it has them also where it is not waited for.
    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Blow> {
        self.bytes += bytes.len() as u64;
        self.batch.push(bytes);
        if self.bytes >= BATCH_BYTES || self.flushed.elapsed() >= BATCH_AGE {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) async fn finish(mut self) -> Result<(), Blow> {
        self.flush().await?;
        self.written().await
    }

    /// Waits for the batch before and sends this one off.
    async fn flush(&mut self) -> Result<(), Blow> {
        self.written().await?;
        let (target, at, batch) = (Arc::clone(&self.target), self.at, std::mem::take(&mut self.batch));
        self.at += std::mem::take(&mut self.bytes);
        self.flushed = Instant::now();
        self.writing = Some(spawn_blocking(move || target.write(at, &batch)));
        Ok(())
    }

    async fn written(&mut self) -> Result<(), Blow> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let written = writing.await;
        self.writing = None;
        written.map_err(|_| aborted())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_lane_no_longer_waits_for_is_written_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let target = Arc::new(Target::new(File::create(&path).unwrap(), path.clone(), Extents::default()));
        let mut spool = Spool::new(&target, 0);
        let batches = [1_u8, 2, 3].map(|value| Bytes::from(vec![value; BATCH_BYTES as usize]));
        for batch in &batches {
            tokio::select! {
                biased;
                pushed = spool.push(batch.clone()) => pushed.unwrap(),
                () = std::future::ready(()) => {}
            }
        }
        spool.finish().await.unwrap();
        assert_eq!(target.extent(), (3 * BATCH_BYTES, 3 * BATCH_BYTES));
        assert!(std::fs::read(&path).unwrap() == batches.concat());
    }
}
