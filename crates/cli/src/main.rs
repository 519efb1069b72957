//! The command `skyhaul`: parses, asks, prints. The work is done by the crates below.
//!
//! Nothing is kept here over a crash: whatever a command was told is durable once the queue has it.

mod access;
mod args;
mod asking;
mod background;
mod catalogue;
mod checksums;
mod commands;
mod config;
mod context;
mod coverage;
mod desk;
mod ending;
mod error;
mod events;
mod exit;
mod follow;
mod foreground;
mod human;
mod jobs;
mod json;
mod linger;
mod logging;
mod nearest;
mod notify;
mod order;
mod out_root;
mod output;
mod policy;
mod progress;
mod query;
#[cfg(test)]
mod samples;
mod settings;
mod stop;
mod table;
mod wishes;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use skyhaul_control::RotatingLog;

use crate::args::Cli;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::Audience;
use crate::logging::{Colour, IsTerminal};
use crate::output::{ErrorStream, Output};
use crate::settings::{Format, Loudness, Settings, Variables};
use crate::stop::Stop;

/// How long blocking work that was given up may still take before the process ends without it.
const LAST_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match Cli::try_parse().map_err(args::without_secrets) {
        Ok(cli) => run(cli).into(),
        Err(error) => {
            // Help and version are answers, all else is a wrong command line; a reader that has gone is fine.
            let _nobody_reads = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }.into()
        }
    }
}

fn run(cli: Cli) -> Exit {
    let stderr = ErrorStream::process();
    let settings = match Settings::resolve(&cli.global, Variables::of_process()) {
        Ok(settings) => settings,
        Err(error) => {
            Output::process(stderr, Format::Human, Loudness::Normal).error(&error);
            return error.exit();
        }
    };
    let stderr = match commands::audience(&cli.command) {
        Audience::Nobody => detach(&settings).unwrap_or(stderr),
        Audience::Stderr => stderr,
    };
    let output = Output::process(stderr, settings.format, settings.loudness);
    let context = Context { settings, output, stop: Stop::default() };
    let result = start(cli, &context).and_then(|exit| context.output.flush().map(|()| exit));
    result.unwrap_or_else(|error| {
        // What was answered before the failure still belongs to the reader.
        let _told_already = context.output.flush();
        context.output.error(&error);
        error.exit()
    })
}

/// Cuts this process loose from the terminal it was started from and gives the log its file. Without that file
/// the log goes where the starter has led stderr.
fn detach(settings: &Settings) -> Option<ErrorStream> {
    skyhaul_control::own_session();
    // The folder that we were started in may be unmounted, or removed, while we run.
    let _stays_where_it_is = std::env::set_current_dir(&settings.state_dir);
    RotatingLog::open(&settings.state_dir).ok().map(|log| ErrorStream::to(Box::new(log)))
}

fn start(cli: Cli, context: &Context) -> Result<Exit, CliError> {
    let audience = commands::audience(&cli.command);
    let terminal = if context.output.is_watched() { IsTerminal::Yes } else { IsTerminal::No };
    let colour = Colour::of_process(terminal);
    logging::start(&context.settings, context.output.stderr(), colour, audience)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("cannot start the async runtime").because(&error))?;
    let result = runtime.block_on(async {
        let listener = stop::listen(context.stop.clone())?;
        let result = Box::pin(commands::run(cli.command, context)).await;
        listener.abort();
        result
    });
    runtime.shutdown_timeout(LAST_WAIT);
    result
}
