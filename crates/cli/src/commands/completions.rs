//! `completions`: a completion script for a shell.

use clap_complete::{Shell, generate};

use crate::args::grammar;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Runs the command.
pub(crate) fn run(shell: Shell, context: &Context) -> Result<Exit, CliError> {
    // Into memory first: the generator takes a writer that fails for a broken one and panics.
    let mut script = Vec::new();
    generate(shell, &mut grammar(), "skyhaul", &mut script);
    context.output.raw(&script)?;
    Ok(Exit::Done)
}
