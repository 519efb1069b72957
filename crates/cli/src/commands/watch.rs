//! `watch`: live progress of jobs until they are finished. Leaving it stops nothing.

use std::time::Duration;

use skyhaul_control::Client;
use skyhaul_engine::Ended;
use skyhaul_model::{Intent, JobId, JobRecord};

use crate::access::{engine, with_queue};
use crate::args::{JobRef, WatchArgs};
use crate::context::Context;
use crate::desk::Desk;
use crate::ending::verdict;
use crate::error::CliError;
use crate::exit::Exit;
use crate::follow::{Followed, Until, follow};
use crate::jobs::{find, no_such};
use crate::json::{JobDocument, Pace};

/// How often to look whether an engine is up.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Runs the command.
pub(crate) async fn run(args: WatchArgs, context: &Context) -> Result<Exit, CliError> {
    let mut jobs = with_queue(context, async |desk: &Desk| wanted(desk, args.job.as_ref()).await).await?;
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    if !jobs.iter().all(|job| Until::Finished.is_reached(job)) {
        tell_what_is_missing(context, &jobs);
        jobs = until_finished(context, &ids).await?;
    }
    answer(context, args.job.as_ref(), &jobs).await?;
    for job in &jobs {
        context.output.note(&format!("job {} is {} → {}", job.id, job.state().as_str(), job.query.out));
    }
    match &args.job {
        Some(job) => verdict(jobs.first().ok_or_else(|| no_such(job))?, &Ended::Idle),
        None if ids.is_empty() => {
            context.output.note("no unfinished jobs");
            Ok(Exit::Done)
        }
        None => Ok(jobs.iter().map(Exit::of_job).fold(Exit::Done, Exit::worse)),
    }
}

/// The job that is meant; without one, all that are unfinished.
async fn wanted(desk: &Desk, job: Option<&JobRef>) -> Result<Vec<JobRecord>, CliError> {
    match job {
        Some(job) => Ok(vec![find(desk.jobs(), job).await?]),
        None => {
            let jobs = desk.jobs().jobs().await?;
            Ok(jobs.into_iter().filter(|job| !job.state().is_final()).collect())
        }
    }
}

/// A job that a person paused waits for a person.
fn tell_what_is_missing(context: &Context, jobs: &[JobRecord]) {
    for job in jobs.iter().filter(|job| job.intent == Intent::Paused && !job.is_settled()) {
        let id = job.id;
        context.output.note(&format!("job {id} is paused: 'skyhaul resume {id}' lets it go on"));
    }
}

/// Follows the jobs, whoever works on them, one engine after the other.
async fn until_finished(context: &Context, ids: &[JobId]) -> Result<Vec<JobRecord>, CliError> {
    loop {
        let client = an_engine(context).await?;
        match Box::pin(follow(context, &client, ids, Until::Finished)).await? {
            Followed::Over(jobs) => return Ok(jobs),
            Followed::Left => {
                return Err(CliError::interrupted().hint("the work goes on; only watching it has ended"));
            }
            Followed::Gone => {}
        }
        let jobs = with_queue(context, async |desk: &Desk| {
            let mut jobs = Vec::with_capacity(ids.len());
            for &id in ids {
                jobs.extend(desk.jobs().job(id).await?);
            }
            Ok(jobs)
        })
        .await?;
        if jobs.iter().all(|job| Until::Finished.is_reached(job)) {
            return Ok(jobs);
        }
    }
}

/// The engine, waited for where there is none.
async fn an_engine(context: &Context) -> Result<Client, CliError> {
    let state_dir = &context.settings.state_dir;
    let waiting = async {
        if let Some(client) = engine(state_dir).await? {
            return Ok(client);
        }
        context.output.note("no engine works on it: waiting for one; 'skyhaul engine start' starts it");
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if let Some(client) = engine(state_dir).await? {
                return Ok(client);
            }
        }
    };
    context.stop.or(waiting).await
}

/// One job's document, or those of all that were watched.
async fn answer(context: &Context, job: Option<&JobRef>, jobs: &[JobRecord]) -> Result<(), CliError> {
    if !context.is_json() {
        return Ok(());
    }
    match (job, jobs.first()) {
        (Some(_), Some(job)) => {
            let troubles =
                with_queue(context, async |desk: &Desk| Ok(desk.jobs().troubles(job.id).await?)).await?;
            context.output.json(&JobDocument::new(job, Pace::default()).with_errors(&troubles))
        }
        (Some(_), None) => Ok(()),
        (None, _) => {
            let documents: Vec<_> = jobs.iter().map(|job| JobDocument::new(job, Pace::default())).collect();
            context.output.json(&documents)
        }
    }
}
