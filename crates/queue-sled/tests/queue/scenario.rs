//! Operations run alike on any queue, with answers that can be compared.

use std::collections::BTreeSet;
use std::fmt::Debug;

use skyhaul_model::{
    FileRecord, FileSeq, FileSpec, JobId, JobRecord, NoResume, Proof, Recheck, Sealed, Span, WindowId,
};
use skyhaul_queue::conformance::fixture::{
    all_files, at, error, failed, lost_spec, new_job, received, request, sealed, spec, window,
};
use skyhaul_queue::{
    AttemptEnd, ClaimFilter, FailedAttempt, FileRef, JobUpdate, LeaseOwner, NewJob, PlanOutcome, Queue,
    QueueError, Received, Result, SecretHeader, WindowOutcome, WindowQuery,
};

use crate::operation::{Op, Outcome, Pick};

/// A queue under a scenario, and what the scenario remembers of it.
pub(crate) struct Run {
    pub(crate) now: i64,
    jobs: Vec<JobId>,
    windows: Vec<(JobId, WindowId)>,
    /// Files that were claimed, as job and place in the job's listing order.
    claimed: Vec<(JobId, usize)>,
    staged: u64,
}

/// All that a queue shows, with places in listing order instead of file numbers.
pub(crate) type Shown = (Vec<JobRecord>, Vec<Vec<FileRecord>>, String);

impl Run {
    pub(crate) fn new() -> Self {
        Self { now: 1, jobs: Vec::new(), windows: Vec::new(), claimed: Vec::new(), staged: 0 }
    }

    /// Takes one step; the answer is told in words that do not depend on how files are numbered.
    pub(crate) async fn step(&mut self, queue: &dyn Queue, op: &Op) -> String {
        match op.clone() {
            Op::Create { tag, priority, name, header } => {
                let headers = header.map(|value| SecretHeader { name: "x".into(), value: value.to_string() });
                let job = NewJob {
                    priority,
                    name: name.map(|name| format!("name{name}")),
                    headers: headers.into_iter().collect(),
                    ..new_job(&format!("d{tag}"))
                };
                let made = queue.create_job(job, at(self.now)).await;
                self.jobs.extend(made.iter().filter(|made| made.created).map(|made| made.id));
                told(made)
            }
            Op::Update { job, name, priority } => {
                let update =
                    JobUpdate { name: name.map(|name| format!("name{name}")), priority, policy: None };
                told(queue.update_job(self.job(job), update).await)
            }
            Op::SetIntent { job, intent } => {
                told(queue.set_intent(self.job(job), intent, at(self.now)).await)
            }
            Op::Hold { job, held } => {
                told(queue.set_hold(self.job(job), held.then(|| error("disk full"))).await)
            }
            Op::Plan { job, windows } => {
                let outcome = windows.map_or_else(
                    || PlanOutcome::Refused(error("no such dataset")),
                    |count| PlanOutcome::Windows((0..i64::from(count)).map(window).collect()),
                );
                told(queue.settle_plan(self.job(job), outcome, at(self.now)).await)
            }
            Op::Requeue { job } => told(queue.requeue_failed(self.job(job)).await),
            Op::Remove { job } => told(queue.remove_job(self.job(job)).await),
            Op::Tick { seconds } => {
                self.now += i64::from(seconds);
                String::new()
            }
            Op::Renew { owner } => told(queue.renew(LeaseOwner(u64::from(owner)), at(self.now + 60)).await),
            Op::Relist { job, hours, done } => {
                let hour = |hour: u8| i64::from(hour) * 3600;
                let span = hours.map(|(from, to)| Span { start: at(hour(from)), end: at(hour(to) + 5) });
                let files = if done { Recheck::Done } else { Recheck::Leave };
                told(queue.relist(self.job(job), span, files).await)
            }
            Op::Extend { job, hours: (from, to) } => {
                let windows = (i64::from(from)..i64::from(to)).map(window).collect();
                told(queue.add_windows(self.job(job), windows, at(self.now)).await)
            }
            Op::ClaimWindows { .. } | Op::Stage { .. } | Op::StageAgain { .. } | Op::Settle { .. } => {
                self.plan(queue, op).await
            }
            _ => self.work(queue, op).await,
        }
    }

    async fn plan(&mut self, queue: &dyn Queue, op: &Op) -> String {
        match *op {
            Op::ClaimWindows { limit, owner } => {
                let mut wish = request(usize::from(limit), self.now);
                wish.owner = LeaseOwner(u64::from(owner));
                let claimed = queue.claim_windows(wish).await.unwrap();
                self.windows.extend(claimed.iter().map(|claimed| (claimed.job, claimed.window.id)));
                format!("{claimed:?}")
            }
            Op::Stage { pick, count, odd } => {
                let Some((job, window)) = self.window(pick) else { return String::new() };
                let files = (self.staged..self.staged + u64::from(count)).map(|n| odd_spec(n, odd)).collect();
                self.staged += u64::from(count);
                told(queue.stage_files(job, window, files).await)
            }
            Op::StageAgain { pick, count, odd } => {
                let Some((job, window)) = self.window(pick) else { return String::new() };
                let first = 1_000_000 + u64::from(window.0) * 1_000;
                let files = (first..first + u64::from(count)).map(|n| odd_spec(n, odd)).collect();
                told(queue.stage_files(job, window, files).await)
            }
            Op::Settle { pick, outcome } => {
                let Some((job, id)) = self.window(pick) else { return String::new() };
                let outcome = match outcome {
                    Outcome::Listed(bytes) => WindowOutcome::Listed { bytes: bytes.map(u64::from) },
                    Outcome::Split(parts) => {
                        WindowOutcome::Split((0..i64::from(parts)).map(|part| window(100 + part)).collect())
                    }
                    Outcome::Released => WindowOutcome::Released,
                    Outcome::Retry(seconds) => {
                        let at = at(self.now + i64::from(seconds));
                        WindowOutcome::Retry { at, error: error("status 500") }
                    }
                    Outcome::Failed => WindowOutcome::Failed(error(&format!("window {id} failed"))),
                };
                told(queue.settle_window(job, id, outcome, at(self.now)).await)
            }
            _ => unreachable!("only planning comes here"),
        }
    }

    async fn work(&mut self, queue: &dyn Queue, op: &Op) -> String {
        match op.clone() {
            Op::ClaimFiles { limit, only, owner } => {
                let mut wish = request(usize::from(limit), self.now);
                wish.owner = LeaseOwner(u64::from(owner));
                if let Some(job) = only {
                    wish.filter = ClaimFilter::Jobs(vec![self.job(job)]);
                }
                self.claim(queue, wish).await
            }
            Op::Checkpoint { pick, bytes } => {
                let files = self.files(queue, &pick).await;
                told(queue.checkpoint(files.iter().map(|&file| received(file, bytes.into())).collect()).await)
            }
            Op::Release { pick, bytes, seal_lost } => {
                let files = self.files(queue, &pick).await;
                let release = |file| Received { file, received: bytes.into(), seal_lost };
                told(queue.release(files.into_iter().map(release).collect()).await)
            }
            Op::Seal { pick, size, adopted } => {
                let files = self.files(queue, &pick).await;
                let proof = if adopted { Proof::Adopted } else { Proof::Fetched };
                let sealed = Sealed { proof, ..sealed(size.into()) };
                told(queue.seal(files.into_iter().map(|file| (file, sealed.clone())).collect()).await)
            }
            Op::Finish { pick, size } => {
                let files = self.files(queue, &pick).await;
                let seals = files.iter().map(|&file| (file, sealed(size.into()))).collect();
                let answer = told(queue.seal(seals).await);
                answer + &told(queue.complete(files, at(self.now)).await)
            }
            Op::Complete { pick } => {
                let files = self.files(queue, &pick).await;
                told(queue.complete(files, at(self.now)).await)
            }
            Op::Fail { pick, bytes, again } => {
                let files = self.files(queue, &pick).await;
                let end =
                    again.map_or(AttemptEnd::GiveUp, |s| AttemptEnd::RetryAt(at(self.now + i64::from(s))));
                let no_resume = (bytes % 3 == 1).then_some(NoResume::NoValidator);
                let fail = |file| FailedAttempt { received: bytes.into(), no_resume, ..failed(file, end) };
                told(queue.fail(files.into_iter().map(fail).collect(), at(self.now)).await)
            }
            Op::Invalidate { pick } => {
                let files = self.files(queue, &pick).await;
                let bad = files.into_iter().map(|file| (file, error("gone"))).collect();
                told(queue.invalidate(bad).await)
            }
            _ => unreachable!("all other steps are taken elsewhere"),
        }
    }

    async fn claim(&mut self, queue: &dyn Queue, wish: skyhaul_queue::ClaimRequest) -> String {
        let claims = queue.claim_files(wish).await.unwrap();
        let mut answer = String::new();
        for job in claims.iter().map(|claim| claim.file.job).collect::<BTreeSet<_>>() {
            let places = all_files(queue, job, None, 4_096).await;
            for claim in claims.iter().filter(|claim| claim.file.job == job) {
                let place = places.iter().position(|file| file.seq == claim.file.seq).unwrap();
                self.claimed.push((job, place));
            }
        }
        for mut claim in claims {
            claim.file.seq = FileSeq(0);
            answer += &format!("{claim:?}\n");
        }
        answer
    }

    fn job(&self, pick: u8) -> JobId {
        // Every eighth pick is of a job that was never there.
        if pick % 8 == 7 || self.jobs.is_empty() {
            return JobId(999);
        }
        self.jobs[usize::from(pick) % self.jobs.len()]
    }

    fn window(&self, pick: u8) -> Option<(JobId, WindowId)> {
        let last = self.windows.len().checked_sub(1 + usize::from(pick) % self.windows.len().clamp(1, 4))?;
        self.windows.get(last).copied()
    }

    /// The picked files, by this queue's numbers; unknown ones keep a number that no file has.
    async fn files(&self, queue: &dyn Queue, picks: &[Pick]) -> Vec<FileRef> {
        let mut files = Vec::new();
        for pick in picks {
            let (job, place) = match *pick {
                Pick::Claimed(back) if !self.claimed.is_empty() => {
                    let newest = self.claimed.len().min(9);
                    self.claimed[self.claimed.len() - 1 - usize::from(back) % newest]
                }
                Pick::Claimed(back) => (self.job(back), 0),
                Pick::Any(job, place) => (self.job(job), usize::from(place) % 700),
            };
            let known = match queue.job(job).await.unwrap() {
                Some(_) => all_files(queue, job, None, 4_096).await,
                None => Vec::new(),
            };
            let seq = known.get(place).map_or(FileSeq(u64::MAX), |file| file.seq);
            files.push(FileRef { job, seq });
        }
        files
    }
}

/// Everything that the queue shows.
pub(crate) async fn shown(queue: &dyn Queue) -> Shown {
    let jobs = queue.jobs().await.unwrap();
    let (mut files, mut rest) = (Vec::new(), String::new());
    for job in &jobs {
        let mut records = all_files(queue, job.id, None, 257).await;
        for (place, record) in (0..).zip(&mut records) {
            record.seq = FileSeq(place);
        }
        files.push(records);
        let windows = queue.windows(job.id, WindowQuery { after: None, limit: 4_096 }).await.unwrap();
        let headers = queue.secret_headers(job.id).await.unwrap();
        let values: Vec<_> = headers.iter().map(|header| &header.value).collect();
        let troubles = queue.troubles(job.id).await.unwrap();
        rest += &format!("{windows:?} {values:?} {troubles:?}\n");
    }
    rest += &format!("{:?}", queue.next_due(&ClaimFilter::All).await.unwrap());
    (jobs, files, rest)
}

/// An answer in words; of errors the kind alone, since file numbers differ.
fn told<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(QueueError::NoSuchFile(job, _)) => format!("no such file in {job}"),
        Err(QueueError::Conflict(job, _, _)) => format!("conflict in {job}"),
        Err(error) => error.to_string(),
    }
}

/// Files of a listing, every few of them lost or sized.
fn odd_spec(number: u64, odd: u8) -> FileSpec {
    let every = u64::from(odd % 32) + 2;
    match number % every {
        0 if odd.is_multiple_of(2) => lost_spec(number),
        1 if odd.is_multiple_of(3) => {
            FileSpec { size: Some(number), sha256: Some([odd; 32]), ..spec(number) }
        }
        _ => spec(number),
    }
}
