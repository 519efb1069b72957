//! What is looked after between the work: changed intents, full disks, queries without windows, leases,
//! finished jobs, and what is shown.

use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_model::{Intent, JobRecord, Plan};
use skyhaul_queue::PlanOutcome;

use crate::engine::{Engine, TICK, is_runnable};
use crate::outcomes::forgive_gone;
use crate::progress::{Progress, eta_s};
use crate::settings::EngineError;

/// Ticks between two rounds of what may be a second late.
const TICKS_A_ROUND: u64 = 4;

/// The most jobs without files in work that a snapshot shows.
const MOST_BESIDE: usize = 32;

impl Engine {
    /// One tick.
    pub(crate) async fn look_up(&mut self) -> Result<(), EngineError> {
        self.jobs.refresh().await?;
        if self.ticks.is_multiple_of(TICKS_A_ROUND) {
            self.queue.checkpoint(self.work.received()).await?;
            self.keep_claims(Timestamp::now()).await?;
            let wanted = self.known().await?;
            self.planning.keep(&self.jobs.keep(&wanted));
            self.begin_rounds(&wanted).await?;
            self.begin_queries(&wanted).await?;
            self.hooks.note_ends(&wanted);
            self.watch_disks(&wanted).await?;
            self.forget_old(&wanted).await?;
            if let Some(priority) = self.urgency.arrival(&wanted) {
                self.make_way(priority).await?;
            }
            self.beside = self.beside(&wanted);
        }
        self.ticks += 1;
        self.let_go_of_settled();
        self.show_progress();
        Ok(())
    }

    /// Has those of a lower priority give their places up that do nothing with them yet.
    pub(crate) async fn make_way(&mut self, priority: i8) -> Result<(), EngineError> {
        self.work.make_way(priority);
        let jobs = &self.jobs;
        let is_lower = |job| jobs.get(job).is_some_and(|job| job.record.priority < priority);
        for claim in self.turns.give_up(is_lower) {
            self.release(&claim).await?;
        }
        Ok(())
    }

    /// An engine that starts knows nothing of why an earlier one held a job: it looks for itself.
    pub(crate) async fn clear_holds(&mut self) -> Result<(), EngineError> {
        for job in self.wanted().await?.iter().filter(|job| job.hold.is_some()) {
            forgive_gone(self.queue.set_hold(job.id, None).await)?;
        }
        Ok(())
    }

    /// Begins to turn queries into windows.
    async fn begin_queries(&mut self, wanted: &[JobRecord]) -> Result<(), EngineError> {
        let now = Timestamp::now();
        for record in wanted.iter().filter(|job| is_runnable(job) && job.plan == Plan::Unplanned) {
            if self.planning.is_busy_with(record.id, now) {
                continue;
            }
            self.hooks.note_work(record.id);
            let record = &self.jobs.held(record.clone());
            let outcome = match self.jobs.planning(record).await? {
                Some(Ok(needs)) => {
                    let stop = self.jobs.stop_of(record.id);
                    self.planning.begin_query(record, needs, stop);
                    continue;
                }
                Some(Err(error)) => PlanOutcome::Refused(error),
                None => PlanOutcome::Windows(Vec::new()),
            };
            forgive_gone(self.queue.settle_plan(record.id, outcome, now).await)?;
        }
        Ok(())
    }

    /// The jobs that have no files in work but are to be shown: those that are listed, that are held, and that
    /// stand by.
    fn beside(&self, wanted: &[JobRecord]) -> Vec<JobRecord> {
        let is_shown = |job: &JobRecord| {
            let is_listed = job.plan == Plan::Unplanned || job.windows.open() > 0;
            let is_open = job.intent == Intent::Run && !job.is_settled();
            is_open && (is_listed || job.hold.is_some()) || job.next_listing_at().is_some()
        };
        wanted.iter().filter(|job| is_shown(job)).take(MOST_BESIDE).cloned().collect()
    }

    /// Publishes a snapshot for whoever watches.
    pub(crate) fn show_progress(&mut self) {
        let received = self.work.received_total();
        self.tally.note(|counts| counts.received_bytes = received);
        let rate = self.byte_rate.update(received as f64, TICK);
        let files_per_s = self.file_rate.update(self.tally.counts().files_done as f64, TICK);
        let mut jobs = self.jobs.records();
        jobs.extend(self.beside.iter().filter(|job| self.jobs.get(job.id).is_none()).cloned());
        jobs.sort_by_key(|job| job.id);
        self.show_kept_out(&mut jobs);
        let eta_s = jobs.first().and_then(|job| eta_s(job, rate, files_per_s));
        let paces = self.paces.update(&jobs, TICK);
        let in_flight = self.work.shown();
        let rate_bytes_per_s = rate as u64;
        let progress = Progress { jobs, in_flight, rate_bytes_per_s, files_per_s, eta_s, paces };
        self.progress.send_replace(Arc::new(progress));
    }
}
