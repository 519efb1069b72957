//! The log: to stderr, or to the engine's own file in the background; how much of it by `-q`, `-v`, `-vv` or `SKYHAUL_LOG`.

use tracing_subscriber::EnvFilter;

use crate::error::CliError;
use crate::foreground::Audience;
use crate::output::ErrorStream;
use crate::settings::{LogFormat, Loudness, Settings};

/// Starts the log. To be called once.
pub(crate) fn start(
    settings: &Settings,
    stderr: &ErrorStream,
    colour: Colour,
    audience: Audience,
) -> Result<(), CliError> {
    let stream = stderr.clone();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(settings, audience)?)
        .with_ansi(colour == Colour::Yes)
        .with_target(settings.loudness == Loudness::Debug)
        .with_writer(move || stream.clone());
    let started = match settings.log_format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    };
    started.map_err(|error| CliError::failed("cannot start the log").because(&error))
}

/// Whether stderr may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// A terminal, and nobody objects.
    Yes,
    /// Plain text.
    No,
}

impl Colour {
    /// By <https://no-color.org>: any non-empty `NO_COLOR` objects.
    pub(crate) fn of_process(is_terminal: IsTerminal) -> Self {
        let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal == IsTerminal::Yes && !objects { Self::Yes } else { Self::No }
    }
}

/// Whether a stream is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsTerminal {
    /// It is.
    Yes,
    /// It is a file or a pipe.
    No,
}

fn filter(settings: &Settings, audience: Audience) -> Result<EnvFilter, CliError> {
    if let Some(text) = &settings.log {
        return EnvFilter::try_new(text).map_err(|error| {
            CliError::usage(format!("SKYHAUL_LOG cannot be read: '{text}'"))
                .because(&error)
                .hint("write a level, as info, or levels by module, as warn,skyhaul_http=debug")
        });
    }
    // Nobody can ask an engine in the background to say again what it did.
    let loudness = match audience {
        Audience::Nobody => settings.loudness.max(Loudness::Verbose),
        Audience::Stderr => settings.loudness,
    };
    Ok(EnvFilter::new(match loudness {
        Loudness::Quiet => "error",
        Loudness::Normal => "warn",
        // Our own crates only: a person who asks for more of skyhaul does not ask for its libraries.
        Loudness::Verbose => {
            "warn,skyhaul=info,skyhaul_archive=info,skyhaul_control=info,skyhaul_engine=info,skyhaul_http=info,\
             skyhaul_planner=info,skyhaul_queue_sled=info,skyhaul_transfer=info"
        }
        Loudness::Debug => {
            "info,skyhaul=debug,skyhaul_archive=debug,skyhaul_control=debug,skyhaul_engine=debug,skyhaul_http=debug,\
             skyhaul_planner=debug,skyhaul_queue_sled=debug,skyhaul_transfer=debug"
        }
    }))
}
