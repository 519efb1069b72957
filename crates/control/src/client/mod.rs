//! The client: finds a living engine through its state directory and asks it things.
//!
//! Every call is one connection with a deadline; nothing is kept open between calls, so an engine that
//! ends or is replaced in between is noticed by the next one. What does not answer because it has ended
//! is [`ControlError::Gone`]: whoever needs the queue then looks for it anew.

mod call;
mod events;
mod queue;
mod sse;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skyhaul_engine::Progress;
use skyhaul_model::{
    FileError, FileSeq, Intent, JobId, JobKey, JobRecord, NewWindow, Recheck, Span, Trouble,
};
use skyhaul_queue::{
    Created, FilePage, FileQuery, JobUpdate, NewJob, Requeued, Revision, WindowPage, WindowQuery,
};

use self::call::Caller;
pub use self::events::Events;
use crate::engine_file::EngineFile;
use crate::error::{ControlError, Result, cut_short};
use crate::wire::{
    AddedBody, BadFile, ChecksumsBody, CreatedBody, EngineInfo, ErrorCode, FilePageBody, HoldBody,
    IntentBody, InvalidateRequest, LinkBody, ProgressBody, RelistRequest, RequeuedBody, RevisionBody,
    Steered, SubmitRequest, UpdateRequest, WindowPageBody, WindowsRequest,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may take that comes after work on the disk: a list that is copied, partial files
/// that are removed.
const DISK_PATIENCE: Duration = Duration::from_secs(120);

/// How long an answer may take that waits for a change; the engine answers after 25 s at the latest.
const CHANGE_PATIENCE: Duration = Duration::from_secs(35);

/// How often to look whether an engine has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The most files in one request that puts bad ones back: some hundred bytes each.
const INVALIDATE_MAX: usize = 5_000;

/// A way to a living engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    caller: Arc<Caller>,
    file: Arc<EngineFile>,
    state_dir: Arc<PathBuf>,
}

impl Client {
    /// Looks for a living engine: none when no file names one, when the file is damaged, when its process
    /// has ended or is another one by now, and when nobody answers at its address.
    ///
    /// # Errors
    /// [`ControlError::Silent`] when it lives and does not answer within ten seconds, [`ControlError::Io`]
    /// when its file cannot be read or it cannot be reached, [`ControlError::Refused`] and
    /// [`ControlError::Garbled`] when it is none of ours.
    pub async fn connect(state_dir: &Path) -> Result<Option<Self>> {
        let Some(file) = living(state_dir.to_owned()).await? else { return Ok(None) };
        let client = Self {
            caller: Arc::new(Caller::new(&file)),
            file: Arc::new(file),
            state_dir: Arc::new(state_dir.to_owned()),
        };
        match client.engine().await {
            Ok(_) => Ok(Some(client)),
            // It has ended since, or its place was taken: either way this one is no more.
            Err(ControlError::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The engine's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.file.process.pid
    }

    /// The engine.
    ///
    /// # Errors
    /// As every call: [`ControlError::Silent`], [`ControlError::Gone`], [`ControlError::Refused`] with what
    /// the engine says, [`ControlError::Garbled`] when that is not understood.
    pub async fn engine(&self) -> Result<EngineInfo> {
        self.get("/v1/engine").await
    }

    /// Asks the engine to stop. It has not stopped when this returns: [`Client::until_gone`] waits for that.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn stop(&self) -> Result<()> {
        self.caller.send(Method::POST, "/v1/engine/stop", None, PATIENCE).await.map(drop)
    }

    /// Asks the engine to stay until it is told to stop, whatever it was started for.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn stay(&self) -> Result<()> {
        self.caller.send(Method::POST, "/v1/engine/stay", None, PATIENCE).await.map(drop)
    }

    /// A link that opens the engine's dashboard in a browser on this machine, once and within five minutes.
    ///
    /// # Errors
    /// See [`Client::engine`]; [`ControlError::Refused`] when its port cannot be opened.
    pub async fn dashboard(&self) -> Result<String> {
        let answer = self.caller.send(Method::POST, "/v1/dashboard", None, PATIENCE).await?;
        call::parse::<LinkBody>(&answer).map(|link| link.url)
    }

    /// Waits until the engine's process has ended, and so has let go of the queue.
    ///
    /// # Errors
    /// [`ControlError::Silent`] when `limit` is over before.
    pub async fn until_gone(&self, limit: Duration) -> Result<()> {
        let gone = async {
            while is_here(Arc::clone(&self.file), Arc::clone(&self.state_dir)).await? {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        let silent = || ControlError::Silent { pid: self.pid(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, gone).await.unwrap_or_else(|_| Err(silent()))
    }

    /// All jobs, by number.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn jobs(&self) -> Result<Vec<JobRecord>> {
        self.get("/v1/jobs").await
    }

    /// One job; none if there is no such job.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn job(&self, id: JobId) -> Result<Option<JobRecord>> {
        existing(self.get(&format!("/v1/jobs/{id}")).await)
    }

    /// The job with this key.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn job_by_key(&self, key: &JobKey) -> Result<Option<JobRecord>> {
        existing(self.get(&format!("/v1/jobs/by-key/{key}")).await)
    }

    /// Makes the job, or finds it; the input's path must be absolute. Durable when it returns.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn submit(&self, new: NewJob) -> Result<Created> {
        let request = SubmitRequest::from(new);
        let created: CreatedBody = self.send(Method::POST, "/v1/jobs", &request, DISK_PATIENCE).await?;
        Ok(created.into())
    }

    /// Changes what a person may change of a job.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn update(&self, id: JobId, update: JobUpdate) -> Result<()> {
        let path = format!("/v1/jobs/{id}");
        self.order(Method::PATCH, &path, &UpdateRequest::from(update)).await
    }

    /// Changes what a person wants of a job; a cancelled one loses its partial files.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn set_intent(&self, id: JobId, intent: Intent) -> Result<Steered> {
        let path = format!("/v1/jobs/{id}/intent");
        self.send(Method::PUT, &path, &IntentBody { intent }, DISK_PATIENCE).await
    }

    /// Holds a job back for a reason, or lets it go on.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn set_hold(&self, id: JobId, reason: Option<FileError>) -> Result<()> {
        self.order(Method::PUT, &format!("/v1/jobs/{id}/hold"), &HoldBody { reason }).await
    }

    /// Puts a job's failed files and windows back.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn retry(&self, id: JobId) -> Result<Requeued> {
        let path = format!("/v1/jobs/{id}/retry");
        let answer = self.caller.send(Method::POST, &path, None, PATIENCE).await?;
        call::parse::<RequeuedBody>(&answer).map(Requeued::from)
    }

    /// Has a job's windows listed again, and its done files checked again where wanted.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn relist(&self, id: JobId, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        let path = format!("/v1/jobs/{id}/relist");
        let request = RelistRequest { span, files };
        let requeued: RequeuedBody = self.send(Method::POST, &path, &request, DISK_PATIENCE).await?;
        Ok(requeued.into())
    }

    /// Adds windows to a planned job; says how many it had not yet.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn add_windows(&self, id: JobId, windows: Vec<NewWindow>) -> Result<u64> {
        let path = format!("/v1/jobs/{id}/windows");
        let body: AddedBody = self.send(Method::POST, &path, &WindowsRequest { windows }, PATIENCE).await?;
        Ok(body.added)
    }

    /// What failed so far in a job, the latest first.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn troubles(&self, id: JobId) -> Result<Vec<Trouble>> {
        self.get(&format!("/v1/jobs/{id}/troubles")).await
    }

    /// Gives a job a copy of this list of checksums, or takes its own away; the path must be absolute.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn set_checksums(&self, id: JobId, list: Option<PathBuf>) -> Result<()> {
        let path = format!("/v1/jobs/{id}/checksums");
        let body = call::compose(&ChecksumsBody { path: list })?;
        self.caller.send(Method::PUT, &path, Some(body), DISK_PATIENCE).await.map(drop)
    }

    /// Orders the engine to work on a job now, whatever kept it, and to try its failures again.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn work_on(&self, id: JobId) -> Result<()> {
        let path = format!("/v1/jobs/{id}/work");
        self.caller.send(Method::POST, &path, None, PATIENCE).await.map(drop)
    }

    /// Forgets a job and drops its partial files.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn remove(&self, id: JobId) -> Result<Steered> {
        let path = format!("/v1/jobs/{id}");
        call::parse(&self.caller.send(Method::DELETE, &path, None, DISK_PATIENCE).await?)
    }

    /// A page of a job's files. The engine gives at most a thousand at once.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn files(&self, id: JobId, query: FileQuery) -> Result<FilePage> {
        let mut path = format!("/v1/jobs/{id}/files?limit={}", query.limit);
        if let Some(state) = query.state {
            path = format!("{path}&state={}", state.as_str());
        }
        if let Some(after) = query.after {
            path = format!("{path}&after={after}");
        }
        self.get::<FilePageBody>(&path).await.map(FilePage::from)
    }

    /// A page of a job's windows. The engine gives at most a thousand at once.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn windows(&self, id: JobId, query: WindowQuery) -> Result<WindowPage> {
        let after = query.after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/v1/jobs/{id}/windows?limit={}{after}", query.limit);
        self.get::<WindowPageBody>(&path).await.map(WindowPage::from)
    }

    /// Puts done files back whose bytes were found missing or damaged. Some thousand at a time are done
    /// whole or not at all; a failure leaves those behind it as they were.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn invalidate(&self, id: JobId, files: Vec<(FileSeq, FileError)>) -> Result<()> {
        let path = format!("/v1/jobs/{id}/invalidate");
        let mut bad = files.into_iter().map(|(file, error)| BadFile { file, error }).peekable();
        while bad.peek().is_some() {
            let files = bad.by_ref().take(INVALIDATE_MAX).collect();
            self.order(Method::POST, &path, &InvalidateRequest { files }).await?;
        }
        Ok(())
    }

    /// Returns when something has changed since a revision, or after some 25 seconds with the same one.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn change(&self, since: Revision) -> Result<Revision> {
        let path = format!("/v1/changes?since={}", since.0);
        let answer = self.caller.send(Method::GET, &path, None, CHANGE_PATIENCE).await?;
        call::parse::<RevisionBody>(&answer).map(|body| Revision(body.revision))
    }

    /// The engine's last snapshot.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn progress(&self) -> Result<Progress> {
        self.get::<ProgressBody>("/v1/progress").await.map(Progress::from)
    }

    /// The engine's snapshots as they come.
    ///
    /// # Errors
    /// See [`Client::engine`].
    pub async fn events(&self) -> Result<Events> {
        self.caller.listen("/v1/events").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        call::parse(&self.caller.send(Method::GET, path, None, PATIENCE).await?)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T> {
        let body = call::compose(body)?;
        call::parse(&self.caller.send(method, path, Some(body), patience).await?)
    }

    async fn order(&self, method: Method, path: &str, body: &impl Serialize) -> Result<()> {
        let body = call::compose(body)?;
        self.caller.send(method, path, Some(body), PATIENCE).await.map(drop)
    }
}

/// What the state directory says of an engine whose process runs.
async fn living(state_dir: PathBuf) -> Result<Option<EngineFile>> {
    let look = move || Ok(EngineFile::read(&state_dir)?.filter(|file| file.process.is_alive()));
    tokio::task::spawn_blocking(look).await.map_err(cut_short)?
}

/// Whether an engine's process still runs; where the system does not tell, whether it still names itself.
async fn is_here(file: Arc<EngineFile>, state_dir: Arc<PathBuf>) -> Result<bool> {
    let look = move || {
        if cfg!(unix) {
            return Ok(file.process.is_alive());
        }
        Ok(EngineFile::read(&state_dir)?.is_some_and(|found| found.token == file.token))
    };
    tokio::task::spawn_blocking(look).await.map_err(cut_short)?
}

/// That a job is not there is an answer, not a failure.
fn existing(answer: Result<JobRecord>) -> Result<Option<JobRecord>> {
    match answer {
        Ok(job) => Ok(Some(job)),
        Err(ControlError::Refused(body)) if body.code == ErrorCode::NoSuchJob => Ok(None),
        Err(error) => Err(error),
    }
}
