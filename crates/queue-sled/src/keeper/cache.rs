//! What was lately read from ledgers: unpacked chunks and frames of seals. Small, and stale only when a ledger
//! is written anew, since frames do not change.

use std::collections::VecDeque;
use std::rc::Rc;

use skyhaul_model::{FileSeq, FileSpec, JobId, Sealed};
use skyhaul_queue::{QueueError, Result};

use crate::job::Job;
use crate::ledger::{Event, SealedFile};
use crate::pack::unpack;

/// Chunks and frames that are kept: a page of files or a batch of claims comes from a few neighbours.
const KEPT: usize = 16;

/// Frames by job and offset. A job's number is never used again.
#[derive(Default)]
pub(super) struct Cache {
    chunks: Kept<Vec<FileSpec>>,
    seals: Kept<Vec<SealedFile>>,
}

/// Values and where they were read from, the newest first.
type Kept<T> = VecDeque<(Place, Rc<T>)>;

type Place = (JobId, u64);

impl Cache {
    /// Forgets a job's: its ledger was written anew.
    pub(super) fn forget_job(&mut self, job: JobId) {
        self.chunks.retain(|((of, _), _)| *of != job);
        self.seals.retain(|((of, _), _)| *of != job);
    }

    /// The file at a slot of the chunk whose frame lies at `offset`.
    pub(super) fn spec(&mut self, job: &mut Job, offset: u64, slot: u16) -> Result<FileSpec> {
        let files = lookup(&mut self.chunks, (job.id, offset), || match job.ledger.read(offset)? {
            Event::Chunk { packed, .. } => unpack(&packed).ok_or_else(|| damaged(job, offset)),
            _ => Err(damaged(job, offset)),
        })?;
        files.get(usize::from(slot)).cloned().ok_or_else(|| damaged(job, offset))
    }

    /// The seal of a file in the frame at `offset`.
    pub(super) fn sealed(&mut self, job: &mut Job, offset: u64, seq: FileSeq) -> Result<Sealed> {
        let seals = lookup(&mut self.seals, (job.id, offset), || match job.ledger.read(offset)? {
            Event::Sealed(files) => Ok(files),
            _ => Err(damaged(job, offset)),
        })?;
        // The last one counts, as it did when the frame was applied.
        let found = seals.iter().rfind(|file| file.seq == seq).map(SealedFile::sealed);
        found.ok_or_else(|| damaged(job, offset))
    }
}

fn lookup<T>(kept: &mut Kept<T>, key: Place, read: impl FnOnce() -> Result<T>) -> Result<Rc<T>> {
    if let Some((_, value)) = kept.iter().find(|(place, _)| *place == key) {
        return Ok(Rc::clone(value));
    }
    let value = Rc::new(read()?);
    kept.truncate(KEPT - 1);
    kept.push_front((key, Rc::clone(&value)));
    Ok(value)
}

fn damaged(job: &Job, offset: u64) -> QueueError {
    let what = format!("the index names byte {offset} for what does not lie there; open the queue again");
    QueueError::Damaged { path: job.ledger.path().to_owned(), what }
}
