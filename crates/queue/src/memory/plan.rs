//! Planning in the queue in memory.

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_model::{FileError, FileSpec, JobId, Plan, Trouble, WindowId, WindowState};

use super::job::{Job, Lease, Window, WindowClaim};
use super::{MemoryQueue, State, slice};
use crate::{
    ClaimRequest, ClaimedWindow, PlanOutcome, PlanQueue, Result, WindowOutcome, WindowPage, WindowQuery,
};

#[async_trait]
impl PlanQueue for MemoryQueue {
    async fn settle_plan(&self, id: JobId, outcome: PlanOutcome, now: Timestamp) -> Result<()> {
        self.change(|state| {
            let job = state.job_mut(id)?;
            if job.plan == Plan::Unplanned {
                match outcome {
                    PlanOutcome::Windows(windows) => {
                        job.plan = Plan::Planned;
                        job.add_windows(windows);
                    }
                    PlanOutcome::Refused(error) => {
                        job.note_listing_trouble(&error, "the query", now);
                        job.plan = Plan::Refused(error);
                    }
                }
                job.note_finish(Some(now));
            }
            Ok(())
        })
    }

    async fn claim_windows(&self, request: ClaimRequest) -> Result<Vec<ClaimedWindow>> {
        self.change(|state| {
            state.clock = state.clock.max(request.now);
            expire(state, request.now);
            let mut claimed = Vec::new();
            for mut circle in state.circles(&request.filter, state.listing_turn) {
                while claimed.len() < request.limit
                    && let Some(id) = circle.pop_front()
                {
                    if let Some(window) = state.job_mut(id)?.claim_window(&request) {
                        claimed.push(window);
                        state.listing_turn = id;
                        circle.push_back(id);
                    }
                }
            }
            Ok(claimed)
        })
    }

    async fn stage_files(&self, id: JobId, window: WindowId, files: Vec<FileSpec>) -> Result<()> {
        self.change(|state| {
            let window = state.job_mut(id)?.claimed_window(window)?;
            if let Some(claim) = &mut window.claim {
                claim.staged.extend(files);
            }
            Ok(())
        })
    }

    async fn settle_window(
        &self,
        id: JobId,
        window: WindowId,
        outcome: WindowOutcome,
        now: Timestamp,
    ) -> Result<()> {
        self.change(|state| {
            let job = state.job_mut(id)?;
            let number = window;
            let window = job.claimed_window(number)?;
            let staged = window.claim.take().map(|claim| claim.staged).unwrap_or_default();
            let target = window.record.target.to_string();
            match outcome {
                WindowOutcome::Listed { bytes } => {
                    let files = job.add_listing(number, staged, now);
                    job.window_mut(number)?.list(files, bytes, now);
                }
                WindowOutcome::Split(parts) => {
                    window.record.state = WindowState::Split;
                    job.add_windows(parts);
                }
                WindowOutcome::Released => {}
                WindowOutcome::Retry { at, error } => {
                    window.record.failures += 1;
                    window.record.error = Some(error.clone());
                    window.record.not_before = Some(at);
                    job.note_listing_trouble(&error, &target, now);
                }
                WindowOutcome::Failed(error) => {
                    window.record.state = WindowState::Failed;
                    window.record.failures += 1;
                    window.record.error = Some(error.clone());
                    window.record.not_before = None;
                    job.note_listing_trouble(&error, &target, now);
                    job.window_error = Some(error);
                }
            }
            job.note_finish(Some(now));
            Ok(())
        })
    }

    async fn windows(&self, id: JobId, query: WindowQuery) -> Result<WindowPage> {
        let state = self.lock();
        let wanted = |window: &&Window| {
            window.record.state != WindowState::Split
                && query.after.is_none_or(|after| window.record.id > after)
        };
        let mut rest = state.job(id)?.windows.iter().filter(wanted).map(|window| window.record.clone());
        let windows: Vec<_> = rest.by_ref().take(query.limit.max(1)).collect();
        let next = rest.next().and(windows.last()).map(|last| last.id);
        Ok(WindowPage { windows, next })
    }

    async fn read_input(&self, id: JobId, offset: u64, length: u64) -> Result<Vec<u8>> {
        Ok(slice(&self.lock().job(id)?.input, offset, length))
    }
}

fn expire(state: &mut State, now: Timestamp) {
    for window in state.jobs.values_mut().flat_map(|job| &mut job.windows) {
        window.claim.take_if(|claim| claim.lease.until <= now);
    }
}

impl Job {
    fn note_listing_trouble(&mut self, error: &FileError, path: &str, now: Timestamp) {
        let url = self.query.source.listing_url().unwrap_or_default();
        let trouble = Trouble::once(error, url, path, now);
        self.troubles.note(trouble);
    }

    fn claim_window(&mut self, request: &ClaimRequest) -> Option<ClaimedWindow> {
        let due = |window: &&mut Window| {
            window.is_waiting() && window.record.not_before.is_none_or(|at| at <= request.now)
        };
        let window = self.windows.iter_mut().find(due)?;
        let lease = Lease { owner: request.owner, until: request.until };
        window.claim = Some(WindowClaim { lease, staged: Vec::new() });
        Some(ClaimedWindow { job: self.id, window: window.record.clone() })
    }
}

impl Window {
    /// Whether it is neither settled nor under a claim.
    pub(super) fn is_waiting(&self) -> bool {
        self.record.state == WindowState::Pending && self.claim.is_none()
    }

    fn list(&mut self, files: u64, bytes: Option<u64>, at: Timestamp) {
        self.record.state = WindowState::Listed { files, bytes, at };
        self.record.failures = 0;
        self.record.error = None;
        self.record.not_before = None;
    }
}
