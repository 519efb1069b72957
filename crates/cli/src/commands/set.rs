//! `set`: change a job's name, priority or policy; a job that is being worked on takes it up at once.

use std::num::NonZeroU64;

use skyhaul_model::{Follow, JobPolicy, JobRecord, Source};
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
        let policy = JobPolicy { follow: standing(&job, &args)?, ..changed(&job.policy, &args.transfer) };
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

/// How the job is to stand by from now on.
fn standing(job: &JobRecord, args: &SetArgs) -> Result<Option<Follow>, CliError> {
    if args.no_follow {
        return Ok(None);
    }
    let known = job.policy.follow.or(args.follow.then(Follow::default));
    let (Some(known), Source::Archive { .. }) = (known, &job.query.source) else {
        return match (args.follow, args.window.is_some() || args.every.is_some()) {
            (false, false) => Ok(None),
            (true, _) => Err(CliError::usage(format!("job {} is of a list, which does not change", job.id))),
            (false, true) => {
                let error = CliError::usage(format!("job {} is no standing job", job.id));
                Err(error.hint("--follow makes it one"))
            }
        };
    };
    Ok(Some(Follow {
        window_days: args.window.unwrap_or(known.window_days),
        every_s: args.every.map_or(known.every_s, NonZeroU64::get),
    }))
}

/// Some flags hold for a process, and secrets are given with the query.
fn refuse_what_a_job_does_not_keep(flags: &TransferArgs) -> Result<(), CliError> {
    let engines = [("--cacert", flags.cacert.is_some()), ("--wait-for-space", flags.wait_for_space)];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn args(line: &str) -> SetArgs {
        use clap::Parser;
        let words = std::iter::once("skyhaul").chain(line.split_whitespace());
        let crate::args::Command::Set(args) = crate::args::Cli::try_parse_from(words).unwrap().command else {
            panic!("it is 'set'")
        };
        *args
    }

    #[test]
    fn a_job_begins_and_ends_to_stand_by() {
        let plain = samples::job();
        let told =
            |job: &JobRecord, line: &str| standing(job, &args(line)).map_err(|error| error.to_string());
        let follow = |window_days, every_s| Follow { window_days, every_s };
        assert_eq!(told(&plain, "set 7 --priority 1"), Ok(None));
        assert_eq!(told(&plain, "set 7 --follow --every 1h"), Ok(Some(follow(200, 3_600))));
        assert!(told(&plain, "set 7 --window 3").unwrap_err().contains("no standing job"));
        let mut stands = plain.clone();
        stands.policy.follow = Some(follow(30, 60));
        assert_eq!(told(&stands, "set 7 --priority 1"), Ok(Some(follow(30, 60))));
        assert_eq!(told(&stands, "set 7 --window 3"), Ok(Some(follow(3, 60))));
        assert_eq!(told(&stands, "set 7 --no-follow"), Ok(None));
        let mut list = plain;
        list.query.source = Source::Urls { digest: String::new(), base: None };
        assert!(told(&list, "set 7 --follow").unwrap_err().contains("list"));
    }
}
