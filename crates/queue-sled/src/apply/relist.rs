//! Windows that are listed again, and their finished files that are checked again.
//!
//! Window by window, its files before itself, rows and counters in agreement after each step: going through
//! all of it again after a crash finds what is left.

use skyhaul_model::{FileEvent, FileState, Recheck, Span, WindowId, WindowState};
use skyhaul_queue::Result;

use super::Applier;
use crate::index::{ResultRow, Stored};

impl Applier<'_> {
    pub(super) fn relisted(&mut self, span: Option<Span>, files: Recheck) -> Result<()> {
        for number in 0..self.row.next_window {
            let Some(row) = self.index.windows.peek(self.job, u64::from(number))? else { continue };
            if span.is_some_and(|span| !span.touches(&row.target)) {
                continue;
            }
            if files == Recheck::Done {
                for (first, count) in row.runs {
                    (first..first.saturating_add(count)).try_for_each(|chunk| self.recheck_chunk(chunk))?;
                }
            }
            self.reopen(WindowId(number))?;
            self.put_row();
            self.index.spill_if_large()?;
        }
        if self.row.windows_failed == 0 {
            self.row.window_error = None;
        }
        self.note_finish(None);
        Ok(())
    }

    /// A window that is listed or failed becomes pending.
    pub(super) fn reopen(&mut self, window: WindowId) -> Result<()> {
        let number = u64::from(window.0);
        let Some(row) = self.index.windows.get(self.job, number)? else { return Ok(()) };
        match row.state {
            WindowState::Listed { bytes, .. } => {
                self.row.windows_listed -= 1;
                self.row.windows_told -= u64::from(bytes.is_some());
                self.row.window_bytes = self.row.window_bytes.saturating_sub(bytes.unwrap_or(0));
            }
            WindowState::Failed => self.row.windows_failed -= 1,
            WindowState::Pending | WindowState::Split => return Ok(()),
        }
        self.index.windows.edit(self.job, number, |row| {
            row.state = WindowState::Pending;
            row.failures = 0;
            row.not_before = None;
        })
    }

    /// Done files of a chunk become pending, all at once: what is remembered of each stays as it is.
    fn recheck_chunk(&mut self, chunk: u32) -> Result<()> {
        let chunk = u64::from(chunk);
        let Some(row) = self.index.chunks.get(self.job, chunk)? else { return Ok(()) };
        let done: Vec<u16> = row.slots(FileState::Done, 0).collect();
        if done.is_empty() || FileState::Done.after(FileEvent::Recheck) != Ok(FileState::Pending) {
            return Ok(());
        }
        let seals = self.index.results.peek(self.job, chunk)?.unwrap_or_default();
        self.uncount(&done, &seals);
        self.index.chunks.edit(self.job, chunk, |row| {
            done.iter().for_each(|&slot| row.set(slot, Stored::Recheck));
        })?;
        self.put_row();
        self.index.spill_if_large()
    }

    fn uncount(&mut self, done: &[u16], seals: &ResultRow) {
        let row = &mut *self.row;
        row.files_done -= done.len() as u64;
        for seal in done.iter().filter_map(|&slot| seals.get(slot)) {
            row.bytes_done = row.bytes_done.saturating_sub(seal.size);
            row.bytes_adopted = row.bytes_adopted.saturating_sub(if seal.adopted { seal.size } else { 0 });
        }
    }
}
