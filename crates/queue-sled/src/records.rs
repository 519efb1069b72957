//! What can be told of each job without asking the queue's thread: its record as of the last commit.
//!
//! The thread posts here what a group of commands has changed, once that is durable and before anybody is
//! answered. So whoever asks waits for nothing, however long a command takes; sees nothing that a power cut
//! could take back; and sees all that they were told of. Lives in memory alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use skyhaul_model::{ByteCounts, FileCounts, JobId, JobKey, JobRecord, JobState, Plan, WindowCounts};
use skyhaul_queue::{Overview, QueueError, Result, Totals};

use crate::apply::time;
use crate::index::JobRow;
use crate::ledger::{CreatedFacts, Settings};

/// The records of all jobs, shared by the thread and those that ask.
#[derive(Default)]
pub(crate) struct Records(RwLock<Board>);

/// A job as it is told of.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) id: JobId,
    pub(crate) facts: Arc<CreatedFacts>,
    pub(crate) row: JobRow,
    /// Files under claims.
    pub(crate) active: u64,
    /// Bytes that checkpoints told of and the ledger does not know.
    pub(crate) unrecorded: u64,
}

#[derive(Default)]
struct Board {
    jobs: BTreeMap<JobId, Posted>,
    /// Of all jobs, kept up with each post.
    totals: Totals,
    unfinished: BTreeSet<JobId>,
    /// Why nothing is told any more.
    stopped: Option<String>,
}

/// A job on the board, and as what it was counted.
struct Posted {
    job: Arc<Snapshot>,
    state: JobState,
}

impl Records {
    /// Tells of a job as it is now; of none, once it is gone.
    pub(crate) fn post(&self, id: JobId, job: Option<Snapshot>) {
        let posted = job.map(|job| Posted { state: job.state(), job: Arc::new(job) });
        self.write().replace(id, posted);
    }

    /// Tells nothing any more but this reason; the first one counts.
    pub(crate) fn stop(&self, why: &str) {
        self.write().stopped.get_or_insert_with(|| why.to_owned());
    }

    pub(crate) fn job(&self, id: JobId) -> Result<Option<JobRecord>> {
        let job = self.read()?.job(id);
        Ok(job.map(|job| job.record()))
    }

    pub(crate) fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>> {
        let job = self.read()?.snapshots().find(|job| job.facts.key == *key).cloned();
        Ok(job.map(|job| job.record()))
    }

    /// All of them, by number.
    pub(crate) fn jobs(&self) -> Result<Vec<JobRecord>> {
        // Nobody is kept waiting while ten thousand records are put together.
        let jobs: Vec<_> = self.read()?.snapshots().cloned().collect();
        Ok(jobs.iter().map(|job| job.record()).collect())
    }

    /// All of them in numbers, and the first `most` that are unfinished; costs what these few do.
    pub(crate) fn overview(&self, most: usize) -> Result<Overview> {
        let (totals, first) = {
            let board = self.read()?;
            let first: Vec<_> = board.unfinished.iter().take(most).filter_map(|&id| board.job(id)).collect();
            (board.totals.clone(), first)
        };
        Ok(Overview { totals, unfinished: first.iter().map(|job| job.record()).collect() })
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Board>> {
        let board = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &board.stopped {
            Some(why) => Err(QueueError::Stopped(why.clone())),
            None => Ok(board),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Board> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn replace(&mut self, id: JobId, posted: Option<Posted>) {
        if let Some(posted) = &posted {
            self.totals.add(posted.state, &posted.job.file_counts());
        }
        if posted.as_ref().is_some_and(|posted| !posted.state.is_final()) {
            self.unfinished.insert(id);
        } else {
            self.unfinished.remove(&id);
        }
        let before = match posted {
            Some(posted) => self.jobs.insert(id, posted),
            None => self.jobs.remove(&id),
        };
        if let Some(before) = before {
            self.totals.take(before.state, &before.job.file_counts());
        }
    }

    fn job(&self, id: JobId) -> Option<Arc<Snapshot>> {
        self.jobs.get(&id).map(|posted| Arc::clone(&posted.job))
    }

    fn snapshots(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        self.jobs.values().map(|posted| &posted.job)
    }
}

impl Snapshot {
    /// The record as people see it.
    pub(crate) fn record(&self) -> JobRecord {
        let Settings { name, priority, policy, hold } = self.facts.settings.clone();
        JobRecord {
            id: self.id,
            key: self.facts.key.clone(),
            name,
            priority,
            created_at: self.facts.created_at,
            finished_at: time(self.row.finished_at),
            query: self.facts.query.clone(),
            policy,
            intent: self.row.intent,
            hold,
            plan: self.row.plan.clone(),
            windows: self.window_counts(),
            files: self.file_counts(),
            bytes: self.byte_counts(),
            window_error: self.row.window_error.clone(),
        }
    }

    /// As the record has it, without making one: a query may have ten thousand intervals.
    fn state(&self) -> JobState {
        let (row, hold) = (&self.row, self.facts.settings.hold.as_ref());
        JobState::of(row.intent, hold, &row.plan, &self.window_counts(), &self.file_counts())
    }

    fn window_counts(&self) -> WindowCounts {
        let JobRow { windows, windows_listed, windows_failed, .. } = self.row;
        WindowCounts { total: windows, listed: windows_listed, failed: windows_failed }
    }

    fn file_counts(&self) -> FileCounts {
        let JobRow { files, files_done, files_failed, .. } = self.row;
        let active = self.active;
        let pending = files.saturating_sub(files_done + files_failed + active);
        FileCounts { total: files, pending, active, done: files_done, failed: files_failed }
    }

    fn byte_counts(&self) -> ByteCounts {
        ByteCounts {
            total: self.bytes_total(),
            done: self.row.bytes_done,
            received: self.row.bytes_received.saturating_add(self.unrecorded),
            adopted: self.row.bytes_adopted,
        }
    }

    /// What the files told, else what came once all have, else what the windows told; nothing before all windows are
    /// listed.
    fn bytes_total(&self) -> Option<u64> {
        let row = &self.row;
        if row.plan != Plan::Planned || row.windows != row.windows_listed {
            return None;
        }
        if row.files_sized == row.files {
            return Some(row.size_sum);
        }
        if row.files_done == row.files {
            return Some(row.bytes_done);
        }
        // Windows may tell of files that another has, or that are no longer there.
        (row.windows_told == row.windows).then_some(row.window_bytes.max(row.bytes_done))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::collection::vec;
    use proptest::{option, prop_assert_eq, proptest};
    use skyhaul_model::{Intent, Query, Source};

    use super::*;

    fn snapshot(id: u64) -> Snapshot {
        let source = Source::Urls { digest: id.to_string(), base: None };
        let query = Query { source, out: "/o".to_owned() };
        let settings = Settings::default();
        let facts = CreatedFacts { key: query.key(), query, created_at: Timestamp::UNIX_EPOCH, settings };
        let row = JobRow { files: 9, files_done: 3, bytes_received: 40, ..JobRow::default() };
        Snapshot { id: JobId(id), facts: Arc::new(facts), row, active: 2, unrecorded: 5 }
    }

    #[test]
    fn what_was_posted_last_is_told() {
        let records = Records::default();
        assert_eq!(records.job(JobId(1)).unwrap(), None);
        for id in [2, 1] {
            records.post(JobId(id), Some(snapshot(id)));
        }
        let told = records.job(JobId(1)).unwrap().unwrap();
        assert_eq!((told.files.pending, told.files.active, told.bytes.received), (4, 2, 45));
        assert_eq!(records.job_by_key(&snapshot(2).facts.key).unwrap().unwrap().id, JobId(2));
        let all: Vec<_> = records.jobs().unwrap().iter().map(|job| job.id).collect();
        assert_eq!(all, [JobId(1), JobId(2)]);
        records.post(JobId(1), None);
        assert_eq!(records.job(JobId(1)).unwrap(), None);
    }

    proptest! {
        #[test]
        fn the_overview_is_that_of_a_recount(posts in vec((0u64..9, option::of((0u64..4, 0u64..4, 0u64..4, 0u8..3))), 0..60)) {
            let records = Records::default();
            for (id, job) in posts {
                let job = job.map(|(files_done, files_failed, active, intent)| {
                    let intent = [Intent::Run, Intent::Paused, Intent::Cancelled][usize::from(intent)];
                    let row = JobRow { files: 9, files_done, files_failed, intent, plan: Plan::Planned, ..JobRow::default() };
                    Snapshot { row, active, ..snapshot(id) }
                });
                records.post(JobId(id), job);
                for most in [0, 2, 9] {
                    prop_assert_eq!(records.overview(most).unwrap(), Overview::of(records.jobs().unwrap(), most));
                }
            }
        }
    }

    #[test]
    fn who_asks_after_the_end_is_told_of_its_first_reason() {
        let records = Records::default();
        records.post(JobId(1), Some(snapshot(1)));
        records.stop("the disk is full");
        records.stop("it has been closed");
        let told = records.jobs().unwrap_err().to_string();
        assert!(told.contains("the disk is full"), "{told}");
    }
}
