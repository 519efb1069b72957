//! Planning as work like any other: queries become windows, windows become files, each attempt one task.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use skyhaul_model::{Decision, JobId, JobRecord, NewWindow, RetryPolicy, WindowId};
use skyhaul_planner::{PlanCost, PlanError, plan_query};
use skyhaul_queue::{ClaimedWindow, PlanOutcome, Queue, QueueError, WindowOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::EngineError;
use crate::jobs::PlanningNeeds;
use crate::listing::{Shared, WindowEnd, list};
use crate::tally::Tally;

/// The planning tasks in work.
pub(crate) struct Planning {
    queue: Arc<dyn Queue>,
    tally: Arc<Tally>,
    tasks: JoinSet<Ended>,
    /// Queries whose catalogue call failed: how often in a row, and when to ask again.
    waiting: HashMap<JobId, (u32, Timestamp)>,
    querying: Vec<JobId>,
    windows: usize,
    /// How often in a row queries and windows were told to come back later (contract, Retries).
    told_to_wait: HashMap<Asker, u32>,
    /// What the windows of a job share, while some are listed.
    shared: HashMap<JobId, Arc<Shared>>,
}

/// Who asks the archive: a job's query, or one of its windows.
type Asker = (JobId, Option<WindowId>);

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It is asked again as soon as its host may be, and nothing is counted.
    Released,
    /// It is asked again, not before this time.
    RetryAt(Timestamp),
    /// It is given up.
    Fail,
}

/// How a planning task ended.
enum Ended {
    /// Without a result when the job was stopped meanwhile.
    Query {
        job: JobId,
        retries: u32,
        result: Option<Result<Vec<NewWindow>, PlanError>>,
    },
    /// A standing job's windows, asked for once more. Without a result when the job was stopped meanwhile.
    Again {
        job: JobId,
        result: Option<Result<Vec<NewWindow>, PlanError>>,
    },
    Window {
        claim: Box<ClaimedWindow>,
        retries: u32,
        result: Result<WindowEnd, QueueError>,
        took: Duration,
    },
}

impl Planning {
    pub(crate) fn new(queue: Arc<dyn Queue>, tally: Arc<Tally>) -> Self {
        Self {
            queue,
            tally,
            tasks: JoinSet::new(),
            waiting: HashMap::new(),
            querying: Vec::new(),
            windows: 0,
            told_to_wait: HashMap::new(),
            shared: HashMap::new(),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Windows in work.
    pub(crate) fn windows(&self) -> usize {
        self.windows
    }

    /// Forgets what was remembered of all but these jobs.
    pub(crate) fn keep(&mut self, kept: &HashSet<JobId>) {
        self.waiting.retain(|job, _| kept.contains(job));
        self.told_to_wait.retain(|(job, _), _| kept.contains(job));
        // What a window in work has taken must stay known until it is settled.
        self.shared.retain(|job, shared| kept.contains(job) || shared.is_in_use());
    }

    /// Forgets what the windows of a job that rests shared: they are to be listed again, beside the files that
    /// it has by then.
    pub(crate) fn begin_round(&mut self, job: JobId) {
        self.shared.remove(&job);
    }

    /// Whether a query is in work or not due yet.
    pub(crate) fn is_busy_with(&self, job: JobId, now: Timestamp) -> bool {
        self.querying.contains(&job) || self.waiting.get(&job).is_some_and(|(_, at)| *at > now)
    }

    /// Begins to turn a query into windows.
    pub(crate) fn begin_query(&mut self, record: &JobRecord, needs: PlanningNeeds, stop: CancellationToken) {
        let (job, retries, source) = (record.id, record.policy.retries, record.query.source.clone());
        self.querying.push(job);
        self.tasks.spawn(async move {
            let result =
                stop.run_until_cancelled(plan_query(&needs.archive, &source, Timestamp::now())).await;
            Ended::Query { job, retries, result }
        });
    }

    /// Begins to look for windows that a standing job's query has come to have since.
    pub(crate) fn begin_again(&mut self, record: &JobRecord, needs: PlanningNeeds, stop: CancellationToken) {
        let (job, source) = (record.id, record.query.source.clone());
        self.tasks.spawn(async move {
            let asked = plan_query(&needs.archive, &source, Timestamp::now());
            Ended::Again { job, result: stop.run_until_cancelled(asked).await }
        });
    }

    /// Begins to list a window.
    pub(crate) fn begin_window(
        &mut self,
        claim: ClaimedWindow,
        retries: u32,
        needs: Option<PlanningNeeds>,
        stop: CancellationToken,
    ) {
        let queue = Arc::clone(&self.queue);
        let needs = needs.map(|needs| {
            let shared = self.shared.entry(claim.job);
            let shared = Arc::clone(shared.or_insert_with(|| Arc::new(Shared::new(&needs.intervals))));
            (needs, shared)
        });
        self.windows += 1;
        let begun = Instant::now();
        self.tasks.spawn(async move {
            let listed = stop.run_until_cancelled(list(&*queue, &claim, needs)).await;
            let result = listed.unwrap_or(Ok(WindowEnd::Outcome(WindowOutcome::Released, None)));
            Ended::Window { claim: Box::new(claim), retries, result, took: begun.elapsed() }
        });
    }

    /// Waits for the next task to end and settles what it was about; pends while there is none.
    pub(crate) async fn settle_next(&mut self) -> Result<(), EngineError> {
        let Some(ended) = self.tasks.join_next().await else { return std::future::pending().await };
        self.settle(ended?).await
    }

    /// Waits for all tasks, after their stop signals were given.
    pub(crate) async fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(ended) = self.tasks.join_next().await {
            self.settle(ended?).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, ended: Ended) -> Result<(), EngineError> {
        let now = Timestamp::now();
        match ended {
            Ended::Query { job, retries, result } => {
                self.querying.retain(|&querying| querying != job);
                match result {
                    Some(result) => self.settle_query(job, retries, result, now).await,
                    None => Ok(()),
                }
            }
            Ended::Again { job, result: Some(Ok(windows)) } => {
                forgive_removed(self.queue.add_windows(job, windows, now).await.map(drop))
            }
            Ended::Again { job, result } => {
                let error = result.and_then(Result::err);
                tracing::warn!(job = job.0, ?error, "cannot look for new windows now; the next round will");
                Ok(())
            }
            Ended::Window { claim, retries, result, took } => {
                self.windows -= 1;
                let end = match result {
                    Ok(end) => end,
                    // Somebody removed the job while it was listed, or the window was dealt anew.
                    Err(QueueError::NoSuchJob(_) | QueueError::NotClaimed { .. }) => return Ok(()),
                    Err(error) => return Err(error.into()),
                };
                self.tally.note(|counts| {
                    counts.listing_seconds.observe_time(took);
                    if let WindowEnd::Failed(error) = &end {
                        counts.failure(error.error.kind);
                    }
                });
                let (outcome, taken) = match end {
                    WindowEnd::Outcome(outcome, taken) => {
                        self.told_to_wait.remove(&(claim.job, Some(claim.window.id)));
                        (outcome, taken)
                    }
                    WindowEnd::Failed(error) => (self.failed_window(&claim, retries, error, now), None),
                };
                let settled = self.queue.settle_window(claim.job, claim.window.id, outcome, now).await;
                if let (Ok(()), Some(taken)) = (&settled, taken) {
                    taken.keep();
                }
                forgive_removed(settled)
            }
        }
    }

    async fn settle_query(
        &mut self,
        job: JobId,
        retries: u32,
        result: Result<Vec<NewWindow>, PlanError>,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let outcome = match result {
            Ok(windows) => PlanOutcome::Windows(windows),
            Err(error) => {
                let failures = self.waiting.get(&job).map_or(1, |(failures, _)| failures + 1);
                match self.judge((job, None), &error, retries, failures, now) {
                    Next::Released => return Ok(()),
                    Next::RetryAt(at) => {
                        tracing::warn!(job = job.0, %error, "cannot plan yet, will ask again");
                        self.waiting.insert(job, (failures, at));
                        return Ok(());
                    }
                    Next::Fail => PlanOutcome::Refused(error.error),
                }
            }
        };
        self.waiting.remove(&job);
        self.told_to_wait.remove(&(job, None));
        forgive_removed(self.queue.settle_plan(job, outcome, now).await)
    }
}

impl Planning {
    fn failed_window(
        &mut self,
        claim: &ClaimedWindow,
        retries: u32,
        error: PlanError,
        now: Timestamp,
    ) -> WindowOutcome {
        let asker = (claim.job, Some(claim.window.id));
        match self.judge(asker, &error, retries, claim.window.failures + 1, now) {
            Next::Released => WindowOutcome::Released,
            Next::RetryAt(at) => WindowOutcome::Retry { at, error: error.error },
            Next::Fail => WindowOutcome::Failed(error.error),
        }
    }

    /// What follows the `failures`-th failure in a row, by what it cost. Where the archive asked for patience, it has it
    /// `retries` times in a row, as for files; where it is away, as long as the gate of its host bears with that,
    /// which lets the next try wait for its time.
    fn judge(
        &mut self,
        asker: Asker,
        error: &PlanError,
        retries: u32,
        failures: u32,
        now: Timestamp,
    ) -> Next {
        match error.cost {
            PlanCost::Away => return Next::Released,
            PlanCost::AskedToWait => {
                let times = self.told_to_wait.entry(asker).or_default();
                *times += 1;
                if *times <= retries {
                    return Next::Released;
                }
                self.told_to_wait.remove(&asker);
                return Next::Fail;
            }
            PlanCost::Attempt => {}
        }
        self.told_to_wait.remove(&asker);
        match (RetryPolicy { retries }).decide(error.backoff, failures, now, fastrand::f64()) {
            Decision::Retry { at } => Next::RetryAt(at),
            Decision::Fail => Next::Fail,
        }
    }
}

/// A job may be removed while its windows are in work, and a window dealt anew: then there is nothing to settle.
fn forgive_removed(settled: Result<(), QueueError>) -> Result<(), EngineError> {
    match settled {
        Ok(()) | Err(QueueError::NoSuchJob(_) | QueueError::NotClaimed { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{Backoff, ErrorKind, FileError};
    use skyhaul_queue::MemoryQueue;

    use super::*;
    use crate::nowhere::window;

    #[tokio::test]
    async fn a_job_that_is_removed_while_it_is_listed_ends_nothing_but_its_listing() {
        let mut planning = planning();
        let claim = ClaimedWindow { job: JobId(1), window: window() };
        planning.begin_window(claim, 0, None, CancellationToken::new());
        planning.settle_next().await.unwrap();
        assert!(planning.is_idle() && planning.windows() == 0);
    }

    fn planning() -> Planning {
        Planning::new(Arc::new(MemoryQueue::new()), Arc::default())
    }

    fn error(cost: PlanCost) -> PlanError {
        let error = FileError::new(ErrorKind::Connection, "cannot connect to a");
        PlanError { error, backoff: Backoff::Transient, cost }
    }

    #[test]
    fn an_archive_that_is_away_is_always_excused_and_one_that_asks_to_wait_so_many_times() {
        let (mut planning, now) = (planning(), Timestamp::UNIX_EPOCH);
        let mut next =
            |window, cost, failures| planning.judge((JobId(1), window), &error(cost), 2, failures, now);
        let (one, two) = (Some(WindowId(1)), Some(WindowId(2)));
        for _ in 0..5 {
            assert_eq!(next(one, PlanCost::Away, 1), Next::Released);
        }
        for expected in [Next::Released, Next::Released, Next::Fail] {
            assert_eq!(
                next(one, PlanCost::AskedToWait, 1),
                expected,
                "as often as a file, then no attempt more"
            );
            assert_eq!(next(two, PlanCost::AskedToWait, 1), expected, "windows do not use up each other's");
        }
        assert_eq!(next(None, PlanCost::AskedToWait, 1), Next::Released);
        assert!(matches!(next(None, PlanCost::Attempt, 2), Next::RetryAt(_)));
        assert_eq!(next(None, PlanCost::Attempt, 3), Next::Fail);
    }

    #[tokio::test]
    async fn what_a_query_waits_for_is_forgotten_with_its_job() {
        let (mut planning, now) = (planning(), Timestamp::UNIX_EPOCH);
        for job in [JobId(1), JobId(2)] {
            planning.settle_query(job, 3, Err(error(PlanCost::Attempt)), now).await.unwrap();
            assert_eq!(planning.waiting[&job].0, 1);
            let asked = planning.judge((job, None), &error(PlanCost::AskedToWait), 3, 1, now);
            assert_eq!(asked, Next::Released);
        }
        planning.keep(&HashSet::from([JobId(2)]));
        assert!(
            planning.waiting.keys().eq([&JobId(2)]) && planning.told_to_wait.keys().eq([&(JobId(2), None)])
        );
    }
}
