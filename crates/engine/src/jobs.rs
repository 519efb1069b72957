//! The jobs that an engine has in hand: their records, output roots, headers and stop signals.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use skyhaul_archive::Archive;
use skyhaul_http::Fetch;
use skyhaul_model::{ErrorKind, FileError, Intent, Interval, JobId, JobRecord, Source};
use skyhaul_queue::{Queue, SecretHeader};
use skyhaul_transfer::OutputRoot;
use tokio_util::sync::CancellationToken;

use crate::EngineError;
use crate::disk::lack_of_room;
use crate::engine::is_runnable;

/// A job in hand.
pub(crate) struct InHand {
    /// The job as the queue told it last.
    pub(crate) record: JobRecord,
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
    archives: HashMap<String, Arc<Archive>>,
}

impl Jobs {
    pub(crate) fn new(queue: Arc<dyn Queue>, fetch: Arc<dyn Fetch>, stop: CancellationToken) -> Self {
        Self { queue, fetch, stop, in_hand: HashMap::new(), archives: HashMap::new() }
    }

    /// The job, opened if it was not in hand. The inner error is a reason to hold the job.
    pub(crate) async fn take(&mut self, id: JobId) -> Result<Result<&InHand, FileError>, EngineError> {
        if !self.in_hand.contains_key(&id) {
            match self.open(id).await? {
                Ok(job) => self.in_hand.insert(id, job),
                Err(reason) => return Ok(Err(reason)),
            };
        }
        match self.in_hand.get(&id) {
            Some(job) => Ok(Ok(job)),
            None => Err(skyhaul_queue::QueueError::NoSuchJob(id).into()),
        }
    }

    /// What stops a job's work; the engine's own signal while the job has no files in hand.
    pub(crate) fn stop_of(&self, id: JobId) -> CancellationToken {
        self.in_hand.get(&id).map_or_else(|| self.stop.clone(), |job| job.stop.clone())
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&InHand> {
        self.in_hand.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &InHand> {
        self.in_hand.values()
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
                Some(record) => job.record = record,
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

    /// Lets a job go: its root is closed with the last reference to it.
    pub(crate) fn let_go(&mut self, id: JobId) -> Option<InHand> {
        self.in_hand.remove(&id)
    }

    /// The ids of all jobs in hand.
    pub(crate) fn ids(&self) -> Vec<JobId> {
        self.in_hand.keys().copied().collect()
    }

    /// What planning a job needs; the inner error is a reason to refuse its plan.
    pub(crate) fn planning(&mut self, record: &JobRecord) -> Option<Result<PlanningNeeds, FileError>> {
        let Source::Archive { api, intervals, .. } = &record.query.source else { return None };
        let archive = match self.archives.get(api) {
            Some(archive) => Arc::clone(archive),
            None => match Archive::new(Arc::clone(&self.fetch), api) {
                Ok(archive) => Arc::clone(self.archives.entry(api.clone()).or_insert(Arc::new(archive))),
                Err(error) => return Some(Err(error.to_file_error())),
            },
        };
        Some(Ok(PlanningNeeds { archive, intervals: intervals.clone().into() }))
    }

    async fn open(&self, id: JobId) -> Result<Result<InHand, FileError>, EngineError> {
        let record = self.queue.job(id).await?.ok_or(skyhaul_queue::QueueError::NoSuchJob(id))?;
        let headers = match header_map(&self.queue.secret_headers(id).await?) {
            Ok(headers) => headers,
            Err(reason) => return Ok(Err(reason)),
        };
        let out = record.query.out.clone();
        let opened = tokio::task::spawn_blocking(move || OutputRoot::open(out.as_ref())).await?;
        let stop = self.stop.child_token();
        Ok(opened.and_then(|root| match lack_of_room(&root, &record.policy) {
            Some(reason) => Err(reason),
            None => Ok(InHand { record, root: Arc::new(root), headers, stop, removed: false }),
        }))
    }
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
