//! Engines in the background: started, waited for, and cut loose from the terminal.
//!
//! The starter gives the engine `engine.log` for its stdout and stderr and waits until it answers; the
//! engine itself begins a session of its own, so that neither a hang-up nor a Ctrl-C of the terminal it
//! came from ends it. Between the two the starter is there and waits, so a Ctrl-C then means both.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::error::{ControlError, Result, cut_short, io_error};
use crate::log_file::{self, RotatingLog};

/// How often to look whether the engine is up.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A process that is to become a state directory's engine.
#[derive(Debug)]
pub struct StartedEngine {
    child: Child,
    state_dir: PathBuf,
    log: PathBuf,
    /// What of the log was there before.
    log_from: u64,
}

/// Starts `exe` with `args` as a background engine for a state directory that is there. It keeps the
/// environment, the working directory and the umask. Blocking.
///
/// # Errors
/// [`ControlError::Io`] when the log cannot be opened or the program cannot be started.
pub fn start_engine(
    exe: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    state_dir: &Path,
) -> Result<StartedEngine> {
    let (stdout, stderr) = RotatingLog::open(state_dir)?.handles()?;
    let log = log_file::path(state_dir);
    let log_from = fs::metadata(&log).map_err(io_error("cannot read", &log))?.len();
    let mut command = Command::new(exe);
    command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    without_console(&mut command);
    let child = command.spawn().map_err(io_error("cannot start", exe))?;
    Ok(StartedEngine { child, state_dir: state_dir.to_owned(), log, log_from })
}

impl StartedEngine {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until an engine answers for the state directory: this one, or one that was quicker.
    ///
    /// # Errors
    /// [`ControlError::NotUp`] when it ends before or `limit` is over, with the last line of its log.
    pub async fn wait_until_up(&mut self, limit: Duration) -> Result<Client> {
        let end = Instant::now() + limit;
        loop {
            // Looked at first: an engine that ended because another one answers is no failure.
            let ended = self.child.try_wait().map_err(io_error("cannot wait for", &self.log))?;
            if let Some(client) = Client::connect(&self.state_dir).await? {
                return Ok(client);
            }
            match ended {
                Some(status) => return Err(self.not_up(in_words(status)).await),
                None if Instant::now() >= end => {
                    return Err(self.not_up(format!("no answer for {} s", limit.as_secs())).await);
                }
                None => sleep(LOOK_AGAIN).await,
            }
        }
    }

    async fn not_up(&self, how: String) -> ControlError {
        let (log, from) = (self.log.clone(), self.log_from);
        let looked = tokio::task::spawn_blocking(move || log_file::last_line(&log, from)).await;
        match looked.map_err(cut_short) {
            Ok(Some(line)) => ControlError::NotUp { why: format!("{how}: {line}"), log: self.log.clone() },
            Ok(None) | Err(_) => ControlError::NotUp { why: how, log: self.log.clone() },
        }
    }
}

/// Begins a session of its own, without a terminal; called by an engine in the background before anything
/// else. One that leads a session or group already is as free as it can be.
#[cfg(unix)]
pub fn own_session() {
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "stays in its session");
    }
}

/// Nothing to do: the starter asked for a process without a console.
#[cfg(not(unix))]
pub fn own_session() {}

#[cfg(unix)]
fn without_console(_command: &mut Command) {}

/// Not verified on such systems: CREATE_NEW_PROCESS_GROUP and DETACHED_PROCESS (Win32 process creation flags).
#[cfg(windows)]
fn without_console(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    command.creation_flags(0x0000_0200 | 0x0000_0008);
}

fn in_words(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("it ended with code {code}"),
        None => format!("it was ended by a {status}"),
    }
}
