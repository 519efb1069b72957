//! The files in work: one task each, and what its end means for the queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use skyhaul_http::{Fetch, Treated, Treatment};
use skyhaul_model::{Decision, ErrorKind, FileError, JobPolicy, RetryPolicy};
use skyhaul_queue::{AttemptEnd, Claim, FailedAttempt, FileRef, Known, Queue, QueueError, Received};
use skyhaul_transfer::{
    Assignment, Cost, End, Failure, Meter, OutputRoot, Recovery, Spare, recover, transfer,
};
use skyhaul_verify::Digest;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::EngineError;
use crate::jobs::InHand;
use crate::listed::listed_digests;
use crate::progress::InFlight;

/// The files in work.
pub(crate) struct Work {
    queue: Arc<dyn Queue>,
    fetch: Arc<dyn Fetch>,
    boot: String,
    /// Connections that large files may use besides their own.
    spare: Arc<Spare>,
    tasks: JoinSet<Finished>,
    in_work: HashMap<FileRef, Slot>,
    /// Files that were told to come back later, and how often in a row (contract, Retries).
    told_to_wait: HashMap<FileRef, u32>,
    /// Body bytes that ended tasks received.
    received_before: u64,
}

struct Slot {
    path: String,
    priority: i8,
    /// Ends this one task.
    stop: CancellationToken,
    meter: Arc<Meter>,
    received_at_claim: u64,
}

/// A task's end.
pub(crate) struct Finished {
    pub(crate) claim: Claim,
    pub(crate) what: What,
    pub(crate) took: Duration,
}

impl Finished {
    /// Whether whole bytes go to the publisher: then the file's turn is not over.
    pub(crate) fn is_to_be_published(&self) -> bool {
        matches!(self.what, What::Transferred(End::Whole(_)) | What::Recovered(Recovery::Part(_)))
    }
}

/// What a task found or did.
pub(crate) enum What {
    Transferred(End),
    Recovered(Recovery),
    /// The queue could not be asked.
    Broken(QueueError),
}

/// What the queue is to be told of a failed attempt.
pub(crate) enum Verdict {
    Fail(FailedAttempt),
    Release(Received),
    /// Release, and hold the job for this reason.
    Hold(Received, FileError),
}

impl Work {
    pub(crate) fn new(queue: Arc<dyn Queue>, fetch: Arc<dyn Fetch>, boot: String, spare: Spare) -> Self {
        Self {
            queue,
            fetch,
            boot,
            spare: Arc::new(spare),
            tasks: JoinSet::new(),
            in_work: HashMap::new(),
            told_to_wait: HashMap::new(),
            received_before: 0,
        }
    }

    /// How many have not ended, those included whose disk hangs.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How many go on: those that were told to stop take nobody's room, however long their disk needs for it.
    pub(crate) fn going_on(&self) -> usize {
        self.in_work.values().filter(|slot| !slot.stop.is_cancelled()).count()
    }

    /// Begins a claimed file, whose turn it is: looks after its sealed bytes, or transfers it.
    pub(crate) fn begin(&mut self, claim: Claim, job: &InHand) {
        let Some(mut assignment) = self.assignment(&claim, job) else { return };
        let meter = Arc::new(Meter::default());
        let stop = job.stop.child_token();
        let slot = Slot {
            path: assignment.path.as_str().to_owned(),
            priority: job.record.priority,
            stop: stop.clone(),
            meter: Arc::clone(&meter),
            received_at_claim: claim.received,
        };
        self.in_work.insert(claim.file, slot);
        let terms = Arc::clone(&job.terms);
        let treatment = Treatment::of_job(job.record.id.0, job.record.priority).under(terms);
        let fetch = Treated::new(Arc::clone(&self.fetch), treatment);
        let begun = Instant::now();
        match claim.known.clone() {
            Known::Sealed(sealed) => self.tasks.spawn_blocking(move || {
                let found = recover(&assignment, &sealed);
                Finished { claim, what: What::Recovered(found), took: begun.elapsed() }
            }),
            Known::Nothing | Known::Recheck(_) => {
                let list = job.record.policy.checksums.as_ref().map(|_| Arc::clone(&self.queue));
                self.tasks.spawn(async move {
                    let what = match demand(list, &claim, &mut assignment).await {
                        Ok(()) => {
                            let end = transfer(&fetch, &assignment, &meter, &stop).await;
                            What::Transferred(held_if_lost(end, assignment.root).await)
                        }
                        Err(error) => What::Broken(error),
                    };
                    Finished { claim, what, took: begun.elapsed() }
                })
            }
        };
    }

    /// What is to be done about a claim; none for a file that cannot land anywhere.
    fn assignment(&self, claim: &Claim, job: &InHand) -> Option<Assignment> {
        let path = claim.spec.path.as_ref().ok()?;
        Some(Assignment {
            url: claim.spec.url.clone(),
            path: path.clone(),
            key: job.record.key.clone(),
            root: Arc::clone(&job.root),
            size: claim.spec.size,
            digests: claim.spec.sha256.map(Digest::sha256).into_iter().collect(),
            verify: job.record.policy.verify,
            on_existing: job.record.policy.on_existing,
            accept_corrupt: job.record.policy.accept_corrupt,
            stall: job.record.policy.timeout(),
            secret_headers: job.headers.clone(),
            received: claim.received,
            boot: self.boot.clone(),
            recheck: match &claim.known {
                Known::Recheck(sealed) => Some(sealed.clone()),
                Known::Nothing | Known::Sealed(_) => None,
            },
            spare: Arc::clone(&self.spare),
            last_error: claim.last_error.clone(),
        })
    }

    /// Has those give their places up that are of a lower priority and have received nothing: most of them only
    /// wait for their host, and whoever comes later would have to wait behind them.
    pub(crate) fn make_way(&self, priority: i8) {
        let is_waiting = |slot: &Slot| slot.meter.total().is_none() && slot.meter.here() == 0;
        for slot in self.in_work.values().filter(|slot| slot.priority < priority && is_waiting(slot)) {
            slot.stop.cancel();
        }
    }

    /// Waits for the next task to end, and gives all that have ended by then; pends while there is none.
    pub(crate) async fn next(&mut self) -> Result<Vec<Finished>, EngineError> {
        let Some(first) = self.tasks.join_next().await else { return std::future::pending().await };
        let mut ended = vec![first?];
        while let Some(further) = self.tasks.try_join_next() {
            ended.push(further?);
        }
        for finished in &ended {
            if let Some(slot) = self.in_work.remove(&finished.claim.file) {
                self.received_before += slot.meter.received().saturating_sub(slot.received_at_claim);
            }
        }
        Ok(ended)
    }

    /// What the queue is to be told of a failure, by what it cost.
    pub(crate) fn judge(
        &mut self,
        claim: &Claim,
        failure: Failure,
        policy: &JobPolicy,
        now: Timestamp,
    ) -> Verdict {
        let file = claim.file;
        let received = Received { file, received: failure.received, seal_lost: false };
        match failure.cost {
            Cost::DiskHold => return Verdict::Hold(received, failure.error),
            Cost::HostAway => return Verdict::Release(received),
            Cost::RetryAfter => {
                let times = self.told_to_wait.entry(file).or_default();
                *times += 1;
                if *times <= policy.retries {
                    return Verdict::Release(received);
                }
                self.told_to_wait.remove(&file);
                return Verdict::Fail(attempt(claim, failure, 1, AttemptEnd::GiveUp));
            }
            Cost::Attempt => {}
        }
        self.told_to_wait.remove(&file);
        let failures = if failure.progressed { 1 } else { claim.failures + 1 };
        let policy = RetryPolicy { retries: policy.retries };
        let end = match policy.decide(failure.backoff, failures, now, fastrand::f64()) {
            Decision::Retry { at } => AttemptEnd::RetryAt(at),
            Decision::Fail => AttemptEnd::GiveUp,
        };
        Verdict::Fail(attempt(claim, failure, failures, end))
    }

    /// Forgets what was remembered of a file that is settled.
    pub(crate) fn forget(&mut self, file: FileRef) {
        self.told_to_wait.remove(&file);
    }

    /// What the files in work have received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        let received = |(&file, slot): (&FileRef, &Slot)| {
            let received = slot.meter.received().max(slot.received_at_claim);
            Received { file, received, seal_lost: false }
        };
        self.in_work.iter().map(received).collect()
    }

    /// Body bytes that this engine has received in all.
    pub(crate) fn received_total(&self) -> u64 {
        let in_work = self.in_work.values();
        self.received_before
            + in_work.map(|slot| slot.meter.received().saturating_sub(slot.received_at_claim)).sum::<u64>()
    }

    /// The files in work, as shown.
    pub(crate) fn shown(&self) -> Vec<InFlight> {
        let mut shown: Vec<_> = self
            .in_work
            .iter()
            .map(|(file, slot)| InFlight {
                job: file.job,
                path: slot.path.clone(),
                received: slot.meter.here(),
                total: slot.meter.total(),
            })
            .collect();
        // Those that receive stand before those that wait for a free connection.
        shown.sort_by(|a, b| (a.total.is_none(), a.job, &a.path).cmp(&(b.total.is_none(), b.job, &b.path)));
        shown
    }
}

/// Adds what the job's list of checksums, where it has one, says of the file.
async fn demand(
    list: Option<Arc<dyn Queue>>,
    claim: &Claim,
    assignment: &mut Assignment,
) -> Result<(), QueueError> {
    let Some(list) = list else { return Ok(()) };
    assignment.digests.extend(listed_digests(&*list, claim.file.job, &assignment.path).await?);
    Ok(())
}

/// A disk that refuses because it has gone away costs the file nothing.
async fn held_if_lost(end: End, root: Arc<OutputRoot>) -> End {
    match end {
        End::Failed(failure) if failure.error.kind == ErrorKind::Disk => {
            let is_lost = spawn_blocking(move || !root.is_there()).await.unwrap_or(false);
            let cost = if is_lost { Cost::DiskHold } else { failure.cost };
            End::Failed(Failure { cost, ..failure })
        }
        other => other,
    }
}

fn attempt(claim: &Claim, failure: Failure, failures: u32, end: AttemptEnd) -> FailedAttempt {
    FailedAttempt {
        file: claim.file,
        error: failure.error,
        failures,
        received: failure.received,
        no_resume: failure.no_resume,
        end,
    }
}
