//! Commands that have windows listed again or add some.

use std::collections::HashSet;

use jiff::Timestamp;
use skyhaul_model::{FileSpec, JobId, NewWindow, Plan, Recheck, Span, WindowId};
use skyhaul_queue::{QueueError, Requeued, Result};

use super::Keeper;
use crate::known::KnownFiles;
use crate::ledger::Event;
use crate::pack::unpack;

impl Keeper {
    pub(crate) fn relist(&mut self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        let before = self.job(id)?.row.clone();
        if before.windows == 0 {
            return Ok(Requeued::default());
        }
        self.record(id, &Event::Relisted { span: span.map(Into::into), files })?;
        let job = self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))?;
        if files == Recheck::Done {
            job.dispatch.rewind();
        }
        job.load_windows(&self.index)?;
        let settled = before.windows_listed + before.windows_failed;
        Ok(Requeued {
            files: before.files_done - job.row.files_done,
            windows: settled - job.row.windows_listed - job.row.windows_failed,
        })
    }

    pub(crate) fn add_windows(&mut self, id: JobId, windows: Vec<NewWindow>, now: Timestamp) -> Result<u64> {
        let row = &self.job(id)?.row;
        let first = row.next_window;
        if row.plan != Plan::Planned {
            return Ok(0);
        }
        let windows = self.new_ones(id, windows)?;
        let added = windows.len() as u64;
        if added > 0 {
            let first = WindowId(first);
            self.record(id, &Event::Extended { first, windows, at: now.into() })?;
            self.offer_windows(id, first)?;
        }
        Ok(added)
    }

    /// The files that the window has not brought before.
    pub(super) fn unknown_files(
        &mut self,
        id: JobId,
        window: WindowId,
        mut files: Vec<FileSpec>,
    ) -> Result<Vec<FileSpec>> {
        if self.claim_of(id, window)?.known.is_none() {
            let known = self.known_files(id, window)?;
            self.claim_of(id, window)?.known = Some(known);
        }
        if let Some(known) = &self.claim_of(id, window)?.known {
            files.retain(|file| !known.has(file));
        }
        Ok(files)
    }

    fn known_files(&mut self, id: JobId, window: WindowId) -> Result<KnownFiles> {
        let row = self.index.windows.peek(id, u64::from(window.0))?;
        let runs = row.map(|row| row.runs).unwrap_or_default();
        let mut known = KnownFiles::default();
        self.use_ledger(id)?;
        for chunk in runs.into_iter().flat_map(|(first, count)| first..first.saturating_add(count)) {
            let Some(row) = self.index.chunks.peek(id, u64::from(chunk))? else { continue };
            let ledger = &mut self.job_mut(id)?.ledger;
            let files = match ledger.read(row.offset)? {
                Event::Chunk { packed, .. } => unpack(&packed),
                _ => None,
            };
            let path = ledger.path();
            let damaged = || QueueError::Damaged {
                path: path.to_owned(),
                what: format!("there is no chunk at byte {}; open the queue again", row.offset),
            };
            files.ok_or_else(damaged)?.iter().for_each(|file| known.add(file));
        }
        Ok(known)
    }

    /// Those that ask for what no window of the job asks for, each once.
    fn new_ones(&self, id: JobId, mut windows: Vec<NewWindow>) -> Result<Vec<NewWindow>> {
        for number in 0..self.job(id)?.row.next_window {
            if let Some(row) = self.index.windows.peek(id, u64::from(number))? {
                windows.retain(|window| window.target != row.target);
            }
        }
        let mut seen = HashSet::new();
        windows.retain(|window| seen.insert(window.target.clone()));
        Ok(windows)
    }
}
