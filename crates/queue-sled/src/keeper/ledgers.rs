//! Writing to jobs' ledgers and reading from them, with few of them open at once: ten thousand unfinished jobs
//! must not need ten thousand descriptors, where a process commonly gets 1,024.

use std::collections::VecDeque;

use skyhaul_model::{FileSpec, JobId, Sealed};
use skyhaul_queue::{FileRef, QueueError, Result};

use super::Keeper;
use crate::index::SealRef;
use crate::ledger::{Event, FrameMark};

/// Ledgers that are open at once, at most.
const OPEN_MAX: usize = 64;

/// The jobs whose ledgers may be open, the one used last behind the others.
#[derive(Default)]
pub(super) struct OpenLedgers(VecDeque<JobId>);

impl OpenLedgers {
    /// Notes that the job's ledger is used; answers the job whose ledger is to be closed for it.
    fn used(&mut self, id: JobId) -> Option<JobId> {
        if self.0.back() == Some(&id) {
            return None;
        }
        self.0.retain(|other| *other != id);
        self.0.push_back(id);
        if self.0.len() > OPEN_MAX { self.0.pop_front() } else { None }
    }
}

impl Keeper {
    /// Appends to the job's ledger alone.
    pub(super) fn append(&mut self, id: JobId, event: &Event) -> Result<FrameMark> {
        self.use_ledger(id)?;
        let job = self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))?;
        let appended = job.ledger.append(event);
        // A chunk says nothing before the frame that names it, and that one's sync covers it.
        match event {
            Event::Chunk { .. } => self.staged.insert(id),
            _ => self.unsynced.insert(id),
        };
        self.or_stop(appended)
    }

    /// Makes durable what was appended to the job's ledger.
    pub(super) fn sync(&mut self, id: JobId) -> Result<()> {
        self.use_ledger(id)?;
        let synced = self.jobs.get_mut(&id).map_or(Ok(()), |job| job.ledger.sync());
        self.staged.remove(&id);
        self.or_stop(synced)
    }

    /// What is to be pulled.
    pub(super) fn spec(&mut self, file: FileRef) -> Result<FileSpec> {
        self.use_ledger(file.job)?;
        let (offset, slot) = self.chunk_place(file)?;
        let job = self.jobs.get_mut(&file.job).ok_or(QueueError::NoSuchJob(file.job))?;
        self.cache.spec(job, offset, slot)
    }

    /// What is known of the file's bytes.
    pub(super) fn sealed(&mut self, file: FileRef, seal: SealRef) -> Result<Sealed> {
        self.use_ledger(file.job)?;
        let job = self.jobs.get_mut(&file.job).ok_or(QueueError::NoSuchJob(file.job))?;
        self.cache.sealed(job, seal.at, file.seq)
    }

    /// Keeps the ledgers that are open few. The job's may be opened after this.
    pub(super) fn use_ledger(&mut self, id: JobId) -> Result<()> {
        let Some(idle) = self.open_ledgers.used(id) else { return Ok(()) };
        let Some(job) = self.jobs.get_mut(&idle) else { return Ok(()) };
        // Should the system fail to write what it still holds, whoever closed the file would not be told.
        let written = self.staged.remove(&idle) || self.unsynced.contains(&idle);
        let synced = if written { job.ledger.sync() } else { Ok(()) };
        job.ledger.put_away();
        self.or_stop(synced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_that_was_not_used_for_longest_is_closed() {
        let mut open = OpenLedgers::default();
        for id in 0..OPEN_MAX as u64 {
            assert_eq!(open.used(JobId(id)), None);
        }
        assert_eq!((open.used(JobId(0)), open.used(JobId(0))), (None, None));
        assert_eq!(open.used(JobId(900)), Some(JobId(1)));
        assert_eq!(open.used(JobId(901)), Some(JobId(2)));
        assert_eq!(open.0.len(), OPEN_MAX);
    }
}
