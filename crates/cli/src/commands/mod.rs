//! The commands, a file each.

mod cite;
mod completions;
mod coverage;
mod dashboard;
mod datasets;
mod engine;
mod files;
mod jobs;
mod man;
mod manifest;
mod plan;
mod pull;
mod set;
mod sites;
mod status;
mod steer;
mod submit;
mod verify;
mod watch;

use crate::args::{Command, EngineArgs, EngineCommand};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::Audience;

/// Does what the command line says.
pub(crate) async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    let end = End::of(&command);
    let work = Box::pin(carry_out(command, context));
    match end {
        End::InOrder => work.await,
        End::AtOnce => context.stop.or(work).await,
    }
}

/// What a signal does to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It brings its work to an end by itself.
    InOrder,
    /// It is given up where it is: all that it did is durable, what it did not do was not promised.
    AtOnce,
}

impl End {
    fn of(command: &Command) -> Self {
        match command {
            Command::Pull(_) | Command::Watch(_) | Command::Engine(_) => Self::InOrder,
            _ => Self::AtOnce,
        }
    }
}

/// Who watches a command.
pub(crate) fn audience(command: &Command) -> Audience {
    match command {
        Command::Engine(EngineArgs { command: EngineCommand::Run(args) }) if args.detached.is_some() => {
            Audience::Nobody
        }
        _ => Audience::Stderr,
    }
}

async fn carry_out(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Pull(args) => pull::run(*args, context).await,
        Command::Submit(args) => submit::run(*args, context).await,
        Command::Plan(args) => plan::run(*args, context).await,
        Command::Jobs => jobs::run(context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Files(args) => files::run(args, context).await,
        Command::Watch(args) => watch::run(args, context).await,
        Command::Set(args) => set::run(*args, context).await,
        Command::Pause(args) => steer::run(steer::Order::Pause, args, context).await,
        Command::Resume(args) => steer::run(steer::Order::Resume, args, context).await,
        Command::Cancel(args) => steer::run(steer::Order::Cancel, args, context).await,
        Command::Retry(args) => steer::run(steer::Order::Retry, args, context).await,
        Command::Refresh(args) => steer::run(steer::Order::Refresh, args, context).await,
        Command::Remove(args) => steer::run(steer::Order::Remove, args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Manifest(args) => manifest::run(args, context).await,
        Command::Coverage(args) => coverage::run(args, context).await,
        Command::Cite(args) => cite::run(args, context).await,
        Command::Datasets(args) => datasets::run(args, context).await,
        Command::Sites(args) => sites::run(args, context).await,
        Command::Engine(args) => match args.command {
            EngineCommand::Run(args) => engine::run(*args, context).await,
            EngineCommand::Start => engine::start(context).await,
            EngineCommand::Stop => engine::stop(context).await,
            EngineCommand::Status => engine::status(context).await,
        },
        Command::Dashboard(args) => dashboard::run(args, context).await,
        Command::Completions(args) => completions::run(args.shell, context),
        Command::Man => man::run(context),
    }
}
