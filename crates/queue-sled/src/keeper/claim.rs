//! Claiming files: who is next, and what a worker has to know of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use skyhaul_model::{FileSeq, FileState, JobId};
use skyhaul_queue::{Claim, ClaimFilter, ClaimRequest, FileRef, Known, QueueError, Result};

use super::Keeper;
use crate::apply::{Entry, load, place, time};
use crate::dispatch::{FileClaim, Lease};
use crate::index::Index;
use crate::job::Job;

impl Keeper {
    pub(crate) fn claim_files(&mut self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        self.clock = self.clock.max(request.now);
        self.expire_files(request.now)?;
        let dealt = self.deal(request)?;
        self.changed.extend(dealt.iter().map(|(file, _)| file.job));
        let files: Vec<FileRef> = dealt.iter().map(|(file, _)| *file).collect();
        let described: Result<Vec<Claim>> =
            dealt.into_iter().map(|(file, entry)| self.describe(file, entry)).collect();
        if described.is_err() {
            // Nobody would ever end these claims.
            for file in files {
                let dispatch = &mut self.job_mut(file.job)?.dispatch;
                dispatch.claims.remove(&file.seq);
                dispatch.put_back(file.seq, None);
            }
        }
        described
    }

    pub(crate) fn next_due(&self, filter: &ClaimFilter) -> Option<Timestamp> {
        self.runnable(filter).filter_map(|job| job.dispatch.next_due(self.clock)).min()
    }

    /// Chooses files and puts them under claims.
    fn deal(&mut self, request: &ClaimRequest) -> Result<Vec<(FileRef, Entry)>> {
        let lease = Lease { owner: request.owner, until: request.until };
        self.lease_ends.files = self.lease_ends.files.min(lease.until);
        let mut dealt = Vec::new();
        for mut circle in self.circles(&request.filter, self.turn) {
            while dealt.len() < request.limit
                && let Some(id) = circle.pop_front()
            {
                let job = self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))?;
                if let Some((seq, entry)) = take_next(job, &mut self.index, request.now, lease)? {
                    dealt.push((FileRef { job: id, seq }, entry));
                    self.leased.insert(id);
                    self.turn = id;
                    circle.push_back(id);
                }
            }
        }
        Ok(dealt)
    }

    /// The jobs of each priority, the highest first: who comes behind the job that was served last is
    /// first, the others follow in a circle.
    pub(super) fn circles(&self, filter: &ClaimFilter, last: JobId) -> Vec<VecDeque<JobId>> {
        let mut by_priority: BTreeMap<Reverse<i8>, Vec<JobId>> = BTreeMap::new();
        for job in self.runnable(filter) {
            by_priority.entry(Reverse(job.settings().priority)).or_default().push(job.id);
        }
        let circle = |mut ids: Vec<JobId>| {
            ids.sort_by_key(|id| (*id <= last, *id));
            VecDeque::from(ids)
        };
        by_priority.into_values().map(circle).collect()
    }

    fn describe(&mut self, file: FileRef, entry: Entry) -> Result<Claim> {
        let spec = self.spec(file)?;
        let sealed = entry.seal.map(|seal| self.sealed(file, seal)).transpose()?;
        Ok(Claim {
            file,
            spec,
            attempts: entry.attempts,
            failures: entry.failures,
            last_error: entry.error,
            received: entry.received,
            known: match sealed {
                None => Known::Nothing,
                Some(sealed) if entry.recheck => Known::Recheck(sealed),
                Some(sealed) => Known::Sealed(sealed),
            },
        })
    }

    /// All that is stored of the file.
    pub(super) fn entry(&mut self, file: FileRef) -> Result<Entry> {
        self.job(file.job)?;
        let found = load(&mut self.index, file.job, file.seq)?;
        found.ok_or(QueueError::NoSuchFile(file.job, file.seq))
    }

    /// Where the file's chunk lies in the ledger, and the file in the chunk.
    pub(super) fn chunk_place(&mut self, file: FileRef) -> Result<(u64, u16)> {
        let missing = || QueueError::NoSuchFile(file.job, file.seq);
        let (chunk, slot) = place(file.seq).ok_or_else(missing)?;
        let row = self.index.chunks.get(file.job, u64::from(chunk))?.ok_or_else(missing)?;
        Ok((row.offset, slot))
    }
}

/// Puts the job's next due file under a claim.
fn take_next(
    job: &mut Job,
    index: &mut Index,
    now: Timestamp,
    lease: Lease,
) -> Result<Option<(FileSeq, Entry)>> {
    job.dispatch.wake(now);
    while let Some(seq) = next_candidate(job, index)? {
        let Some(entry) = load(index, job.id, seq)? else { continue };
        if entry.state != FileState::Pending || job.dispatch.claims.contains_key(&seq) {
            continue;
        }
        match time(entry.not_before).filter(|at| *at > now) {
            Some(later) => job.dispatch.waiting.insert(seq, later),
            None => {
                let claim = FileClaim { lease, recorded: entry.received, received: entry.received };
                job.dispatch.claims.insert(seq, claim);
                return Ok(Some((seq, entry)));
            }
        }
    }
    Ok(None)
}

/// The next file that may be pending: of those that came back, else at the cursor, which moves on.
fn next_candidate(job: &mut Job, index: &mut Index) -> Result<Option<FileSeq>> {
    if let Some(seq) = job.dispatch.returned.pop_first() {
        return Ok(Some(seq));
    }
    while let Some((chunk, slot)) =
        place(job.dispatch.cursor).filter(|(chunk, _)| *chunk < job.row.next_chunk)
    {
        let row = index.chunks.get(job.id, u64::from(chunk))?;
        let found = row.and_then(|row| row.slots(FileState::Pending, slot).next());
        match found {
            Some(slot) => {
                let seq = FileSeq(u64::from(chunk) << 16 | u64::from(slot));
                job.dispatch.cursor = FileSeq(seq.0 + 1);
                return Ok(Some(seq));
            }
            None => job.dispatch.cursor = FileSeq((u64::from(chunk) + 1) << 16),
        }
    }
    Ok(None)
}
