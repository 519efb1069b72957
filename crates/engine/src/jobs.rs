//! The jobs that an engine has in hand: their records, output roots, headers and stop signals.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use skyhaul_archive::Archive;
use skyhaul_http::{Fetch, Standing, Terms, Treated, Treatment};
use skyhaul_model::{ErrorKind, FileError, Intent, Interval, JobId, JobKey, JobPolicy, JobRecord, Source};
use skyhaul_queue::{Queue, QueueError, SecretHeader};
use skyhaul_transfer::OutputRoot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::EngineError;
use crate::engine::is_runnable;
use crate::roots::{Disk, Parts, Roots, Sight};
use crate::terms::AllTerms;

/// A job in hand.
pub(crate) struct InHand {
    /// The job as the queue told it last, under the engine's own settings.
    pub(crate) record: JobRecord,
    /// What its requests are held to.
    pub(crate) terms: Arc<Terms>,
    /// Its output root; open while the job is in hand.
    pub(crate) root: Arc<OutputRoot>,
    /// Its secret headers.
    pub(crate) headers: HeaderMap,
    /// Stops its workers.
    pub(crate) stop: CancellationToken,
    /// Whether the queue has forgotten it meanwhile.
    pub(crate) removed: bool,
}

impl InHand {
    /// Whether it can still make progress, as far as is known here.
    pub(crate) fn is_runnable(&self) -> bool {
        !self.removed && is_runnable(&self.record)
    }
}

/// A job in hand but for its root.
struct Opening {
    record: JobRecord,
    terms: Arc<Terms>,
    headers: HeaderMap,
}

/// What a job needs for planning.
#[derive(Clone)]
pub(crate) struct PlanningNeeds {
    pub(crate) archive: Arc<Archive>,
    pub(crate) intervals: Arc<[Interval]>,
}

/// All jobs in hand.
pub(crate) struct Jobs {
    queue: Arc<dyn Queue>,
    fetch: Arc<dyn Fetch>,
    stop: CancellationToken,
    in_hand: HashMap<JobId, InHand>,
    /// Queries whose earlier jobs' partial files are being removed.
    shut: HashSet<JobKey>,
    /// Jobs that were not taken in hand because what was there before them is being put away.
    put_off: HashMap<JobId, JobKey>,
    terms: AllTerms,
    /// What stops the planning of each job.
    planned: HashMap<JobId, CancellationToken>,
    roots: Roots,
    /// Jobs whose roots are being opened.
    opening: HashMap<JobId, Opening>,
    /// When jobs may be taken up again that are held for something that cannot be seen from here.
    patience: HashMap<JobId, Instant>,
}

/// How long a job is left alone whose disk refused without a reason that could be looked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Files that wait for their job's own limits beyond which no more of it are begun.
const ENOUGH_WAITING: usize = 4;

impl Jobs {
    /// No jobs yet; `policy` holds where a job leaves something open.
    pub(crate) fn new(
        queue: Arc<dyn Queue>,
        fetch: Arc<dyn Fetch>,
        disk: Arc<dyn Disk>,
        policy: JobPolicy,
        stop: CancellationToken,
    ) -> Self {
        let terms = AllTerms::new(policy);
        Self {
            queue,
            fetch,
            stop,
            in_hand: HashMap::new(),
            shut: HashSet::new(),
            put_off: HashMap::new(),
            terms,
            planned: HashMap::new(),
            roots: Roots::new(disk),
            opening: HashMap::new(),
            patience: HashMap::new(),
        }
    }

    /// A record as it holds under the engine's own settings.
    pub(crate) fn held(&self, record: JobRecord) -> JobRecord {
        self.terms.held(record)
    }

    /// What stops the planning of a job, whether it has files in hand or not.
    pub(crate) fn stop_of(&mut self, id: JobId) -> CancellationToken {
        let stop = &self.stop;
        self.planned.entry(id).or_insert_with(|| stop.child_token()).clone()
    }

    /// Stops the planning of jobs that are no longer to be worked on, and forgets their terms; the others' take up
    /// a policy that was changed, whether files of theirs are in hand or not. Answers which jobs are kept.
    pub(crate) fn keep(&mut self, wanted: &[JobRecord]) -> HashSet<JobId> {
        // One that stands by may be looking for new windows.
        let is_kept = |job: &&JobRecord| is_runnable(job) || job.next_listing_at().is_some();
        let mut kept = HashSet::new();
        for job in wanted.iter().filter(is_kept) {
            self.terms.renew(job);
            kept.insert(job.id);
        }
        let in_hand = &self.in_hand;
        self.terms.keep(|id| in_hand.contains_key(&id) || kept.contains(&id));
        self.planned.retain(|id, stop| {
            let goes_on = kept.contains(id);
            if !goes_on {
                stop.cancel();
            }
            goes_on
        });
        kept
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&InHand> {
        self.in_hand.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &InHand> {
        self.in_hand.values()
    }

    /// How a job's requests stand, those of its listings included.
    pub(crate) fn standing(&self, id: JobId) -> Standing {
        self.terms.get(id).map_or(Standing::Idle, |terms| self.fetch.standing(terms))
    }

    /// Whether files of a job in hand may have to wait for its own limits.
    pub(crate) fn any_tight(&self) -> bool {
        self.iter().any(|job| job.terms.are_tight())
    }

    /// The jobs that have files enough which wait for their own limits.
    pub(crate) fn waiting_for_themselves(&self) -> Vec<JobId> {
        let waits = |job: &&InHand| job.terms.waiting() >= ENOUGH_WAITING;
        self.iter().filter(waits).map(|job| job.record.id).collect()
    }

    /// The records of the jobs in hand, by number.
    pub(crate) fn records(&self) -> Vec<JobRecord> {
        let mut records: Vec<_> = self.in_hand.values().map(|job| job.record.clone()).collect();
        records.sort_by_key(|record| record.id);
        records
    }

    /// Reads the records again and stops the work of jobs that are no longer to run.
    pub(crate) async fn refresh(&mut self) -> Result<(), EngineError> {
        for (&id, job) in &mut self.in_hand {
            match self.queue.job(id).await? {
                Some(record) => {
                    job.record = self.terms.held(record);
                    self.terms.renew(&job.record);
                }
                None => job.removed = true,
            }
            if job.removed || job.record.intent != Intent::Run || job.record.hold.is_some() {
                job.stop.cancel();
            } else if job.stop.is_cancelled() && !self.stop.is_cancelled() {
                job.stop = self.stop.child_token();
            }
        }
        Ok(())
    }

    /// Has jobs of these queries not taken in hand until [`Jobs::open_again`]: their partial files are being removed.
    pub(crate) fn keep_shut(&mut self, keys: impl Iterator<Item = JobKey>) {
        self.shut.extend(keys);
    }

    /// All jobs may be taken in hand again.
    pub(crate) fn open_again(&mut self) {
        self.shut.clear();
    }

    /// The jobs that were not taken in hand, and cannot be yet, because what was there before them is being put away.
    pub(crate) fn put_off(&mut self) -> Vec<JobId> {
        let mut put_off = std::mem::take(&mut self.put_off);
        put_off.retain(|id, key| self.is_shut(*id, key));
        self.put_off = put_off;
        self.put_off.keys().copied().collect()
    }

    /// Leaves a job alone for a while: that its disk is well again would only show in another attempt.
    pub(crate) fn be_patient(&mut self, id: JobId) {
        self.patience.insert(id, Instant::now() + PATIENCE);
    }

    /// Whether a held job may be looked at again.
    pub(crate) fn may_look_again(&mut self, id: JobId) -> bool {
        let is_over = self.patience.get(&id).is_none_or(|until| *until <= Instant::now());
        if is_over {
            self.patience.remove(&id);
        }
        is_over && !self.in_hand.contains_key(&id)
    }

    /// Lets a job go: its root is closed with the last reference to it.
    pub(crate) fn let_go(&mut self, id: JobId) -> Option<InHand> {
        self.in_hand.remove(&id)
    }

    /// The ids of all jobs in hand.
    pub(crate) fn ids(&self) -> Vec<JobId> {
        self.in_hand.keys().copied().collect()
    }

    /// What planning a job needs; the inner error is a reason to refuse its plan.
    pub(crate) async fn planning(
        &mut self,
        record: &JobRecord,
    ) -> Result<Option<Result<PlanningNeeds, FileError>>, EngineError> {
        let Source::Archive { api, intervals, .. } = &record.query.source else { return Ok(None) };
        let terms = match self.terms.of(&*self.queue, record).await {
            Ok(terms) => terms,
            Err(QueueError::NoSuchJob(_)) => return Ok(Some(Err(removed(record.id)))),
            Err(error) => return Err(error.into()),
        };
        let fetch = Treated::new(Arc::clone(&self.fetch), Treatment::ahead().under(terms));
        Ok(Some(match Archive::new(Arc::new(fetch), api) {
            Ok(archive) => {
                let archive = Arc::new(archive.with_stall(record.policy.timeout()));
                Ok(PlanningNeeds { archive, intervals: intervals.clone().into() })
            }
            Err(error) => Err(error.to_file_error()),
        }))
    }

    /// Begins to open a job's root, unless it is in hand or has to wait for a moment. The inner error is a reason to hold
    /// the job.
    pub(crate) async fn begin_opening(&mut self, id: JobId) -> Result<Result<(), FileError>, EngineError> {
        if self.in_hand.contains_key(&id) {
            return Ok(Ok(()));
        }
        let Some(record) = self.queue.job(id).await? else { return Ok(Ok(())) };
        match self.prepare(record).await {
            // Somebody has removed it since its record was read.
            Err(EngineError::Queue(QueueError::NoSuchJob(_))) => Ok(Ok(())),
            prepared => prepared,
        }
    }

    async fn prepare(&mut self, record: JobRecord) -> Result<Result<(), FileError>, EngineError> {
        let id = record.id;
        let record = self.terms.held(record);
        self.put_off.insert(id, record.key.clone());
        if self.is_shut(id, &record.key) {
            return Ok(Ok(()));
        }
        let headers = match header_map(&self.queue.secret_headers(id).await?) {
            Ok(headers) => headers,
            Err(reason) => return Ok(Err(reason)),
        };
        if record.policy.checksums.is_some() && self.queue.checksums_len(id).await?.is_none() {
            return Ok(Err(without_list()));
        }
        let terms = self.terms.of(&*self.queue, &record).await?;
        self.roots.open(&record);
        self.opening.insert(id, Opening { record, terms, headers });
        Ok(Ok(()))
    }

    /// Takes a job in hand whose root is open.
    pub(crate) fn opened(&mut self, id: JobId, root: OutputRoot) {
        if let Some(Opening { record, terms, headers }) = self.opening.remove(&id) {
            let (root, stop) = (Arc::new(root), self.stop.child_token());
            self.in_hand.insert(id, InHand { record, terms, root, headers, stop, removed: false });
        }
    }

    /// Forgets a job whose root cannot be opened.
    pub(crate) fn not_opened(&mut self, id: JobId) {
        self.opening.remove(&id);
    }

    /// Has the roots looked at of all jobs in hand that are not held.
    pub(crate) fn look_at_roots(&mut self) {
        for job in self.in_hand.values().filter(|job| job.record.hold.is_none()) {
            self.roots.look(&job.record, &job.root, None);
        }
    }

    /// Has the root looked at of a job in hand, which gives out no files meanwhile: it is to be held, for this reason if
    /// no better one is found.
    pub(crate) fn look_at(&mut self, id: JobId, reason: FileError) {
        if let Some(job) = self.in_hand.get(&id) {
            self.roots.look(&job.record, &job.root, Some(reason));
            self.put_off.insert(id, job.record.key.clone());
        }
    }

    /// Waits for the end of the next step on a root; pends while there is none.
    pub(crate) async fn next_sight(&mut self) -> Result<(JobId, Sight), EngineError> {
        self.roots.next().await
    }

    /// Whether a step is being made on a job's root.
    pub(crate) fn is_root_in_use(&self, id: JobId) -> bool {
        self.roots.are_at(id)
    }

    /// Whether no step is being made on any root.
    pub(crate) fn are_roots_idle(&self) -> bool {
        self.roots.are_idle()
    }

    /// The jobs whose disks do not answer. To be asked once a round.
    pub(crate) fn hanging(&mut self) -> Vec<JobId> {
        self.roots.hanging()
    }

    /// Begins to close the root of a job that was let go.
    pub(crate) fn close(&mut self, id: JobId, key: JobKey, root: OutputRoot, parts: Parts) {
        self.roots.close(id, key, root, parts);
    }

    /// Whether a job would share partial files with an earlier one that is still in hand, or find its own removed.
    fn is_shut(&self, id: JobId, key: &JobKey) -> bool {
        let shares = |other: &InHand| other.record.id != id && other.record.key == *key;
        self.shut.contains(key) || self.roots.are_busy_with(key) || self.in_hand.values().any(shares)
    }
}

fn removed(id: JobId) -> FileError {
    FileError::new(ErrorKind::Disk, format!("job {id} was removed"))
}

/// The list comes right behind the job; it is missing for longer only when its command broke off in between.
fn without_list() -> FileError {
    let message =
        "the list of --checksums is not there yet: if it does not come, give the same command again";
    FileError::new(ErrorKind::Disk, message)
}

fn header_map(headers: &[SecretHeader]) -> Result<HeaderMap, FileError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let unusable = || FileError::new(ErrorKind::Http, format!("--header {} cannot be sent", header.name));
        let name = HeaderName::try_from(&header.name).map_err(|_| unusable())?;
        let mut value = HeaderValue::try_from(&header.value).map_err(|_| unusable())?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;
    use crate::disk::RealDisk;
    use crate::nowhere::{Nowhere, idle, job_of_list, see, settings};

    fn jobs_of(queue: &Arc<MemoryQueue>) -> Jobs {
        let policy = JobPolicy::default();
        Jobs::new(
            Arc::clone(queue) as _,
            Arc::new(Nowhere),
            Arc::new(RealDisk),
            policy,
            CancellationToken::new(),
        )
    }

    /// Begins to open a job's root, and waits for that; whether it was begun.
    async fn open(jobs: &mut Jobs, id: JobId) -> bool {
        assert_eq!(jobs.begin_opening(id).await.unwrap(), Ok(()));
        if jobs.are_roots_idle() {
            return false;
        }
        let (_, Sight::Opened(root)) = jobs.next_sight().await.unwrap() else { panic!("it was opened") };
        jobs.opened(id, root.unwrap());
        true
    }

    #[tokio::test]
    async fn a_removed_job_is_put_away_before_its_successor_begins() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Arc::new(MemoryQueue::new());
        let mut jobs = jobs_of(&queue);
        let new = || job_of_list("d", dir.path());
        let first = queue.create_job(new(), jiff::Timestamp::UNIX_EPOCH).await.unwrap().id;
        assert!(open(&mut jobs, first).await);
        queue.remove_job(first).await.unwrap();
        let second = queue.create_job(new(), jiff::Timestamp::UNIX_EPOCH).await.unwrap().id;
        assert!(!open(&mut jobs, second).await);
        let InHand { root, record, .. } = jobs.let_go(first).unwrap();
        jobs.close(first, record.key, Arc::into_inner(root).unwrap(), Parts::Useless);
        assert_eq!(jobs.begin_opening(second).await.unwrap(), Ok(()));
        assert!(jobs.put_off().contains(&second));
        assert!(jobs.opening.is_empty(), "its predecessor's root is being closed");
        assert!(matches!(jobs.next_sight().await.unwrap(), (id, Sight::Closed(Ok(()))) if id == first));
        assert!(open(&mut jobs, second).await);
    }

    #[tokio::test]
    async fn a_job_that_is_removed_while_it_is_opened_is_no_trouble_of_the_engine() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let id =
            queue.create_job(job_of_list("d", dir.path()), jiff::Timestamp::UNIX_EPOCH).await.unwrap().id;
        engine.begin_opening(id).await.unwrap();
        queue.remove_job(id).await.unwrap();
        see(&mut engine).await;
        assert!(engine.jobs.get(id).unwrap().removed);
        engine.let_go_of_settled();
        see(&mut engine).await;
        assert!(!dir.path().join(".skyhaul").exists());
    }

    #[tokio::test]
    async fn a_job_without_files_in_hand_takes_up_a_limit_that_was_changed() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Arc::new(MemoryQueue::new());
        let id =
            queue.create_job(job_of_list("d", dir.path()), jiff::Timestamp::UNIX_EPOCH).await.unwrap().id;
        let mut record = queue.job(id).await.unwrap().unwrap();
        let mut jobs = jobs_of(&queue);
        let terms = jobs.terms.of(&*queue, &record).await.unwrap();
        assert!(!terms.are_tight());
        record.policy.limit_rate = Some(1_000);
        assert_eq!(jobs.keep(&[record]), HashSet::from([id]));
        assert!(terms.are_tight() && jobs.get(id).is_none());
    }
}
