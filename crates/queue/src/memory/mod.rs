//! A queue in memory: the plainest thing that does what the traits say.
//!
//! It owns everything it is told and keeps it until it is dropped; nothing outlives the process. It is
//! the oracle of the other implementations, so clarity comes before speed: counters are recounted each
//! time they are asked for, and nothing is kept twice.

mod deal;
mod job;
mod jobs;
mod plan;
mod relist;
mod work;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use skyhaul_model::{FileEvent, FileState, Intent, JobId};
use tokio::sync::watch;

use self::job::Job;
use crate::{ClaimFilter, QueueError, Result, Revision};

/// A queue that lives as long as the value.
#[derive(Debug)]
pub struct MemoryQueue {
    state: Mutex<State>,
    revision: watch::Sender<Revision>,
}

/// All that the queue knows.
#[derive(Debug)]
struct State {
    next_id: u64,
    jobs: BTreeMap<JobId, Job>,
    /// The job that was given the last claimed file.
    turn: JobId,
    /// The job that was given the last claimed window.
    listing_turn: JobId,
    /// The latest time that a claim was made at.
    clock: Timestamp,
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        let (turn, listing_turn) = (JobId(0), JobId(0));
        let state = State { next_id: 1, jobs: BTreeMap::new(), turn, listing_turn, clock: Timestamp::MIN };
        Self { state: Mutex::new(state), revision: watch::Sender::new(Revision(1)) }
    }

    /// Forgets what a queue need not keep when it is closed and opened again: claims, what was staged
    /// under them, and whose turn it is.
    pub fn forget_claims(&self) {
        let mut state = self.lock();
        (state.turn, state.listing_turn) = (JobId(0), JobId(0));
        state.clock = Timestamp::MIN;
        for job in state.jobs.values_mut() {
            for window in &mut job.windows {
                window.claim = None;
            }
            for file in job.files.iter_mut().filter(|file| file.lease.is_some()) {
                file.lease = None;
                file.state = file.state.after(FileEvent::Release).unwrap_or(FileState::Pending);
            }
        }
        drop(state);
        self.changed();
    }

    /// A thread that panicked under the lock left the state as the last whole step made it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| revision.0 += 1);
    }

    /// Runs a change; who waits for changes is woken if it succeeded.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let outcome = change(&mut self.lock());
        if outcome.is_ok() {
            self.changed();
        }
        outcome
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn job(&self, id: JobId) -> Result<&Job> {
        self.jobs.get(&id).ok_or(QueueError::NoSuchJob(id))
    }

    fn job_mut(&mut self, id: JobId) -> Result<&mut Job> {
        self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))
    }

    /// The jobs that may give out claims.
    fn runnable(&self, filter: &ClaimFilter) -> impl Iterator<Item = &Job> {
        self.jobs
            .values()
            .filter(move |job| filter.admits(job.id) && job.intent == Intent::Run && job.hold.is_none())
    }
}

/// Bytes of a list, fewer at its end.
fn slice(list: &[u8], offset: u64, length: u64) -> Vec<u8> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(list.len());
    list[place(offset)..place(offset.saturating_add(length))].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn make() -> (MemoryQueue, ()) {
        (MemoryQueue::new(), ())
    }

    crate::conformance_tests!(make);

    #[tokio::test]
    async fn a_forgotten_claim_is_pending_again_and_keeps_what_it_received() {
        use crate::conformance::fixture;
        use crate::{JobQueue, Received, WorkQueue};

        let queue = MemoryQueue::new();
        let id = fixture::listed(&queue, "a", 0..2).await;
        let claims = fixture::claim(&queue, 1, 1).await;
        let file = claims[0].file;
        queue.checkpoint(vec![Received { file, received: 7, seal_lost: false }]).await.unwrap();
        queue.forget_claims();
        let job = queue.job(id).await.unwrap().unwrap();
        assert_eq!((job.files.active, job.files.pending, job.bytes.received), (0, 2, 7));
    }
}
