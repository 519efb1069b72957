//! Jobs that ended long ago are forgotten, where somebody wishes so; their files stay.
//!
//! Only an engine that is for every job does that: one that was started for some must not take away what its
//! own user asked for. A crash in between leaves a job that is forgotten at the next look.

use std::time::Duration;

use jiff::Timestamp;
use skyhaul_model::{Intent, JobId, JobRecord};
use skyhaul_queue::ClaimFilter;

use crate::drop_partials;
use crate::engine::Engine;
use crate::outcomes::forgive_gone;
use crate::settings::EngineError;

/// Jobs that are forgotten at one look, at most: the work goes on meanwhile.
const AT_ONCE: usize = 8;

impl Engine {
    /// Forgets jobs that ended longer ago than the settings say.
    pub(crate) async fn forget_old(&self, wanted: &[JobRecord]) -> Result<(), EngineError> {
        let Some(age) = self.settings.forget_after else { return Ok(()) };
        if self.settings.scope.filter() != ClaimFilter::All {
            return Ok(());
        }
        let now = Timestamp::now();
        let in_hand = |job: &JobRecord| self.jobs.get(job.id).is_some();
        for job in wanted.iter().filter(|job| is_old(job, age, now) && !in_hand(job)).take(AT_ONCE) {
            self.forget(job.id, age, now).await?;
        }
        Ok(())
    }

    async fn forget(&self, id: JobId, age: Duration, now: Timestamp) -> Result<(), EngineError> {
        let Some(job) = self.still_old(id, age, now).await? else { return Ok(()) };
        let out = job.query.out.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || drop_partials(&job)).await? {
            // A disk that is away does not keep the job.
            tracing::warn!(job = id.0, %error, "cannot remove the partial files");
        }
        // A disk may take long.
        if self.still_old(id, age, now).await?.is_some() {
            forgive_gone(self.queue.remove_job(id).await)?;
            tracing::info!(job = id.0, %out, "forgot a job that ended long ago (forget-after); its files stay");
        }
        Ok(())
    }

    /// The job as it is now, unless somebody has told it to go on since it was found to be old.
    async fn still_old(
        &self,
        id: JobId,
        age: Duration,
        now: Timestamp,
    ) -> Result<Option<JobRecord>, EngineError> {
        Ok(self.queue.job(id).await?.filter(|job| is_old(job, age, now)))
    }
}

/// Whether the job ended so long ago. A standing job has not ended between its rounds.
fn is_old(job: &JobRecord, age: Duration, now: Timestamp) -> bool {
    let stands = job.policy.follow.is_some() && job.intent != Intent::Cancelled;
    let ended = job.finished_at.filter(|_| job.state().is_final() && !stands);
    ended.and_then(|ended| ended.checked_add(age).ok()).is_some_and(|due| due <= now)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skyhaul_model::{Follow, JobPolicy, Plan, Query, Source};
    use skyhaul_queue::{JobQueue, MemoryQueue, NewJob};

    use super::*;
    use crate::Settings;
    use crate::nowhere::{Nowhere, settings};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    async fn create(queue: &MemoryQueue, digest: &str) -> JobId {
        let source = Source::Urls { digest: digest.into(), base: None };
        let query = Query { source, out: "/o".into() };
        let (policy, headers, input) = (JobPolicy::default(), Vec::new(), None);
        let new = NewJob { query, policy, name: None, priority: 0, headers, input };
        queue.create_job(new, at(0)).await.unwrap().id
    }

    #[tokio::test]
    async fn a_job_that_goes_on_since_it_was_found_old_is_kept() {
        let queue = Arc::new(MemoryQueue::new());
        let settings = Settings { forget_after: Some(Duration::ZERO), ..settings() };
        let engine = Engine::new(Arc::clone(&queue) as _, Arc::new(Nowhere), settings);
        let (resumed, over) = (create(&queue, "a").await, create(&queue, "b").await);
        for job in [resumed, over] {
            queue.set_intent(job, Intent::Cancelled, at(0)).await.unwrap();
        }
        let found = queue.jobs().await.unwrap();
        queue.set_intent(resumed, Intent::Run, at(1)).await.unwrap();
        engine.forget_old(&found).await.unwrap();
        assert!(queue.job(resumed).await.unwrap().is_some());
        assert!(queue.job(over).await.unwrap().is_none());
    }

    /// A job without files that ended at second 100.
    async fn ended() -> JobRecord {
        let queue = MemoryQueue::new();
        let id = create(&queue, "").await;
        let job = queue.job(id).await.unwrap().unwrap();
        JobRecord { finished_at: Some(at(100)), plan: Plan::Planned, ..job }
    }

    #[tokio::test]
    async fn a_job_is_old_so_long_after_its_end() {
        let (job, age) = (ended().await, Duration::from_secs(50));
        assert!(!is_old(&job, age, at(149)) && is_old(&job, age, at(150)));
        assert!(!is_old(&job, Duration::MAX, at(i64::from(i32::MAX))));
        let open = JobRecord { finished_at: None, ..job.clone() };
        assert!(!is_old(&open, age, at(1_000)));
    }

    #[tokio::test]
    async fn a_standing_job_is_kept_until_it_is_cancelled() {
        let mut job = ended().await;
        job.policy.follow = Some(Follow { window_days: 2, every_s: 60 });
        let is_old = |intent| is_old(&JobRecord { intent, ..job.clone() }, Duration::ZERO, at(1_000));
        assert!(!is_old(Intent::Run) && !is_old(Intent::Paused) && is_old(Intent::Cancelled));
    }
}
