//! What can go wrong between client and engine, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use skyhaul_queue::QueueError;
use thiserror::Error;

use crate::wire::ErrorBody;

/// The result of everything that client and server do.
pub type Result<T> = std::result::Result<T, ControlError>;

/// A failure of the control interface.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Something lies where ours must lie, or somebody else could get at it.
    #[error("{} {what}: move it away", .path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another engine answers for this state directory.
    #[error("an engine answers at {} already: stop it first", .0.display())]
    AlreadyRunning(PathBuf),
    /// A file, a socket or a process could not be made, read or reached.
    #[error("{action} {}", .path.display())]
    Io {
        /// What was being done, as "cannot write".
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The engine lives and does not answer in time.
    #[error("the engine (process {pid}) has not answered for {seconds} s: look at it, or stop it")]
    Silent {
        /// The engine's process.
        pid: u32,
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// The connection broke: the engine has ended or is about to.
    #[error("the engine went away: {0}")]
    Gone(String),
    /// The engine answered that it would not or could not.
    #[error("{}", .0.message)]
    Refused(ErrorBody),
    /// The answer makes no sense here.
    #[error("the engine's answer is not understood ({0}): is it of another version? stop it and try again")]
    Garbled(String),
    /// An engine was started and did not come up.
    #[error("the engine did not come up ({why}); its log is {}", .log.display())]
    NotUp {
        /// How it ended, or for how long it was waited for, and its last words.
        why: String,
        /// Its log.
        log: PathBuf,
    },
}

/// Turns an I/O error into one that says what was being done to what.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControlError {
    move |source| ControlError::Io { action, path: path.to_owned(), source }
}

/// A blocking task ends early only when its runtime does.
pub(crate) fn cut_short(error: tokio::task::JoinError) -> ControlError {
    let source = io::Error::other(error);
    ControlError::Io { action: "cannot finish work on", path: PathBuf::from("the state directory"), source }
}

/// An error's sentence with its causes behind it, for answers and logs, which have one line.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !line.contains(&cause_text) {
            line = format!("{line}: {cause_text}");
        }
        next = cause.source();
    }
    line
}

/// For callers that treat the client as a queue: the engine's own queue errors come back as they were.
impl From<ControlError> for QueueError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(body) => body.into_queue_error(),
            ControlError::Io { action, path, source } => Self::Io { action, path, source },
            other => Self::Stopped(in_one_line(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_behind_the_sentence_once() {
        let cause = io::Error::other("no space left");
        let error = ControlError::Io { action: "cannot write", path: "/s".into(), source: cause };
        assert_eq!(in_one_line(&error), "cannot write /s: no space left");
        assert_eq!(in_one_line(&ControlError::Gone("closed".into())), "the engine went away: closed");
    }
}
