//! What must be true after a crash: what the queue in memory shows after the same acknowledged steps.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use skyhaul_model::{FileRecord, FileSeq, FileState, Intent, JobId, JobRecord, Trouble, WindowRecord};
use skyhaul_queue::conformance::check_counters;
use skyhaul_queue::conformance::fixture::{all_files, at, request};
use skyhaul_queue::{Claim, ClaimFilter, ClaimRequest, FileRef, MemoryQueue, Queue, WindowQuery};
use skyhaul_queue_sled::{BootId, SledQueue};

use crate::driver::LANES;
use crate::script::{Kind, Lane, Step, query, steps};

/// What has been acknowledged of every lane, over all rounds, each of which ended with the queue closed or broken off.
#[derive(Clone)]
pub(crate) struct History {
    lists: PathBuf,
    lanes: Vec<Vec<Vec<Step>>>,
    /// Lanes in which one of what a call did and the counting of its failures, which are two records, was lost with a
    /// call that was on its way: their counts of failures are not known any more.
    uncounted: BTreeSet<usize>,
}

/// All that a queue shows of a lane's job, but for numbers that each queue gives as it likes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    job: JobRecord,
    files: Vec<FileRecord>,
    windows: Vec<WindowRecord>,
    troubles: Vec<Trouble>,
    headers: Vec<String>,
    input: Vec<u8>,
    checksums: Vec<u8>,
    next_due: Option<Timestamp>,
    /// What the job's pending files would be claimed with: their seals, which no page tells. Looked at where it says
    /// whether a step has happened.
    claims: Option<Vec<Claim>>,
}

/// How many steps of each lane were acknowledged in a round.
pub(crate) type Acks = [usize; LANES];

/// A round of a life: its script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) length: usize,
}

impl Round {
    pub(crate) fn steps(self, lane: usize) -> Vec<Step> {
        steps(self.seed, lane, self.kind, self.length)
    }
}

impl History {
    pub(crate) fn new(lists: &Path) -> Self {
        Self { lists: lists.to_owned(), lanes: vec![Vec::new(); LANES], uncounted: BTreeSet::new() }
    }

    /// The history with another round in which so much was acknowledged, as the queue in this directory tells it: the
    /// step after the last acknowledged one may or may not have happened.
    ///
    /// # Errors
    /// What was lost, or is there and must not be.
    pub(crate) async fn compare(
        &self,
        dir: &Path,
        boot: &str,
        round: Round,
        acks: Acks,
    ) -> Result<Self, String> {
        let opened = SledQueue::open(dir, BootId::named(boot)).await;
        let opened = opened.map_err(|error| format!("it does not open: {error}"))?;
        check_counters(&opened.queue).await;
        let mut after = self.clone();
        let mut found = Vec::new();
        for lane in 0..LANES {
            found.push(pages(&opened.queue, lane).await);
        }
        for (lane, (mut found, acknowledged)) in found.into_iter().zip(acks).enumerate() {
            let steps = round.steps(lane);
            if let (Some(found), Some(true)) = (&mut found, steps.get(acknowledged).map(Step::is_unseen)) {
                found.claims = Some(claims(&opened.queue, lane, found).await);
            }
            let followed = after.follow(lane, found.as_ref(), &steps, acknowledged).await;
            followed.map_err(|lost| format!("lane {lane} {lost}\nnotes: {:?}", opened.notes))?;
        }
        Ok(after)
    }

    /// Goes on with what was acknowledged of these steps, and with the next one if that is what was found.
    async fn follow(
        &mut self,
        lane: usize,
        found: Option<&Shown>,
        steps: &[Step],
        acknowledged: usize,
    ) -> Result<(), String> {
        self.lanes[lane].push(Vec::new());
        let next = steps.get(acknowledged);
        loop {
            let mut told = Vec::new();
            for count in acknowledged..=acknowledged + usize::from(next.is_some()) {
                *self.lanes[lane].last_mut().unwrap() = steps[..count].to_vec();
                let Some(difference) = self.difference(lane, found).await else { return Ok(()) };
                told.push(format!("after {count} steps: {difference}"));
            }
            let may_be_uncounted = next.is_some_and(Step::may_fail_something) && self.uncounted.insert(lane);
            if !may_be_uncounted {
                return Err(format!("{}\nthe step on its way was {next:?}", told.join("\nor ")));
            }
        }
    }

    /// How what was found of a lane differs from what it should be.
    async fn difference(&self, lane: usize, found: Option<&Shown>) -> Option<String> {
        let queue = self.replayed(lane).await;
        let (mut found, mut expected) = (found.cloned(), pages(&queue, lane).await);
        if let (Some(Shown { claims: Some(_), .. }), Some(expected)) = (&found, &mut expected) {
            expected.claims = Some(claims(&queue, lane, expected).await);
        }
        if self.uncounted.contains(&lane) {
            found.iter_mut().chain(&mut expected).for_each(|shown| shown.troubles.clear());
        }
        difference(found.as_ref(), expected.as_ref())
    }

    /// A queue in memory after a lane's history.
    async fn replayed(&self, lane: usize) -> MemoryQueue {
        let queue = MemoryQueue::new();
        for round in &self.lanes[lane] {
            let mut life = Lane::resume(&queue, lane, &self.lists).await;
            for step in round {
                life.step(&queue, step).await;
            }
            queue.forget_claims();
        }
        queue
    }
}

/// What pages and records tell of a lane's job; none if it has none.
async fn pages(queue: &dyn Queue, lane: usize) -> Option<Shown> {
    let mut job = queue.job_by_key(&query(lane).key()).await.unwrap()?;
    let id = std::mem::replace(&mut job.id, JobId(0));
    let mut files = all_files(queue, id, None, 1_000).await;
    (0..).zip(&mut files).for_each(|(place, file)| file.seq = FileSeq(place));
    let headers = queue.secret_headers(id).await.unwrap();
    Some(Shown {
        job,
        files,
        windows: queue.windows(id, WindowQuery { after: None, limit: 10_000 }).await.unwrap().windows,
        troubles: queue.troubles(id).await.unwrap(),
        headers: headers.into_iter().map(|header| header.value).collect(),
        input: queue.read_input(id, 0, u64::MAX).await.unwrap(),
        checksums: queue.read_checksums(id, 0, u64::MAX).await.unwrap(),
        next_due: queue.next_due(&ClaimFilter::Jobs(vec![id])).await.unwrap(),
        claims: None,
    })
}

/// What can be claimed of a lane's job once nothing holds it back and every time has come, in listing order, up to the
/// last file that was ever received.
async fn claims(queue: &dyn Queue, lane: usize, pages: &Shown) -> Vec<Claim> {
    let last = pages.files.iter().rposition(|file| file.received > 0).map_or(0, |last| last + 1);
    let limit = pages.files[..last].iter().filter(|file| file.state == FileState::Pending).count();
    let id = queue.job_by_key(&query(lane).key()).await.unwrap().unwrap().id;
    queue.set_hold(id, None).await.unwrap();
    queue.set_intent(id, Intent::Run, at(0)).await.unwrap();
    let wish = ClaimRequest { filter: ClaimFilter::Jobs(vec![id]), ..request(limit, 1 << 33) };
    let mut claims = queue.claim_files(wish).await.unwrap();
    claims.sort_by_key(|claim| claim.file);
    for (place, claim) in (0..).zip(&mut claims) {
        claim.file = FileRef { job: JobId(0), seq: FileSeq(place) };
    }
    claims
}

/// The first thing in which they differ, in words.
fn difference(found: Option<&Shown>, expected: Option<&Shown>) -> Option<String> {
    let (found, expected) = match (found, expected) {
        (None, None) => return None,
        (Some(found), Some(expected)) => (found, expected),
        (found, _) => return Some(format!("the job is {}", if found.is_some() { "there" } else { "gone" })),
    };
    in_one("the job", &found.job, &expected.job)
        .or_else(|| in_list("file", &found.files, &expected.files))
        .or_else(|| in_list("window", &found.windows, &expected.windows))
        .or_else(|| in_list("trouble", &found.troubles, &expected.troubles))
        .or_else(|| in_list("header", &found.headers, &expected.headers))
        .or_else(|| in_one("the length of the list", &found.input.len(), &expected.input.len()))
        .or_else(|| in_one("the length of the checksums", &found.checksums.len(), &expected.checksums.len()))
        .or_else(|| in_one("the time that is waited for", &found.next_due, &expected.next_due))
        .or_else(|| in_list("claim", found.claims.as_deref()?, expected.claims.as_deref()?))
        .or_else(|| (found != expected).then(|| "the bytes of a list differ".to_owned()))
}

fn in_one<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Option<String> {
    (found != expected).then(|| format!("{what} is\n  {found:?}\nand should be\n  {expected:?}"))
}

fn in_list<T: PartialEq + Debug>(what: &str, found: &[T], expected: &[T]) -> Option<String> {
    let place = (0..found.len().max(expected.len())).find(|&at| found.get(at) != expected.get(at))?;
    in_one(&format!("{what} {place}"), &found.get(place), &expected.get(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lives_lead_into_every_state() {
        let mut reached = BTreeSet::new();
        let lists = tempfile::tempdir().unwrap();
        crate::script::write_lists(lists.path());
        for seed in 0..20 {
            let mut history = History::new(lists.path());
            let round = Round { seed, kind: Kind::Mixed, length: 50 };
            for lane in 0..LANES {
                history.lanes[lane].push(round.steps(lane));
                let Some(shown) = pages(&history.replayed(lane).await, lane).await else {
                    reached.insert("removed".to_owned());
                    continue;
                };
                let files = shown
                    .files
                    .iter()
                    .map(|file| format!("file {:?}, sealed {}", file.state, file.sealed.is_some()));
                reached.extend(files);
                reached.extend(shown.windows.iter().map(|window| format!("window {}", word(&window.state))));
                reached.insert(format!("intent {:?}", shown.job.intent));
                reached.insert(format!("checksums {}", !shown.checksums.is_empty()));
            }
        }
        let wanted = [
            "checksums true",
            "file Done, sealed true",
            "file Failed, sealed false",
            "file Pending, sealed false",
            "intent Run",
            "removed",
            "window Failed",
            "window Listed",
            "window Pending",
        ];
        let missing: Vec<_> = wanted.into_iter().filter(|wanted| !reached.contains(*wanted)).collect();
        assert!(missing.is_empty(), "{missing:?} of {reached:#?}");
    }

    fn word(state: &skyhaul_model::WindowState) -> String {
        format!("{state:?}").split(' ').next().unwrap_or_default().to_owned()
    }
}
