//! Commands of planning.

use jiff::Timestamp;
use skyhaul_model::{FileSpec, JobId, Plan, Trouble, Troubles, WindowId, WindowRecord, WindowState};
use skyhaul_queue::{
    ClaimRequest, ClaimedWindow, PlanOutcome, QueueError, Result, WindowOutcome, WindowPage, WindowQuery,
};

use super::Keeper;
use crate::apply::time;
use crate::codec::Moment;
use crate::dispatch::{Lease, WindowClaim};
use crate::index::WindowRow;
use crate::ledger::{Event, Listed};
use crate::pack::{CHUNK_BYTES, CHUNK_FILES, chunk_ref, next_chunk, pack, plain_length};

/// Windows of a page, at most.
const PAGE_WINDOWS: usize = 4_096;

impl Keeper {
    pub(crate) fn settle_plan(&mut self, id: JobId, outcome: PlanOutcome, now: Timestamp) -> Result<()> {
        if self.job(id)?.row.plan != Plan::Unplanned {
            return Ok(());
        }
        let at = now.into();
        match outcome {
            PlanOutcome::Windows(windows) => {
                self.record(id, &Event::Planned { windows, at })?;
                self.offer_windows(id, WindowId(0))
            }
            PlanOutcome::Refused(error) => {
                self.record(id, &Event::Refused { error: error.clone(), at })?;
                self.note_listing_trouble(id, &error, "the query", now)
            }
        }
    }

    pub(crate) fn claim_windows(&mut self, request: &ClaimRequest) -> Result<Vec<ClaimedWindow>> {
        self.clock = self.clock.max(request.now);
        self.expire_windows(request.now)?;
        let mut claimed = Vec::new();
        for mut circle in self.circles(&request.filter, self.listing_turn) {
            while claimed.len() < request.limit
                && let Some(id) = circle.pop_front()
            {
                let dispatch = &mut self.job_mut(id)?.dispatch;
                dispatch.wake(request.now);
                if let Some(window) = dispatch.windows.pop_first() {
                    claimed.push(self.claim_window(id, window, request)?);
                    self.listing_turn = id;
                    circle.push_back(id);
                }
            }
        }
        self.changed.extend(claimed.iter().map(|window| window.job));
        Ok(claimed)
    }

    pub(crate) fn stage_files(&mut self, id: JobId, window: WindowId, files: Vec<FileSpec>) -> Result<()> {
        let files = self.unknown_files(id, window, files)?;
        self.claim_of(id, window)?.rest.extend(files);
        loop {
            let rest = &self.claim_of(id, window)?.rest;
            let bytes: usize = rest.iter().take(CHUNK_FILES).map(plain_length).sum();
            if rest.len() < CHUNK_FILES && bytes <= CHUNK_BYTES {
                return Ok(());
            }
            self.stage_chunk(id, window)?;
        }
    }

    pub(crate) fn settle_window(
        &mut self,
        id: JobId,
        window: WindowId,
        outcome: WindowOutcome,
        now: Timestamp,
    ) -> Result<()> {
        self.claim_of(id, window)?;
        let at = Moment::from(now);
        let event = match outcome {
            WindowOutcome::Released => None,
            WindowOutcome::Listed { bytes } => Some(Event::Listed(self.listed(id, window, bytes, at)?)),
            WindowOutcome::Split(parts) => {
                let first = WindowId(self.job(id)?.row.next_window);
                Some(Event::Split { window, first, parts })
            }
            WindowOutcome::Retry { at, error } => Some(Event::Retry { window, not_before: at.into(), error }),
            WindowOutcome::Failed(error) => Some(Event::WindowFailed { window, error, at }),
        };
        if let Some(event) = &event {
            self.record(id, event)?;
        }
        if let Some(Event::Retry { error, .. } | Event::WindowFailed { error, .. }) = &event {
            let row = self.index.windows.peek(id, u64::from(window.0))?;
            let asked = row.map(|row| row.target.to_string()).unwrap_or_default();
            self.note_listing_trouble(id, error, &asked, now)?;
        }
        self.job_mut(id)?.dispatch.window_claims.remove(&window);
        match event {
            Some(Event::Split { first, .. }) => self.offer_windows(id, first),
            _ => self.give_back(id, window),
        }
    }

    pub(crate) fn windows(&self, id: JobId, query: WindowQuery) -> Result<WindowPage> {
        let job = self.job(id)?;
        let first = query.after.map_or(0, |after| after.0.saturating_add(1));
        let limit = query.limit.clamp(1, PAGE_WINDOWS);
        let mut page = WindowPage::default();
        for number in first..job.row.next_window {
            let Some(row) = self.index.windows.peek(id, u64::from(number))? else { continue };
            if row.state == WindowState::Split {
                continue;
            }
            if page.windows.len() == limit {
                page.next = page.windows.last().map(|last| last.id);
                break;
            }
            page.windows.push(window_record(WindowId(number), row));
        }
        Ok(page)
    }

    fn claim_window(&mut self, id: JobId, window: WindowId, request: &ClaimRequest) -> Result<ClaimedWindow> {
        let found = self.index.windows.peek(id, u64::from(window.0))?;
        let row = found.ok_or(QueueError::NotClaimed(id, window))?;
        let lease = Lease { owner: request.owner, until: request.until };
        let lost = Troubles::default();
        let claim = WindowClaim { lease, chunks: Vec::new(), rest: Vec::new(), lost, known: None };
        self.lease_ends.windows = self.lease_ends.windows.min(lease.until);
        self.job_mut(id)?.dispatch.window_claims.insert(window, claim);
        self.leased.insert(id);
        Ok(ClaimedWindow { job: id, window: window_record(window, row) })
    }

    /// A window without a claim can be claimed again if it is still pending.
    pub(super) fn give_back(&mut self, id: JobId, window: WindowId) -> Result<()> {
        let row = self.index.windows.peek(id, u64::from(window.0))?;
        if let Some(row) = row.filter(|row| row.state == WindowState::Pending) {
            self.job_mut(id)?.put_window_back(window, row.not_before);
        }
        Ok(())
    }

    /// Lets the windows from this one on be claimed.
    pub(super) fn offer_windows(&mut self, id: JobId, first: WindowId) -> Result<()> {
        (first.0..self.job(id)?.row.next_window).try_for_each(|window| self.give_back(id, WindowId(window)))
    }

    pub(super) fn claim_of(&mut self, id: JobId, window: WindowId) -> Result<&mut WindowClaim> {
        let claims = &mut self.job_mut(id)?.dispatch.window_claims;
        claims.get_mut(&window).ok_or(QueueError::NotClaimed(id, window))
    }

    /// Packs the first files that are staged and puts them into the ledger, where nothing names them yet.
    fn stage_chunk(&mut self, id: JobId, window: WindowId) -> Result<()> {
        let rest = &mut self.claim_of(id, window)?.rest;
        let files: Vec<FileSpec> = rest.drain(..next_chunk(rest)).collect();
        let packed = pack(&files).map_err(|source| QueueError::Io {
            action: "cannot pack files for",
            path: self.dir.ledger(id),
            source,
        })?;
        let mark = self.append(id, &Event::Chunk { window, packed })?;
        let clock = self.clock;
        let claim = self.claim_of(id, window)?;
        claim.chunks.push(chunk_ref(mark.offset, &files));
        let lost = files.iter().filter_map(|file| Some((file, file.path.as_ref().err()?)));
        lost.for_each(|(file, error)| claim.lost.note(Trouble::once(error, &file.url, &file.url, clock)));
        Ok(())
    }

    fn listed(&mut self, id: JobId, window: WindowId, bytes: Option<u64>, at: Moment) -> Result<Listed> {
        while !self.claim_of(id, window)?.rest.is_empty() {
            self.stage_chunk(id, window)?;
        }
        let (chunks, lost) = (self.claim_of(id, window)?.chunks.clone(), self.lost_paths(id, window, at)?);
        let held = self.index.windows.peek(id, u64::from(window.0))?.map_or(0, |row| row.files);
        Ok(Listed { window, first_chunk: self.job(id)?.row.next_chunk, chunks, bytes, at, held, lost })
    }
}

fn window_record(id: WindowId, row: WindowRow) -> WindowRecord {
    let WindowRow { target, state, failures, error, not_before, .. } = row;
    WindowRecord { id, target, state, failures, error, not_before: time(not_before) }
}
