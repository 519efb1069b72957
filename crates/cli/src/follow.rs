//! Following jobs at an engine: its progress is shown here until they are over, it goes away, or we leave.
//!
//! Nothing here changes anything: whoever leaves, leaves the work to the engine.

use std::sync::Arc;
use std::time::Duration;

use skyhaul_control::{Client, ControlError, ErrorCode};
use skyhaul_engine::Progress;
use skyhaul_model::{JobId, JobRecord};
use skyhaul_queue::Revision;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::CliError;
use crate::foreground::goes_on;
use crate::progress;

/// The shortest time between two looks at the jobs.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Until when jobs are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until they are finished, however long somebody has paused them.
    Finished,
    /// Until they do not go on without somebody's help.
    Halted,
}

/// How following ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The jobs are over; those that were removed are missing.
    Over(Vec<JobRecord>),
    /// The engine went away.
    Gone,
    /// A signal told us to leave.
    Left,
}

impl Until {
    /// Whether a job need not be followed any longer.
    pub(crate) fn is_reached(self, job: &JobRecord) -> bool {
        match self {
            Self::Finished => job.state().is_final(),
            Self::Halted => !goes_on(job),
        }
    }
}

/// Follows jobs at an engine.
pub(crate) async fn follow(
    context: &Context,
    client: &Client,
    jobs: &[JobId],
    until: Until,
) -> Result<Followed, CliError> {
    let (sender, receiver) = watch::channel(Arc::default());
    let over = CancellationToken::new();
    let following = async {
        let followed = tokio::select! {
            biased;
            () = context.stop.token().cancelled() => Ok(Followed::Left),
            ended = watch_jobs(client, jobs, until) => ended.map(Followed::Over),
            fed = feed(client, jobs, &sender) => fed.map(|()| Followed::Gone),
        };
        over.cancel();
        followed
    };
    let shown = progress::show(context, receiver, &over);
    let (followed, ()) = tokio::join!(following, shown);
    match followed {
        Err(error) if is_farewell(&error) => Ok(Followed::Gone),
        followed => Ok(followed?),
    }
}

/// Looks at the jobs whenever something has changed, until all are as wanted.
async fn watch_jobs(client: &Client, jobs: &[JobId], until: Until) -> Result<Vec<JobRecord>, ControlError> {
    let mut revision = Revision::default();
    loop {
        // Asked for before the jobs, so that no change falls in between.
        revision = client.change(revision).await?;
        let mut records = Vec::with_capacity(jobs.len());
        for &id in jobs {
            records.extend(client.job(id).await?);
        }
        if records.iter().all(|job| until.is_reached(job)) {
            return Ok(records);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Passes the engine's snapshots on, as far as they are about the jobs, until it ends.
async fn feed(
    client: &Client,
    jobs: &[JobId],
    sender: &watch::Sender<Arc<Progress>>,
) -> Result<(), ControlError> {
    let mut events = client.events().await?;
    while let Some(progress) = events.next().await? {
        sender.send_replace(Arc::new(only(progress, jobs)));
    }
    Ok(())
}

/// What a snapshot says of some jobs.
fn only(mut progress: Progress, jobs: &[JobId]) -> Progress {
    progress.jobs.retain(|job| jobs.contains(&job.id));
    progress.in_flight.retain(|file| jobs.contains(&file.job));
    progress.paces.retain(|pace| jobs.contains(&pace.job));
    progress.rate_bytes_per_s = progress.paces.iter().map(|pace| pace.rate_bytes_per_s).sum();
    progress.eta_s = progress.paces.iter().map(|pace| pace.eta_s).max().flatten();
    progress
}

/// Whether an engine's last word was that it is ending.
fn is_farewell(error: &ControlError) -> bool {
    match error {
        ControlError::Gone(_) => true,
        ControlError::Refused(body) => body.code == ErrorCode::Stopped,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_engine::{InFlight, JobPace};
    use skyhaul_model::Intent;

    use super::*;
    use crate::samples;

    #[test]
    fn a_snapshot_is_cut_down_to_the_jobs_that_are_followed() {
        let pace = |id, rate| JobPace { job: JobId(id), rate_bytes_per_s: rate, eta_s: Some(rate) };
        let file = |id| InFlight { job: JobId(id), path: "a".into(), received: 1, total: None };
        let mut other = samples::job();
        other.id = JobId(8);
        let all = Progress {
            jobs: vec![samples::job(), other],
            in_flight: vec![file(7), file(8)],
            rate_bytes_per_s: 5,
            files_per_s: 1.0,
            eta_s: None,
            paces: vec![pace(7, 2), pace(8, 3)],
        };
        let seen = only(all.clone(), &[JobId(7)]);
        assert_eq!((seen.jobs.len(), seen.in_flight, seen.paces), (1, vec![file(7)], vec![pace(7, 2)]));
        assert_eq!((seen.rate_bytes_per_s, seen.eta_s), (2, Some(2)));
        let both = only(all, &[JobId(7), JobId(8)]);
        assert_eq!((both.rate_bytes_per_s, both.eta_s), (5, Some(3)));
    }

    #[test]
    fn a_pause_ends_a_pull_and_not_a_watch() {
        let with = |intent| JobRecord { intent, ..samples::job() };
        let table = [
            (with(Intent::Run), false, false),
            (with(Intent::Paused), false, true),
            (with(Intent::Cancelled), true, true),
            (samples::finished_job(), true, true),
        ];
        for (job, finished, halted) in table {
            let reached = (Until::Finished.is_reached(&job), Until::Halted.is_reached(&job));
            assert_eq!(reached, (finished, halted), "{:?}", job.state());
        }
    }
}
