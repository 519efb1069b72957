//! Random lives of jobs, as scripts: the same steps for the same numbers, in whatever process and on whatever queue.
//!
//! Each lane of a script is one job's life and knows nothing of the others, so that what may be true of it after a
//! crash follows from its own steps alone. A step changes what is durable by one call at most, its last.

use std::path::{Path, PathBuf};

use skyhaul_model::{FileState, Intent, JobId, JobPolicy, Query, Recheck, Source, Span, WindowTarget};
use skyhaul_queue::conformance::fixture::{
    all_files, at, error, failed, lost_spec, new_job, sealed, spec, window,
};
use skyhaul_queue::{
    AttemptEnd, ClaimFilter, ClaimRequest, FailedAttempt, FileRef, Input, JobUpdate, Known, LeaseOwner,
    NewJob, PlanOutcome, Queue, Received, SecretHeader, WindowOutcome,
};

/// The most files of one call: so many are one record of the ledger, and so all of the call or nothing.
const MOST_FILES: usize = 200;

/// Seconds that a claim lasts: longer than all lives.
const FOR_EVER: i64 = 1 << 32;

/// What the steps of a script are mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything.
    Mixed,
    /// Jobs that are made, and windows that are listed.
    Planning,
}

/// One step of a lane.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create,
    Plan { windows: i64 },
    Refuse,
    List { files: u64, end: End },
    AddWindows { from: i64, count: i64 },
    Relist { hours: Option<(i64, i64)>, files: Recheck },
    Claim { limit: usize },
    Seal { count: usize, size: u64 },
    Complete { count: usize },
    Fail { count: usize, again: Option<i64> },
    Release { count: usize, bytes: u64, seal_lost: bool },
    Invalidate { count: usize },
    Requeue,
    SetIntent(Intent),
    Hold(bool),
    Update { priority: i8 },
    Checksums(bool),
    Remove,
}

/// How a window's listing ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Listed,
    Split,
    Released,
    Retry,
    Failed,
}

impl Step {
    /// Whether it may change what pages do not tell: seals of files that are not done.
    pub(crate) fn is_unseen(&self) -> bool {
        matches!(self, Self::Seal { .. } | Self::Release { .. })
    }

    /// Whether failures are counted by it, which is a record of its own in the ledger.
    pub(crate) fn may_fail_something(&self) -> bool {
        matches!(self, Self::Refuse | Self::Fail { .. } | Self::List { end: End::Retry | End::Failed, .. })
    }
}

/// The steps of one lane in one round.
pub(crate) fn steps(seed: u64, lane: usize, kind: Kind, count: usize) -> Vec<Step> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(lane as u64));
    let opening = [Step::Create, Step::Plan { windows: 4 }];
    let rest = std::iter::repeat_with(|| match kind {
        Kind::Planning => planning(&mut random),
        Kind::Mixed => match random.u8(..100) {
            0..20 => planning(&mut random),
            20..90 => working(&mut random),
            _ => steering(&mut random),
        },
    });
    opening.into_iter().chain(rest).take(count).collect()
}

fn planning(random: &mut fastrand::Rng) -> Step {
    match random.u8(..20) {
        0 => Step::Create,
        1 => Step::Plan { windows: random.i64(0..5) },
        2 => Step::Refuse,
        3 => Step::AddWindows { from: random.i64(0..6), count: random.i64(0..5) },
        4 => Step::Relist {
            hours: random.bool().then(|| (random.i64(0..4), random.i64(0..6))),
            files: Recheck::Leave,
        },
        5 => Step::Relist { hours: None, files: Recheck::Done },
        6 => Step::List {
            files: 40,
            end: [End::Split, End::Released, End::Retry, End::Failed][random.usize(..4)],
        },
        7 => Step::List { files: random.u64(1_000..4_000), end: End::Listed },
        _ => Step::List { files: random.u64(..400), end: End::Listed },
    }
}

fn working(random: &mut fastrand::Rng) -> Step {
    let count = if random.u8(..4) == 0 { random.usize(..MOST_FILES) } else { random.usize(1..8) };
    match random.u8(..20) {
        0..6 => Step::Claim { limit: count },
        6..11 => Step::Seal { count, size: random.u64(1..5_000_000) },
        11..15 => Step::Complete { count },
        15 | 16 => Step::Fail { count, again: random.bool().then(|| random.i64(0..9)) },
        17 => Step::Release { count, bytes: random.u64(..1_000), seal_lost: random.bool() },
        18 => Step::Invalidate { count: count.min(5) },
        _ => Step::Requeue,
    }
}

fn steering(random: &mut fastrand::Rng) -> Step {
    match random.u8(..16) {
        0 => Step::SetIntent(Intent::Paused),
        1 => Step::SetIntent(Intent::Cancelled),
        2..6 => Step::SetIntent(Intent::Run),
        6 => Step::Hold(true),
        7..9 => Step::Hold(false),
        9..11 => Step::Update { priority: random.i8(-100..=100) },
        11..13 => Step::Checksums(random.bool()),
        13 => Step::Remove,
        _ => Step::Create,
    }
}

/// One job's life on some queue: what its script needs to remember.
pub(crate) struct Lane {
    number: usize,
    /// Lists that jobs are given.
    lists: PathBuf,
    now: i64,
    job: Option<JobId>,
    claimed: Vec<FileRef>,
    sealed: Vec<FileRef>,
    done: Vec<FileRef>,
}

impl Lane {
    /// The lane on a queue that has just been opened.
    pub(crate) async fn resume(queue: &dyn Queue, number: usize, lists: &Path) -> Self {
        let job = queue.job_by_key(&query(number).key()).await.unwrap();
        let mut lane = Self {
            number,
            lists: lists.to_owned(),
            now: 1,
            job: job.map(|job| job.id),
            claimed: Vec::new(),
            sealed: Vec::new(),
            done: Vec::new(),
        };
        lane.look_at_done(queue).await;
        lane
    }

    /// Takes a step. One that makes no sense as things are does nothing.
    ///
    /// # Panics
    /// The queue refused a call that makes sense.
    pub(crate) async fn step(&mut self, queue: &dyn Queue, step: &Step) {
        self.now += 1;
        let now = at(self.now);
        let Some(id) = self.job else {
            if let Step::Create = step {
                self.job = Some(queue.create_job(self.new_job(), now).await.unwrap().id);
            }
            return;
        };
        match *step {
            Step::Create => {}
            Step::Plan { windows } => {
                let windows = PlanOutcome::Windows((0..windows).map(window).collect());
                queue.settle_plan(id, windows, now).await.unwrap();
            }
            Step::Refuse => {
                queue.settle_plan(id, PlanOutcome::Refused(error("no such dataset")), now).await.unwrap();
            }
            Step::List { files, end } => self.list(queue, id, files, end).await,
            Step::AddWindows { from, count } => {
                let windows = (from..from + count).map(window).collect();
                queue.add_windows(id, windows, now).await.unwrap();
            }
            Step::Relist { hours, files } => {
                let hour = |(from, to): (i64, i64)| Span { start: at(from * 3600), end: at(to * 3600) };
                queue.relist(id, hours.map(hour), files).await.unwrap();
                self.look_at_done(queue).await;
            }
            Step::Requeue => drop(queue.requeue_failed(id).await.unwrap()),
            Step::SetIntent(intent) => queue.set_intent(id, intent, now).await.unwrap(),
            Step::Hold(held) => {
                queue.set_hold(id, held.then(|| error("the disk is full"))).await.unwrap();
            }
            Step::Update { priority } => {
                let update = JobUpdate { priority: Some(priority), ..JobUpdate::default() };
                queue.update_job(id, update).await.unwrap();
            }
            Step::Checksums(there) => {
                queue.set_checksums(id, there.then(|| self.lists.join("checksums"))).await.unwrap();
            }
            Step::Remove => {
                queue.remove_job(id).await.unwrap();
                (self.job, self.claimed, self.sealed, self.done) = (None, Vec::new(), Vec::new(), Vec::new());
            }
            _ => self.work(queue, id, step).await,
        }
    }

    async fn list(&self, queue: &dyn Queue, id: JobId, files: u64, end: End) {
        let claimed = queue.claim_windows(self.request(id, 1)).await.unwrap();
        let Some(window_id) = claimed.first().map(|claimed| claimed.window.id) else { return };
        // Every listing of a window brings the same files as far as it goes.
        let first = u64::from(window_id.0) * 10_000;
        let spec = |number: u64| if number % 50 == 7 { lost_spec(number) } else { spec(number) };
        let all: Vec<_> = (first..first + files).map(spec).collect();
        for some in all.chunks(700) {
            queue.stage_files(id, window_id, some.to_vec()).await.unwrap();
        }
        let is_slice = matches!(claimed[0].window.target, WindowTarget::Slice { .. });
        let outcome = match end {
            End::Split if !is_slice => WindowOutcome::Split((10..13).map(window).collect()),
            End::Listed | End::Split => WindowOutcome::Listed { bytes: Some(files * 1_000) },
            End::Released => WindowOutcome::Released,
            End::Retry => WindowOutcome::Retry { at: at(self.now + 2), error: error("status 500") },
            End::Failed => WindowOutcome::Failed(error("status 404")),
        };
        queue.settle_window(id, window_id, outcome, at(self.now)).await.unwrap();
    }

    async fn work(&mut self, queue: &dyn Queue, id: JobId, step: &Step) {
        let now = at(self.now);
        match *step {
            Step::Claim { limit } => {
                for claim in queue.claim_files(self.request(id, limit)).await.unwrap() {
                    let known = claim.known == Known::Nothing;
                    if known { &mut self.claimed } else { &mut self.sealed }.push(claim.file);
                }
            }
            Step::Seal { count, size } => {
                let files = take(&mut self.claimed, count);
                let seals = files.iter().map(|&file| (file, sealed(size))).collect();
                queue.seal(seals).await.unwrap();
                self.sealed.extend(files);
            }
            Step::Complete { count } => {
                let files = take(&mut self.sealed, count);
                queue.complete(files.clone(), now).await.unwrap();
                self.done.extend(files);
            }
            Step::Fail { count, again } => {
                let end =
                    again.map_or(AttemptEnd::GiveUp, |seconds| AttemptEnd::RetryAt(at(self.now + seconds)));
                let fail = |file| FailedAttempt { received: 10, ..failed(file, end) };
                let attempts = take(&mut self.claimed, count).into_iter().map(fail).collect();
                queue.fail(attempts, now).await.unwrap();
            }
            Step::Release { count, bytes, seal_lost } => {
                let from = if seal_lost { &mut self.sealed } else { &mut self.claimed };
                let release = |file| Received { file, received: bytes, seal_lost };
                let files = take(from, count).into_iter().map(release).collect();
                queue.release(files).await.unwrap();
            }
            Step::Invalidate { count } => {
                let bad = take(&mut self.done, count).into_iter().map(|file| (file, error("gone"))).collect();
                queue.invalidate(bad).await.unwrap();
            }
            _ => unreachable!("all other steps are taken elsewhere"),
        }
    }

    async fn look_at_done(&mut self, queue: &dyn Queue) {
        let Some(job) = self.job else { return };
        let files = all_files(queue, job, Some(FileState::Done), 4_096).await;
        self.done = files.into_iter().map(|file| FileRef { job, seq: file.seq }).collect();
    }

    fn request(&self, id: JobId, limit: usize) -> ClaimRequest {
        ClaimRequest {
            filter: ClaimFilter::Jobs(vec![id]),
            limit,
            owner: LeaseOwner(1),
            now: at(self.now),
            until: at(self.now + FOR_EVER),
        }
    }

    /// Every other job brings its own list.
    fn new_job(&self) -> NewJob {
        let windows =
            [0, 1].map(|half| WindowTarget::Slice { offset: half * 100, length: 100, first_line: 1 });
        let windows = windows.map(|target| skyhaul_model::NewWindow { target }).to_vec();
        NewJob {
            query: query(self.number),
            policy: JobPolicy { retries: 3, ..JobPolicy::default() },
            name: Some(format!("lane {}", self.number)),
            headers: vec![SecretHeader { name: "x".to_owned(), value: format!("secret {}", self.number) }],
            input: (self.number % 2 == 1).then(|| Input { path: self.lists.join("input"), windows }),
            ..new_job("unused")
        }
    }
}

/// The query of a lane's job.
pub(crate) fn query(lane: usize) -> Query {
    if lane % 2 == 1 {
        let source = Source::Urls { digest: format!("{lane:064x}"), base: None };
        return Query { source, out: "/data".to_owned() };
    }
    new_job(&format!("LANE{lane}")).query
}

/// Makes the lists that jobs are given.
pub(crate) fn write_lists(folder: &Path) {
    std::fs::write(folder.join("input"), "a list of files\n".repeat(20)).unwrap();
    std::fs::write(folder.join("checksums"), "a list of checksums\n".repeat(3_000)).unwrap();
}

fn take(files: &mut Vec<FileRef>, count: usize) -> Vec<FileRef> {
    files.drain(..count.min(files.len())).collect()
}
