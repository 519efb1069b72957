//! The client as a job queue, so that commands need not know who has the queue open.
//!
//! Times that are passed in are the engine's own instead. Secret headers go in and never come back.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_model::{FileError, Intent, JobId, JobKey, JobRecord, NewWindow, Recheck, Span, Trouble};
use skyhaul_queue::{
    Created, JobQueue, JobUpdate, NewJob, QueueError, Requeued, Result, Revision, SecretHeader,
};

use super::Client;

#[async_trait]
impl JobQueue for Client {
    async fn create_job(&self, new: NewJob, _now: Timestamp) -> Result<Created> {
        Ok(self.submit(new).await?)
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRecord>> {
        Ok(Self::job(self, id).await?)
    }

    async fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>> {
        Ok(Self::job_by_key(self, key).await?)
    }

    async fn jobs(&self) -> Result<Vec<JobRecord>> {
        Ok(Self::jobs(self).await?)
    }

    async fn update_job(&self, id: JobId, update: JobUpdate) -> Result<()> {
        Ok(self.update(id, update).await?)
    }

    async fn set_intent(&self, id: JobId, intent: Intent, _now: Timestamp) -> Result<()> {
        Ok(Self::set_intent(self, id, intent).await.map(drop)?)
    }

    async fn set_hold(&self, id: JobId, reason: Option<FileError>) -> Result<()> {
        Ok(Self::set_hold(self, id, reason).await?)
    }

    async fn requeue_failed(&self, id: JobId) -> Result<Requeued> {
        Ok(self.retry(id).await?)
    }

    async fn relist(&self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        Ok(Self::relist(self, id, span, files).await?)
    }

    async fn add_windows(&self, id: JobId, windows: Vec<NewWindow>, _now: Timestamp) -> Result<u64> {
        Ok(Self::add_windows(self, id, windows).await?)
    }

    async fn troubles(&self, id: JobId) -> Result<Vec<Trouble>> {
        Ok(Self::troubles(self, id).await?)
    }

    async fn set_checksums(&self, id: JobId, path: Option<PathBuf>) -> Result<()> {
        Ok(Self::set_checksums(self, id, path).await?)
    }

    async fn remove_job(&self, id: JobId) -> Result<()> {
        Ok(self.remove(id).await.map(drop)?)
    }

    async fn secret_headers(&self, id: JobId) -> Result<Vec<SecretHeader>> {
        match Self::job(self, id).await? {
            Some(_) => Ok(Vec::new()),
            None => Err(QueueError::NoSuchJob(id)),
        }
    }

    async fn changed_since(&self, since: Revision) -> Result<Revision> {
        loop {
            let revision = self.change(since).await?;
            if revision != since {
                return Ok(revision);
            }
        }
    }
}
