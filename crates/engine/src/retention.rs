//! Jobs that ended long ago are forgotten, where somebody wishes so; their files stay.
//!
//! Only an engine that is for every job does that: one that was started for some must not take away what its
//! own user asked for. A crash in between leaves a job that is forgotten at the next look. What such jobs left on
//! their disks is removed by a task beside the loop, which goes on whatever becomes of those disks.

use std::time::Duration;

use jiff::Timestamp;
use skyhaul_model::{Intent, JobId, JobRecord};
use skyhaul_queue::{ClaimFilter, QueueError};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::drop_partials;
use crate::engine::Engine;
use crate::settings::EngineError;

/// Jobs that are cleared away by one task, at most.
const AT_ONCE: usize = 8;

/// How long an engine that ends waits for disks that take their time.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Jobs whose partial files are being removed before they are forgotten. There is one such task at most.
pub(crate) struct Clearing {
    jobs: Vec<JobId>,
    task: JoinHandle<()>,
}

impl Engine {
    /// Forgets jobs that ended longer ago than the settings say, once what they left behind is gone.
    pub(crate) async fn forget_old(&mut self, wanted: &[JobRecord]) -> Result<(), EngineError> {
        let Some(age) = self.settings.forget_after else { return Ok(()) };
        if self.settings.scope.filter() != ClaimFilter::All {
            return Ok(());
        }
        let now = Timestamp::now();
        if let Some(clearing) = self.clearing.take_if(|clearing| clearing.task.is_finished()) {
            clearing.task.await?;
            self.jobs.open_again();
            for id in clearing.jobs {
                self.forget(id, age, now).await?;
            }
        }
        if self.clearing.is_none() {
            self.begin_clearing(wanted, age, now).await?;
        }
        Ok(())
    }

    /// Waits a moment for the task: a disk that hangs does not keep the engine.
    pub(crate) async fn end_clearing(&mut self) -> Result<(), EngineError> {
        let Some(clearing) = self.clearing.take() else { return Ok(()) };
        match tokio::time::timeout(LAST_WAIT, clearing.task).await {
            Ok(ended) => Ok(ended?),
            Err(_) => {
                tracing::warn!(jobs = ?clearing.jobs, "their disks did not answer: these jobs are forgotten later");
                Ok(())
            }
        }
    }

    async fn begin_clearing(
        &mut self,
        wanted: &[JobRecord],
        age: Duration,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let mut old = Vec::new();
        let in_hand = |job: &JobRecord| self.jobs.get(job.id).is_some();
        for job in wanted.iter().filter(|job| is_old(job, age, now) && !in_hand(job)).take(AT_ONCE) {
            old.extend(self.still_old(job.id, age, now).await?);
        }
        if !old.is_empty() {
            self.jobs.keep_shut(old.iter().map(|job| job.key.clone()));
            let jobs = old.iter().map(|job| job.id).collect();
            self.clearing = Some(Clearing { jobs, task: spawn_blocking(move || clear(&old)) });
        }
        Ok(())
    }

    /// Forgets a job, unless somebody has told it to go on while its disk took its time.
    async fn forget(&self, id: JobId, age: Duration, now: Timestamp) -> Result<(), EngineError> {
        let headers = match self.queue.secret_headers(id).await {
            Err(QueueError::NoSuchJob(_)) => return Ok(()),
            headers => headers?,
        };
        let Some(job) = self.still_old(id, age, now).await? else { return Ok(()) };
        // Whoever tells it to go on at this moment is not to lose that.
        if self.queue.remove_unchanged(&job, &headers).await? {
            let out = job.query.out;
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

/// Removes the jobs' partial files. Blocking.
fn clear(jobs: &[JobRecord]) {
    for job in jobs {
        if let Err(error) = drop_partials(job) {
            // A disk that is away does not keep the job.
            tracing::warn!(job = job.id.0, %error, "cannot remove the partial files");
        }
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
    use std::path::Path;
    use std::sync::Arc;

    use skyhaul_model::{Follow, Plan};
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;
    use crate::Settings;
    use crate::nowhere::{idle, job_of_list, settings};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// An engine that forgets at once, and two cancelled jobs.
    async fn with_two_cancelled() -> (Engine, Arc<MemoryQueue>, [JobId; 2]) {
        let (engine, queue) = idle(Settings { forget_after: Some(Duration::ZERO), ..settings() });
        let mut jobs = [JobId(0); 2];
        for (job, digest) in jobs.iter_mut().zip(["a", "b"]) {
            *job = create(&queue, digest).await;
            queue.set_intent(*job, Intent::Cancelled, at(0)).await.unwrap();
        }
        (engine, queue, jobs)
    }

    async fn create(queue: &MemoryQueue, digest: &str) -> JobId {
        queue.create_job(job_of_list(digest, Path::new("/o")), at(0)).await.unwrap().id
    }

    /// Lets the engine look until nothing is being cleared any more.
    async fn look_till_clear(engine: &mut Engine) {
        let wanted = engine.wanted().await.unwrap();
        engine.forget_old(&wanted).await.unwrap();
        while engine.clearing.is_some() {
            tokio::task::yield_now().await;
            engine.forget_old(&[]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_job_that_goes_on_since_it_was_found_old_is_kept() {
        let (mut engine, queue, [resumed, over]) = with_two_cancelled().await;
        let found = queue.jobs().await.unwrap();
        queue.set_intent(resumed, Intent::Run, at(1)).await.unwrap();
        engine.forget_old(&found).await.unwrap();
        look_till_clear(&mut engine).await;
        assert!(queue.job(resumed).await.unwrap().is_some());
        assert!(queue.job(over).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_nothing_but_the_forgetting() {
        let (mut engine, queue, [hangs, resumed]) = with_two_cancelled().await;
        let (answer, answered) = std::sync::mpsc::sync_channel::<()>(1);
        let hang = move || answered.recv().unwrap();
        let jobs = vec![hangs, resumed];
        engine.clearing = Some(Clearing { jobs, task: spawn_blocking(hang) });
        engine.jobs.keep_shut(queue.jobs().await.unwrap().into_iter().map(|job| job.key));
        queue.set_intent(resumed, Intent::Run, at(1)).await.unwrap();
        let wanted = engine.wanted().await.unwrap();
        engine.forget_old(&wanted).await.unwrap();
        assert_eq!(queue.jobs().await.unwrap().len(), 2);
        engine.begin_opening(resumed).await.unwrap();
        assert!(engine.jobs.are_roots_idle(), "its partial files are being removed");
        answer.send(()).unwrap();
        look_till_clear(&mut engine).await;
        let left: Vec<_> = queue.jobs().await.unwrap().into_iter().map(|job| job.id).collect();
        assert_eq!(left, [resumed]);
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
