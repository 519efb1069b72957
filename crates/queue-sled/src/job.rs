//! A job in memory: its facts, its row, its ledger and what of it can be claimed.

use std::sync::Arc;

use skyhaul_model::{Intent, JobId, WindowId, WindowState};
use skyhaul_queue::Result;

use crate::apply::time;
use crate::codec::Moment;
use crate::dispatch::Dispatch;
use crate::index::{Index, JobRow};
use crate::ledger::{CreatedFacts, Ledger, Settings};
use crate::records::Snapshot;

/// Histories that are read at once.
const LOAD_STEP: usize = 1_024;

/// Everything the queue's thread knows of a job without looking it up.
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// With the newest settings.
    pub(crate) facts: Arc<CreatedFacts>,
    pub(crate) row: JobRow,
    pub(crate) ledger: Ledger,
    pub(crate) dispatch: Dispatch,
}

impl Job {
    pub(crate) fn settings(&self) -> &Settings {
        &self.facts.settings
    }

    /// Whether it may give out claims.
    pub(crate) fn is_runnable(&self) -> bool {
        self.row.intent == Intent::Run && self.row.finished_at.is_none() && self.settings().hold.is_none()
    }

    /// What is told of it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            id: self.id,
            facts: Arc::clone(&self.facts),
            row: self.row.clone(),
            active: self.dispatch.claims.len() as u64,
            unrecorded: self.dispatch.unrecorded(),
        }
    }

    /// Finds out what can be claimed and what waits; claims are none.
    pub(crate) fn load_dispatch(&mut self, index: &mut Index) -> Result<()> {
        self.dispatch = Dispatch::default();
        self.load_windows(index)?;
        let unfinished = self.row.files > self.row.files_done + self.row.files_failed;
        if unfinished {
            self.load_waiting(index)?;
        }
        Ok(())
    }

    /// Finds out which windows can be claimed or wait for a time.
    pub(crate) fn load_windows(&mut self, index: &Index) -> Result<()> {
        if self.row.windows == self.row.windows_listed + self.row.windows_failed {
            return Ok(());
        }
        for number in 0..self.row.next_window {
            let window = WindowId(number);
            let row = index.windows.peek(self.id, u64::from(number))?;
            let pending = row.filter(|row| row.state == WindowState::Pending);
            if let Some(row) = pending.filter(|_| !self.dispatch.window_claims.contains_key(&window)) {
                self.put_window_back(window, row.not_before);
            }
        }
        Ok(())
    }

    /// A pending window that nobody has: when it may be claimed again.
    pub(crate) fn put_window_back(&mut self, window: WindowId, not_before: Option<Moment>) {
        self.dispatch.windows.remove(&window);
        self.dispatch.waiting_windows.remove(window);
        match time(not_before) {
            Some(at) => self.dispatch.waiting_windows.insert(window, at),
            None => drop(self.dispatch.windows.insert(window)),
        }
    }

    fn load_waiting(&mut self, index: &mut Index) -> Result<()> {
        index.spill()?;
        let mut from = 0;
        loop {
            let numbers = index.histories.written(self.id, from, LOAD_STEP)?;
            let Some(last) = numbers.last() else { return Ok(()) };
            from = last.saturating_add(1);
            for number in numbers {
                // Only pending files have such a time.
                let history = index.histories.peek(self.id, number)?;
                if let Some(at) = history.and_then(|history| time(history.not_before)) {
                    self.dispatch.put_back(skyhaul_model::FileSeq(number), Some(at));
                }
            }
        }
    }
}
