//! Failures counted, for people to see what a job suffers from.

use jiff::Timestamp;
use skyhaul_model::{FileError, JobId, Trouble, WindowId};
use skyhaul_queue::{FileRef, Result};

use super::Keeper;
use crate::apply::EVENT_FILES;
use crate::codec::Moment;
use crate::ledger::Event;

impl Keeper {
    pub(crate) fn troubles(&self, id: JobId) -> Result<Vec<Trouble>> {
        self.job(id)?;
        let row = self.index.troubles.peek(id, 0)?;
        Ok(row.map(|row| row.0.latest_first()).unwrap_or_default())
    }

    /// Counts a failure of asking for the list of files.
    pub(super) fn note_listing_trouble(
        &mut self,
        id: JobId,
        error: &FileError,
        path: &str,
        now: Timestamp,
    ) -> Result<()> {
        let url = self.job(id)?.facts.query.source.listing_url().unwrap_or_default();
        let trouble = Trouble::once(error, url, path, now);
        self.note_troubles(id, &[trouble])
    }

    /// The files of a listing whose paths cannot be made, counted: they fail when it is settled.
    pub(super) fn lost_paths(&mut self, id: JobId, window: WindowId, at: Moment) -> Result<Vec<Trouble>> {
        let at = Timestamp::from(at);
        let rows = self.claim_of(id, window)?.lost.rows().iter();
        Ok(rows.map(|row| Trouble { first_at: at, last_at: at, ..row.clone() }).collect())
    }

    /// Counts files' failures, all of one job.
    pub(super) fn note_file_troubles(
        &mut self,
        id: JobId,
        failures: &[(FileRef, FileError)],
        now: Timestamp,
    ) -> Result<()> {
        let mut troubles: Vec<Trouble> = Vec::new();
        for (file, error) in failures {
            let spec = self.spec(*file)?;
            let path = spec.path.as_ref().map_or(spec.url.as_str(), |path| path.as_str());
            let trouble = Trouble::once(error, &spec.url, path, now);
            match troubles.last_mut().filter(|last| last.is_like(&trouble)) {
                Some(last) => last.absorb(trouble),
                None => troubles.push(trouble),
            }
        }
        self.note_troubles(id, &troubles)
    }

    fn note_troubles(&mut self, id: JobId, troubles: &[Trouble]) -> Result<()> {
        for part in troubles.chunks(EVENT_FILES) {
            self.record(id, &Event::Troubled(part.to_vec()))?;
        }
        Ok(())
    }
}
