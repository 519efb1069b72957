//! Pages of files: chunk by chunk from the ledger, chunks without wanted files passed over by their bits.

use skyhaul_model::{FileRecord, FileSeq, FileState, JobId};
use skyhaul_queue::{FilePage, FileQuery, FileRef, QueueError, Result};

use super::Keeper;
use crate::apply::{place, time};
use crate::index::ChunkRow;

/// Files of a page, at most.
const PAGE_FILES: usize = 4_096;

/// Chunks that are looked at for a page, at most: a page is never long in coming.
const PAGE_CHUNKS: u32 = 4_096;

impl Keeper {
    pub(crate) fn files(&mut self, id: JobId, query: FileQuery) -> Result<FilePage> {
        let limit = query.limit.clamp(1, PAGE_FILES);
        let mut page = FilePage::default();
        let Some(from) = query.after.map_or(Some(0), |after| after.0.checked_add(1)) else {
            self.job(id)?;
            return Ok(page);
        };
        let Some((first, mut slot)) = place(FileSeq(from)) else { return Ok(page) };
        let last = self.job(id)?.row.next_chunk;
        for chunk in first..last {
            for seq in self.wanted(id, chunk, slot, query.state)? {
                if page.files.len() == limit {
                    page.next = page.files.last().map(|last| last.seq);
                    return Ok(page);
                }
                page.files.push(self.file_record(FileRef { job: id, seq })?);
            }
            slot = 0;
            if chunk - first >= PAGE_CHUNKS && chunk + 1 < last {
                page.next = Some(FileSeq(u64::from(chunk) << 16 | 0xffff));
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The files of a chunk, from a slot on, that are in the state.
    fn wanted(&self, id: JobId, chunk: u32, slot: u16, state: Option<FileState>) -> Result<Vec<FileSeq>> {
        let job = self.job(id)?;
        let Some(row) = self.index.chunks.peek(id, u64::from(chunk))? else {
            let what = format!("the row of chunk {chunk} of job {id} is missing; open the queue again");
            return Err(QueueError::Damaged { path: self.dir.index(), what });
        };
        let number = |slot: u16| FileSeq(u64::from(chunk) << 16 | u64::from(slot));
        let is_wanted = |slot: &u16| match (state, stored(&row, *slot)) {
            (None, _) => true,
            (Some(FileState::Active), FileState::Pending) => job.dispatch.claims.contains_key(&number(*slot)),
            (Some(FileState::Pending), FileState::Pending) => {
                !job.dispatch.claims.contains_key(&number(*slot))
            }
            (Some(wanted), stored) => wanted == stored,
        };
        Ok((slot..row.count).filter(is_wanted).map(number).collect())
    }

    fn file_record(&mut self, file: FileRef) -> Result<FileRecord> {
        let entry = self.entry(file)?;
        let spec = self.spec(file)?;
        let claim = self.job(file.job)?.dispatch.claims.get(&file.seq).copied();
        let seal = entry.seal.filter(|_| entry.state == FileState::Done || entry.recheck);
        let sealed = seal.map(|seal| self.sealed(file, seal)).transpose()?;
        let error = entry.error.or_else(|| {
            // A file that failed without an attempt has no path.
            spec.path.as_ref().err().filter(|_| entry.state == FileState::Failed).cloned()
        });
        Ok(FileRecord {
            seq: file.seq,
            spec,
            state: if claim.is_some() { FileState::Active } else { entry.state },
            attempts: entry.attempts,
            error,
            not_before: time(entry.not_before),
            sealed,
            received: claim.map_or(entry.received, |claim| claim.received.max(entry.received)),
            no_resume: entry.no_resume,
        })
    }
}

fn stored(row: &ChunkRow, slot: u16) -> FileState {
    row.state(slot).unwrap_or(FileState::Pending)
}
