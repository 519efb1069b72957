//! Jobs of the queue in memory.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use skyhaul_model::{
    FileError, FileEvent, FileState, Intent, JobId, JobKey, JobRecord, NewWindow, Plan, Recheck, Span,
    Trouble, Troubles, WindowState,
};

use super::job::Job;
use super::{MemoryQueue, State};
use crate::{
    Created, Input, JobQueue, JobUpdate, NewJob, QueueError, Requeued, Result, Revision, SecretHeader,
};

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn create_job(&self, mut new: NewJob, now: Timestamp) -> Result<Created> {
        let input = new.input.take();
        let content = match &input {
            Some(Input { path, .. }) => read(path.clone()).await?,
            None => Vec::new(),
        };
        self.change(|state| {
            let key = new.query.key();
            let known = state.jobs.values().find(|job| job.key == key).map(|job| job.id);
            check_name(state, known, new.name.as_deref())?;
            Ok(match known {
                Some(id) => {
                    state.job_mut(id)?.follow(new);
                    Created { id, created: false }
                }
                None => Created { id: insert(state, new, input, content, now), created: true },
            })
        })
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRecord>> {
        Ok(self.lock().jobs.get(&id).map(Job::record))
    }

    async fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>> {
        Ok(self.lock().jobs.values().find(|job| job.key == *key).map(Job::record))
    }

    async fn jobs(&self) -> Result<Vec<JobRecord>> {
        Ok(self.lock().jobs.values().map(Job::record).collect())
    }

    async fn update_job(&self, id: JobId, update: JobUpdate) -> Result<()> {
        self.change(|state| {
            state.job(id)?;
            check_name(state, Some(id), update.name.as_deref())?;
            let job = state.job_mut(id)?;
            job.name = update.name.or(job.name.take());
            job.priority = update.priority.unwrap_or(job.priority);
            job.policy = update.policy.unwrap_or_else(|| job.policy.clone());
            Ok(())
        })
    }

    async fn set_intent(&self, id: JobId, intent: Intent, now: Timestamp) -> Result<()> {
        self.change(|state| {
            let job = state.job_mut(id)?;
            if intent == Intent::Cancelled && job.intent != Intent::Cancelled {
                job.finished_at = None;
            }
            job.intent = intent;
            job.note_finish(Some(now));
            Ok(())
        })
    }

    async fn set_hold(&self, id: JobId, reason: Option<FileError>) -> Result<()> {
        self.change(|state| {
            state.job_mut(id)?.hold = reason;
            Ok(())
        })
    }

    async fn requeue_failed(&self, id: JobId) -> Result<Requeued> {
        self.change(|state| {
            let job = state.job_mut(id)?;
            let requeued = Requeued { files: job.requeue_files()?, windows: job.requeue_windows() };
            if matches!(job.plan, Plan::Refused(_)) {
                job.plan = Plan::Unplanned;
            }
            job.note_finish(None);
            Ok(requeued)
        })
    }

    async fn relist(&self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        self.change(|state| state.job_mut(id)?.relist(span, files))
    }

    async fn add_windows(&self, id: JobId, windows: Vec<NewWindow>, now: Timestamp) -> Result<u64> {
        self.change(|state| Ok(state.job_mut(id)?.add_new_windows(windows, now)))
    }

    async fn troubles(&self, id: JobId) -> Result<Vec<Trouble>> {
        Ok(self.lock().job(id)?.troubles.latest_first())
    }

    async fn set_checksums(&self, id: JobId, path: Option<PathBuf>) -> Result<()> {
        self.lock().job(id)?;
        let content = match path {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        self.change(|state| {
            state.job_mut(id)?.checksums = content;
            Ok(())
        })
    }

    async fn remove_job(&self, id: JobId) -> Result<()> {
        self.change(|state| state.jobs.remove(&id).map(drop).ok_or(QueueError::NoSuchJob(id)))
    }

    async fn secret_headers(&self, id: JobId) -> Result<Vec<SecretHeader>> {
        Ok(self.lock().job(id)?.headers.clone())
    }

    async fn changed_since(&self, since: Revision) -> Result<Revision> {
        let mut changes = self.revision.subscribe();
        let seen = changes.wait_for(|&revision| revision != since).await;
        seen.map(|revision| *revision).map_err(|_| QueueError::Stopped("it was dropped".to_owned()))
    }
}

async fn read(path: PathBuf) -> Result<Vec<u8>> {
    let failed = |path: &Path, source| QueueError::Io { action: "cannot read", path: path.into(), source };
    let reading = tokio::task::spawn_blocking(move || std::fs::read(&path).map_err(|e| failed(&path, e)));
    reading.await.unwrap_or_else(|_| Err(QueueError::Stopped("reading the list was cut short".to_owned())))
}

/// A name belongs to one job; a job may be given the name that it has.
fn check_name(state: &State, own: Option<JobId>, name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let holder = state.jobs.values().find(|job| job.name.as_deref() == Some(name) && Some(job.id) != own);
    holder.map_or(Ok(()), |job| Err(QueueError::NameTaken(name.to_owned(), job.id)))
}

fn insert(state: &mut State, new: NewJob, input: Option<Input>, content: Vec<u8>, now: Timestamp) -> JobId {
    let id = JobId(state.next_id);
    state.next_id += 1;
    let mut job = Job {
        id,
        key: new.query.key(),
        name: new.name,
        priority: new.priority,
        created_at: now,
        finished_at: None,
        query: new.query,
        policy: new.policy,
        intent: Intent::Run,
        hold: None,
        plan: Plan::Unplanned,
        headers: new.headers,
        input: content,
        checksums: None,
        windows: Vec::new(),
        files: Vec::new(),
        window_error: None,
        troubles: Troubles::default(),
    };
    if let Some(Input { windows, .. }) = input {
        job.plan = Plan::Planned;
        job.add_windows(windows);
    }
    job.note_finish(Some(now));
    state.jobs.insert(id, job);
    id
}

impl Job {
    /// Takes over what the newest command for the same query wants.
    fn follow(&mut self, new: NewJob) {
        self.policy = new.policy;
        self.priority = new.priority;
        self.name = new.name.or(self.name.take());
        if !new.headers.is_empty() {
            self.headers = new.headers;
        }
    }

    /// A path that cannot be made will not be made by trying again: such files stay failed.
    fn requeue_files(&mut self) -> Result<u64> {
        let id = self.id;
        let mut requeued = 0;
        for (file, seq) in self.files.iter_mut().zip(0..) {
            if file.state == FileState::Failed && file.spec.path.is_ok() {
                let next = file.state.after(FileEvent::Requeue);
                file.state = next.map_err(|e| QueueError::Conflict(id, skyhaul_model::FileSeq(seq), e))?;
                file.failures = 0;
                file.not_before = None;
                requeued += 1;
            }
        }
        Ok(requeued)
    }

    fn requeue_windows(&mut self) -> u64 {
        let mut requeued = 0;
        for window in &mut self.windows {
            if window.record.state == WindowState::Failed {
                window.record.state = WindowState::Pending;
                window.record.failures = 0;
                window.record.not_before = None;
                requeued += 1;
            }
        }
        self.window_error = None;
        requeued
    }
}
