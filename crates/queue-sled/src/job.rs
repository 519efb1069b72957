//! A job in memory: its facts, its row, its ledger and what of it can be claimed.

use skyhaul_model::{
    ByteCounts, FileCounts, Intent, JobId, JobRecord, Plan, WindowCounts, WindowId, WindowState,
};
use skyhaul_queue::Result;

use crate::apply::time;
use crate::codec::Moment;
use crate::dispatch::Dispatch;
use crate::index::{Index, JobRow};
use crate::ledger::{CreatedFacts, Ledger, Settings};

/// Histories that are read at once.
const LOAD_STEP: usize = 1_024;

/// Everything the queue's thread knows of a job without looking it up.
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// With the newest settings.
    pub(crate) facts: CreatedFacts,
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
        self.row.intent == Intent::Run && self.settings().hold.is_none()
    }

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

    fn window_counts(&self) -> WindowCounts {
        let JobRow { windows, windows_listed, windows_failed, .. } = self.row;
        WindowCounts { total: windows, listed: windows_listed, failed: windows_failed }
    }

    fn file_counts(&self) -> FileCounts {
        let JobRow { files, files_done, files_failed, .. } = self.row;
        let active = self.dispatch.claims.len() as u64;
        let pending = files.saturating_sub(files_done + files_failed + active);
        FileCounts { total: files, pending, active, done: files_done, failed: files_failed }
    }

    fn byte_counts(&self) -> ByteCounts {
        ByteCounts {
            total: self.bytes_total(),
            done: self.row.bytes_done,
            received: self.row.bytes_received.saturating_add(self.dispatch.unrecorded()),
            adopted: self.row.bytes_adopted,
        }
    }

    /// What the windows told, else what the files told; nothing before all windows are listed.
    fn bytes_total(&self) -> Option<u64> {
        let row = &self.row;
        if row.plan != Plan::Planned || row.windows != row.windows_listed {
            return None;
        }
        if row.windows_told == row.windows {
            return Some(row.window_bytes);
        }
        (row.files_sized == row.files).then_some(row.size_sum)
    }
}
