//! Events of files: loading a file's rows, the step, storing what changed, counting it.

use skyhaul_model::{FileError, FileSeq, FileState, JobId};
use skyhaul_queue::Result;

use super::{Applier, Entry, Step};
use crate::codec::Moment;
use crate::index::{Index, ResultRow, SealRef};
use crate::ledger::{DoneFile, Event, FailedFile, FrameMark, ReceivedFile, Remembered, SealedFile};

/// Histories that are looked through between two writes.
const REQUEUE_STEP: usize = 512;

/// The chunk and the slot of a file; none for a number that was never given out.
pub(crate) fn place(seq: FileSeq) -> Option<(u32, u16)> {
    Some((u32::try_from(seq.0 >> 16).ok()?, seq.0 as u16))
}

/// All that is stored of a file; none if there is no such file.
pub(crate) fn load(index: &mut Index, job: JobId, seq: FileSeq) -> Result<Option<Entry>> {
    let Some((chunk, slot)) = place(seq) else { return Ok(None) };
    let chunk = u64::from(chunk);
    let Some(row) = index.chunks.get(job, chunk)? else { return Ok(None) };
    let Some(stored) = row.stored(slot) else { return Ok(None) };
    let has_histories = row.histories > 0;
    let seal = index.results.get(job, chunk)?.and_then(|row| row.get(slot));
    let history = if has_histories { index.histories.get(job, seq.0)? } else { None };
    Ok(Some(Entry::new(stored, history, seal)))
}

impl Applier<'_> {
    pub(super) fn sealed(&mut self, files: &[SealedFile], mark: FrameMark) -> Result<()> {
        let mut again = 0;
        for file in files {
            let sealed = file.sealed();
            let adopted = sealed.proof == skyhaul_model::Proof::Adopted;
            let seal = SealRef { at: mark.offset, size: sealed.size, received: sealed.received, adopted };
            let mut superseded = 0;
            self.change(file.seq, |entry| {
                // No live command seals a done file. Where the ledger does, it has lost what came between.
                superseded = u64::from(entry.state == FileState::Done);
                again += u64::from(entry.seal.is_some());
                if superseded == 1 { entry.superseded()?.sealed(seal) } else { entry.sealed(seal) }
            })?;
            self.skipped += superseded;
        }
        self.note_past(again, files.len(), mark);
        Ok(())
    }

    pub(super) fn done(&mut self, files: &[DoneFile], at: Moment, mark: FrameMark) -> Result<()> {
        let mut again = 0;
        for &DoneFile { seq, seal_at } in files {
            self.change(seq, |entry| {
                again += u64::from(entry.recheck);
                entry.completed_under(seal_at)
            })?;
        }
        self.note_past(again, files.len(), mark);
        self.note_finish(Some(at));
        Ok(())
    }

    pub(super) fn failed(&mut self, files: &[FailedFile], at: Moment) -> Result<()> {
        for file in files {
            self.change(file.seq, |entry| entry.failed(file))?;
        }
        self.note_finish(Some(at));
        Ok(())
    }

    pub(super) fn received(&mut self, files: &[ReceivedFile]) -> Result<()> {
        for file in files {
            self.change(file.seq, |entry| {
                let entry = entry.received(file.received);
                Ok(if file.seal_lost && entry.state == FileState::Pending {
                    entry.seal_lost()
                } else {
                    entry
                })
            })?;
        }
        Ok(())
    }

    pub(super) fn invalidated(&mut self, files: &[(FileSeq, FileError)]) -> Result<()> {
        for (seq, error) in files {
            self.change(*seq, |entry| entry.invalidated(error))?;
        }
        self.note_finish(None);
        Ok(())
    }

    /// Every failed file that was tried has a history, and no other failed file may be put back: its path
    /// cannot be made. Written in steps that each leave rows and counters in agreement, so that going
    /// through them again after a crash finds what is left.
    pub(super) fn requeue_files(&mut self) -> Result<()> {
        let mut from = 0;
        loop {
            self.put_row();
            self.index.spill()?;
            let numbers = self.index.histories.written(self.job, from, REQUEUE_STEP)?;
            let Some(last) = numbers.last() else { return Ok(()) };
            from = last.saturating_add(1);
            for seq in numbers.into_iter().map(FileSeq) {
                let failed = load(self.index, self.job, seq)?.is_some_and(|e| e.state == FileState::Failed);
                if failed {
                    self.change(seq, Entry::requeued)?;
                }
            }
        }
    }

    pub(super) fn remembered(&mut self, files: &[Remembered]) -> Result<()> {
        for file in files {
            self.change(file.seq, |entry| Ok(entry.remembered(file)))?;
        }
        Ok(())
    }

    /// Of so many files of a frame an earlier one said the same or something else: that is past.
    fn note_past(&mut self, again: u64, of: usize, mark: FrameMark) {
        let past = u64::from(mark.length) * again / (of as u64).max(1);
        self.row.dead = self.row.dead.saturating_add(past);
    }

    /// Takes a file one step on; a step that cannot be is counted and left out.
    fn change(&mut self, seq: FileSeq, step: impl FnOnce(Entry) -> Step) -> Result<()> {
        let stepped = match load(self.index, self.job, seq)? {
            Some(before) => step(before.clone()).ok().map(|after| (before, after)),
            None => None,
        };
        match stepped {
            Some((before, after)) => self.store(seq, &before, &after),
            None => {
                self.skipped += 1;
                Ok(())
            }
        }
    }

    fn store(&mut self, seq: FileSeq, before: &Entry, after: &Entry) -> Result<()> {
        self.count(before, after);
        let Some((chunk, slot)) = place(seq) else { return Ok(()) };
        let chunk = u64::from(chunk);
        if before.stored() != after.stored() {
            self.index.chunks.edit(self.job, chunk, |row| row.set(slot, after.stored()))?;
        }
        if before.seal != after.seal {
            if self.index.results.get(self.job, chunk)?.is_none() {
                self.index.results.put(self.job, chunk, ResultRow::default());
            }
            self.index.results.edit(self.job, chunk, |row| row.set(slot, after.seal))?;
        }
        if before.is_plain() && after.is_plain() {
            return Ok(());
        }
        let (old, new) = (before.history(), after.history());
        if old.is_some() != new.is_some() {
            self.index.chunks.edit(self.job, chunk, |row| {
                row.histories =
                    (row.histories + u16::from(new.is_some())).saturating_sub(u16::from(old.is_some()));
            })?;
        }
        match (old, new) {
            (old, Some(new)) if old.as_ref() != Some(&new) => self.index.histories.put(self.job, seq.0, new),
            (Some(_), None) => self.index.histories.remove(self.job, seq.0),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, before: &Entry, after: &Entry) {
        let row = &mut *self.row;
        let is = |entry: &Entry, state| u64::from(entry.state == state);
        row.files_done = row.files_done + is(after, FileState::Done) - is(before, FileState::Done);
        row.files_failed = row.files_failed + is(after, FileState::Failed) - is(before, FileState::Failed);
        row.bytes_received = row.bytes_received.saturating_add(after.received - before.received);
        row.bytes_done = row.bytes_done.saturating_add(done_bytes(after)).saturating_sub(done_bytes(before));
        row.bytes_adopted =
            row.bytes_adopted.saturating_add(adopted_bytes(after)).saturating_sub(adopted_bytes(before));
    }
}

fn done_bytes(entry: &Entry) -> u64 {
    entry.seal.filter(|_| entry.state == FileState::Done).map_or(0, |seal| seal.size)
}

fn adopted_bytes(entry: &Entry) -> u64 {
    entry.seal.filter(|seal| entry.state == FileState::Done && seal.adopted).map_or(0, |seal| seal.size)
}

/// Files of one event, at most: what one event changes is written in one batch.
pub(crate) const EVENT_FILES: usize = 256;

/// Cuts a list of files into events of bounded size.
pub(crate) fn events<T: Clone>(files: &[T], event: impl Fn(Vec<T>) -> Event) -> Vec<Event> {
    files.chunks(EVENT_FILES).map(|part| event(part.to_vec())).collect()
}
