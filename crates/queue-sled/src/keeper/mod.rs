//! The queue's inside, owned by one thread: check, append to the ledger, apply, and once for a whole group
//! of commands make it durable.
//!
//! Whatever fails on the way from appending to syncing stops the queue for good: nothing more is accepted,
//! and nothing that was not synced is ever acknowledged. Opening the queue anew finds what is durable.

mod cache;
mod claim;
mod jobs;
mod leases;
mod ledgers;
mod plan;
mod read;
mod relist;
mod trouble;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_model::{FileSeq, Illegal, JobId};
use skyhaul_queue::{ClaimFilter, QueueError, Result, Revision};
use tokio::sync::watch;

pub(crate) use jobs::Prepared;

use self::cache::Cache;
use self::leases::LeaseEnds;
use self::ledgers::OpenLedgers;
use crate::apply::Applier;
use crate::boot::BootId;
use crate::index::{Index, IndexState, write_state};
use crate::job::Job;
use crate::ledger::{Event, FrameMark};
use crate::records::Records;
use crate::state_dir::StateDir;
use crate::{disk, recover, rewrite};

/// Everything, behind one thread.
pub(crate) struct Keeper {
    dir: StateDir,
    boot: BootId,
    index: Index,
    jobs: BTreeMap<JobId, Job>,
    /// The jobs that may give out claims: ten thousand finished ones must not make each claim dear.
    runnable: BTreeSet<JobId>,
    cache: Cache,
    open_ledgers: OpenLedgers,
    /// The job that was dealt the last claimed file.
    turn: JobId,
    /// The job that was dealt the last claimed window.
    listing_turn: JobId,
    /// The latest time that a claim was made at.
    clock: Timestamp,
    lease_ends: LeaseEnds,
    /// All jobs that have claims out, and some that had.
    leased: BTreeSet<JobId>,
    /// Jobs whose ledgers have frames that are not synced.
    unsynced: BTreeSet<JobId>,
    /// Jobs whose ledgers may have unsynced frames that nothing rests on yet.
    staged: BTreeSet<JobId>,
    revision: watch::Sender<Revision>,
    /// What others are told of the jobs.
    records: Arc<Records>,
    /// The jobs whose records or pages this group of commands has changed.
    changed: BTreeSet<JobId>,
    /// Why nothing more is accepted.
    stopped: Option<String>,
    /// Whether the index has been given up for this opening.
    doubted: bool,
}

impl Keeper {
    pub(crate) fn new(dir: StateDir, boot: BootId, index: Index, jobs: BTreeMap<JobId, Job>) -> Self {
        let records = Arc::new(Records::default());
        jobs.iter().for_each(|(&id, job)| records.post(id, Some(job.snapshot())));
        let runnable = jobs.iter().filter(|(_, job)| job.is_runnable()).map(|(id, _)| *id).collect();
        Self {
            dir,
            boot,
            index,
            jobs,
            runnable,
            cache: Cache::default(),
            open_ledgers: OpenLedgers::default(),
            turn: JobId(0),
            listing_turn: JobId(0),
            clock: Timestamp::MIN,
            lease_ends: LeaseEnds::default(),
            leased: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            staged: BTreeSet::new(),
            revision: watch::Sender::new(Revision(1)),
            records,
            changed: BTreeSet::new(),
            stopped: None,
            doubted: false,
        }
    }

    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    pub(crate) fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records)
    }

    #[cfg(test)]
    pub(crate) fn watch(&self) -> crate::watch::Watch {
        self.index.watch()
    }

    pub(crate) fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// Refuses everything once the queue has stopped.
    pub(crate) fn check_running(&self) -> Result<()> {
        self.stopped.as_ref().map_or(Ok(()), |why| Err(QueueError::Stopped(why.clone())))
    }

    /// Stops the queue for good. The index may hold what the ledger does not: it is not believed again.
    pub(crate) fn stop(&mut self, why: String) {
        self.records.stop(self.stopped.get_or_insert(why));
        self.doubt_index();
    }

    /// Remembers on disk that the index has to be rebuilt, where a command met damage.
    pub(crate) fn notice(&mut self, error: &QueueError) {
        if matches!(error, QueueError::Damaged { .. }) {
            self.doubt_index();
        }
    }

    /// Makes durable what the commands since the last time have recorded. One sync for each ledger.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.check_running()?;
        // One at a time: what is not synced yet is not to be closed for another.
        while let Some(id) = self.unsynced.pop_first() {
            self.sync(id)?;
            let settled = self.settle_place(id);
            self.or_stop(settled)?;
        }
        let spilled = self.index.spill_if_large();
        self.or_stop(spilled)?;
        self.tell();
        Ok(())
    }

    /// Tells others what has changed; all of it is durable.
    fn tell(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        if !changed.is_empty() {
            for id in changed {
                self.records.post(id, self.jobs.get(&id).map(Job::snapshot));
            }
            self.revision.send_modify(|revision| revision.0 += 1);
        }
    }

    /// Ends cleanly: what claims have received is recorded, the index is synced and believed next time.
    pub(crate) fn close(mut self) -> Result<()> {
        self.check_running()?;
        let claims: Vec<(JobId, FileSeq)> = self
            .jobs
            .iter()
            .flat_map(|(id, job)| job.dispatch.claims.keys().map(|seq| (*id, *seq)))
            .collect();
        self.record_checkpoints(&claims)?;
        self.commit()?;
        let Self { dir, boot, index, doubted, .. } = self;
        index.close()?;
        if doubted { Ok(()) } else { write_state(&dir.index_state(), IndexState::Clean, &boot) }
    }

    /// Appends to the job's ledger and applies; on failure the queue stops.
    fn record(&mut self, id: JobId, event: &Event) -> Result<FrameMark> {
        let mark = self.append(id, event)?;
        let job = self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))?;
        let mut applier =
            Applier { job: id, row: &mut job.row, index: &mut self.index, gaps: &[], skipped: 0 };
        let applied = applier.apply(event, mark);
        self.or_stop(applied)?;
        self.note_change(id);
        Ok(mark)
    }

    /// What the job shows has changed, and whether it may give out claims may have.
    fn note_change(&mut self, id: JobId) {
        match self.jobs.get(&id).is_some_and(Job::is_runnable) {
            true => self.runnable.insert(id),
            false => self.runnable.remove(&id),
        };
        self.changed.insert(id);
    }

    fn or_stop<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.stop(told(error));
        }
        outcome
    }

    fn doubt_index(&mut self) {
        if !std::mem::replace(&mut self.doubted, true) {
            let told = write_state(&self.dir.index_state(), IndexState::Rebuild, &self.boot);
            if let Err(error) = told {
                tracing::warn!(%error, "cannot mark the index for rebuilding");
            }
        }
    }

    /// A job that has become large gets an index of its own; finished jobs keep nothing open.
    fn settle_place(&mut self, id: JobId) -> Result<()> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        if job.row.files > recover::LARGE_JOB && !self.index.is_own(id) {
            job.row = recover::move_to_own(&mut self.index, &mut job.ledger, id)?;
            self.changed.insert(id);
        }
        if rewrite::is_worth_it(job) {
            self.rewrite_ledger(id)?;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        if job.row.finished_at.is_some() {
            job.ledger.put_away();
            self.index.put_away(id)?;
        }
        Ok(())
    }

    /// Puts a shorter ledger in the place of the job's. If none can be written, the old one does.
    fn rewrite_ledger(&mut self, id: JobId) -> Result<()> {
        let fresh = self.dir.fresh_ledger(id);
        let watch = self.index.watch();
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        let written = rewrite::rewrite(job, &mut self.index, &fresh, &watch);
        // One try for each opening, unless it grows to twice its size again.
        job.row.dead = 0;
        match written {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(job = id.0, "the job's ledger cannot be written anew and stays as it is");
                return disk::remove(&fresh);
            }
            Err(error) => {
                tracing::warn!(job = id.0, %error, "the job's ledger could not be written anew");
                return disk::remove(&fresh);
            }
        }
        job.ledger.put_away();
        disk::rename(&fresh, &self.dir.ledger(id))?;
        self.cache.forget_job(id);
        self.changed.insert(id);
        job.ledger.reopen()?;
        job.row = recover::reread(&mut self.index, &mut job.ledger, id)?;
        Ok(())
    }

    fn job(&self, id: JobId) -> Result<&Job> {
        self.jobs.get(&id).ok_or(QueueError::NoSuchJob(id))
    }

    fn job_mut(&mut self, id: JobId) -> Result<&mut Job> {
        self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))
    }

    /// The jobs that may give out claims.
    fn runnable(&self, filter: &ClaimFilter) -> impl Iterator<Item = &Job> {
        let admitted = self.runnable.iter().filter(|id| filter.admits(**id));
        admitted.filter_map(|id| self.jobs.get(id))
    }
}

/// An error with its causes, in one sentence.
fn told(error: &QueueError) -> String {
    let mut sentence = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        sentence = format!("{sentence}: {error}");
        cause = error.source();
    }
    sentence
}

/// A step that a file's state does not allow.
fn conflict(job: JobId, seq: FileSeq) -> impl FnOnce(Illegal) -> QueueError {
    move |illegal| QueueError::Conflict(job, seq, illegal)
}
