//! `pull`: submit a query and see it through, with live progress, until it is finished.
//!
//! Where an engine has the queue, it does the work and is watched; when it goes away, the work goes on here.
//! Killed at any moment it loses nothing that it reported: the same command goes on.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use skyhaul_control::{Client, Started};
use skyhaul_engine::{Ended, OnFullDisk, Scope, WhenIdle};
use skyhaul_model::{Intent, JobId, JobRecord};
use skyhaul_queue::JobQueue;

use crate::access::{Access, Owned, has_gone};
use crate::args::{JobRef, PullArgs, TransferArgs};
use crate::background;
use crate::context::{Context, blocking};
use crate::desk::Desk;
use crate::ending::{nothing_hint, summary, verdict};
use crate::error::CliError;
use crate::exit::Exit;
use crate::follow::{Followed, Until, follow};
use crate::foreground::{Audience, Shift, goes_on, work};
use crate::human;
use crate::jobs::no_such;
use crate::json::{JobDocument, Pace};
use crate::notify::Manager;
use crate::order::{Order, Worker};
use crate::policy::open_policy;

/// Runs the command.
pub(crate) async fn run(args: PullArgs, context: &Context) -> Result<Exit, CliError> {
    let transfer = args.transfer.or(&context.settings.transfer);
    let order = context.stop.or(Order::prepare(context, &args.query, &transfer, Worker::Whoever)).await?;
    let stands_by = args.query.follow;
    let mut pull =
        Pull { context, order, transfer, stands_by, begun: Instant::now(), job: None, received_before: None };
    loop {
        match Access::open(context).await? {
            Access::Owned(owned) => return Box::pin(pull.work_here(owned)).await,
            Access::Engine(client) => match Box::pin(pull.hand_over(&client)).await? {
                Some(result) => return result,
                None => {
                    let pid = client.pid();
                    context
                        .output
                        .note(&format!("the engine (process {pid}) went away: going on without it"));
                }
            },
        }
    }
}

/// A pull, wherever its work is done.
struct Pull<'a> {
    context: &'a Context,
    order: Order,
    transfer: TransferArgs,
    /// Whether it stays when all is here.
    stands_by: bool,
    begun: Instant,
    /// The job, once it is known.
    job: Option<JobId>,
    /// What the job had received when this command took it up.
    received_before: Option<u64>,
}

impl Pull<'_> {
    /// Works the job off in this process.
    async fn work_here(&mut self, owned: Owned) -> Result<Exit, CliError> {
        let mut next = None;
        let result = {
            let queue = owned.queue();
            let desk = Desk::Here(Arc::clone(&queue));
            owned
                .and_close(async {
                    let id = self.take_up(&desk).await?;
                    let waits = self.transfer.wait_for_space || self.stands_by;
                    let on_full_disk = if waits { OnFullDisk::Wait } else { OnFullDisk::Stop };
                    let scope = Scope::only(id);
                    let shift = Shift {
                        scope: scope.clone(),
                        // Its own job says all; those that join it owe nothing to its flags.
                        policy: open_policy(),
                        when_idle: if self.stands_by {
                            WhenIdle::StandBy(id)
                        } else {
                            WhenIdle::ExitAfter(id)
                        },
                        on_full_disk,
                        started: Started::Foreground,
                        audience: Audience::Stderr,
                        manager: Manager::default(),
                        dashboard_port: None,
                    };
                    let worked = Box::pin(work(self.context, queue, &self.transfer, shift)).await?;
                    next = worked.wished.or(successor(id, &scope, &desk.jobs().jobs().await?));
                    self.tell(&desk, &job(desk.jobs(), id).await?, &worked.ended).await
                })
                .await
        };
        let follows = match next {
            Some(started) => start_successor(self.context, started).await,
            None => None,
        };
        match (result, follows, self.job) {
            // That engine is for every job that waits, this one too.
            (Err(error), Some(pid), Some(id)) if error.exit() == Exit::Interrupted => {
                Err(goes_on_in(id, pid))
            }
            (result, _, _) => result,
        }
    }

    /// Hands the job to the engine and watches it. None when the engine went away before it was finished.
    async fn hand_over(&mut self, client: &Client) -> Result<Option<Result<Exit, CliError>>, CliError> {
        let (context, pid) = (self.context, client.pid());
        let handed = async {
            let id = self.take_up(&Desk::Engine(client.clone())).await?;
            client.work_on(id).await?;
            Ok(id)
        };
        let id = match handed.await {
            Ok(id) => id,
            Err(error) => return if has_gone(client).await { Ok(None) } else { Err(error) },
        };
        context
            .output
            .note(&format!("the engine (process {pid}) works on job {id}; Ctrl-C only stops watching"));
        match Box::pin(follow(context, client, &[id], Until::Halted)).await? {
            Followed::Gone => Ok(None),
            Followed::Left => Ok(Some(Err(goes_on_in(id, pid)))),
            Followed::Over(mut jobs) => {
                let Some(job) = jobs.pop() else { return Err(no_such(&JobRef::Number(id))) };
                let desk = Desk::Engine(client.clone());
                Ok(Some(self.tell(&desk, &job, &Ended::Idle).await))
            }
        }
    }

    /// Puts the job into the queue. One that stands is told to run, and its failures are put back.
    async fn take_up(&mut self, desk: &Desk) -> Result<JobId, CliError> {
        let created = self.order.place(desk).await?;
        let queue = desk.jobs();
        let id = created.id;
        self.job = Some(id);
        // An engine does both by itself when it is told to work on the job.
        if !created.created {
            queue.set_intent(id, Intent::Run, Timestamp::now()).await?;
            queue.requeue_failed(id).await?;
        }
        let received = job(queue, id).await?.bytes.received;
        self.received_before.get_or_insert(received);
        Ok(id)
    }

    /// The answer, the summary, the exit code.
    async fn tell(&self, desk: &Desk, job: &JobRecord, ended: &Ended) -> Result<Exit, CliError> {
        if self.context.is_json() {
            // Nothing moves any more.
            let troubles = desk.jobs().troubles(job.id).await?;
            self.context.output.json(&JobDocument::new(job, Pace::default()).with_errors(&troubles))?;
        }
        let received_before = self.received_before.unwrap_or_default();
        if desk.engine().is_none() && job.is_settled() {
            let done = job.clone();
            if let Err(error) = blocking(move || Ok(skyhaul_engine::tidy(&done))).await? {
                tracing::info!(%error, "our folder in the output folder stays");
            }
        }
        let told = summary(desk, job, received_before, self.begun.elapsed()).await;
        match told {
            Ok(Some(line)) => {
                self.context.output.note(&line);
                if let Some(hint) = nothing_hint(&job.query.source).filter(|_| job.files.total == 0) {
                    self.context.output.hint(hint);
                }
            }
            Ok(None) => {}
            // The work is done all the same.
            Err(error) => tracing::info!(%error, "cannot sum the job up"),
        }
        if let Ok(Some(unnamed @ 1..)) = self.order.unnamed(desk, job).await {
            let (unnamed, done) = (human::count(unnamed), human::counted(job.files.done, "file"));
            self.context
                .output
                .note(&format!("note: {unnamed} of {done} are not named in the list of --checksums"));
        }
        verdict(job, ended)
    }
}

async fn job(queue: &dyn JobQueue, id: JobId) -> Result<JobRecord, CliError> {
    queue.job(id).await?.ok_or_else(|| no_such(&JobRef::Number(id)))
}

/// The engine that is to follow a pull that had the queue, where other jobs wait that nobody would work on any
/// more: those that were submitted, and those of pulls that had joined and may have left.
fn successor(own: JobId, scope: &Scope, jobs: &[JobRecord]) -> Option<Started> {
    let waits = |job: &JobRecord| {
        let is_open = job.id != own && goes_on(job);
        is_open && (job.policy.background || scope.has(job.id))
    };
    jobs.iter().any(waits).then_some(Started::OnDemand)
}

/// The pull has been left, and an engine has its job.
fn goes_on_in(id: JobId, pid: u32) -> CliError {
    CliError::interrupted().hint(format!(
        "job {id} goes on in the engine (process {pid}): 'skyhaul watch {id}' shows it, 'skyhaul pause {id}' halts it"
    ))
}

/// Starts the engine that follows, and gives its process; that it cannot be started does not change how the pull ended.
async fn start_successor(context: &Context, started: Started) -> Option<u32> {
    match background::ensure(context, started, Vec::new()).await {
        Ok(client) => {
            let pid = client.pid();
            context.output.note(&format!("the engine (process {pid}) goes on with the jobs that wait"));
            Some(pid)
        }
        Err(error) => {
            context.output.complaint(&format!("no engine goes on with the jobs that wait: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, FileError};

    use super::*;
    use crate::samples;

    #[test]
    fn an_engine_follows_where_others_wait() {
        let submitted = |id, intent| {
            let mut job = JobRecord { id: JobId(id), intent, ..samples::job() };
            job.policy.background = true;
            job
        };
        let mut held = submitted(8, Intent::Run);
        held.hold = Some(FileError::new(ErrorKind::Disk, "full"));
        let table = [
            (submitted(7, Intent::Run), None),
            (submitted(8, Intent::Run), Some(Started::OnDemand)),
            (held, Some(Started::OnDemand)),
            (submitted(8, Intent::Paused), None),
            (submitted(8, Intent::Cancelled), None),
            (JobRecord { id: JobId(8), ..samples::finished_job() }, None),
            // Somebody's pull that was interrupted, and one that has joined this one.
            (JobRecord { id: JobId(8), ..samples::job() }, None),
            (JobRecord { id: JobId(9), ..samples::job() }, Some(Started::OnDemand)),
        ];
        let scope = Scope::only(JobId(7));
        scope.add(JobId(9));
        for (job, expected) in table {
            assert_eq!(successor(JobId(7), &scope, std::slice::from_ref(&job)), expected, "{job:?}");
        }
    }
}
