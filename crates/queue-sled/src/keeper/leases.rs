//! Claims last until a time; who holds one renews it.

use jiff::Timestamp;
use skyhaul_model::{FileSeq, JobId, WindowId};
use skyhaul_queue::{LeaseOwner, Result};

use super::Keeper;

/// No claim ends before: looking through all claims at each new one would make many of them dear.
pub(super) struct LeaseEnds {
    pub(super) files: Timestamp,
    pub(super) windows: Timestamp,
}

impl Default for LeaseEnds {
    fn default() -> Self {
        Self { files: Timestamp::MAX, windows: Timestamp::MAX }
    }
}

impl Keeper {
    pub(crate) fn renew(&mut self, owner: LeaseOwner, until: Timestamp) {
        let jobs = &mut self.jobs;
        self.leased.retain(|id| {
            let Some(dispatch) = jobs.get_mut(id).map(|job| &mut job.dispatch) else { return false };
            let files = dispatch.claims.values_mut().map(|claim| &mut claim.lease);
            let windows = dispatch.window_claims.values_mut().map(|claim| &mut claim.lease);
            files.chain(windows).filter(|lease| lease.owner == owner).for_each(|lease| lease.until = until);
            !(dispatch.claims.is_empty() && dispatch.window_claims.is_empty())
        });
        self.lease_ends.files = self.lease_ends.files.min(until);
        self.lease_ends.windows = self.lease_ends.windows.min(until);
    }

    /// Gives files back whose claims nobody renewed, as if they were released.
    pub(super) fn expire_files(&mut self, now: Timestamp) -> Result<()> {
        if now < self.lease_ends.files {
            return Ok(());
        }
        let (mut expired, mut end) = (Vec::<(JobId, FileSeq)>::new(), Timestamp::MAX);
        for job in self.jobs.values() {
            for (&seq, claim) in &job.dispatch.claims {
                match claim.lease.until {
                    until if until <= now => expired.push((job.id, seq)),
                    until => end = end.min(until),
                }
            }
        }
        self.record_checkpoints(&expired)?;
        for &(id, seq) in &expired {
            let dispatch = &mut self.job_mut(id)?.dispatch;
            dispatch.claims.remove(&seq);
            dispatch.put_back(seq, None);
            self.changed.insert(id);
        }
        self.lease_ends.files = end;
        Ok(())
    }

    /// Gives windows back whose claims nobody renewed; what was staged is forgotten.
    pub(super) fn expire_windows(&mut self, now: Timestamp) -> Result<()> {
        if now < self.lease_ends.windows {
            return Ok(());
        }
        let (mut expired, mut end) = (Vec::<(JobId, WindowId)>::new(), Timestamp::MAX);
        for job in self.jobs.values_mut() {
            let claims = &mut job.dispatch.window_claims;
            expired
                .extend(claims.extract_if(.., |_, claim| claim.lease.until <= now).map(|(w, _)| (job.id, w)));
            end = claims.values().map(|claim| claim.lease.until).fold(end, Timestamp::min);
        }
        self.lease_ends.windows = end;
        expired.into_iter().try_for_each(|(id, window)| self.give_back(id, window))
    }
}
