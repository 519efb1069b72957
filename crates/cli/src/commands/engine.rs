//! `engine run`, `start`, `stop`, `status`: the worker process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use skyhaul_control::Started;
use skyhaul_engine::{Ended, OnFullDisk, Scope, WhenIdle};
use skyhaul_model::{JobId, JobRecord};
use skyhaul_queue::Queue;

use crate::access::{self, Access, Owned};
use crate::args::{Detached, EngineRunArgs};
use crate::background;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::{Audience, Shift, Worked, goes_on, work};
use crate::human;
use crate::json::{EngineDocument, JobDocument, OverviewDocument, Pace};
use crate::notify::Manager;
use crate::policy::{job_policy, open_policy};
use crate::stop::Signal;

/// How long an engine may take to stop: it lets what it has in hand come to a checkpoint.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Runs `engine run`.
pub(crate) async fn run(args: EngineRunArgs, context: &Context) -> Result<Exit, CliError> {
    match (Access::open(context).await?, args.detached) {
        (Access::Owned(owned), _) => Box::pin(run_with(args, owned, context)).await,
        // Another command's engine was quicker: that is all that was wanted.
        (Access::Engine(_), Some(_)) => Ok(Exit::Done),
        (Access::Engine(client), None) => {
            let message = format!("an engine (process {}) has the state directory already", client.pid());
            Err(CliError::new(Exit::StateUnusable, message).hint("'skyhaul engine stop' stops it"))
        }
    }
}

async fn run_with(args: EngineRunArgs, owned: Owned, context: &Context) -> Result<Exit, CliError> {
    let transfer = args.transfer.or(&context.settings.transfer);
    let when_idle = if args.until_idle { WhenIdle::Exit } else { WhenIdle::Wait };
    let queue = owned.queue();
    owned
        .and_close(async {
            let settled: BTreeSet<JobId> = settled(&queue.jobs().await?).collect();
            let ended = loop {
                let mut shift = shift(args.detached, when_idle, transfer.wait_for_space);
                shift.policy = job_policy(&transfer);
                shift.dashboard_port = args.dashboard_port;
                let worked = Box::pin(work(context, Arc::clone(&queue), &transfer, shift)).await?;
                if !is_needed_again(&worked, &*queue).await? {
                    break worked.ended;
                }
            };
            let mut worked = queue.jobs().await?;
            worked.retain(|job| !settled.contains(&job.id));
            if context.is_json() {
                let jobs = worked.iter().map(|job| JobDocument::new(job, Pace::default())).collect();
                context.output.json(&OverviewDocument { engine: EngineDocument::down(), jobs })?;
            }
            verdict(&ended, when_idle, &worked, context)
        })
        .await
}

fn shift(detached: Option<Detached>, when_idle: WhenIdle, wait_for_space: bool) -> Shift {
    let waits = wait_for_space || when_idle == WhenIdle::Wait;
    Shift {
        scope: Scope::everything(),
        policy: open_policy(),
        when_idle,
        on_full_disk: if waits { OnFullDisk::Wait } else { OnFullDisk::Stop },
        started: if detached == Some(Detached::OnDemand) { Started::OnDemand } else { Started::Lasting },
        audience: if detached.is_some() { Audience::Nobody } else { Audience::Stderr },
        // What started the command that started us is not told of us.
        manager: if detached.is_some() { Manager::default() } else { Manager::of_process() },
        dashboard_port: None,
    }
}

/// Whether an engine that left by itself was given work, or told to stay, in its last moment.
async fn is_needed_again(worked: &Worked, queue: &dyn Queue) -> Result<bool, CliError> {
    if !worked.has_left {
        return Ok(false);
    }
    Ok(worked.wished.is_some() || queue.jobs().await?.iter().any(goes_on))
}

/// Runs `engine start`.
pub(crate) async fn start(context: &Context) -> Result<Exit, CliError> {
    let client = background::ensure(context, Started::Lasting, Vec::new()).await?;
    let pid = client.pid();
    match client.engine().await?.started {
        Started::Lasting => {}
        Started::OnDemand => client.stay().await?,
        Started::Foreground => {
            client.stay().await?;
            context.output.note(&format!("a pull (process {pid}) does the work; an engine follows it"));
        }
    }
    let version = Some(client.engine().await?.version);
    answer(context, &EngineDocument { running: true, pid: Some(pid), version })
}

/// Runs `engine stop`.
pub(crate) async fn stop(context: &Context) -> Result<Exit, CliError> {
    let Some(client) = access::engine(&context.settings.state_dir).await? else {
        return answer(context, &EngineDocument::down());
    };
    match client.stop().await {
        // It was about to end anyway.
        Ok(()) | Err(skyhaul_control::ControlError::Gone(_)) => {}
        Err(error) => return Err(error.into()),
    }
    context.stop.or(async { Ok(client.until_gone(STOP_PATIENCE).await?) }).await?;
    if context.is_json() {
        return answer(context, &EngineDocument::down());
    }
    context.output.note(&format!("engine: stopped (process {})", client.pid()));
    Ok(Exit::Done)
}

/// What became of the engine: a document for programs, a note for people.
fn answer(context: &Context, document: &EngineDocument) -> Result<Exit, CliError> {
    if context.is_json() {
        context.output.json(document)?;
    } else {
        context.output.note(&status_line(document));
    }
    Ok(Exit::Done)
}

/// Runs `engine status`.
pub(crate) async fn status(context: &Context) -> Result<Exit, CliError> {
    let document = match access::engine(&context.settings.state_dir).await? {
        Some(client) => {
            let info = client.engine().await?;
            EngineDocument { running: true, pid: Some(info.pid), version: Some(info.version) }
        }
        None => EngineDocument::down(),
    };
    if context.is_json() {
        context.output.json(&document)?;
    } else {
        context.output.line(&status_line(&document))?;
    }
    Ok(if document.running { Exit::Done } else { Exit::Failed })
}

/// One line about the engine.
pub(crate) fn status_line(document: &EngineDocument) -> String {
    match (document.running, document.pid) {
        (false, _) => "engine: not running".to_owned(),
        (true, None) => "engine: running".to_owned(),
        (true, Some(pid)) => format!("engine: running (process {pid})"),
    }
}

fn settled(jobs: &[JobRecord]) -> impl Iterator<Item = JobId> {
    jobs.iter().filter(|job| job.state().is_final()).map(|job| job.id)
}

/// How the command ends, by the jobs that were not finished when it began.
fn verdict(
    ended: &Ended,
    when_idle: WhenIdle,
    worked: &[JobRecord],
    context: &Context,
) -> Result<Exit, CliError> {
    match ended {
        // A service that is told to stop, and does, has not failed.
        Ended::Stopped if stopped_as_a_service(context.stop.signal(), when_idle) => Ok(Exit::Done),
        Ended::Stopped => Err(CliError::interrupted().hint("'skyhaul engine run' goes on where it was")),
        Ended::Held(id, reason) => Err(CliError::failed(format!("job {id} is paused: {}", reason.message))
            .hint("see to it and run 'skyhaul engine run' again; with --wait-for-space it waits instead")),
        Ended::Idle => {
            let exit = worked.iter().map(Exit::of_job).fold(Exit::Done, Exit::worse);
            context.output.note(&summary(worked));
            Ok(exit)
        }
    }
}

/// Without a signal it was 'engine stop'.
fn stopped_as_a_service(signal: Option<Signal>, when_idle: WhenIdle) -> bool {
    signal != Some(Signal::Interrupt) && when_idle == WhenIdle::Wait
}

fn summary(worked: &[JobRecord]) -> String {
    let finished: Vec<&JobRecord> = worked.iter().filter(|job| job.state().is_final()).collect();
    let done = finished.iter().map(|job| job.files.done).sum();
    let failed = finished.iter().map(|job| job.files.failed).sum();
    let unlisted = finished.iter().filter(|job| job.is_unlisted()).count();
    let mut line = format!(
        "{} finished: {} done, {} failed",
        human::counted(finished.len() as u64, "job"),
        human::counted(done, "file"),
        human::count(failed)
    );
    if unlisted > 0 {
        line.push_str(&format!("; {} could not be listed whole", human::counted(unlisted as u64, "job")));
    }
    let left = worked.len() - finished.len();
    if left > 0 {
        line.push_str(&format!("; {} left, paused", human::counted(left as u64, "job")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_service_that_stops_when_told_has_not_failed() {
        let table = [
            (Some(Signal::Terminate), WhenIdle::Wait, true),
            (Some(Signal::Terminate), WhenIdle::Exit, false),
            (Some(Signal::Interrupt), WhenIdle::Wait, false),
            (None, WhenIdle::Wait, true),
            (None, WhenIdle::Exit, false),
        ];
        for (signal, when_idle, expected) in table {
            assert_eq!(stopped_as_a_service(signal, when_idle), expected, "{signal:?} {when_idle:?}");
        }
    }

    #[test]
    fn the_summary_counts_finished_jobs() {
        let mut failed = samples::finished_job();
        (failed.files.done, failed.files.failed) = (1, 2);
        (failed.windows.total, failed.windows.failed) = (2, 1);
        assert_eq!(
            summary(&[samples::finished_job(), failed, samples::job()]),
            "2 jobs finished: 61 files done, 2 failed; 1 job could not be listed whole; 1 job left, paused"
        );
        assert_eq!(summary(&[]), "0 jobs finished: 0 files done, 0 failed");
    }

    #[test]
    fn the_status_line_names_the_process() {
        let document = |running, pid| EngineDocument { running, pid, version: None };
        assert_eq!(status_line(&document(true, Some(4))), "engine: running (process 4)");
        assert_eq!(status_line(&document(false, None)), "engine: not running");
    }
}
