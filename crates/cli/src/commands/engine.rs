//! `engine run` and `engine status`: the worker process, in the foreground.

use std::collections::BTreeSet;
use std::sync::Arc;

use skyhaul_engine::{Ended, WhenIdle};
use skyhaul_model::{JobId, JobRecord};
use skyhaul_queue::{ClaimFilter, Queue};

use crate::access::{self, with_queue};
use crate::args::EngineRunArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::{Shift, work};
use crate::human;
use crate::json::EngineDocument;
use crate::stop::Signal;

/// Runs `engine run`.
pub(crate) async fn run(args: EngineRunArgs, context: &Context) -> Result<Exit, CliError> {
    let transfer = args.transfer.or(&context.settings.transfer);
    let when_idle = if args.until_idle { WhenIdle::Exit } else { WhenIdle::Wait };
    with_queue(context, async |queue: Arc<dyn Queue>| {
        let settled: BTreeSet<JobId> = settled(&queue.jobs().await?).collect();
        let shift = Shift { filter: ClaimFilter::All, when_idle };
        let ended = Box::pin(work(context, Arc::clone(&queue), &transfer, shift)).await?;
        let mut worked = queue.jobs().await?;
        worked.retain(|job| !settled.contains(&job.id));
        verdict(&ended, when_idle, &worked, context)
    })
    .await
}

/// Runs `engine status`.
pub(crate) async fn status(context: &Context) -> Result<Exit, CliError> {
    let holder = access::holder(context).await?;
    let document = EngineDocument {
        running: holder.is_some(),
        pid: holder.as_ref().and_then(|holder| holder.pid),
        version: Some(env!("CARGO_PKG_VERSION")),
    };
    if context.is_json() {
        context.output.json(&document)?;
    } else {
        context.output.line(&status_line(&document))?;
    }
    Ok(if document.running { Exit::Done } else { Exit::Failed })
}

fn status_line(document: &EngineDocument) -> String {
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
            .hint("make room and run 'skyhaul engine run' again; with --wait-for-space it waits instead")),
        Ended::Idle => {
            let exit = worked.iter().map(Exit::of_job).fold(Exit::Done, Exit::worse);
            context.output.note(&summary(worked));
            Ok(exit)
        }
    }
}

fn stopped_as_a_service(signal: Option<Signal>, when_idle: WhenIdle) -> bool {
    signal == Some(Signal::Terminate) && when_idle == WhenIdle::Wait
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
            (None, WhenIdle::Wait, false),
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
