//! What an event changes: the one place where stored state changes, for live commands and for recovery alike
//! (invariant I6).
//!
//! A live command checks first and appends its event to the ledger before it is applied, so nothing is
//! skipped then. Recovery may meet events whose forerunners were lost to damage; what cannot follow is
//! skipped and counted. Applying an event that was applied in part before a crash ends in the same state.

mod entry;
mod files;
mod relist;
mod windows;

use jiff::Timestamp;
use skyhaul_model::{Intent, JobId, Plan, Span, Trouble};
use skyhaul_queue::Result;

pub(crate) use entry::{Entry, Step};
pub(crate) use files::{EVENT_FILES, events, load, place};

use crate::codec::Moment;
use crate::index::{Index, JobRow, TroublesRow};
use crate::ledger::{Event, FrameMark};

/// Applies events to one job's rows.
pub(crate) struct Applier<'a> {
    pub(crate) job: JobId,
    pub(crate) row: &'a mut JobRow,
    pub(crate) index: &'a mut Index,
    /// Stretches of the ledger that are known to be damaged.
    pub(crate) gaps: &'a [(u64, u64)],
    /// Changes that could not follow.
    pub(crate) skipped: u64,
}

impl Applier<'_> {
    /// Lets the event happen.
    ///
    /// # Errors
    /// Those of the index alone; after one the rows in memory are not to be trusted.
    pub(crate) fn apply(&mut self, event: &Event, mark: FrameMark) -> Result<()> {
        match event {
            // The facts are read from the ledger where they are wanted; chunks count once they are listed.
            Event::Created(_) | Event::Chunk { .. } => {}
            Event::Changed(_) => self.row.settings_at = Some(mark.offset),
            Event::Intent { intent, at } => {
                // Told only when it changes. Cancelling is an end of its own, of a job that had come to one too.
                if *intent == Intent::Cancelled {
                    self.row.finished_at = None;
                }
                self.row.intent = *intent;
                self.note_finish(Some(*at));
            }
            Event::Planned { windows, at } => self.planned(windows, *at)?,
            Event::Refused { error, at } => {
                self.row.plan = Plan::Refused(error.clone());
                self.note_finish(Some(*at));
            }
            Event::Listed(listed) => self.listed(listed)?,
            Event::Split { window, first, parts } => self.split(*window, *first, parts)?,
            Event::Retry { window, not_before, error } => self.retry(*window, *not_before, error)?,
            Event::WindowFailed { window, error, at } => self.window_failed(*window, error, *at)?,
            Event::Requeued => self.requeued()?,
            Event::Sealed(files) => self.sealed(files, mark)?,
            Event::Done { files, at } => self.done(files, *at, mark)?,
            Event::Failed { files, at } => self.failed(files, *at)?,
            Event::Received(files) => self.received(files)?,
            Event::Invalidated(files) => self.invalidated(files)?,
            Event::Troubled(troubles) => self.troubled(troubles)?,
            Event::Extended { first, windows, at } => self.extended(*first, windows, *at)?,
            Event::Remembered(files) => self.remembered(files)?,
            Event::Rewritten { finished_at } => {
                self.row.finished_at = self.row.finished_at.and(Some(*finished_at));
                self.row.dead = 0;
            }
            Event::Relisted { span, files } => self.relisted(span.map(Span::from), *files)?,
        }
        if event.is_past_when_followed() {
            self.row.dead = self.row.dead.saturating_add(u64::from(mark.length));
        }
        self.row.applied = mark;
        self.put_row();
        self.index.spill_if_large()
    }

    /// Keeps the finishing time true after a change at `at`; a change without a time ends nothing.
    fn note_finish(&mut self, at: Option<Moment>) {
        self.row.finished_at = if is_over(self.row) { self.row.finished_at.or(at) } else { None };
    }

    fn put_row(&mut self) {
        self.index.jobs.put(self.job, 0, self.row.clone());
    }

    fn troubled(&mut self, troubles: &[Trouble]) -> Result<()> {
        if troubles.is_empty() {
            return Ok(());
        }
        if self.index.troubles.get(self.job, 0)?.is_none() {
            self.index.troubles.put(self.job, 0, TroublesRow::default());
        }
        self.index.troubles.edit(self.job, 0, |row| troubles.iter().cloned().for_each(|one| row.0.note(one)))
    }

    fn requeued(&mut self) -> Result<()> {
        if matches!(self.row.plan, Plan::Refused(_)) {
            self.row.plan = Plan::Unplanned;
        }
        self.requeue_windows()?;
        self.requeue_files()?;
        self.note_finish(None);
        Ok(())
    }
}

/// Whether nothing more will happen to the job by itself.
fn is_over(row: &JobRow) -> bool {
    let settled = match row.plan {
        Plan::Unplanned => false,
        Plan::Refused(_) => true,
        Plan::Planned => {
            row.windows == row.windows_listed + row.windows_failed
                && row.files == row.files_done + row.files_failed
        }
    };
    settled || row.intent == Intent::Cancelled
}

/// The time in a row.
pub(crate) fn time(moment: Option<Moment>) -> Option<Timestamp> {
    moment.map(Timestamp::from)
}
