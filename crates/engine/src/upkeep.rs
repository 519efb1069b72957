//! What is looked after between the work: changed intents, full disks, queries without windows, leases,
//! finished jobs, and what is shown.

use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_model::{Intent, JobId, JobRecord, Plan};
use skyhaul_queue::PlanOutcome;

use crate::disk::obstacle;
use crate::engine::{Engine, TICK, is_runnable};
use crate::jobs::InHand;
use crate::outcomes::forgive_gone;
use crate::progress::{Progress, eta_s};
use crate::settings::{EngineError, OnFullDisk};

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
        self.let_go_of_settled().await?;
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

    /// Holds jobs whose disk is full or gone, and lets those go on that have nothing in their way any more.
    async fn watch_disks(&mut self, wanted: &[JobRecord]) -> Result<(), EngineError> {
        let stuck = |job: &InHand| Some((job.record.id, obstacle(&job.root, &job.record.policy)?));
        let stuck: Vec<_> =
            self.jobs.iter().filter(|job| job.record.hold.is_none()).filter_map(stuck).collect();
        for (job, reason) in stuck {
            self.hold(job, reason).await?;
        }
        if self.settings.on_full_disk == OnFullDisk::Stop {
            return Ok(());
        }
        // A held job is let go of once its work has ended: what opens its root anew looks at everything.
        for job in wanted.iter().filter(|job| job.hold.is_some()) {
            if !self.jobs.may_look_again(job.id) {
                continue;
            }
            let reason = self.jobs.take(job.id).await?.err();
            if reason != job.hold {
                forgive_gone(self.queue.set_hold(job.id, reason).await)?;
            }
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

    /// Closes the output roots of jobs that are over, with their partial files where those are of no use, and
    /// those of held jobs, so that their disks can be unmounted and are looked at anew.
    async fn let_go_of_settled(&mut self) -> Result<(), EngineError> {
        for id in self.jobs.ids() {
            let over = self.jobs.get(id).is_some_and(|job| {
                let out_of_work = Arc::strong_count(&job.root) == 1;
                let is_over = job.record.is_settled() || job.record.intent == Intent::Cancelled;
                out_of_work && (is_over || job.record.hold.is_some() || job.removed)
            });
            if over {
                self.let_go(id).await?;
            }
        }
        Ok(())
    }

    /// Closes every output root: the engine ends.
    pub(crate) async fn let_go_of_all(&mut self) -> Result<(), EngineError> {
        for id in self.jobs.ids() {
            self.let_go(id).await?;
        }
        Ok(())
    }

    async fn let_go(&mut self, id: JobId) -> Result<(), EngineError> {
        let Some(job) = self.jobs.let_go(id) else { return Ok(()) };
        let Some(root) = Arc::into_inner(job.root) else { return Ok(()) };
        // A failed file's part may still be of use when a person asks for another go.
        let finished = job.record.is_settled() && job.record.files.failed == 0;
        let useless = finished || job.record.intent == Intent::Cancelled || job.removed;
        let key = job.record.key;
        let closed = tokio::task::spawn_blocking(move || {
            let dropped = if useless { root.drop_partials(&key) } else { Ok(()) };
            root.close();
            dropped
        });
        if let Err(error) = closed.await? {
            tracing::warn!(job = id.0, %error, "cannot remove the partial files");
        }
        Ok(())
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
