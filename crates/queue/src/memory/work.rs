//! Work in the queue in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_model::{FileError, FileEvent, FileSeq, FileState, Illegal, JobId, JobRecord, Sealed, Trouble};

use super::job::{File, Job, Lease};
use super::{MemoryQueue, State, slice};
use crate::{
    AttemptEnd, Claim, ClaimFilter, ClaimRequest, FailedAttempt, FilePage, FileQuery, FileRef, LeaseOwner,
    QueueError, Received, Result, SecretHeader, WorkQueue,
};

#[async_trait]
impl WorkQueue for MemoryQueue {
    async fn claim_files(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        self.change(|state| {
            state.clock = state.clock.max(request.now);
            expire(state, request.now);
            let dealt = state.deal(&request);
            dealt.into_iter().map(|file| claim(state, file, &request)).collect()
        })
    }

    async fn renew(&self, owner: LeaseOwner, until: Timestamp) -> Result<()> {
        self.change(|state| {
            for job in state.jobs.values_mut() {
                let files = job.files.iter_mut().filter_map(|file| file.lease.as_mut());
                let windows = job.windows.iter_mut().filter_map(|window| window.claim.as_mut());
                let leases = files.chain(windows.map(|claim| &mut claim.lease));
                leases.filter(|lease| lease.owner == owner).for_each(|lease| lease.until = until);
            }
            Ok(())
        })
    }

    async fn release(&self, files: Vec<Received>) -> Result<()> {
        self.change(|state| {
            let files = state.still_there(files, |told| told.file.job);
            state.check(files.iter().map(|entry| (entry.file, FileEvent::Release)))?;
            for entry in files {
                let file = state.take(entry.file, FileEvent::Release)?;
                file.received = file.received.max(entry.received);
                if entry.seal_lost {
                    file.sealed = None;
                    file.recheck = false;
                }
            }
            Ok(())
        })
    }

    async fn checkpoint(&self, files: Vec<Received>) -> Result<()> {
        self.change(|state| {
            let files = state.still_there(files, |told| told.file.job);
            for entry in &files {
                state.file(entry.file)?;
            }
            for entry in files {
                let file = state.file_mut(entry.file)?;
                if file.lease.is_some() {
                    file.received = file.received.max(entry.received);
                }
            }
            Ok(())
        })
    }

    async fn seal(&self, files: Vec<(FileRef, Sealed)>) -> Result<()> {
        self.change(|state| {
            let files = state.still_there(files, |told| told.0.job);
            for (file, _) in &files {
                // Only what may be completed may be sealed.
                let next = state.file(*file)?.state.after(FileEvent::Complete);
                next.map_err(|illegal| QueueError::Conflict(file.job, file.seq, illegal))?;
            }
            for (file, sealed) in files {
                let file = state.file_mut(file)?;
                file.received = file.received.max(sealed.received);
                file.sealed = Some(sealed);
                file.recheck = false;
            }
            Ok(())
        })
    }

    async fn complete(&self, files: Vec<FileRef>, now: Timestamp) -> Result<()> {
        self.change(|state| {
            let files = state.still_there(files, |told| told.job);
            for &file in &files {
                check_complete(file, state.file(file)?)?;
            }
            for file in files {
                if state.file(file)?.state != FileState::Done {
                    let done = state.take(file, FileEvent::Complete)?;
                    // That a file was found unchanged is no attempt at it.
                    done.attempts += u32::from(!done.recheck);
                    done.recheck = false;
                    done.no_resume = None;
                    done.failures = 0;
                    done.error = None;
                    done.not_before = None;
                }
                state.job_mut(file.job)?.note_finish(Some(now));
            }
            Ok(())
        })
    }

    async fn fail(&self, attempts: Vec<FailedAttempt>, now: Timestamp) -> Result<()> {
        self.change(|state| {
            let attempts = state.still_there(attempts, |attempt| attempt.file.job);
            state.check(attempts.iter().map(|attempt| (attempt.file, event_of(attempt.end))))?;
            for attempt in attempts {
                let file = state.take(attempt.file, event_of(attempt.end))?;
                file.attempts += 1;
                file.failures = attempt.failures;
                file.no_resume = attempt.no_resume;
                file.error = Some(attempt.error);
                file.received = file.received.max(attempt.received);
                file.not_before = match attempt.end {
                    AttemptEnd::RetryAt(at) => Some(at),
                    AttemptEnd::GiveUp => None,
                };
                let job = state.job_mut(attempt.file.job)?;
                job.note_file_trouble(attempt.file.seq, now)?;
                job.note_finish(Some(now));
            }
            Ok(())
        })
    }

    async fn invalidate(&self, files: Vec<(FileRef, FileError)>) -> Result<()> {
        self.change(|state| {
            state.check(files.iter().map(|(file, _)| (*file, FileEvent::Invalidate)))?;
            for (file, error) in files {
                let pending = state.take(file, FileEvent::Invalidate)?;
                pending.error = Some(error);
                pending.sealed = None;
                state.job_mut(file.job)?.note_finish(None);
            }
            Ok(())
        })
    }

    async fn next_due(&self, filter: &ClaimFilter) -> Result<Option<Timestamp>> {
        let state = self.lock();
        let files = state.runnable(filter).flat_map(|job| &job.files);
        let files = files.filter(|file| file.state == FileState::Pending).map(|file| file.not_before);
        let windows = state.runnable(filter).flat_map(|job| &job.windows);
        let windows = windows.filter(|window| window.is_waiting()).map(|window| window.record.not_before);
        Ok(files.chain(windows).flatten().filter(|&at| at > state.clock).min())
    }

    async fn remove_unchanged(&self, seen: &JobRecord, headers: &[SecretHeader]) -> Result<bool> {
        self.change(|state| {
            let is_as_seen = |job: &Job| job.record() == *seen && job.headers == headers;
            let is_unchanged = state.jobs.get(&seen.id).is_some_and(is_as_seen);
            Ok(is_unchanged && state.jobs.remove(&seen.id).is_some())
        })
    }

    async fn checksums_len(&self, id: JobId) -> Result<Option<u64>> {
        Ok(self.lock().job(id)?.checksums.as_ref().map(|list| list.len() as u64))
    }

    async fn read_checksums(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>> {
        Ok(slice(self.lock().job(id)?.checksums.as_deref().unwrap_or_default(), offset, length))
    }

    async fn files(&self, id: JobId, query: FileQuery) -> Result<FilePage> {
        let state = self.lock();
        let records = (0..).map(FileSeq).zip(&state.job(id)?.files);
        let mut rest = records.filter(|(seq, file)| {
            query.after.is_none_or(|after| *seq > after)
                && query.state.is_none_or(|wanted| file.state == wanted)
        });
        let files: Vec<_> =
            rest.by_ref().take(query.limit.max(1)).map(|(seq, file)| file.record(seq)).collect();
        let next = rest.next().and(files.last()).map(|last| last.seq);
        Ok(FilePage { files, next })
    }
}

fn claim(state: &mut State, file: FileRef, request: &ClaimRequest) -> Result<Claim> {
    let taken = state.take(file, FileEvent::Claim)?;
    taken.lease = Some(Lease { owner: request.owner, until: request.until });
    Ok(Claim {
        file,
        spec: taken.spec.clone(),
        attempts: taken.attempts,
        failures: taken.failures,
        last_error: taken.error.clone(),
        received: taken.received,
        known: taken.known(),
    })
}

/// Claims that nobody renewed are given back as if released.
fn expire(state: &mut State, now: Timestamp) {
    for file in state.jobs.values_mut().flat_map(|job| &mut job.files) {
        if file.lease.take_if(|lease| lease.until <= now).is_some() {
            file.state = file.state.after(FileEvent::Release).unwrap_or(FileState::Pending);
        }
    }
}

fn event_of(end: AttemptEnd) -> FileEvent {
    match end {
        AttemptEnd::RetryAt(_) => FileEvent::Retry,
        AttemptEnd::GiveUp => FileEvent::Fail,
    }
}

/// Done already is fine; what was never sealed cannot be done.
fn check_complete(at: FileRef, file: &File) -> Result<()> {
    let illegal = Illegal { from: file.state, event: FileEvent::Complete };
    match file.state.after(FileEvent::Complete) {
        _ if file.state == FileState::Done => Ok(()),
        Ok(_) if file.sealed.is_some() => Ok(()),
        _ => Err(QueueError::Conflict(at.job, at.seq, illegal)),
    }
}

impl Job {
    /// Counts the failure that the file has just been through.
    fn note_file_trouble(&mut self, seq: FileSeq, now: Timestamp) -> Result<()> {
        let file = self.file(seq)?;
        let path = file.spec.path.as_ref().map_or(file.spec.url.as_str(), |path| path.as_str());
        let trouble = file.error.as_ref().map(|error| Trouble::once(error, &file.spec.url, path, now));
        trouble.into_iter().for_each(|trouble| self.troubles.note(trouble));
        Ok(())
    }
}

impl State {
    /// Those whose jobs have not been removed.
    fn still_there<T>(&self, mut told: Vec<T>, job: impl Fn(&T) -> JobId) -> Vec<T> {
        told.retain(|one| self.jobs.contains_key(&job(one)));
        told
    }

    fn file(&self, at: FileRef) -> Result<&File> {
        self.job(at.job)?.file(at.seq)
    }

    fn file_mut(&mut self, at: FileRef) -> Result<&mut File> {
        self.job_mut(at.job)?.file_mut(at.seq)
    }

    /// Whether all of these events are legal one after another; a call is done whole or not at all.
    fn check(&self, events: impl Iterator<Item = (FileRef, FileEvent)>) -> Result<()> {
        let mut states = BTreeMap::new();
        for (at, event) in events {
            let before = states.get(&at).copied().map_or_else(|| self.file(at).map(|file| file.state), Ok)?;
            let after =
                before.after(event).map_err(|illegal| QueueError::Conflict(at.job, at.seq, illegal))?;
            states.insert(at, after);
        }
        Ok(())
    }

    /// Lets the event happen to the file and ends the claim on it.
    fn take(&mut self, at: FileRef, event: FileEvent) -> Result<&mut File> {
        let file = self.file_mut(at)?;
        let next = file.state.after(event);
        file.state = next.map_err(|illegal| QueueError::Conflict(at.job, at.seq, illegal))?;
        file.lease = None;
        Ok(file)
    }
}
