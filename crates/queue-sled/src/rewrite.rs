//! Rewriting the ledger of a finished job: the same state, told by the shortest history that leads to it.
//!
//! A standing job is checked again and again, and each time the ledger says so. When more than half of it is
//! such past, it is told anew in ordinary events: what holds for damage and for crashes holds for it, too. The
//! new ledger is read into a scratch index first and takes the old one's place only if it comes to the same
//! job row; a crash before the rename leaves the old one, after it the new one.

use std::path::Path;

use skyhaul_model::{FileSeq, FileState, Intent, JobId, Plan, WindowId, WindowState};
use skyhaul_queue::{QueueError, Result};

use crate::apply::{Entry, load};
use crate::disk;
use crate::index::{ChunkRow, Index, JobRow, ResultRow, SealRef, WindowRow};
use crate::job::Job;
use crate::ledger::{
    ChunkRef, CreatedFacts, DoneFile, Event, FailedFile, FrameMark, Ledger, Listed, Remembered, SealedFile,
};
use crate::pack::{chunk_ref, unpack};
use crate::recover::replay;
use crate::state_dir::scratch_index;
use crate::watch::Watch;

/// Ledgers below this length, in bytes, are not worth it.
const WORTH: u64 = 64 << 10;

/// Whether the job's ledger is over twice its live size, and its state one that can be told in few words.
pub(crate) fn is_worth_it(job: &Job) -> bool {
    let row = &job.row;
    let length = job.ledger.length();
    let idle = job.dispatch.claims.is_empty() && job.dispatch.window_claims.is_empty();
    let settled = row.plan == Plan::Planned && row.windows == row.windows_listed;
    let finished = settled && row.files == row.files_done + row.files_failed;
    idle && finished && length > WORTH && row.dead > length / 2
}

/// Writes the job's ledger anew at `path`. Answers whether it says the same; if not, it is of no use.
pub(crate) fn rewrite(job: &mut Job, index: &mut Index, path: &Path, watch: &Watch) -> Result<bool> {
    index.spill()?;
    disk::remove(path)?;
    let mut writer = Writer { ledger: Ledger::create(path, job.id)?, index, job };
    if !writer.write()? {
        return Ok(false);
    }
    writer.ledger.sync()?;
    let told = read_back(path, job.id, watch)?;
    Ok(same(&told, &job.row))
}

struct Writer<'a> {
    ledger: Ledger,
    index: &'a mut Index,
    job: &'a mut Job,
}

impl Writer<'_> {
    /// False when the state is none that events of today lead to: damage has left its mark on it.
    fn write(&mut self) -> Result<bool> {
        let JobRow { next_window, next_chunk, intent, finished_at, .. } = self.job.row.clone();
        let facts = CreatedFacts::clone(&self.job.facts);
        let created = facts.created_at.into();
        self.ledger.append(&Event::Created(Box::new(facts)))?;
        let mut windows = Vec::new();
        for number in 0..next_window {
            let Some(row) = self.index.windows.peek(self.job.id, u64::from(number))? else {
                return Ok(false);
            };
            windows.push(skyhaul_model::NewWindow { target: row.target });
        }
        self.ledger.append(&Event::Planned { windows, at: created })?;
        for number in 0..next_window {
            self.window(WindowId(number), next_window)?;
        }
        for chunk in 0..next_chunk {
            if !self.files(chunk)? {
                return Ok(false);
            }
        }
        if let Some(row) = self.index.troubles.peek(self.job.id, 0)? {
            self.ledger.append(&Event::Troubled(row.0.rows().to_vec()))?;
        }
        let Some(at) = finished_at else { return Ok(false) };
        if intent != Intent::Run {
            self.ledger.append(&Event::Intent { intent, at })?;
        }
        self.ledger.append(&Event::Rewritten { finished_at: at })?;
        Ok(true)
    }

    /// How a window was listed, run by run.
    fn window(&mut self, window: WindowId, next_window: u32) -> Result<()> {
        let Some(row) = self.index.windows.peek(self.job.id, u64::from(window.0))? else { return Ok(()) };
        let WindowRow { state, mut runs, .. } = row;
        let (bytes, at) = match state {
            WindowState::Listed { bytes, at, .. } => (bytes, at.into()),
            WindowState::Split => {
                let split = Event::Split { window, first: WindowId(next_window), parts: Vec::new() };
                return self.ledger.append(&split).map(drop);
            }
            WindowState::Pending | WindowState::Failed => return Ok(()),
        };
        if runs.is_empty() {
            runs.push((0, 0));
        }
        let mut held = 0;
        for (first_chunk, count) in runs {
            let mut chunks = Vec::new();
            for chunk in first_chunk..first_chunk.saturating_add(count) {
                chunks.push(self.chunk(window, chunk)?);
            }
            let files: u64 = chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
            // The troubles of all listings are told once, for the whole job.
            let lost = Vec::new();
            let listed = Listed { window, first_chunk, chunks, bytes, at, held, lost };
            self.ledger.append(&Event::Listed(listed))?;
            held += files;
        }
        Ok(())
    }

    /// Copies a chunk.
    fn chunk(&mut self, window: WindowId, chunk: u32) -> Result<ChunkRef> {
        let row = self.index.chunks.peek(self.job.id, u64::from(chunk))?;
        let offset = row.map_or(0, |row| row.offset);
        let Event::Chunk { packed, .. } = self.job.ledger.read(offset)? else {
            return Err(self.unexpected(offset));
        };
        let files = unpack(&packed).ok_or_else(|| self.unexpected(offset))?;
        let mark = self.ledger.append(&Event::Chunk { window, packed })?;
        Ok(chunk_ref(mark.offset, &files))
    }

    /// What became of a chunk's files.
    fn files(&mut self, chunk: u32) -> Result<bool> {
        let id = self.job.id;
        let row = self.index.chunks.peek(id, u64::from(chunk))?;
        let Some(row) = row.filter(|row| row.count > 0) else { return Ok(false) };
        let results = self.index.results.peek(id, u64::from(chunk))?.unwrap_or_default();
        let seal = self.seals(chunk, &row, &results)?;
        let mut events = Events::default();
        for slot in 0..row.count {
            let seq = FileSeq(u64::from(chunk) << 16 | u64::from(slot));
            if let Some(entry) = load(self.index, id, seq)? {
                events.add(seq, &entry, seal);
            }
        }
        let Some(at) = self.job.row.finished_at else { return Ok(false) };
        let Events { done, failed, remembered } = events;
        if !done.is_empty() {
            self.ledger.append(&Event::Done { files: done, at })?;
        }
        if !failed.is_empty() {
            self.ledger.append(&Event::Failed { files: failed, at })?;
        }
        if !remembered.is_empty() {
            self.ledger.append(&Event::Remembered(remembered))?;
        }
        Ok(true)
    }

    /// Copies the seals of a chunk's files; answers where they lie.
    fn seals(&mut self, chunk: u32, row: &ChunkRow, results: &ResultRow) -> Result<Option<FrameMark>> {
        let mut frames = Frames::default();
        let mut seals = Vec::new();
        for (slot, SealRef { at, .. }) in (0..row.count).filter_map(|slot| Some((slot, results.get(slot)?))) {
            let seq = FileSeq(u64::from(chunk) << 16 | u64::from(slot));
            let frame = frames.read(&mut self.job.ledger, at)?;
            let found = frame.iter().rfind(|file| file.seq == seq).cloned();
            seals.push(found.ok_or_else(|| self.unexpected(at))?);
        }
        if seals.is_empty() { Ok(None) } else { self.ledger.append(&Event::Sealed(seals)).map(Some) }
    }

    fn unexpected(&self, offset: u64) -> QueueError {
        let what = format!("the index names byte {offset} for what does not lie there; open the queue again");
        QueueError::Damaged { path: self.job.ledger.path().to_owned(), what }
    }
}

/// What is said of a chunk's files: at most 256 of each.
#[derive(Default)]
struct Events {
    done: Vec<DoneFile>,
    failed: Vec<FailedFile>,
    remembered: Vec<Remembered>,
}

impl Events {
    fn add(&mut self, seq: FileSeq, entry: &Entry, seal: Option<FrameMark>) {
        let history = entry.history();
        match (entry.state, seal, &entry.error) {
            (FileState::Done, Some(seal), _) => self.done.push(DoneFile { seq, seal_at: seal.offset }),
            (FileState::Failed, _, Some(error)) => self.failed.push(FailedFile {
                seq,
                error: error.clone(),
                failures: entry.failures,
                received: entry.received,
                not_before: None,
                no_resume: entry.no_resume,
            }),
            _ => {}
        }
        if let Some(history) = history {
            self.remembered.push(Remembered {
                seq,
                attempts: history.attempts,
                failures: history.failures,
                received: history.received,
                error: history.error,
                no_resume: history.no_resume,
                recheck: history.recheck,
            });
        }
    }
}

/// Frames of seals that were read last: neighbours' seals mostly lie in few of them.
#[derive(Default)]
struct Frames(Vec<(u64, Vec<SealedFile>)>);

impl Frames {
    const KEPT: usize = 16;

    fn read(&mut self, ledger: &mut Ledger, at: u64) -> Result<&[SealedFile]> {
        if let Some(place) = self.0.iter().position(|(offset, _)| *offset == at) {
            return Ok(&self.0[place].1);
        }
        let files = match ledger.read(at)? {
            Event::Sealed(files) => files,
            _ => Vec::new(),
        };
        if self.0.len() == Self::KEPT {
            self.0.remove(0);
        }
        self.0.push((at, files));
        Ok(self.0.last().map_or(&[], |(_, files)| files))
    }
}

/// The job's row as the ledger at `path` tells it.
fn read_back(path: &Path, id: JobId, watch: &Watch) -> Result<JobRow> {
    let scratch = scratch_index(path);
    disk::remove_all(&scratch)?;
    let mut row = JobRow::default();
    let (mut ledger, _) = Ledger::open(path, id)?;
    let mut index = Index::open(&scratch, &scratch, &[], watch.clone())?;
    let mut notes = Vec::new();
    replay(&mut index, &mut ledger, id, &mut row, &mut notes)?;
    drop(index);
    disk::remove_all(&scratch)?;
    // Something to note is something wrong.
    Ok(if notes.is_empty() { row } else { JobRow::default() })
}

/// Whether both rows tell the same of the job, wherever their ledgers end.
fn same(told: &JobRow, known: &JobRow) -> bool {
    let plain =
        |row: &JobRow| JobRow { applied: FrameMark::default(), settings_at: None, dead: 0, ..row.clone() };
    plain(told) == plain(known)
}
