//! The owner loop.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skyhaul_http::Fetch;
use skyhaul_model::{Intent, JobRecord};
use skyhaul_queue::{Claim, ClaimFilter, ClaimRequest, ClaimedWindow, Queue, WindowOutcome};
use skyhaul_transfer::Spare;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::disk::RealDisk;
use crate::hooks::Hooks;
use crate::jobs::Jobs;
use crate::kept_out::KeptOut;
use crate::outcomes::forgive_gone;
use crate::planning::Planning;
use crate::progress::{Paces, Progress, Rate};
use crate::publisher::Publisher;
use crate::retention::Clearing;
use crate::roots::Disk;
use crate::roster::Roster;
use crate::settings::{Ended, EngineError, Settings};
use crate::standing::Rounds;
use crate::tally::Tally;
use crate::turns::{Turn, Turns};
use crate::urgency::Urgency;
use crate::work::Work;

/// How often the loop looks up from its work: for changed intents, full disks, progress.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// How often new work is asked for at most: small files end by the thousand a second.
const BREATH: Duration = Duration::from_millis(2);

/// How long a claim lasts unless renewed; renewed every second.
const LEASE: Duration = Duration::from_secs(60);

/// Claims that were renewed no longer ago are as good as new.
const RENEWED: SignedDuration = SignedDuration::from_millis(900);

/// Files that are begun at once of jobs that limit themselves.
const A_FEW: usize = 16;

/// Works jobs off: the only writer of their windows' and files' states while it runs.
pub struct Engine {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) settings: Settings,
    pub(crate) jobs: Jobs,
    pub(crate) work: Work,
    pub(crate) turns: Turns,
    pub(crate) planning: Planning,
    pub(crate) publisher: Publisher,
    pub(crate) progress: watch::Sender<Arc<Progress>>,
    pub(crate) byte_rate: Rate,
    pub(crate) file_rate: Rate,
    pub(crate) paces: Paces,
    pub(crate) hooks: Hooks,
    pub(crate) tally: Arc<Tally>,
    pub(crate) urgency: Urgency,
    pub(crate) rounds: Rounds,
    pub(crate) clearing: Option<Clearing>,
    pub(crate) kept_out: KeptOut,
    roster: Roster,
    /// Jobs that are shown without having files in work.
    pub(crate) beside: Vec<JobRecord>,
    pub(crate) ticks: u64,
    renewed_at: Timestamp,
    stop: CancellationToken,
}

/// How many files were begun at once.
#[derive(Default)]
struct Begun {
    files: usize,
    /// Those of them whose jobs limit themselves.
    tight: usize,
}

impl Engine {
    /// An engine over `queue` that fetches through `fetch`.
    #[must_use]
    pub fn new(queue: Arc<dyn Queue>, fetch: Arc<dyn Fetch>, settings: Settings) -> Self {
        Self::on(Arc::new(RealDisk), queue, fetch, settings)
    }

    /// An engine whose jobs' roots are on this disk.
    pub(crate) fn on(
        disk: Arc<dyn Disk>,
        queue: Arc<dyn Queue>,
        fetch: Arc<dyn Fetch>,
        settings: Settings,
    ) -> Self {
        let stop = CancellationToken::new();
        let tally = Arc::new(Tally::default());
        Self {
            jobs: Jobs::new(
                Arc::clone(&queue),
                Arc::clone(&fetch),
                disk,
                settings.policy.clone(),
                stop.clone(),
            ),
            work: Work::new(
                Arc::clone(&queue),
                Arc::clone(&fetch),
                settings.boot.clone(),
                Spare::new(settings.connections),
            ),
            // A quarter of the room at most is theirs who cannot begin.
            turns: Turns::new((settings.workers / 4).max(1)),
            planning: Planning::new(Arc::clone(&queue), Arc::clone(&tally)),
            publisher: Publisher::new(Arc::clone(&queue)),
            progress: watch::Sender::new(Arc::default()),
            byte_rate: Rate::default(),
            file_rate: Rate::default(),
            paces: Paces::default(),
            hooks: Hooks::new(fetch),
            tally,
            urgency: Urgency::default(),
            rounds: Rounds::new(),
            clearing: None,
            kept_out: KeptOut::default(),
            roster: Roster::default(),
            beside: Vec::new(),
            ticks: 0,
            renewed_at: Timestamp::MIN,
            queue,
            settings,
            stop,
        }
    }

    /// Snapshots of the work, a few times a second while [`Engine::run`] runs.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Arc<Progress>> {
        self.progress.subscribe()
    }

    /// What the engine counts, from its start to its end.
    #[must_use]
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Works until nothing is left or `stop` is cancelled. On the way out every task is joined, partial
    /// files are checkpointed, claims are given back and nothing is lost.
    ///
    /// # Errors
    /// The queue failed, or a task of the engine broke.
    pub async fn run(mut self, stop: CancellationToken) -> Result<Ended, EngineError> {
        let ended = self.work_off(&stop).await;
        self.stop.cancel();
        let wound_down = self.wind_down(&stop).await;
        let ended = ended?;
        wound_down?;
        Ok(ended)
    }

    async fn work_off(&mut self, stop: &CancellationToken) -> Result<Ended, EngineError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.clear_holds().await?;
        let mut round = Instant::now();
        loop {
            // What ends meanwhile waits for the round, which serves many.
            let mut due = round;
            if round <= Instant::now() {
                self.keep_claims(Timestamp::now()).await?;
                self.begin_listings().await?;
                self.begin_files().await?;
                if let Some(ended) = self.nothing_left().await? {
                    return Ok(ended);
                }
                due = self.next_due().await?;
                round = Instant::now() + BREATH;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Stopped),
                _ = tick.tick() => self.look_up().await?,
                finished = self.work.next() => self.on_finished(finished?).await?,
                published = self.publisher.next() => self.on_published(published?).await?,
                sight = self.jobs.next_sight() => {
                    let (job, sight) = sight?;
                    self.on_sight(job, sight).await?;
                }
                settled = self.planning.settle_next() => settled?,
                () = sleep_until(due) => {}
            }
        }
    }

    /// Claims windows and begins to list them.
    async fn begin_listings(&mut self) -> Result<(), EngineError> {
        let room = self.settings.listers.saturating_sub(self.planning.windows());
        if room == 0 {
            return Ok(());
        }
        for claim in self.queue.claim_windows(self.claim_request(room)).await? {
            if let Some(record) = self.queue.job(claim.job).await? {
                self.begin_listing(claim, record).await?;
            }
        }
        Ok(())
    }

    async fn begin_listing(&mut self, claim: ClaimedWindow, record: JobRecord) -> Result<(), EngineError> {
        self.hooks.note_work(claim.job);
        let record = self.jobs.held(record);
        match self.jobs.planning(&record).await?.transpose() {
            Ok(needs) => {
                let stop = self.jobs.stop_of(claim.job);
                self.planning.begin_window(claim, record.policy.retries, needs, stop);
                Ok(())
            }
            Err(error) => {
                let (window, outcome) = (claim.window.id, WindowOutcome::Failed(error));
                forgive_gone(self.queue.settle_window(claim.job, window, outcome, Timestamp::now()).await)
            }
        }
    }

    /// Claims files and begins to fetch them, unless publishing lags far behind.
    pub(crate) async fn begin_files(&mut self) -> Result<(), EngineError> {
        self.begin_waiting().await?;
        let taken = self.work.going_on() + self.turns.waiting() + self.publishing() / 4;
        let mut room = self.settings.workers.saturating_sub(taken);
        while room > 0 {
            let begun = self.begin_some(room).await?;
            // Whether files have to wait for their job's own limits shows a while after they have begun.
            if begun.tight > 0 || begun.files == 0 || !self.jobs.any_tight() {
                return Ok(());
            }
            room = room.saturating_sub(begun.files);
        }
        Ok(())
    }

    /// Claims and begins files, a few at a time where jobs have limits of their own: what waits for those takes none
    /// of the room of others.
    async fn begin_some(&mut self, room: usize) -> Result<Begun, EngineError> {
        let limit = if self.jobs.any_tight() { room.min(A_FEW) } else { room };
        let mut request = self.claim_request(limit);
        let filter = request.filter.without(&self.jobs.waiting_for_themselves());
        let filter = filter.without(&self.jobs.put_off());
        request.filter = filter.without(&self.turns.jobs_with_enough());
        let mut begun = Begun::default();
        for claim in self.queue.claim_files(request).await? {
            self.begin_claimed(claim, &mut begun).await?;
        }
        Ok(begun)
    }

    /// Begins those that waited for another job's turn which has ended, and gives back those of jobs that are stopped.
    async fn begin_waiting(&mut self) -> Result<(), EngineError> {
        let jobs = &self.jobs;
        let over = self.turns.give_up(|job| jobs.get(job).is_none_or(|job| job.stop.is_cancelled()));
        let next = self.turns.next(|job| jobs.get(job).map_or(0, |job| job.record.priority));
        for claim in over {
            self.release(&claim).await?;
        }
        for claim in next {
            self.begin_claimed(claim, &mut Begun::default()).await?;
        }
        Ok(())
    }

    /// Begins a file, has it wait for its turn, or gives it back where its job cannot go on.
    async fn begin_claimed(&mut self, claim: Claim, begun: &mut Begun) -> Result<(), EngineError> {
        let job = match self.jobs.get(claim.file.job) {
            Some(job) if job.stop.is_cancelled() => return self.release(&claim).await,
            Some(job) if job.terms.are_tight() && begun.files >= A_FEW => return self.release(&claim).await,
            Some(job) => job,
            None => {
                self.release(&claim).await?;
                return self.begin_opening(claim.file.job).await;
            }
        };
        // One that cannot land anywhere is never dealt.
        let Ok(path) = &claim.spec.path else { return Ok(()) };
        let claim = match self.turns.take(job.root.final_path(path), claim) {
            Turn::Now(claim) => claim,
            Turn::Later => return Ok(()),
            Turn::Refused(claim) => return self.release(&claim).await,
        };
        begun.files += 1;
        begun.tight += usize::from(job.terms.are_tight());
        self.hooks.note_work(claim.file.job);
        self.work.begin(claim, job);
        Ok(())
    }

    pub(crate) fn claim_request(&self, limit: usize) -> ClaimRequest {
        let now = Timestamp::now();
        let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        ClaimRequest { filter: self.settings.scope.filter(), limit, owner: self.settings.owner, now, until }
    }

    /// Renews the claims of all that is in work, where that was not done just now. After the machine has slept, or its
    /// clock was set, they must not be dealt anew.
    pub(crate) async fn keep_claims(&mut self, now: Timestamp) -> Result<(), EngineError> {
        if now.duration_since(self.renewed_at).abs() < RENEWED {
            return Ok(());
        }
        self.renewed_at = now;
        let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        Ok(self.queue.renew(self.settings.owner, until).await?)
    }

    /// The jobs that this engine is for.
    pub(crate) async fn wanted(&self) -> Result<Vec<JobRecord>, EngineError> {
        let ClaimFilter::Jobs(ids) = self.settings.scope.filter() else {
            return Ok(self.queue.jobs().await?);
        };
        let mut wanted = Vec::with_capacity(ids.len());
        for id in ids {
            wanted.extend(self.queue.job(id).await?);
        }
        Ok(wanted)
    }

    /// The same, as they were told last if nothing has changed since.
    pub(crate) async fn known(&mut self) -> Result<Arc<[JobRecord]>, EngineError> {
        match self.settings.scope.filter() {
            ClaimFilter::All => Ok(self.roster.jobs(&*self.queue).await?),
            ClaimFilter::Jobs(_) | ClaimFilter::AllBut(_) => Ok(self.wanted().await?.into()),
        }
    }

    /// When something that waits for its time is due; far away if nothing does.
    async fn next_due(&self) -> Result<Instant, EngineError> {
        // Queries that are to be asked again are looked after by the tick.
        let due = self.queue.next_due(&self.settings.scope.filter()).await?;
        let wait = due.map_or(Duration::MAX, |due| {
            Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
        });
        // What is due already could not be claimed just now: the next tick tries again.
        Ok(Instant::now() + wait.clamp(Duration::from_millis(5), Duration::from_secs(3600)))
    }
}

/// Whether a person wants a job done and it is not.
pub(crate) fn unfinished(job: &JobRecord) -> bool {
    job.intent == Intent::Run && !job.is_settled()
}

/// Whether a job can still make progress without anybody's help.
pub(crate) fn is_runnable(job: &JobRecord) -> bool {
    unfinished(job) && job.hold.is_none()
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{Intent, JobId, JobPolicy, NewWindow, Query, Source};
    use skyhaul_queue::{JobQueue, NewJob, PlanOutcome, PlanQueue, WorkQueue};

    use super::*;
    use crate::nowhere::{begin_files, idle, job_of_list, listed, settings, slice, take, window};

    #[tokio::test]
    async fn a_job_that_is_removed_before_its_listing_begins_does_not_end_the_engine() {
        let (mut engine, queue) = idle(settings());
        let (datasets, intervals, sites, devices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // One that cannot be listed anyway: its window is settled at once.
        let source = Source::Archive { api: "no url".to_owned(), datasets, intervals, sites, devices };
        let new = NewJob {
            query: Query { source, out: "/o".to_owned() },
            ..job_of_list("", std::path::Path::new("/o"))
        };
        let id = queue.create_job(new, Timestamp::UNIX_EPOCH).await.unwrap().id;
        let record = queue.job(id).await.unwrap().unwrap();
        queue.remove_job(id).await.unwrap();
        engine.begin_listing(ClaimedWindow { job: id, window: window() }, record).await.unwrap();
        assert_eq!(engine.planning.windows(), 0);
    }

    #[tokio::test]
    async fn a_job_that_limits_itself_begins_a_few_files_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        for (request_interval_us, expected) in [(Some(1), A_FEW), (None, settings().workers)] {
            let (mut engine, _) = idle(settings());
            let new = job_of_list("", dir.path());
            let policy = JobPolicy { request_interval_us, ..new.policy.clone() };
            listed(&engine, NewJob { policy, ..new }).await;
            begin_files(&mut engine).await;
            assert_eq!(engine.work.len(), expected);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_dealt_anew_while_it_is_in_work_is_not_begun_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        listed(&engine, job_of_list("", dir.path())).await;
        let first = queue.claim_files(engine.claim_request(1)).await.unwrap().remove(0);
        take(&mut engine, first.file.job).await;
        engine.begin_claimed(first.clone(), &mut Begun::default()).await.unwrap();
        // The clock jumps to where the claim has expired.
        let ClaimRequest { until, .. } = engine.claim_request(1);
        let later = ClaimRequest { now: until, ..engine.claim_request(1) };
        let again = queue.claim_files(later).await.unwrap().remove(0);
        assert_eq!(again.file, first.file);
        engine.begin_claimed(again, &mut Begun::default()).await.unwrap();
        assert_eq!((engine.work.len(), engine.turns.waiting()), (1, 0));
    }

    #[tokio::test]
    async fn what_is_listed_while_the_machine_sleeps_is_not_listed_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let id = queue.create_job(job_of_list("", dir.path()), Timestamp::UNIX_EPOCH).await.unwrap().id;
        let windows = PlanOutcome::Windows(vec![NewWindow { target: slice() }]);
        queue.settle_plan(id, windows, Timestamp::UNIX_EPOCH).await.unwrap();
        let request = engine.claim_request(1);
        let late = request.until.checked_add(SignedDuration::from_hours(9)).unwrap();
        engine.keep_claims(request.now).await.unwrap();
        assert_eq!(queue.claim_windows(request.clone()).await.unwrap().len(), 1);
        engine.keep_claims(late).await.unwrap();
        let again = queue.claim_windows(ClaimRequest { now: late, ..request }).await.unwrap();
        assert!(again.is_empty(), "it is in work still");
    }

    #[tokio::test]
    async fn files_that_another_job_fetches_wait_for_it_and_leave_its_others_room() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let first = listed(&engine, job_of_list("a", dir.path())).await;
        let second = listed(&engine, job_of_list("b", dir.path())).await;
        let begun_of =
            |engine: &Engine, job| engine.work.shown().iter().filter(|shown| shown.job == job).count();
        while engine.work.len() + engine.turns.waiting() < settings().workers {
            begin_files(&mut engine).await;
        }
        let (begun, waiting) = (begun_of(&engine, first), engine.turns.waiting());
        assert_eq!((begun_of(&engine, second), begun + waiting), (0, settings().workers));
        queue.set_intent(first, Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
        engine.jobs.refresh().await.unwrap();
        while begun_of(&engine, first) > 0 {
            let finished = engine.work.next().await.unwrap();
            engine.on_finished(finished).await.unwrap();
        }
        begin_files(&mut engine).await;
        assert!(begun_of(&engine, second) >= waiting && engine.turns.waiting() == 0);
        queue.set_intent(second, Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
    }

    /// Gives the turns at all of a job's paths to its files, as if they were being published.
    async fn take_all_turns(engine: &mut Engine, job: JobId) {
        let request = ClaimRequest { filter: ClaimFilter::Jobs(vec![job]), ..engine.claim_request(100) };
        for claim in engine.queue.claim_files(request).await.unwrap() {
            take(engine, job).await;
            let root = Arc::clone(&engine.jobs.get(job).unwrap().root);
            let path = root.final_path(claim.spec.path.as_ref().unwrap());
            assert!(matches!(engine.turns.take(path, claim), Turn::Now(_)));
        }
    }

    #[tokio::test]
    async fn however_many_jobs_wait_for_another_the_most_of_the_room_is_for_those_that_share_nothing() {
        let (shared, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut engine, queue) = idle(settings());
        let slow = listed(&engine, job_of_list("slow", shared.path())).await;
        take_all_turns(&mut engine, slow).await;
        for digest in ["a", "b", "c", "d"] {
            listed(&engine, job_of_list(digest, shared.path())).await;
        }
        let unrelated = listed(&engine, job_of_list("e", own.path())).await;
        let quarter = settings().workers / 4;
        // A round for each job that is found to wait, at most.
        for _ in 0..6 {
            begin_files(&mut engine).await;
            assert!(engine.turns.waiting() <= quarter, "{} wait", engine.turns.waiting());
        }
        let active = queue.job(unrelated).await.unwrap().unwrap().files.active;
        assert_eq!(active, (settings().workers - quarter) as u64);
    }

    #[tokio::test]
    async fn those_who_wait_for_turns_make_way_for_an_urgent_job() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let first = listed(&engine, job_of_list("a", dir.path())).await;
        take_all_turns(&mut engine, first).await;
        let low = listed(&engine, job_of_list("b", dir.path())).await;
        begin_files(&mut engine).await;
        assert!(engine.turns.waiting() > 0);
        engine.make_way(0).await.unwrap();
        assert!(engine.turns.waiting() > 0, "those of the same priority stay");
        engine.make_way(1).await.unwrap();
        let active = queue.job(low).await.unwrap().unwrap().files.active;
        assert_eq!((engine.turns.waiting(), active), (0, 0));
    }

    #[tokio::test]
    async fn a_job_whose_old_parts_are_being_removed_goes_on_afterwards_without_a_hold() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let urgent = NewJob { priority: 9, ..job_of_list("a", dir.path()) };
        let shut = listed(&engine, urgent).await;
        let key = queue.job(shut).await.unwrap().unwrap().key;
        engine.jobs.keep_shut([key].into_iter());
        begin_files(&mut engine).await;
        let record = queue.job(shut).await.unwrap().unwrap();
        assert_eq!((record.hold, record.files.active), (None, 0));
        let other = listed(&engine, job_of_list("b", dir.path())).await;
        begin_files(&mut engine).await;
        assert!(engine.jobs.get(other).is_some(), "it does not stand in the way of others");
        engine.queue.set_intent(other, Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
        engine.jobs.refresh().await.unwrap();
        while engine.work.len() > 0 {
            let finished = engine.work.next().await.unwrap();
            engine.on_finished(finished).await.unwrap();
        }
        engine.jobs.open_again();
        begin_files(&mut engine).await;
        assert_eq!(engine.work.len(), settings().workers);
        begin_files(&mut engine).await;
        assert_eq!(engine.jobs.put_off(), []);
    }

    #[tokio::test]
    async fn a_job_that_is_paused_waits_for_no_turn() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let first = listed(&engine, job_of_list("a", dir.path())).await;
        take(&mut engine, first).await;
        let second = listed(&engine, job_of_list("b", dir.path())).await;
        take(&mut engine, second).await;
        begin_files(&mut engine).await;
        assert!(engine.turns.waiting() > 0);
        queue.set_intent(second, Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
        engine.jobs.refresh().await.unwrap();
        begin_files(&mut engine).await;
        assert_eq!(engine.turns.waiting(), 0);
        assert_eq!(queue.job(second).await.unwrap().unwrap().files.active, 0);
    }
}
