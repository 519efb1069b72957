//! Opening: from what lies in the state directory to a running queue, without asking anybody else.
//!
//! The ledgers are the truth. Where the index is believed, only their tails behind what it holds are read;
//! where it is not, or turns out wrong, it is moved aside and rebuilt from them, in batches, with bounded
//! memory. A torn end is cut off. Damage within a ledger costs what the damaged frames said: the files
//! concerned are pending again, the windows are listed again. Nothing is ever taken for done that no whole
//! frame says is done. Whatever was found amiss is told in notes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use skyhaul_model::{FileState, JobId};
use skyhaul_queue::{QueueError, Result};

use crate::apply::Applier;
use crate::boot::BootId;
use crate::disk::{self, io_error};
use crate::dispatch::Dispatch;
use crate::index::{Index, IndexState, JobRow, Trust, note_state, read_state, set_aside, write_state};
use crate::job::Job;
use crate::keeper::Keeper;
use crate::ledger::{CreatedFacts, Event, HEADER_LEN, Header, Ledger, Scanned, Scanner, Undecodable};
use crate::state_dir::StateDir;
use crate::watch::Watch;

/// A job with more files has an index of its own.
pub(crate) const LARGE_JOB: u64 = 10_000;

/// A job with a longer ledger, in bytes, is rebuilt into an index of its own at once: that it has so many files
/// would be found out only behind them.
const LARGE_LEDGER: u64 = 256 << 10;

/// Whether rows that the index has of a job are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// All of them.
    Clean,
    /// Up to the last frame that they say they hold, which may not be the ledger's last.
    SameBoot,
    /// None.
    Ignored,
}

/// Opens the queue in this directory; the notes say what was found amiss and what was done about it.
pub(crate) fn open(root: &Path, boot: BootId, watch: &Watch) -> Result<(Keeper, Vec<String>)> {
    let dir = StateDir::open(root)?;
    let mut notes = Vec::new();
    let rows = match read_state(&dir.index_state(), &dir.index(), &boot)? {
        Trust::Clean => Ok(Rows::Clean),
        Trust::SameBoot => Ok(Rows::SameBoot),
        Trust::Doubted(why) => Err(Some(why.to_owned())),
        Trust::Fresh => Err(None),
    };
    let doubt = match rows.map(|rows| load(&dir, &boot, rows, watch, &mut notes)) {
        Ok(Ok((index, jobs))) => return Ok((Keeper::new(dir, boot, index, jobs), notes)),
        Ok(Err(error)) if is_of_index(&error, &dir) => Some(error.to_string()),
        Ok(Err(error)) => return Err(error),
        Err(doubt) => doubt,
    };
    if let Some(why) = doubt {
        notes.push(format!("the index was rebuilt from the ledgers: {why}"));
    }
    set_aside(&dir.index())?;
    dir.job_ids()?.into_iter().try_for_each(|id| disk::remove_all(&dir.own_index(id)))?;
    let (index, jobs) = load(&dir, &boot, Rows::Ignored, watch, &mut notes)?;
    Ok((Keeper::new(dir, boot, index, jobs), notes))
}

/// Reads a job that the index knows nothing of from its ledger.
pub(crate) fn rebuild_job(dir: &StateDir, index: &mut Index, id: JobId) -> Result<Job> {
    let mut notes = Vec::new();
    let loaded = load_job(dir, index, id, Rows::Ignored, &mut notes)?;
    loaded.ok_or_else(|| QueueError::Damaged { path: dir.job(id), what: notes.join("; ") })
}

fn load(
    dir: &StateDir,
    boot: &BootId,
    rows: Rows,
    watch: &Watch,
    notes: &mut Vec<String>,
) -> Result<(Index, BTreeMap<JobId, Job>)> {
    let during = if rows == Rows::Ignored { IndexState::Rebuild } else { IndexState::Open };
    // The word of a clean close would be believed after a power cut, and has to be taken back first.
    let tell = if dir.index_state().exists() { write_state } else { note_state };
    tell(&dir.index_state(), during, boot)?;
    let ids = dir.job_ids()?;
    let own: Vec<JobId> = ids.iter().copied().filter(|&id| dir.own_index(id).is_dir()).collect();
    let mut index = Index::open(&dir.index(), &dir.jobs(), &own, watch.clone())?;
    let mut jobs = BTreeMap::new();
    for id in ids {
        dir.clear_scratch(id)?;
        if let Some(job) = load_job(dir, &mut index, id, rows, notes)? {
            jobs.insert(id, job);
        }
    }
    for id in dir.hidden_ids()? {
        index.clear_job(id)?;
        dir.forget_job(id)?;
    }
    index.spill()?;
    for id in index.jobs.jobs()?.into_iter().filter(|id| !jobs.contains_key(id)) {
        index.clear_job(id)?;
    }
    if during == IndexState::Rebuild {
        note_state(&dir.index_state(), IndexState::Open, boot)?;
    }
    Ok((index, jobs))
}

/// None when the job's folder makes no sense and was put aside.
fn load_job(
    dir: &StateDir,
    index: &mut Index,
    id: JobId,
    rows: Rows,
    notes: &mut Vec<String>,
) -> Result<Option<Job>> {
    let opened = match Ledger::open(&dir.ledger(id), id) {
        Err(QueueError::Damaged { what, .. }) => Err(what),
        Err(QueueError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err("its ledger is missing".to_owned())
        }
        other => Ok(other?),
    };
    let (mut ledger, header) = match opened {
        Ok(opened) => opened,
        Err(why) => return put_aside(dir, index, id, &why, notes),
    };
    if header == Header::Damaged {
        notes.push(format!("job {id}: the header of its ledger was damaged and has been written anew"));
        ledger.mend_header(id)?;
    }
    let mut row = believed_row(index, &mut ledger, id, rows, notes)?;
    replay(index, &mut ledger, id, &mut row, notes)?;
    if row.files > LARGE_JOB && !index.is_own(id) {
        row = move_to_own(index, &mut ledger, id)?;
    }
    match facts(&mut ledger, &row, notes)? {
        Some(facts) => {
            let mut job = Job { id, facts: Arc::new(facts), row, ledger, dispatch: Dispatch::default() };
            job.load_dispatch(index)?;
            job.ledger.put_away();
            if job.row.finished_at.is_some() {
                index.put_away(id)?;
            }
            Ok(Some(job))
        }
        None => {
            drop(ledger);
            put_aside(
                dir,
                index,
                id,
                "the first record of its ledger, which says what to pull, is damaged",
                notes,
            )
        }
    }
}

/// The row that the index has of the job, if it holds what the ledger says up to some frame; else the row
/// of a job of which nothing has been read, and the index cleared of it.
fn believed_row(
    index: &mut Index,
    ledger: &mut Ledger,
    id: JobId,
    rows: Rows,
    notes: &mut Vec<String>,
) -> Result<JobRow> {
    if rows == Rows::Clean
        && index.is_own(id)
        && let Some(row) = index.jobs.copy(id, 0)?
        && row.finished_at.is_some()
        && row.applied.end() == ledger.length()
        && ledger.has(row.applied)?
    {
        return Ok(row);
    }
    if rows != Rows::Ignored {
        match known_row(index, ledger, id) {
            Ok(Some(row)) => return Ok(row),
            Ok(None) => {}
            // The others' rows lie elsewhere and are as good as before.
            Err(error) if index.is_own(id) => {
                notes.push(format!("the index of job {id} was rebuilt: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    index.clear_job(id)?;
    if ledger.length() > LARGE_LEDGER {
        index.give_own(id)?;
    }
    Ok(JobRow::default())
}

/// The row that the index has of the job, if it agrees with the ledger and with itself.
fn known_row(index: &Index, ledger: &mut Ledger, id: JobId) -> Result<Option<JobRow>> {
    let Some(row) = index.jobs.peek(id, 0)? else { return Ok(None) };
    Ok(if ledger.has(row.applied)? && counts_agree(index, id, &row)? { Some(row) } else { None })
}

/// Whether an unfinished job's counters are those of its chunks.
fn counts_agree(index: &Index, id: JobId, row: &JobRow) -> Result<bool> {
    if row.finished_at.is_some() {
        return Ok(true);
    }
    let (mut files, mut done, mut failed) = (0, 0, 0);
    for number in 0..row.next_chunk {
        let Some(chunk) = index.chunks.peek(id, u64::from(number))? else { return Ok(false) };
        files += u64::from(chunk.count);
        done += chunk.slots(FileState::Done, 0).count() as u64;
        failed += chunk.slots(FileState::Failed, 0).count() as u64;
    }
    Ok((files, done, failed) == (row.files, row.files_done, row.files_failed))
}

/// Reads the job's ledger into an index of its own; what is in memory of the job stays as it is.
pub(crate) fn move_to_own(index: &mut Index, ledger: &mut Ledger, id: JobId) -> Result<JobRow> {
    index.give_own(id)?;
    read_all(index, ledger, id)
}

/// Reads the job's ledger into the index in place of what that had of it.
pub(crate) fn reread(index: &mut Index, ledger: &mut Ledger, id: JobId) -> Result<JobRow> {
    if index.is_own(id) {
        index.give_own(id)?;
    } else {
        index.clear_job(id)?;
    }
    read_all(index, ledger, id)
}

fn read_all(index: &mut Index, ledger: &mut Ledger, id: JobId) -> Result<JobRow> {
    let mut row = JobRow::default();
    // What there was to say was said when it was read first.
    replay(index, ledger, id, &mut row, &mut Vec::new())?;
    Ok(row)
}

/// Applies what the ledger says behind what the row holds, and cuts off a torn end.
pub(crate) fn replay(
    index: &mut Index,
    ledger: &mut Ledger,
    id: JobId,
    row: &mut JobRow,
    notes: &mut Vec<String>,
) -> Result<()> {
    let path = ledger.path().to_owned();
    let unreadable = |source| io_error("cannot read", &path)(source);
    let from = row.applied.end().max(HEADER_LEN);
    let mut scanner = Scanner::new(disk::open(&path)?, from).map_err(unreadable)?;
    let (mut gaps, mut skipped) = (Vec::new(), 0);
    while let Some(next) = scanner.next().map_err(unreadable)? {
        match next {
            Scanned::Frame(frame) => match Event::decode(&frame) {
                Ok(event) => {
                    let mut applier = Applier { job: id, row: &mut *row, index, gaps: &gaps, skipped: 0 };
                    applier.apply(&event, frame.mark)?;
                    skipped += applier.skipped;
                }
                Err(Undecodable::Newer) => {
                    let found = u32::from(frame.version);
                    return Err(QueueError::TooNew {
                        path,
                        found,
                        known: u32::from(Event::newest_version(frame.kind)),
                    });
                }
                Err(Undecodable::Garbled) => gaps.push((frame.mark.offset, frame.mark.end())),
            },
            Scanned::Gap { from, to } => gaps.push((from, to)),
            Scanned::Torn { from, to } => {
                notes.push(format!(
                    "job {id}: {} bytes at the end of its ledger were cut off: they are no whole record",
                    to - from
                ));
                ledger.cut(from)?;
            }
        }
    }
    tell_gaps(id, &gaps, skipped, notes);
    Ok(())
}

fn tell_gaps(id: JobId, gaps: &[(u64, u64)], skipped: u64, notes: &mut Vec<String>) {
    if !gaps.is_empty() {
        let bytes: u64 = gaps.iter().map(|(from, to)| to - from).sum();
        notes.push(format!(
            "job {id}: {bytes} bytes in {} places of its ledger are damaged; what they recorded is done again",
            gaps.len()
        ));
    }
    if skipped > 0 {
        notes.push(format!("job {id}: {skipped} changes were left out because what they followed is lost"));
    }
}

/// What the job is, from its first frame and its newest settings; none if the first frame is lost.
fn facts(ledger: &mut Ledger, row: &JobRow, notes: &mut Vec<String>) -> Result<Option<CreatedFacts>> {
    let mut facts = match readable(ledger.read(HEADER_LEN))? {
        Some(Event::Created(facts)) => *facts,
        _ => return Ok(None),
    };
    if let Some(offset) = row.settings_at {
        match readable(ledger.read(offset))? {
            Some(Event::Changed(settings)) => facts.settings = *settings,
            _ => notes.push(format!(
                "{}: the newest settings are damaged; the first ones hold",
                ledger.path().display()
            )),
        }
    }
    Ok(Some(facts))
}

/// A damaged record is none; other errors stay errors.
fn readable(read: Result<Event>) -> Result<Option<Event>> {
    match read {
        Ok(event) => Ok(Some(event)),
        Err(QueueError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn put_aside(
    dir: &StateDir,
    index: &mut Index,
    id: JobId,
    why: &str,
    notes: &mut Vec<String>,
) -> Result<Option<Job>> {
    index.clear_job(id)?;
    let aside = dir.set_job_aside(id)?;
    notes.push(format!(
        "job {id} was put aside at {}: {why}; give its query again, files that are here are kept",
        aside.display()
    ));
    Ok(None)
}

/// Whether it is the index that failed, which can be made anew.
fn is_of_index(error: &QueueError, dir: &StateDir) -> bool {
    match error {
        QueueError::Damaged { path, .. } | QueueError::Io { path, .. } => dir.is_of_index(path),
        _ => false,
    }
}
