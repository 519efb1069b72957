//! Events of windows.

use skyhaul_model::{FileError, NewWindow, Plan, WindowId, WindowState};
use skyhaul_queue::Result;

use super::Applier;
use crate::codec::Moment;
use crate::index::{ChunkRow, WindowRow};
use crate::ledger::Listed;

impl Applier<'_> {
    pub(super) fn planned(&mut self, windows: &[NewWindow], at: Moment) -> Result<()> {
        let first = WindowId(self.row.next_window);
        self.add_windows(first, windows)?;
        self.row.plan = Plan::Planned;
        self.note_finish(Some(at));
        Ok(())
    }

    /// Windows whose numbers do not follow come behind windows that damage took: they are not added, so that
    /// no number stands for another window than it did. Whoever added them finds them missing.
    pub(super) fn extended(&mut self, first: WindowId, windows: &[NewWindow], at: Moment) -> Result<()> {
        if self.row.plan != Plan::Planned || first.0 != self.row.next_window {
            self.skipped += 1;
            return Ok(());
        }
        self.add_windows(first, windows)?;
        self.note_finish(Some(at));
        Ok(())
    }

    /// A listing with a damaged chunk, or one that builds on a listing that is lost, did not happen: its
    /// window is asked for again. The numbers of its chunks stay taken, since events behind it name them.
    pub(super) fn listed(&mut self, listed: &Listed) -> Result<()> {
        let whole = listed.chunks.iter().all(|chunk| !self.is_damaged(chunk.offset));
        let counts = whole && self.may_follow(listed)?;
        // Numbers that are passed over belong to listings that are lost.
        for number in self.row.next_chunk..listed.first_chunk {
            self.index.chunks.put(self.job, u64::from(number), ChunkRow::new(0, 0, &[]));
            self.index.spill_if_large()?;
        }
        for (number, chunk) in (listed.first_chunk..).zip(&listed.chunks) {
            let row = if counts {
                ChunkRow::new(chunk.offset, chunk.count, &chunk.lost)
            } else {
                ChunkRow::new(chunk.offset, 0, &[])
            };
            self.index.chunks.put(self.job, u64::from(number), row);
            self.index.spill_if_large()?;
        }
        let chunks = u32::try_from(listed.chunks.len()).unwrap_or(u32::MAX);
        self.row.next_chunk = self.row.next_chunk.max(listed.first_chunk.saturating_add(chunks));
        if !counts {
            self.skipped += 1;
            return self.reopen(listed.window);
        }
        // One that is listed still is one of whose relisting damage took the record.
        self.reopen(listed.window)?;
        self.count_listed(listed);
        self.troubled(&listed.lost)?;
        self.index.windows.edit(self.job, u64::from(listed.window.0), |row| {
            row.files += listed.chunks.iter().map(|chunk| u64::from(chunk.count)).sum::<u64>();
            row.state = WindowState::Listed { files: row.files, bytes: listed.bytes, at: listed.at.into() };
            row.runs.extend((chunks > 0).then_some((listed.first_chunk, chunks)));
            (row.failures, row.error, row.not_before) = (0, None, None);
        })?;
        self.note_finish(Some(listed.at));
        Ok(())
    }

    pub(super) fn split(&mut self, window: WindowId, first: WindowId, parts: &[NewWindow]) -> Result<()> {
        if !self.is_pending(window)? {
            self.skipped += 1;
            return Ok(());
        }
        self.add_windows(first, parts)?;
        self.row.windows -= 1;
        self.index.windows.edit(self.job, u64::from(window.0), |row| row.state = WindowState::Split)
    }

    pub(super) fn retry(&mut self, window: WindowId, not_before: Moment, error: &FileError) -> Result<()> {
        if !self.is_pending(window)? {
            self.skipped += 1;
            return Ok(());
        }
        self.index.windows.edit(self.job, u64::from(window.0), |row| {
            row.failures = row.failures.saturating_add(1);
            row.error = Some(error.clone());
            row.not_before = Some(not_before);
        })
    }

    pub(super) fn window_failed(&mut self, window: WindowId, error: &FileError, at: Moment) -> Result<()> {
        if !self.is_pending(window)? {
            self.skipped += 1;
            return Ok(());
        }
        self.index.windows.edit(self.job, u64::from(window.0), |row| {
            row.state = WindowState::Failed;
            row.failures = row.failures.saturating_add(1);
            row.error = Some(error.clone());
            row.not_before = None;
        })?;
        self.row.windows_failed += 1;
        self.row.window_error = Some(error.clone());
        self.note_finish(Some(at));
        Ok(())
    }

    pub(super) fn requeue_windows(&mut self) -> Result<()> {
        // Passing over all windows is worth it only when some have failed.
        let last = if self.row.windows_failed > 0 { self.row.next_window } else { 0 };
        for number in (0..last).map(u64::from) {
            let failed = self.index.windows.peek(self.job, number)?;
            if failed.is_some_and(|row| row.state == WindowState::Failed) {
                self.index.windows.edit(self.job, number, |row| {
                    row.state = WindowState::Pending;
                    row.failures = 0;
                    row.not_before = None;
                })?;
                self.row.windows_failed -= 1;
            }
        }
        self.row.window_error = None;
        Ok(())
    }

    fn add_windows(&mut self, first: WindowId, windows: &[NewWindow]) -> Result<()> {
        for (number, window) in (first.0..).zip(windows) {
            let row = WindowRow {
                target: window.target.clone(),
                state: WindowState::Pending,
                failures: 0,
                error: None,
                not_before: None,
                files: 0,
                runs: Vec::new(),
            };
            self.index.windows.put(self.job, u64::from(number), row);
            self.index.spill_if_large()?;
        }
        self.row.windows += windows.len() as u64;
        let count = u32::try_from(windows.len()).unwrap_or(u32::MAX);
        self.row.next_window = self.row.next_window.max(first.0.saturating_add(count));
        Ok(())
    }

    fn count_listed(&mut self, listed: &Listed) {
        let row = &mut *self.row;
        row.windows_listed += 1;
        row.windows_told += u64::from(listed.bytes.is_some());
        row.window_bytes = row.window_bytes.saturating_add(listed.bytes.unwrap_or(0));
        for chunk in &listed.chunks {
            row.files += u64::from(chunk.count);
            row.files_failed += chunk.lost.len() as u64;
            row.files_sized += u64::from(chunk.sized);
            row.size_sum = row.size_sum.saturating_add(chunk.size_sum);
        }
    }

    /// Whether the window has what the listing builds on, and was not given up or split since.
    fn may_follow(&mut self, listed: &Listed) -> Result<bool> {
        let row = self.index.windows.get(self.job, u64::from(listed.window.0))?;
        let may_be = |state: &WindowState| matches!(state, WindowState::Pending | WindowState::Listed { .. });
        Ok(row.is_some_and(|row| may_be(&row.state) && row.files == listed.held))
    }

    fn is_pending(&mut self, window: WindowId) -> Result<bool> {
        let row = self.index.windows.get(self.job, u64::from(window.0))?;
        Ok(row.is_some_and(|row| row.state == WindowState::Pending))
    }

    fn is_damaged(&self, offset: u64) -> bool {
        self.gaps.iter().any(|&(from, to)| (from..to).contains(&offset))
    }
}
