//! What each job is held to: its own limits beside the engine's, and the engine's settings where it has none.
//!
//! Nothing is kept: which hosts had answered a job before is read from its finished files.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use skyhaul_http::{OwnLimits, RateLimit, Terms};
use skyhaul_model::{FileState, JobId, JobPolicy, JobRecord, Source};
use skyhaul_queue::{FileQuery, Queue, QueueError};
use url::Url;

/// How many finished files are asked which host they came from.
const WITNESSES: usize = 256;

/// The terms of the jobs that are worked on.
#[derive(Debug)]
pub(crate) struct AllTerms {
    /// What holds where a job leaves it open.
    engine: JobPolicy,
    jobs: HashMap<JobId, (OwnLimits, Arc<Terms>)>,
}

impl AllTerms {
    pub(crate) fn new(engine: JobPolicy) -> Self {
        Self { engine, jobs: HashMap::new() }
    }

    /// The record with the engine's settings where the job has none of its own.
    pub(crate) fn held(&self, record: JobRecord) -> JobRecord {
        JobRecord { policy: record.policy.under(&self.engine), ..record }
    }

    /// A job's terms, as its policy is now; those of a job that comes anew know who had answered it before.
    pub(crate) async fn of(&mut self, queue: &dyn Queue, job: &JobRecord) -> Result<Arc<Terms>, QueueError> {
        if let Some(terms) = self.renew(job) {
            return Ok(terms);
        }
        let limits = own_limits(&job.policy.under(&self.engine));
        let terms = Arc::new(Terms::new(limits.clone()));
        for url in hosts_heard_from(queue, job).await? {
            terms.mark_answered(&url);
        }
        self.jobs.insert(job.id, (limits, Arc::clone(&terms)));
        Ok(terms)
    }

    /// A job's terms, where it was given some.
    pub(crate) fn get(&self, id: JobId) -> Option<&Terms> {
        self.jobs.get(&id).map(|(_, terms)| &**terms)
    }

    /// Has a job's requests and bodies take up a policy that was changed.
    pub(crate) fn renew(&mut self, job: &JobRecord) -> Option<Arc<Terms>> {
        let (known, terms) = self.jobs.get_mut(&job.id)?;
        let limits = own_limits(&job.policy.under(&self.engine));
        if *known != limits {
            terms.set(limits.clone());
            *known = limits;
        }
        Some(Arc::clone(terms))
    }

    /// Forgets all but these jobs.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(JobId) -> bool) {
        self.jobs.retain(|&id, _| is_kept(id));
    }
}

fn own_limits(policy: &JobPolicy) -> OwnLimits {
    let constant = policy.limit_rate.map(RateLimit::constant);
    let by_the_clock = policy.limit_timetable.as_deref().and_then(|text| RateLimit::parse(text).ok());
    OwnLimits {
        connections: policy.connections,
        in_flight: policy.in_flight,
        request_interval: policy.request_interval_us.map(Duration::from_micros),
        limit_rate: by_the_clock.or(constant).unwrap_or_default(),
        outage: Some(policy.outage()),
    }
}

/// A URL of each host that is known to have answered the job in an earlier run.
async fn hosts_heard_from(queue: &dyn Queue, job: &JobRecord) -> Result<Vec<Url>, QueueError> {
    let mut heard = Vec::new();
    if job.files.done > 0 {
        let witnesses = FileQuery { state: Some(FileState::Done), after: None, limit: WITNESSES };
        let files = queue.files(job.id, witnesses).await?.files;
        heard.extend(files.iter().filter_map(|file| Url::parse(&file.spec.url).ok()));
    }
    if let (Source::Archive { api, .. }, true) = (&job.query.source, job.windows.total > 0) {
        heard.extend(Url::parse(api).ok());
    }
    Ok(heard)
}
