//! The index: what the ledgers say, laid out for looking things up. A cache over sled, never the truth.
//!
//! One sled for most jobs, one for each large job. Key: table u8, job u64, row u64 (big-endian, so that a job's rows lie together and in
//! order). Every value is a version byte, the row, and a CRC-32 of key, version and row. Changes gather in
//! memory and are written by [`Index::spill`] in one atomic batch together with the job rows, which say up
//! to which ledger frame they hold; so a crash leaves rows that agree with each other, and the ledger's
//! tail brings them up to date. Any doubt about the index is answered by rebuilding it from the ledgers.

mod row;
mod rows;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod trees;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use skyhaul_model::JobId;
use skyhaul_queue::Result;

pub(crate) use row::Row;
pub(crate) use rows::{ChunkRow, HistoryRow, JobRow, ResultRow, SealRef, Stored, TroublesRow, WindowRow};
pub(crate) use store::{IndexState, Trust, note_state, read_state, set_aside, write_state};
pub(crate) use table::Table;
pub(crate) use trees::own_path;

use self::trees::{Batches, Trees};
use crate::watch::Watch;

/// Rows that are written in one batch; more make sled hold on to too much memory at once.
const BATCH_ROWS: usize = 512;

/// Rows that are kept in memory, changed or not.
const CACHED_ROWS: usize = 2_048;

/// The index of all jobs.
pub(crate) struct Index {
    trees: Rc<RefCell<Trees>>,
    /// One row for each job, numbered 0.
    pub(crate) jobs: Table<JobRow>,
    /// By window.
    pub(crate) windows: Table<WindowRow>,
    /// By chunk.
    pub(crate) chunks: Table<ChunkRow>,
    /// By chunk: what is known of its sealed files.
    pub(crate) results: Table<ResultRow>,
    /// By file: only where there is something to remember.
    pub(crate) histories: Table<HistoryRow>,
    /// One row for each job with failures, numbered 0.
    pub(crate) troubles: Table<TroublesRow>,
}

impl Index {
    /// Opens or creates the index in this folder; the jobs in `own` have one of their own below `jobs`.
    pub(crate) fn open(path: &Path, jobs: &Path, own: &[JobId], watch: Watch) -> Result<Self> {
        let trees = Rc::new(RefCell::new(Trees::open(path, jobs, own, watch)?));
        let path = || path.to_owned();
        Ok(Self {
            jobs: Table::new(&trees, path()),
            windows: Table::new(&trees, path()),
            chunks: Table::new(&trees, path()),
            results: Table::new(&trees, path()),
            histories: Table::new(&trees, path()),
            troubles: Table::new(&trees, path()),
            trees,
        })
    }

    /// Where operations on sled are announced.
    pub(crate) fn watch(&self) -> Watch {
        self.trees.borrow().watch().clone()
    }

    /// Whether the job has an index of its own.
    pub(crate) fn is_own(&self, job: JobId) -> bool {
        self.trees.borrow().is_own(job)
    }

    /// Gives the job an index of its own, an empty one; what was known of it is forgotten.
    pub(crate) fn give_own(&mut self, job: JobId) -> Result<()> {
        self.clear_job(job)?;
        self.trees.borrow_mut().give_own(job)
    }

    /// Closes the job's own index, if it has one, until it is needed again.
    pub(crate) fn put_away(&mut self, job: JobId) -> Result<()> {
        if self.is_own(job) {
            self.spill()?;
        }
        self.trees.borrow_mut().put_away(job)
    }

    /// Writes what has changed; of each job all of it or nothing.
    pub(crate) fn spill(&mut self) -> Result<()> {
        let mut batches = Batches::default();
        let mut changed = self.jobs.drain_into(&mut batches);
        changed += self.windows.drain_into(&mut batches);
        changed += self.chunks.drain_into(&mut batches);
        changed += self.results.drain_into(&mut batches);
        changed += self.histories.drain_into(&mut batches);
        changed += self.troubles.drain_into(&mut batches);
        if changed > 0 {
            self.trees.borrow_mut().apply(batches)?;
        }
        if self.cached() > CACHED_ROWS {
            self.windows.forget();
            self.chunks.forget();
            self.results.forget();
            self.histories.forget();
            self.troubles.forget();
        }
        Ok(())
    }

    /// Writes what has changed if it is much.
    pub(crate) fn spill_if_large(&mut self) -> Result<()> {
        let changed = self.windows.changed()
            + self.chunks.changed()
            + self.results.changed()
            + self.histories.changed();
        if changed > BATCH_ROWS || self.cached() > CACHED_ROWS { self.spill() } else { Ok(()) }
    }

    /// Removes all rows of a job, in batches that are flushed one by one: sled 0.34.7 can lock up under a
    /// deep queue of deletions.
    pub(crate) fn clear_job(&mut self, job: JobId) -> Result<()> {
        // First of all, so that no later batch brings them back, or the folder that they were in.
        self.jobs.forget_job(job);
        self.windows.forget_job(job);
        self.chunks.forget_job(job);
        self.results.forget_job(job);
        self.histories.forget_job(job);
        self.troubles.forget_job(job);
        let tables = [JobRow::TABLE, WindowRow::TABLE, ChunkRow::TABLE, ResultRow::TABLE];
        let tables = [&tables[..], &[HistoryRow::TABLE, TroublesRow::TABLE]].concat();
        self.trees.borrow_mut().clear(job, &tables)
    }

    /// Writes and syncs everything, so that it can be believed whatever happens after.
    pub(crate) fn close(mut self) -> Result<()> {
        self.spill()?;
        let trees = Rc::clone(&self.trees);
        drop(self);
        // The tables were the others that had it.
        Rc::into_inner(trees).map_or(Ok(()), |trees| trees.into_inner().close())
    }

    fn cached(&self) -> usize {
        self.windows.cached() + self.chunks.cached() + self.results.cached() + self.histories.cached()
    }
}
