//! Standing jobs: when all is here, their last days are listed again, round after round.
//!
//! When a round is due follows from when the job came to its end, so that a restart changes nothing. What is
//! remembered here only keeps a round that found nothing to list from being begun again at once.

use std::collections::HashMap;

use jiff::Timestamp;
use skyhaul_model::{Interval, JobId, JobRecord, Plan, Recheck, Source};

use crate::engine::Engine;
use crate::outcomes::forgive_gone;
use crate::settings::EngineError;

/// When jobs were asked for last, by this engine.
pub(crate) type Rounds = HashMap<JobId, Timestamp>;

impl Engine {
    /// Begins the rounds that are due.
    pub(crate) async fn begin_rounds(&mut self, wanted: &[JobRecord]) -> Result<(), EngineError> {
        let now = Timestamp::now();
        self.rounds.retain(|id, _| wanted.iter().any(|job| job.id == *id));
        for job in wanted {
            if is_due(job, self.rounds.get(&job.id).copied(), now) {
                self.rounds.insert(job.id, now);
                self.begin_round(job, now).await?;
            }
        }
        Ok(())
    }

    async fn begin_round(&mut self, job: &JobRecord, now: Timestamp) -> Result<(), EngineError> {
        let Some(follow) = job.policy.follow else { return Ok(()) };
        tracing::info!(job = job.id.0, days = follow.window_days, "listing a standing job again");
        if matches!(job.plan, Plan::Refused(_)) {
            return forgive_gone(self.queue.requeue_failed(job.id).await.map(drop));
        }
        if is_open(&job.query.source)
            && let Some(Ok(needs)) = self.jobs.planning(job).await?
        {
            let stop = self.jobs.stop_of(job.id);
            self.planning.begin_again(job, needs, stop);
        }
        self.planning.begin_round(job.id);
        let relisted = self.queue.relist(job.id, Some(follow.span(now)), Recheck::Done).await;
        forgive_gone(relisted.map(drop))
    }
}

fn is_due(job: &JobRecord, asked: Option<Timestamp>, now: Timestamp) -> bool {
    let every = job.policy.follow.map(|follow| follow.every()).unwrap_or_default();
    let has_rested = asked.is_none_or(|asked| asked.checked_add(every).is_ok_and(|due| due <= now));
    has_rested && job.next_listing_at().is_some_and(|due| due <= now)
}

fn is_open(source: &Source) -> bool {
    matches!(source, Source::Archive { intervals, .. } if intervals.iter().any(Interval::is_open))
}
