//! The engine in the background: started unless one is up, by one command at a time.
//!
//! `starting` in the state directory is locked by the command that starts an engine, so that many commands
//! at once start one engine and not many; the system lets go of the lock with the process.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use skyhaul_control::{Client, Endpoint, Started, start_engine};
use tokio::time::{Instant, sleep};

use crate::access::engine;
use crate::context::{Context, blocking};
use crate::error::CliError;
use crate::exit::Exit;
use crate::settings::{LogFormat, Loudness};

/// How long an engine may take to come up, other commands' turns with the queue included.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to look whether another command's engine is up.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Starts an engine in the background unless one is up. `flags` are transfer flags for the whole engine, to be
/// read by one that is started now.
pub(crate) async fn ensure(
    context: &Context,
    started: Started,
    flags: Vec<OsString>,
) -> Result<Client, CliError> {
    let state_dir = context.settings.state_dir.clone();
    let ready = state_dir.clone();
    // Makes the state directory where it is not there yet.
    blocking(move || Ok(Endpoint::for_state_dir(&ready).map(drop)?)).await?;
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(client) = engine(&state_dir).await? {
            return Ok(client);
        }
        if let Some(_turn) = Turn::take(&state_dir).await? {
            let line = command_line(context, started, flags);
            let mut engine = blocking(move || {
                let exe = std::env::current_exe()
                    .map_err(|error| CliError::failed("cannot find our own program").because(&error))?;
                Ok(start_engine(&exe, line, &state_dir)?)
            })
            .await?;
            let client = engine.wait_until_up(PATIENCE).await?;
            tracing::info!(pid = client.pid(), "the engine is up");
            return Ok(client);
        }
        if Instant::now() >= end {
            let message = format!("no engine came up within {} s", PATIENCE.as_secs());
            return Err(CliError::failed(message).hint("'skyhaul engine start' tries again"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// The turn of the one command that starts an engine; over when dropped.
struct Turn {
    /// Kept for the lock that the system holds on it.
    _lock: File,
}

impl Turn {
    /// Takes the turn; none while another command has it.
    async fn take(state_dir: &Path) -> Result<Option<Self>, CliError> {
        let path = state_dir.join("starting");
        blocking(move || {
            let unusable = |error: std::io::Error| {
                CliError::new(Exit::StateUnusable, format!("cannot lock {}", path.display())).because(&error)
            };
            let lock = open_private(&path).map_err(unusable)?;
            match lock.try_lock() {
                Ok(()) => Ok(Some(Self { _lock: lock })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(unusable(error)),
            }
        })
        .await
    }
}

fn open_private(path: &PathBuf) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What the engine is started with. Other users can read command lines, so no secret may stand here.
fn command_line(context: &Context, started: Started, flags: Vec<OsString>) -> Vec<OsString> {
    let settings = &context.settings;
    let mut line: Vec<OsString> = vec!["--state-dir".into(), settings.state_dir.clone().into()];
    if let Some(config) = &settings.config {
        line.extend(["--config".into(), config.clone().into()]);
    }
    if settings.log_format == LogFormat::Json {
        line.extend(["--log-format".into(), "json".into()]);
    }
    if settings.loudness == Loudness::Debug {
        line.push("-vv".into());
    }
    let kind = match started {
        Started::Lasting => "lasting",
        Started::OnDemand | Started::Foreground => "on-demand",
    };
    line.extend(["engine", "run", "--detached", kind].map(OsString::from));
    line.extend(flags);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::scripted;
    use crate::settings::Format;

    #[test]
    fn the_line_is_one_that_we_understand() {
        use clap::Parser;
        let (mut context, ..) = scripted::context(Format::Human);
        context.settings.config = Some("/etc/a b.toml".into());
        context.settings.log_format = LogFormat::Json;
        context.settings.loudness = Loudness::Debug;
        let line = command_line(&context, Started::OnDemand, vec!["--in-flight".into(), "2".into()]);
        let cli = crate::args::Cli::try_parse_from([vec!["skyhaul".into()], line].concat()).unwrap();
        assert_eq!(cli.global.config, Some("/etc/a b.toml".into()));
        let crate::args::Command::Engine(engine) = cli.command else { panic!("no engine") };
        let crate::args::EngineCommand::Run(run) = engine.command else { panic!("no engine that runs") };
        assert_eq!(run.detached, Some(crate::args::Detached::OnDemand));
        assert_eq!(run.transfer.in_flight, Some(2));
    }

    #[tokio::test]
    async fn one_command_at_a_time_has_the_turn() {
        let dir = tempfile::tempdir().unwrap();
        let first = Turn::take(dir.path()).await.unwrap();
        assert!(first.is_some());
        assert!(Turn::take(dir.path()).await.unwrap().is_none());
        drop(first);
        assert!(Turn::take(dir.path()).await.unwrap().is_some());
    }
}
