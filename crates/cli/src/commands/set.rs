//! `set`: change a job's name, priority or policy; a job that is being worked on takes it up at once.

use skyhaul_queue::JobUpdate;

use crate::access::with_queue;
use crate::args::{SetArgs, TransferArgs};
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::jobs::find;
use crate::json::{JobDocument, Pace};
use crate::policy::changed;

/// Runs the command.
pub(crate) async fn run(args: SetArgs, context: &Context) -> Result<Exit, CliError> {
    refuse_what_a_job_does_not_keep(&args.transfer)?;
    let job = with_queue(context, async |desk: &Desk| {
        let job = find(desk.jobs(), &args.job.job).await?;
        let policy = changed(&job.policy, &args.transfer);
        let update = JobUpdate {
            name: args.name.clone(),
            priority: args.priority,
            policy: (policy != job.policy).then_some(policy),
        };
        desk.jobs().update_job(job.id, update).await?;
        find(desk.jobs(), &crate::args::JobRef::Number(job.id)).await
    })
    .await?;
    if context.is_json() {
        context.output.json(&JobDocument::new(&job, Pace::default()))?;
    } else {
        context.output.line(&format!("job {} changed", job.id))?;
    }
    Ok(Exit::Done)
}

/// Some flags hold for a process, and secrets are given with the query.
fn refuse_what_a_job_does_not_keep(flags: &TransferArgs) -> Result<(), CliError> {
    let engines = [
        ("--in-flight", flags.in_flight.is_some()),
        ("--requests-per-second", flags.requests_per_second.is_some()),
        ("--cacert", flags.cacert.is_some()),
        ("--wait-for-space", flags.wait_for_space),
    ];
    if let Some((flag, _)) = engines.iter().find(|(_, given)| *given) {
        return Err(CliError::usage(format!("{flag} holds for an engine, not for a job"))
            .hint("give it to 'skyhaul engine run', or write it into the config file"));
    }
    if !flags.header.is_empty() {
        return Err(CliError::usage("--header cannot be changed here")
            .hint("run the same submit or pull again with the new header"));
    }
    Ok(())
}
