//! What has come to be done since the last look: those who wait for their turn make way for it, once.
//!
//! Only for what is new: if they made way again and again for files that wait for their next try, they would never
//! get to an answer of a slow server.

use std::collections::HashMap;

use skyhaul_model::{JobId, JobRecord};

use crate::engine::is_runnable;

/// The jobs that could be worked on at the last look: how many files they had, and their priorities.
#[derive(Debug, Default)]
pub(crate) struct Urgency(HashMap<JobId, (u64, i8)>);

impl Urgency {
    /// Looks at all jobs; the highest priority of those that are new, have more files, or have been ranked anew.
    pub(crate) fn arrival(&mut self, jobs: &[JobRecord]) -> Option<i8> {
        let rank = |job: &JobRecord| (job.files.total, job.priority);
        let now: HashMap<_, _> =
            jobs.iter().filter(|job| is_runnable(job)).map(|job| (job.id, rank(job))).collect();
        let before = std::mem::replace(&mut self.0, now);
        let is_new =
            |job: &&JobRecord| self.0.get(&job.id).is_some_and(|now| before.get(&job.id) != Some(now));
        // Their files may have been claimed already: then they stand behind all that were claimed before.
        jobs.iter().filter(is_new).map(|job| job.priority).max()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use skyhaul_model::{ByteCounts, FileCounts, Intent, JobPolicy, Plan, Query, Source, WindowCounts};

    use super::*;

    fn job(id: u64, priority: i8, files: u64) -> JobRecord {
        let source = Source::Urls { digest: id.to_string(), base: None };
        let query = Query { source, out: "/o".to_owned() };
        JobRecord {
            id: JobId(id),
            key: query.key(),
            name: None,
            priority,
            created_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            query,
            policy: JobPolicy::default(),
            intent: Intent::Run,
            hold: None,
            plan: Plan::Planned,
            windows: WindowCounts { total: 1, listed: 1, failed: 0 },
            files: FileCounts { total: files, pending: files, ..FileCounts::default() },
            bytes: ByteCounts::default(),
            window_error: None,
        }
    }

    #[test]
    fn an_arrival_is_told_once() {
        let mut urgency = Urgency::default();
        let back_fill = || job(1, 0, 1_000);
        assert_eq!(urgency.arrival(&[back_fill()]), Some(0));
        assert_eq!(urgency.arrival(&[back_fill()]), None);
        let mut event = job(2, 50, 0);
        event.plan = Plan::Unplanned;
        assert_eq!(urgency.arrival(&[back_fill(), event]), Some(50));
        assert_eq!(urgency.arrival(&[back_fill(), job(2, 50, 10)]), Some(50), "it has been listed");
        assert_eq!(urgency.arrival(&[back_fill(), job(2, 50, 10)]), None, "its files wait for another try");
        assert_eq!(urgency.arrival(&[job(1, 60, 1_000), job(2, 50, 10)]), Some(60), "ranked anew");
    }

    #[test]
    fn a_job_that_goes_on_after_a_pause_is_new_again() {
        let mut urgency = Urgency::default();
        let paused = || JobRecord { intent: Intent::Paused, ..job(1, 5, 10) };
        assert_eq!(urgency.arrival(&[job(1, 5, 10)]), Some(5));
        assert_eq!(urgency.arrival(&[paused()]), None);
        assert_eq!(urgency.arrival(&[job(1, 5, 10)]), Some(5));
    }
}
