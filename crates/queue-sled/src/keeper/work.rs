//! Commands on claimed and finished files.
//!
//! Each checks all files first, by the same steps that are applied later, and only then records anything:
//! a call is done whole or not at all.

use std::collections::BTreeMap;
use std::hash::BuildHasherDefault;

use jiff::Timestamp;
use skyhaul_model::{FileError, FileSeq, FileState, JobId, Sealed};
use skyhaul_queue::{AttemptEnd, FailedAttempt, FileRef, Received, Result};

use super::{Keeper, conflict};
use crate::apply::{Entry, Step, events, time};
use crate::index::SealRef;
use crate::ledger::{DoneFile, Event, FailedFile, ReceivedFile, SealedFile};
use crate::numbers::NumberMap;

impl Keeper {
    /// Those whose jobs have not been removed.
    pub(crate) fn still_there<T>(&self, mut told: Vec<T>, job: impl Fn(&T) -> JobId) -> Vec<T> {
        told.retain(|one| self.jobs.contains_key(&job(one)));
        told
    }

    pub(crate) fn release(&mut self, files: &[Received]) -> Result<()> {
        let mut check = Check::of(files.len());
        let mut changes = ByJob::default();
        for told in files {
            let before = check.step(self, told.file, Entry::released)?;
            let received = told.received.max(self.checkpointed(told.file));
            let seal_lost = told.seal_lost && before.seal.is_some();
            if seal_lost || received > before.received {
                changes.push(told.file.job, ReceivedFile { seq: told.file.seq, received, seal_lost });
            }
        }
        self.record_all(changes, Event::Received)?;
        for FileRef { job, seq } in files.iter().map(|told| told.file) {
            let dispatch = &mut self.job_mut(job)?.dispatch;
            if dispatch.claims.remove(&seq).is_some() {
                dispatch.put_back(seq, None);
            }
            self.changed.insert(job);
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self, files: &[Received]) -> Result<()> {
        for told in files {
            self.entry(told.file)?;
        }
        for told in files {
            if let Some(claim) = self.job_mut(told.file.job)?.dispatch.claims.get_mut(&told.file.seq) {
                claim.received = claim.received.max(told.received);
            }
            self.changed.insert(told.file.job);
        }
        Ok(())
    }

    pub(crate) fn seal(&mut self, files: &[(FileRef, Sealed)]) -> Result<()> {
        let mut check = Check::of(files.len());
        let mut seals = ByJob::default();
        for (file, sealed) in files {
            // Where the seal will lie is not known yet and does not matter to the check.
            let seal = SealRef { at: 0, size: sealed.size, received: sealed.received, adopted: false };
            check.step(self, *file, |entry| entry.sealed(seal))?;
            seals.push(file.job, SealedFile::new(file.seq, sealed));
        }
        self.record_all(seals, Event::Sealed)?;
        for (file, sealed) in files {
            if let Some(claim) = self.job_mut(file.job)?.dispatch.claims.get_mut(&file.seq) {
                claim.recorded = claim.recorded.max(sealed.received);
            }
        }
        Ok(())
    }

    pub(crate) fn complete(&mut self, files: &[FileRef], now: Timestamp) -> Result<()> {
        let mut check = Check::of(files.len());
        let mut done = ByJob::default();
        let mut received = ByJob::default();
        for &file in files {
            if check.entry(self, file)?.state == FileState::Done {
                continue;
            }
            let before = check.step(self, file, Entry::completed)?;
            let checkpointed = self.checkpointed(file);
            if checkpointed > before.received {
                let told = ReceivedFile { seq: file.seq, received: checkpointed, seal_lost: false };
                received.push(file.job, told);
            }
            let seal_at = before.seal.map_or(0, |seal| seal.at);
            done.push(file.job, DoneFile { seq: file.seq, seal_at });
        }
        self.record_all(received, Event::Received)?;
        self.record_all(done, |files| Event::Done { files, at: now.into() })?;
        for file in files {
            self.job_mut(file.job)?.dispatch.end(file.seq);
            self.changed.insert(file.job);
        }
        Ok(())
    }

    pub(crate) fn fail(&mut self, attempts: Vec<FailedAttempt>, now: Timestamp) -> Result<()> {
        let mut check = Check::of(attempts.len());
        let mut failed = ByJob::default();
        for attempt in attempts {
            let FailedAttempt { file, error, failures, received, no_resume, end } = attempt;
            let received = received.max(self.checkpointed(file));
            let not_before = match end {
                AttemptEnd::RetryAt(at) => Some(at.into()),
                AttemptEnd::GiveUp => None,
            };
            let told = FailedFile { seq: file.seq, error, failures, received, not_before, no_resume };
            check.step(self, file, |entry| entry.failed(&told))?;
            failed.push(file.job, told);
        }
        let ends: Vec<_> = failed.iter().map(|(job, file)| (job, file.seq, time(file.not_before))).collect();
        let troubles = failed.told();
        self.record_all(failed, |files| Event::Failed { files, at: now.into() })?;
        for (job, failures) in troubles {
            self.note_file_troubles(job, &failures, now)?;
        }
        for (job, seq, not_before) in ends {
            let dispatch = &mut self.job_mut(job)?.dispatch;
            dispatch.end(seq);
            if not_before.is_some() {
                dispatch.put_back(seq, not_before);
            }
        }
        Ok(())
    }

    pub(crate) fn invalidate(&mut self, files: Vec<(FileRef, FileError)>) -> Result<()> {
        let mut check = Check::of(files.len());
        let mut bad = ByJob::default();
        for (file, error) in files {
            check.step(self, file, |entry| entry.invalidated(&error))?;
            bad.push(file.job, (file.seq, error));
        }
        let ends: Vec<_> = bad.iter().map(|(job, (seq, _))| (job, *seq)).collect();
        self.record_all(bad, Event::Invalidated)?;
        for (job, seq) in ends {
            self.job_mut(job)?.dispatch.put_back(seq, None);
        }
        Ok(())
    }

    /// Records what these claims' checkpoints told, where the ledger does not know it.
    pub(super) fn record_checkpoints(&mut self, claims: &[(JobId, FileSeq)]) -> Result<()> {
        let mut changes = ByJob::default();
        for &(job, seq) in claims {
            let claim = self.job(job)?.dispatch.claims.get(&seq).filter(|claim| claim.unrecorded() > 0);
            if let Some(claim) = claim {
                changes.push(job, ReceivedFile { seq, received: claim.received, seal_lost: false });
            }
        }
        self.record_all(changes, Event::Received)
    }

    fn record_all<T: Clone>(&mut self, items: ByJob<T>, event: impl Fn(Vec<T>) -> Event) -> Result<()> {
        for (job, items) in items.0 {
            for event in events(&items, &event) {
                self.record(job, &event)?;
            }
        }
        Ok(())
    }

    /// What checkpoints told of the file, if it is under a claim.
    fn checkpointed(&self, file: FileRef) -> u64 {
        let claim = self.jobs.get(&file.job).and_then(|job| job.dispatch.claims.get(&file.seq));
        claim.map_or(0, |claim| claim.received)
    }
}

/// Items of one call by the job they belong to, in the order given.
struct ByJob<T>(BTreeMap<JobId, Vec<T>>);

impl<T> Default for ByJob<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByJob<T> {
    fn push(&mut self, job: JobId, item: T) {
        self.0.entry(job).or_default().push(item);
    }

    fn iter(&self) -> impl Iterator<Item = (JobId, &T)> {
        self.0.iter().flat_map(|(job, items)| items.iter().map(|item| (*job, item)))
    }
}

impl ByJob<FailedFile> {
    /// The files and what was said of them.
    fn told(&self) -> BTreeMap<JobId, Vec<(FileRef, FileError)>> {
        let told = |job, file: &FailedFile| (FileRef { job, seq: file.seq }, file.error.clone());
        self.0.iter().map(|(&job, files)| (job, files.iter().map(|file| told(job, file)).collect())).collect()
    }
}

/// A call's steps tried out one after another, without recording anything.
struct Check(NumberMap<FileRef, Entry>);

impl Check {
    /// Room for the steps of so many files.
    fn of(files: usize) -> Self {
        Self(NumberMap::with_capacity_and_hasher(files, BuildHasherDefault::default()))
    }

    /// The file as the steps so far leave it.
    fn entry(&self, keeper: &mut Keeper, file: FileRef) -> Result<Entry> {
        self.0.get(&file).cloned().map_or_else(|| keeper.entry(file), Ok)
    }

    /// Tries a step out; answers what the file was before it.
    fn step(
        &mut self,
        keeper: &mut Keeper,
        file: FileRef,
        step: impl FnOnce(Entry) -> Step,
    ) -> Result<Entry> {
        let before = self.entry(keeper, file)?;
        let after = step(before.clone()).map_err(conflict(file.job, file.seq))?;
        self.0.insert(file, after);
        Ok(before)
    }
}
