//! How an engine comes to its end: when nothing is left to do, and what is waited for on the way out.
//!
//! What a disk holds back that hangs is left to itself: it ends as in a crash, and nothing that was told is lost by it.

use std::time::Duration;

use skyhaul_model::{Intent, JobId, JobRecord};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, is_runnable, unfinished};
use crate::jobs::InHand;
use crate::settings::{Ended, EngineError, OnFullDisk, WhenIdle};

/// When nothing has ended for so long, nothing more is waited for.
const SILENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Lets running tasks come to their ends after the stop signal, and settles each.
    pub(crate) async fn wind_down(&mut self, stop: &CancellationToken) -> Result<(), EngineError> {
        self.planning.drain().await?;
        self.see_out().await?;
        for claim in self.turns.give_up(|_| true) {
            self.release(&claim).await?;
        }
        self.jobs.refresh().await?;
        self.show_progress();
        self.let_go_of_all();
        self.see_out().await?;
        self.end_clearing().await?;
        let wanted = self.wanted().await?;
        self.hooks.note_ends(&wanted);
        self.hooks.end(stop).await;
        Ok(())
    }

    /// Settles what ends until all has, or the rest hangs.
    async fn see_out(&mut self) -> Result<(), EngineError> {
        while self.work.len() > 0 || self.publisher.len() > 0 || !self.jobs.are_roots_idle() {
            tokio::select! {
                biased;
                finished = self.work.next() => self.on_finished(finished?).await?,
                published = self.publisher.next() => self.on_published(published?).await?,
                sight = self.jobs.next_sight() => {
                    let (job, sight) = sight?;
                    self.on_sight(job, sight).await?;
                }
                () = sleep(SILENCE) => {
                    let (files, publishing) = (self.work.len(), self.publisher.len());
                    tracing::warn!(files, publishing, "a disk does not answer: what waits for it is left behind");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// How the engine ends if nothing is left to do; none while there is something.
    pub(crate) async fn nothing_left(&mut self) -> Result<Option<Ended>, EngineError> {
        let busy = self.work.going_on() > 0 || self.publishing() > 0 || !self.planning.is_idle();
        let wanted = match self.settings.when_idle {
            WhenIdle::Wait => return Ok(None),
            WhenIdle::Exit if busy => return Ok(None),
            WhenIdle::Exit => self.wanted().await?,
            // What is known of a job in hand costs nothing, and may be a tick old: it is asked for when all is quiet.
            WhenIdle::ExitAfter(id) if busy && self.jobs.get(id).is_some_and(InHand::is_runnable) => {
                return Ok(None);
            }
            WhenIdle::ExitAfter(id) => self.queue.job(id).await?.into_iter().collect(),
            WhenIdle::StandBy(id) => match self.queue.job(id).await? {
                Some(job) if job.intent == Intent::Run => return Ok(None),
                halted => halted.into_iter().collect(),
            },
        };
        Ok(end_of(&wanted, self.settings.on_full_disk))
    }

    /// How many files are being published or wait for that, those left out whose jobs are held: their disk may hang.
    pub(crate) fn publishing(&self) -> usize {
        let jobs = &self.jobs;
        self.publisher.count(|job| jobs.get(job).is_some_and(|job| job.record.hold.is_none()))
    }
}

/// How an engine ends that has only these jobs to care for; none while one of them can go on.
fn end_of(wanted: &[JobRecord], on_full_disk: OnFullDisk) -> Option<Ended> {
    if wanted.iter().any(is_runnable) {
        return None;
    }
    let held: Option<(JobId, _)> =
        wanted.iter().find_map(|job| Some((job.id, unfinished(job).then_some(job.hold.as_ref())??)));
    match (held, on_full_disk) {
        (None, _) => Some(Ended::Idle),
        (Some((id, reason)), OnFullDisk::Stop) => Some(Ended::Held(id, reason.clone())),
        (Some(_), OnFullDisk::Wait) => None,
    }
}
