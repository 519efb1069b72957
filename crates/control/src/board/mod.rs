//! The board: all jobs in the order in which a person wants to see them, for pages that show a few lines of it.
//!
//! It is computed while somebody looks and never else. Reading ten thousand jobs takes a while, so the board
//! rests two hundred times as long after each reading: however many jobs there are, looking at them costs
//! less than a hundredth of a core.

mod feed;
mod row;
mod view;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use skyhaul_model::{JobRecord, JobState};
use skyhaul_queue::{Queue, Result, Revision};
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) use self::feed::{Sight, feed};
pub(crate) use self::view::{Lens, Show, View};

/// How much longer than a reading the rest after it is.
const REST: u32 = 200;

/// The shortest and the longest rest.
const RESTS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// All jobs at one moment.
#[derive(Debug)]
pub(crate) struct Board {
    /// Those in work first, then those that wait for a person, then those that are over, the latest first.
    pub(crate) jobs: Vec<JobRecord>,
    /// How many there are in each state, in the order of [`STATES`].
    pub(crate) counts: [usize; STATES.len()],
}

/// Every state, in the order in which pages tell them.
pub(crate) const STATES: [JobState; 7] = [
    JobState::Running,
    JobState::Planning,
    JobState::Queued,
    JobState::Paused,
    JobState::Failed,
    JobState::Completed,
    JobState::Cancelled,
];

/// The newest board, read again when something has changed and the rest is over.
#[derive(Debug, Default)]
pub(crate) struct Boards(Mutex<Option<Latest>>);

#[derive(Debug)]
struct Latest {
    board: Arc<Board>,
    revision: Option<Revision>,
    /// When it may be read again.
    rested_at: Instant,
}

impl Boards {
    /// A board that is as new as it may be.
    pub(crate) async fn latest(&self, queue: &dyn Queue) -> Result<Arc<Board>> {
        let mut latest = self.0.lock().await;
        let begun = Instant::now();
        let revision = queue.changed_since(Revision::default()).now_or_never().transpose()?;
        if let Some(known) = &*latest
            && (known.revision == revision || begun < known.rested_at)
        {
            return Ok(Arc::clone(&known.board));
        }
        let board = Arc::new(Board::of(queue.jobs().await?));
        let rest = (begun.elapsed() * REST).clamp(RESTS.0, RESTS.1);
        *latest = Some(Latest { board: Arc::clone(&board), revision, rested_at: Instant::now() + rest });
        Ok(board)
    }
}

impl Board {
    fn of(mut jobs: Vec<JobRecord>) -> Self {
        let mut counts = [0; STATES.len()];
        for job in &jobs {
            if let Some(place) = STATES.iter().position(|&state| state == job.state()) {
                counts[place] += 1;
            }
        }
        jobs.sort_by_cached_key(place);
        Self { jobs, counts }
    }
}

/// What jobs are sorted by: how much they matter now, then the latest end, the highest priority, the oldest.
fn place(job: &JobRecord) -> (u8, i64, i8, u64) {
    let (id, urgency) = (job.id.0, -job.priority.max(-100));
    match job.state() {
        JobState::Running | JobState::Planning | JobState::Queued => (0, 0, urgency, id),
        JobState::Paused => (1, 0, urgency, id),
        JobState::Completed | JobState::Failed | JobState::Cancelled => {
            let ended = job.finished_at.unwrap_or(job.created_at).as_second();
            (2, -ended, 0, u64::MAX - id)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use skyhaul_model::{Intent, JobId};
    use skyhaul_queue::conformance::fixture;
    use skyhaul_queue::{JobQueue, JobUpdate, MemoryQueue, PlanOutcome, PlanQueue};

    use super::*;

    async fn queue(jobs: u64) -> MemoryQueue {
        let queue = MemoryQueue::new();
        for number in 0..jobs {
            queue.create_job(fixture::new_job(&format!("/o/{number}")), fixture::at(0)).await.unwrap();
        }
        queue
    }

    async fn order(queue: &MemoryQueue) -> Vec<u64> {
        Board::of(queue.jobs().await.unwrap()).jobs.iter().map(|job| job.id.0).collect()
    }

    #[tokio::test]
    async fn what_matters_now_comes_first() {
        let queue = queue(6).await;
        queue.update_job(JobId(2), JobUpdate { priority: Some(5), ..JobUpdate::default() }).await.unwrap();
        queue.set_intent(JobId(1), Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
        for (job, second) in [(3, 10), (4, 30), (5, 20)] {
            let at = Timestamp::from_second(second).unwrap();
            queue.settle_plan(JobId(job), PlanOutcome::Windows(Vec::new()), at).await.unwrap();
        }
        assert_eq!(order(&queue).await, [2, 6, 1, 4, 5, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_read_again_only_when_something_has_changed_and_the_rest_is_over() {
        let queue = queue(2).await;
        let boards = Boards::default();
        let first = boards.latest(&queue).await.unwrap();
        queue.set_intent(JobId(1), Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
        assert!(Arc::ptr_eq(&first, &boards.latest(&queue).await.unwrap()), "it rests");
        tokio::time::advance(RESTS.1).await;
        let second = boards.latest(&queue).await.unwrap();
        assert_eq!((second.counts[1], second.counts[3]), (1, 1));
        tokio::time::advance(RESTS.1).await;
        assert!(Arc::ptr_eq(&second, &boards.latest(&queue).await.unwrap()), "nothing has changed");
    }
}
