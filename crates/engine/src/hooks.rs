//! What people want to be done when a job has come to its end: their command run, their URL told, once for each end.
//!
//! A command that fails, hangs or cannot be started is told in the log and changes nothing. An engine that
//! is killed between a job's end and its command never runs it.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use skyhaul_http::Fetch;
use skyhaul_model::{JobId, JobRecord, JobState};
use tokio::process::{Child, Command};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::announce::announce;

/// How long a command may take before it is ended.
const LIMIT: Duration = Duration::from_mins(10);

/// How long commands and tellings may still take once the engine is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// The commands and tellings that are due and those that run.
pub(crate) struct Hooks {
    /// Jobs that were worked on and had not come to their ends when looked at last.
    unfinished: HashSet<JobId>,
    running: JoinSet<()>,
    fetch: Arc<dyn Fetch>,
}

impl Hooks {
    pub(crate) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self { unfinished: HashSet::new(), running: JoinSet::new(), fetch }
    }

    /// Notes that a job is being worked on.
    pub(crate) fn note_work(&mut self, job: JobId) {
        self.unfinished.insert(job);
    }

    /// Runs the commands of jobs that have come to their ends since, and tells their URLs.
    pub(crate) fn note_ends(&mut self, jobs: &[JobRecord]) {
        for job in jobs.iter().filter(|job| job.is_settled()) {
            if !self.unfinished.remove(&job.id) {
                continue;
            }
            tracing::info!(job = job.id.0, state = job.state().as_str(), "the job has come to its end");
            if let Some(line) = command_for(job) {
                let (job, line) = (job.clone(), line.to_owned());
                let id = job.id;
                self.running.spawn(run(id, move || start(&job, &line)));
            }
            if let Some(url) = url_for(job) {
                let (job, url, fetch) = (job.clone(), url.to_owned(), Arc::clone(&self.fetch));
                self.running.spawn(async move { announce(&*fetch, &job, &url).await });
            }
        }
        while let Some(ended) = self.running.try_join_next() {
            note(ended);
        }
    }

    /// Waits for what runs, only for a moment once `stop` is cancelled.
    pub(crate) async fn end(&mut self, stop: &CancellationToken) {
        let told_to_stop = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let all_ended = async {
            while let Some(ended) = self.running.join_next().await {
                note(ended);
            }
        };
        tokio::select! {
            () = all_ended => {}
            () = told_to_stop => self.running.shutdown().await,
        }
    }
}

/// The command that a job's end calls for.
fn command_for(job: &JobRecord) -> Option<&str> {
    job.policy.on_complete.as_deref().filter(|_| has_ended(job))
}

/// The URL that a job's end is to be told to.
fn url_for(job: &JobRecord) -> Option<&str> {
    job.policy.on_complete_url.as_deref().filter(|_| has_ended(job))
}

/// Cancelling a job calls for nothing.
fn has_ended(job: &JobRecord) -> bool {
    matches!(job.state(), JobState::Completed | JobState::Failed)
}

/// Has a command started and waits for its end. Where its folder is on a disk that hangs, its start does as well.
async fn run(job: JobId, start: impl FnOnce() -> io::Result<Child> + Send + 'static) {
    let id = job.0;
    let ended = async { spawn_blocking(start).await??.wait().await };
    match tokio::time::timeout(LIMIT, ended).await {
        Ok(Ok(status)) if status.success() => {
            tracing::info!(job = id, "the command of --on-complete has run");
        }
        Ok(Ok(status)) => {
            tracing::warn!(job = id, %status, "the command of --on-complete failed");
        }
        Ok(Err(error)) => {
            tracing::warn!(job = id, %error, "the command of --on-complete cannot be run");
        }
        Err(_) => {
            tracing::warn!(job = id, "the command of --on-complete was ended after {} s", LIMIT.as_secs());
        }
    }
}

/// Starts a job's command in its output folder. Blocking.
fn start(job: &JobRecord, line: &str) -> io::Result<Child> {
    let mut command = shell(line);
    command.envs(variables(job)).stdin(Stdio::null()).kill_on_drop(true);
    // Our stdout is for answers alone.
    command.stdout(io::stderr()).stderr(io::stderr());
    if Path::new(&job.query.out).is_dir() {
        command.current_dir(&job.query.out);
    }
    command.spawn()
}

#[cfg(not(windows))]
fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]);
    command
}

#[cfg(windows)]
fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd");
    command.args(["/C", line]);
    command
}

fn variables(job: &JobRecord) -> [(&'static str, String); 7] {
    [
        ("SKYHAUL_JOB_ID", job.id.to_string()),
        ("SKYHAUL_JOB_NAME", job.name.clone().unwrap_or_default()),
        ("SKYHAUL_JOB_STATE", job.state().as_str().to_owned()),
        ("SKYHAUL_JOB_OUT", job.query.out.clone()),
        ("SKYHAUL_JOB_FILES_DONE", job.files.done.to_string()),
        ("SKYHAUL_JOB_FILES_FAILED", job.files.failed.to_string()),
        ("SKYHAUL_JOB_BYTES_DONE", job.bytes.done.to_string()),
    ]
}

/// A task that broke is a bug of ours; it must not take the engine with it.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        tracing::error!(%error, "what a job's end called for broke");
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use skyhaul_model::{FileCounts, Intent, Plan, WindowCounts};
    use skyhaul_queue::JobQueue;

    use super::*;
    use crate::nowhere::Nowhere;

    /// A job in `out` that has come to its end, with one failed file.
    async fn ended(out: &Path, on_complete: &str) -> JobRecord {
        let queue = skyhaul_queue::MemoryQueue::new();
        let source = skyhaul_model::Source::Manifest { digest: "d".into() };
        let query = skyhaul_model::Query { source, out: out.display().to_string() };
        let policy =
            skyhaul_model::JobPolicy { on_complete: Some(on_complete.to_owned()), ..Default::default() };
        let (name, priority, headers, input) = (None, 0, Vec::new(), None);
        let new = skyhaul_queue::NewJob { query, policy, name, priority, headers, input };
        let id = queue.create_job(new, jiff::Timestamp::UNIX_EPOCH).await.unwrap().id;
        let mut job = queue.job(id).await.unwrap().unwrap();
        job.plan = Plan::Planned;
        job.windows = WindowCounts { total: 1, listed: 1, failed: 0 };
        job.files = FileCounts { total: 3, pending: 0, active: 0, done: 2, failed: 1 };
        job
    }

    #[tokio::test]
    async fn a_command_runs_once_for_each_end_and_knows_the_job() {
        let dir = tempfile::tempdir().unwrap();
        let job =
            ended(dir.path(), "echo $SKYHAUL_JOB_ID $SKYHAUL_JOB_STATE $SKYHAUL_JOB_FILES_DONE >>told").await;
        let mut hooks = Hooks::new(Arc::new(Nowhere));
        let never = CancellationToken::new();
        // One that nobody worked on had its end in an earlier run.
        hooks.note_ends(std::slice::from_ref(&job));
        for _ in 0..2 {
            hooks.note_work(job.id);
            for _ in 0..3 {
                hooks.note_ends(std::slice::from_ref(&job));
            }
            hooks.end(&never).await;
        }
        let told = std::fs::read_to_string(dir.path().join("told")).unwrap();
        assert_eq!(told, "1 failed 2\n".repeat(2));
    }

    #[tokio::test]
    async fn a_command_that_hangs_does_not_keep_a_stopping_engine() {
        let dir = tempfile::tempdir().unwrap();
        let job = ended(dir.path(), "exec sleep 600").await;
        let mut hooks = Hooks::new(Arc::new(Nowhere));
        hooks.note_work(job.id);
        hooks.note_ends(&[job]);
        let stop = CancellationToken::new();
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), hooks.end(&stop)).await.unwrap();
        assert!(hooks.running.is_empty());
    }

    #[tokio::test]
    async fn a_command_whose_folder_hangs_as_it_starts_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let job = ended(dir.path(), "echo >told").await;
        let (go_on, hangs) = std::sync::mpsc::sync_channel::<()>(1);
        // If it had the one thread that is there, nobody would let it go on.
        let late = move || {
            hangs.recv_timeout(Duration::from_secs(30)).map_err(io::Error::other)?;
            start(&job, "echo >told")
        };
        tokio::join!(run(JobId(1), late), async { go_on.send(()).unwrap() });
        assert!(dir.path().join("told").exists());
    }

    #[tokio::test]
    async fn cancelled_jobs_call_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let job = ended(dir.path(), "true").await;
        assert_eq!(command_for(&job), Some("true"));
        let url = "https://hooks.example/".to_owned();
        let policy = skyhaul_model::JobPolicy { on_complete_url: Some(url.clone()), ..job.policy.clone() };
        let job = JobRecord { policy, ..job };
        assert_eq!(url_for(&job), Some(url.as_str()));
        let cancelled = JobRecord { intent: Intent::Cancelled, ..job };
        assert_eq!((command_for(&cancelled), url_for(&cancelled)), (None, None));
    }
}
