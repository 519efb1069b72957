//! `pause`, `resume`, `cancel`, `retry`, `refresh`, `remove`: what a person wants of jobs. Each is idempotent.

use jiff::Timestamp;
use skyhaul_model::{Intent, JobRecord, JobState, Plan, Recheck};
use skyhaul_queue::Requeued;

use crate::access::with_queue;
use crate::args::JobsArgs;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::goes_on;
use crate::human;
use crate::jobs::find_each;
use crate::json::SteeredDocument;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Let no new byte be asked for.
    Pause,
    /// Go on.
    Resume,
    /// Drop partial files, keep finished ones.
    Cancel,
    /// Put failures back.
    Retry,
    /// Ask the archive again.
    Refresh,
    /// Forget the job.
    Remove,
}

/// Runs one of the commands.
pub(crate) async fn run(order: Order, args: JobsArgs, context: &Context) -> Result<Exit, CliError> {
    with_queue(context, async |desk: &Desk| order.steer(desk, &args, context).await).await
}

impl Order {
    /// Carries the order out for every job that is meant, and tells of those that are not there.
    async fn steer(self, desk: &Desk, args: &JobsArgs, context: &Context) -> Result<Exit, CliError> {
        let (jobs, mut missing) = if args.all {
            let all = desk.jobs().jobs().await?;
            (all.into_iter().filter(|job| self.is_meant_by_all(job)).collect(), Vec::new())
        } else {
            find_each(desk.jobs(), &args.jobs).await?
        };
        // Nothing is told before all is done: the order itself may end the engine that we ask, and then all of this
        // is done again.
        let (mut lines, mut documents, mut any_waits) = (Vec::new(), Vec::new(), false);
        for job in &jobs {
            lines.push(self.carry_out(desk, job, context).await?);
            let after = desk.jobs().job(job.id).await?;
            any_waits |= after.as_ref().is_some_and(goes_on);
            documents.push(SteeredDocument { id: job.id.0, state: after.map(|job| job.state().as_str()) });
        }
        if context.is_json() {
            context.output.json(&documents)?;
        } else if !lines.is_empty() {
            context.output.lines(&lines)?;
        } else if missing.is_empty() {
            context.output.note("there is no job that this makes sense for");
        }
        if matches!(self, Self::Resume | Self::Retry | Self::Refresh) && any_waits && desk.engine().is_none()
        {
            context
                .output
                .hint("no engine runs: 'skyhaul engine start' works on what waits, or pull it again");
        }
        // The last one ends the command with its exit code; the others are told before it.
        let last = missing.pop();
        for error in &missing {
            context.output.complaint(&error.to_string());
        }
        last.map_or(Ok(Exit::Done), Err)
    }

    /// Whether `--all` means this job.
    fn is_meant_by_all(self, job: &JobRecord) -> bool {
        match self {
            Self::Pause | Self::Cancel => !job.state().is_final() || stands_by(job),
            Self::Resume => job.state() == JobState::Paused || stands_still(job),
            Self::Retry => has_failures(job),
            Self::Refresh => job.intent != Intent::Cancelled,
            Self::Remove => true,
        }
    }

    /// Why there is nothing to do for a job; none when there is.
    fn needless(self, job: &JobRecord) -> Option<&'static str> {
        let state = job.state();
        let needless = match self {
            Self::Pause => (state.is_final() && !stands_by(job)) || job.intent == Intent::Paused,
            Self::Resume => {
                (matches!(state, JobState::Completed | JobState::Failed) && !stands_still(job))
                    || (job.intent == Intent::Run && job.hold.is_none())
            }
            Self::Cancel => state == JobState::Completed && !stands_by(job),
            Self::Retry => !has_failures(job),
            Self::Refresh => job.intent == Intent::Cancelled || job.plan == Plan::Unplanned,
            Self::Remove => false,
        };
        needless.then(|| state.as_str())
    }

    /// Does it and says what was done.
    async fn carry_out(self, desk: &Desk, job: &JobRecord, context: &Context) -> Result<String, CliError> {
        let (id, queue) = (job.id, desk.jobs());
        if let Some(state) = self.needless(job) {
            return Ok(format!("job {id}: nothing to do, it is {state}{}", self.beside(job)));
        }
        match self {
            Self::Pause => {
                queue.set_intent(id, Intent::Paused, Timestamp::now()).await?;
                Ok(format!("job {id} paused"))
            }
            Self::Resume => {
                queue.set_intent(id, Intent::Run, Timestamp::now()).await?;
                queue.set_hold(id, None).await?;
                Ok(format!("job {id} resumed"))
            }
            Self::Cancel => {
                tell_leftovers(desk.cancel(job).await?, context);
                Ok(format!("job {id} cancelled; finished files are kept in {}", job.query.out))
            }
            Self::Retry => {
                let back = queue.requeue_failed(id).await?;
                if matches!(job.plan, Plan::Refused(_)) {
                    return Ok(format!("job {id}: the archive will be asked again"));
                }
                if back == Requeued::default() {
                    return Ok(format!("job {id}: none of its failures can be mended by trying again"));
                }
                let files = human::counted(back.files, "file");
                Ok(format!("job {id}: {files} and {} put back", human::counted(back.windows, "window")))
            }
            Self::Refresh => {
                let failed = queue.requeue_failed(id).await?;
                let again = queue.relist(id, None, Recheck::Done).await?;
                let windows = human::counted(again.windows + failed.windows, "window");
                let files = human::counted(again.files + failed.files, "file");
                Ok(format!("job {id}: {windows} will be listed and {files} looked at again"))
            }
            Self::Remove => {
                tell_leftovers(desk.remove(job).await?, context);
                Ok(format!("job {id} removed; finished files are kept in {}", job.query.out))
            }
        }
    }

    fn beside(self, job: &JobRecord) -> &'static str {
        if self == Self::Retry && !has_failures(job) { " and nothing of it has failed" } else { "" }
    }
}

fn has_failures(job: &JobRecord) -> bool {
    job.files.failed > 0 || job.is_unlisted()
}

/// Whether a job that has come to its end will go on by itself.
fn stands_by(job: &JobRecord) -> bool {
    job.next_listing_at().is_some()
}

/// Whether a standing job was paused between two rounds.
fn stands_still(job: &JobRecord) -> bool {
    job.policy.follow.is_some() && job.intent == Intent::Paused
}

fn tell_leftovers(note: Option<String>, context: &Context) {
    if let Some(note) = note {
        context.output.note(&format!("note: {note}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skyhaul_model::{ErrorKind, FileError};

    use super::*;
    use crate::context::scripted;
    use crate::samples;
    use crate::settings::Format;

    async fn desk(jobs: u8) -> Desk {
        Desk::Here(Arc::new(samples::queue(jobs).await))
    }

    fn named(jobs: &[&str]) -> JobsArgs {
        JobsArgs { jobs: jobs.iter().map(|job| job.parse().unwrap()).collect(), all: false }
    }

    const ALL: JobsArgs = JobsArgs { jobs: Vec::new(), all: true };

    #[tokio::test]
    async fn jobs_are_steered_twice_with_the_same_end() {
        let queue = desk(1).await;
        let (context, answer, _) = scripted::context(Format::Json);
        let orders = [Order::Pause, Order::Resume, Order::Retry, Order::Cancel, Order::Resume];
        for order in orders.into_iter().flat_map(|order| [order, order]) {
            assert_eq!(order.steer(&queue, &named(&["1"]), &context).await.unwrap(), Exit::Done);
        }
        assert_eq!(Order::Remove.steer(&queue, &named(&["job-0"]), &context).await.unwrap(), Exit::Done);
        let states = ["paused", "planning", "planning", "cancelled", "planning"];
        let told: String =
            states.iter().map(|state| format!("[{{\"id\":1,\"state\":\"{state}\"}}]\n").repeat(2)).collect();
        assert_eq!(answer.text(), format!("{told}[{{\"id\":1,\"state\":null}}]\n"));
    }

    #[tokio::test]
    async fn jobs_that_exist_are_done_before_the_missing_ones_are_told() {
        let queue = desk(2).await;
        let (context, answer, stderr) = scripted::context(Format::Human);
        let error = Order::Pause.steer(&queue, &named(&["8", "2", "9"]), &context).await.unwrap_err();
        assert_eq!((error.exit(), error.to_string().as_str()), (Exit::NoSuchJob, "there is no job 9"));
        assert_eq!(answer.text(), "job 2 paused\n");
        assert_eq!(stderr.text(), "skyhaul: there is no job 8\n");
    }

    #[tokio::test]
    async fn all_of_nothing_is_no_failure() {
        let (context, answer, stderr) = scripted::context(Format::Human);
        let queue = desk(1).await;
        assert_eq!(Order::Resume.steer(&queue, &ALL, &context).await.unwrap(), Exit::Done);
        assert_eq!(answer.text(), "");
        assert_eq!(stderr.text(), "there is no job that this makes sense for\n");
    }

    #[tokio::test]
    async fn an_engine_is_called_for_only_where_something_waits() {
        let queue = desk(1).await;
        let (context, _, stderr) = scripted::context(Format::Human);
        Order::Retry.steer(&queue, &named(&["1"]), &context).await.unwrap();
        assert!(stderr.text().contains("no engine runs"), "{}", stderr.text());
        let (context, _, stderr) = scripted::context(Format::Human);
        for order in [Order::Cancel, Order::Retry] {
            order.steer(&queue, &named(&["1"]), &context).await.unwrap();
        }
        assert_eq!(stderr.text(), "");
    }

    fn job(intent: Intent) -> JobRecord {
        JobRecord { intent, ..samples::job() }
    }

    fn failed() -> JobRecord {
        let mut job = samples::finished_job();
        (job.files.done, job.files.failed) = (58, 2);
        job
    }

    /// A standing job between two rounds.
    fn standing(intent: Intent) -> JobRecord {
        let mut job = JobRecord { intent, ..samples::finished_job() };
        job.policy.follow = Some(skyhaul_model::Follow::default());
        job
    }

    fn held() -> JobRecord {
        JobRecord { hold: Some(FileError::new(ErrorKind::Disk, "full")), ..samples::job() }
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        use Intent::{Cancelled, Paused, Run};
        let table = [
            (Order::Pause, job(Run), true),
            (Order::Pause, job(Paused), false),
            (Order::Pause, job(Cancelled), false),
            (Order::Pause, samples::finished_job(), false),
            (Order::Resume, job(Run), false),
            (Order::Resume, job(Paused), true),
            (Order::Resume, job(Cancelled), true),
            (Order::Resume, held(), true),
            (Order::Resume, samples::finished_job(), false),
            (Order::Cancel, job(Run), true),
            (Order::Cancel, failed(), true),
            (Order::Cancel, samples::finished_job(), false),
            (Order::Pause, standing(Run), true),
            (Order::Pause, standing(Paused), false),
            (Order::Resume, standing(Run), false),
            (Order::Resume, standing(Paused), true),
            (Order::Cancel, standing(Run), true),
            (Order::Retry, failed(), true),
            (Order::Retry, job(Run), false),
            (Order::Refresh, samples::finished_job(), true),
            (Order::Refresh, job(Paused), true),
            (Order::Refresh, job(Cancelled), false),
            (Order::Remove, samples::finished_job(), true),
        ];
        for (order, job, needed) in table {
            assert_eq!(order.needless(&job).is_none(), needed, "{order:?} {:?}", job.state());
        }
    }

    #[test]
    fn all_means_the_jobs_it_makes_sense_for() {
        let jobs = [job(Intent::Run), job(Intent::Paused), job(Intent::Cancelled), failed()];
        let meant = |order: Order| jobs.iter().map(|job| order.is_meant_by_all(job)).collect::<Vec<_>>();
        assert_eq!(meant(Order::Pause), [true, true, false, false]);
        assert_eq!(meant(Order::Resume), [false, true, false, false]);
        assert_eq!(meant(Order::Cancel), [true, true, false, false]);
        assert_eq!(meant(Order::Retry), [false, false, false, true]);
        assert_eq!(meant(Order::Refresh), [true, true, false, true]);
        assert_eq!(meant(Order::Remove), [true; 4]);
    }
}
