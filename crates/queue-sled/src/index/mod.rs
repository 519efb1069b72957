//! The index: what the ledgers say, laid out for looking things up. A cache over sled, never the truth.
//!
//! One sled tree. Key: table u8, job u64, row u64 (big-endian, so that a job's rows lie together and in
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

use std::path::{Path, PathBuf};

use skyhaul_model::JobId;
use skyhaul_queue::Result;

pub(crate) use row::Row;
pub(crate) use rows::{ChunkRow, HistoryRow, JobRow, ResultRow, SealRef, WindowRow};
pub(crate) use store::{IndexState, Trust, read_state, set_aside, write_state};
pub(crate) use table::Table;

/// Rows that are written in one batch; more make sled hold on to too much memory at once.
const BATCH_ROWS: usize = 512;

/// Rows that are kept in memory, changed or not.
const CACHED_ROWS: usize = 2_048;

/// The index of all jobs.
pub(crate) struct Index {
    db: sled::Db,
    path: PathBuf,
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
}

impl Index {
    /// Opens or creates the index in this folder.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let db = store::open_sled(path)?;
        Ok(Self {
            jobs: Table::new(&db, path),
            windows: Table::new(&db, path),
            chunks: Table::new(&db, path),
            results: Table::new(&db, path),
            histories: Table::new(&db, path),
            db,
            path: path.to_owned(),
        })
    }

    /// Writes what has changed, all of it or nothing.
    pub(crate) fn spill(&mut self) -> Result<()> {
        let mut batch = sled::Batch::default();
        let mut changed = self.jobs.drain_into(&mut batch);
        changed += self.windows.drain_into(&mut batch);
        changed += self.chunks.drain_into(&mut batch);
        changed += self.results.drain_into(&mut batch);
        changed += self.histories.drain_into(&mut batch);
        if changed > 0 {
            self.db
                .apply_batch(batch)
                .map_err(|error| store::sled_error("cannot write", &self.path, error))?;
        }
        if self.cached() > CACHED_ROWS {
            self.windows.forget();
            self.chunks.forget();
            self.results.forget();
            self.histories.forget();
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
        self.spill()?;
        for table in [JobRow::TABLE, WindowRow::TABLE, ChunkRow::TABLE, ResultRow::TABLE, HistoryRow::TABLE] {
            store::clear(&self.db, &self.path, table, job)?;
        }
        self.jobs.forget_job(job);
        self.windows.forget_job(job);
        self.chunks.forget_job(job);
        self.results.forget_job(job);
        self.histories.forget_job(job);
        Ok(())
    }

    /// Writes and syncs everything, so that it can be believed whatever happens after.
    pub(crate) fn close(mut self) -> Result<()> {
        self.spill()?;
        let Self { db, path, .. } = self;
        store::close_sled(db, &path)
    }

    fn cached(&self) -> usize {
        self.windows.cached() + self.chunks.cached() + self.results.cached() + self.histories.cached()
    }
}
