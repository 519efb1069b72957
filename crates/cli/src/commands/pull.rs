//! `pull`: submit a query and work it off here, with live progress, until it is finished.
//!
//! Killed at any moment it loses nothing that it reported: the same command goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use skyhaul_engine::{Ended, WhenIdle};
use skyhaul_model::{Intent, JobId, JobRecord};
use skyhaul_queue::{ClaimFilter, FileQuery, Queue};

use crate::access::with_queue;
use crate::args::{JobRef, PullArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::{Shift, work};
use crate::human;
use crate::jobs::no_such;
use crate::json::{JobDocument, Pace};
use crate::order::Order;

/// Jobs up to this size have their proofs counted for the summary; of larger ones only failures are told.
const MOST_COUNTED: u64 = 100_000;

/// Files read at once while their proofs are counted.
const PAGE: usize = 4_096;

/// Runs the command.
pub(crate) async fn run(args: PullArgs, context: &Context) -> Result<Exit, CliError> {
    let transfer = args.transfer.or(&context.settings.transfer);
    let begun = Instant::now();
    let order = context.stop.or(Order::prepare(context, &args.query, &transfer)).await?;
    with_queue(context, async |queue: Arc<dyn Queue>| {
        let before = Box::pin(take_up(&*queue, order)).await?;
        let shift = Shift { filter: ClaimFilter::Jobs(vec![before.id]), when_idle: WhenIdle::Exit };
        let ended = Box::pin(work(context, Arc::clone(&queue), &transfer, shift)).await?;
        if let Ended::Held(id, _) = &ended {
            // The engine's own hold ends with the engine; nobody is left to look whether there is room.
            queue.set_intent(*id, Intent::Paused, Timestamp::now()).await?;
        }
        let job = job(&*queue, before.id).await?;
        answer(context, &job)?;
        if job.is_settled() && (job.files.total > 0 || !job.is_unlisted()) {
            let proofs =
                if job.files.total > MOST_COUNTED { None } else { Some(proofs(&*queue, &job).await?) };
            context.output.note(&summary(&before, &job, proofs, begun.elapsed()));
        }
        verdict(&job, &ended)
    })
    .await
}

/// Puts the job into the queue. One that stands is told to run, and its failures are put back.
async fn take_up(queue: &dyn Queue, order: Order) -> Result<JobRecord, CliError> {
    let created = order.place(queue).await?;
    if !created.created {
        queue.set_intent(created.id, Intent::Run, Timestamp::now()).await?;
        queue.requeue_failed(created.id).await?;
    }
    job(queue, created.id).await
}

async fn job(queue: &dyn Queue, id: JobId) -> Result<JobRecord, CliError> {
    queue.job(id).await?.ok_or_else(|| no_such(&JobRef::Number(id)))
}

/// The engine has ended, so nothing moves any more.
fn answer(context: &Context, job: &JobRecord) -> Result<(), CliError> {
    if !context.is_json() {
        return Ok(());
    }
    context.output.json(&JobDocument::new(job, Pace::default()))
}

/// How the command ends.
fn verdict(job: &JobRecord, ended: &Ended) -> Result<Exit, CliError> {
    let id = job.id;
    match ended {
        Ended::Stopped if !job.is_settled() => {
            return Err(CliError::interrupted()
                .hint(format!("job {id} goes on where it was when you run the same command again")));
        }
        Ended::Held(_, reason) => {
            return Err(CliError::failed(format!("job {id} is paused: {}", reason.message))
                .hint("make room and run the same command again; with --wait-for-space it waits instead"));
        }
        Ended::Idle | Ended::Stopped => {}
    }
    match Exit::of_job(job) {
        Exit::Unlisted => Err(unlisted(job)),
        Exit::SomeFailed => Err(CliError::new(
            Exit::SomeFailed,
            format!(
                "{} of {} failed for good",
                human::count(job.files.failed),
                human::counted(job.files.total, "file")
            ),
        )
        .hint(format!("'skyhaul files {id} --state failed' names them; the same pull tries them again"))),
        exit => Ok(exit),
    }
}

fn unlisted(job: &JobRecord) -> CliError {
    let why = job.error().map_or("the archive could not be asked", |error| error.message.as_str());
    let (what, hint) = match job.windows.failed {
        0 => ("the query could not be listed".to_owned(), "the same pull asks again"),
        failed => (
            format!("{} of {} could not be listed", failed, human::counted(job.windows.total, "window")),
            "what could be listed is here; the same pull asks again for the rest",
        ),
    };
    CliError::new(Exit::Unlisted, format!("{what}: {why}")).hint(hint)
}

/// How many of a job's files are proven whole by a digest or by their own format's check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Proofs {
    proven: u64,
    others: u64,
}

async fn proofs(queue: &dyn Queue, job: &JobRecord) -> Result<Proofs, CliError> {
    use skyhaul_model::{FileState, Verified};
    let mut proofs = Proofs::default();
    let mut after = None;
    loop {
        let query = FileQuery { state: Some(FileState::Done), after, limit: PAGE };
        let page = queue.files(job.id, query).await?;
        for sealed in page.files.iter().filter_map(|file| file.sealed.as_ref()) {
            match sealed.verified {
                Verified::Digest | Verified::Container => proofs.proven += 1,
                Verified::Length | Verified::None => proofs.others += 1,
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(proofs);
        }
    }
}

/// One line that says what is here now and what this run did for it.
fn summary(before: &JobRecord, job: &JobRecord, proofs: Option<Proofs>, took: Duration) -> String {
    let out = &job.query.out;
    if job.files.total == 0 {
        return format!("the query finds no files: nothing to do → {out}");
    }
    let received = job.bytes.received.saturating_sub(before.bytes.received);
    let fetched = if received == 0 {
        "nothing had to be fetched".to_owned()
    } else {
        let rate = (received as f64 / took.as_secs_f64().max(0.001)) as u64;
        format!("{} fetched in {} ({})", human::bytes(received), human::duration(took), human::rate(rate))
    };
    format!(
        "{}, {}{}; {fetched}; {} failed → {out}",
        human::counted(job.files.done, "file"),
        human::bytes(job.bytes.done),
        proofs.map_or_else(String::new, |proofs| proven(proofs, job.files.done)),
        human::count(job.files.failed),
    )
}

fn proven(proofs: Proofs, done: u64) -> String {
    match proofs {
        Proofs { others: 0, .. } if done > 0 => ", all proven whole".to_owned(),
        Proofs { proven: 0, .. } if done > 0 => ", known by their lengths at most".to_owned(),
        Proofs { proven, others } if done > 0 => {
            format!(", {} proven whole, {} by length at most", human::count(proven), human::count(others))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, FileError};

    use super::*;
    use crate::samples;

    const ALL: Option<Proofs> = Some(Proofs { proven: 60, others: 0 });

    #[test]
    fn the_summary_tells_what_is_here_and_what_was_fetched() {
        let mut before = samples::finished_job();
        before.bytes.received = 0;
        let line = summary(&before, &samples::finished_job(), ALL, Duration::from_secs(12));
        assert_eq!(
            line,
            "60 files, 129 MB, all proven whole; 129 MB fetched in 12 s (10.8 MB/s); 0 failed → /abs/dir"
        );
        let again =
            summary(&samples::finished_job(), &samples::finished_job(), None, Duration::from_millis(40));
        assert_eq!(again, "60 files, 129 MB; nothing had to be fetched; 0 failed → /abs/dir");
        let some = Proofs { proven: 58, others: 2 };
        assert_eq!(proven(some, 60), ", 58 proven whole, 2 by length at most");
    }

    #[test]
    fn a_query_that_finds_nothing_says_so() {
        let mut job = samples::finished_job();
        job.files = skyhaul_model::FileCounts::default();
        let line = summary(&job, &job, None, Duration::from_secs(1));
        assert_eq!(line, "the query finds no files: nothing to do → /abs/dir");
    }

    #[test]
    fn the_end_chooses_the_exit_code() {
        let reason = || FileError::new(ErrorKind::Disk, "the disk is full");
        let finished = samples::finished_job;
        let mut failed = finished();
        failed.files.failed = 2;
        let mut unlisted = failed.clone();
        unlisted.windows.failed = 1;
        let table = [
            (finished(), Ended::Idle, Exit::Done),
            (finished(), Ended::Stopped, Exit::Done),
            (samples::job(), Ended::Stopped, Exit::Interrupted),
            (samples::job(), Ended::Held(JobId(7), reason()), Exit::Failed),
            (failed, Ended::Idle, Exit::SomeFailed),
            (unlisted, Ended::Idle, Exit::Unlisted),
        ];
        for (job, ended, exit) in table {
            let seen = verdict(&job, &ended).unwrap_or_else(|error| error.exit());
            assert_eq!(seen, exit, "{ended:?}");
        }
    }
}
