//! What a command tells when it fails: one sentence, hints, causes for `-v`, and the exit code.
//!
//! The one place where other crates' errors become exit codes.

use std::error::Error;

use skyhaul_control::ControlError;
use skyhaul_engine::EngineError;
use skyhaul_queue::QueueError;
use thiserror::Error;

use crate::exit::Exit;

/// For whoever cannot use a state directory.
const OWN_STATE_DIR: &str =
    "the state directory must be a folder that you can write to: --state-dir DIR names another";

/// Why a command ended before its answer.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// Something to tell the user.
    #[error("{}", .0.message)]
    Report(Box<Report>),
    /// Whoever read our answer has gone (`| head`): nobody is left to tell.
    #[error("the reader of the answer has gone")]
    BrokenPipe,
}

/// A failure, as it is told.
#[derive(Debug)]
pub(crate) struct Report {
    /// The code it ends with.
    pub(crate) exit: Exit,
    /// One sentence: what failed, and what to do.
    pub(crate) message: String,
    /// What to try, a line each.
    pub(crate) hints: Vec<String>,
    /// The chain of causes, outermost first.
    pub(crate) causes: Vec<String>,
}

impl CliError {
    /// A failure that ends with `exit`.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Report(Box::new(Report { exit, message, hints: Vec::new(), causes: Vec::new() }))
    }

    /// A plain failure.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A wrong command line or config file.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A signal asked us to end.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, Exit::Interrupted.sentence())
    }

    /// Tells `error`: its own words and, behind them, its deepest cause; the chain between is for `-v`.
    pub(crate) fn from_error(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self::new(exit, error.to_string()).because_of(error.source())
    }

    /// Puts the deepest cause behind the sentence and keeps the whole chain.
    pub(crate) fn because(self, cause: &(dyn Error + 'static)) -> Self {
        self.because_of(Some(cause))
    }

    /// Adds something to try.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Report(report) = &mut self {
            report.hints.push(hint.into());
        }
        self
    }

    /// The code it ends with. A reader that has gone is no failure of ours.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Report(report) => report.exit,
            Self::BrokenPipe => Exit::Done,
        }
    }

    fn because_of(mut self, cause: Option<&(dyn Error + 'static)>) -> Self {
        if let Self::Report(report) = &mut self {
            let mut next = cause;
            while let Some(error) = next {
                report.causes.push(error.to_string());
                next = error.source();
            }
            if let Some(root) = report.causes.last().filter(|root| !report.message.contains(root.as_str())) {
                report.message = format!("{}: {root}", report.message);
            }
        }
        self
    }
}

impl From<QueueError> for CliError {
    fn from(error: QueueError) -> Self {
        let exit = match &error {
            QueueError::NoSuchJob(_) => Exit::NoSuchJob,
            QueueError::NoSuchFile(..)
            | QueueError::NotClaimed(..)
            | QueueError::NameTaken(..)
            | QueueError::Conflict(..) => Exit::Failed,
            QueueError::Locked { .. }
            | QueueError::TooNew { .. }
            | QueueError::Io { .. }
            | QueueError::Damaged { .. }
            | QueueError::Stopped(_) => Exit::StateUnusable,
        };
        let report = Self::from_error(exit, &error);
        match &error {
            QueueError::NoSuchJob(_) => report.hint("'skyhaul jobs' lists them"),
            QueueError::NameTaken(..) => report.hint("give another --name, or remove that job"),
            QueueError::Locked { .. } => report.hint("wait for it to end, or use another --state-dir"),
            QueueError::Io { .. } => report.hint(OWN_STATE_DIR),
            _ => report,
        }
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(_) => QueueError::from(error).into(),
            ControlError::NotUp { .. } => Self::from_error(Exit::Failed, &error),
            ControlError::Silent { pid, seconds } => Self::new(
                Exit::StateUnusable,
                format!("process {pid} has the state directory and has not answered for {seconds} s"),
            )
            .hint(format!("'kill {pid}' ends it; nothing finished is lost by that")),
            ControlError::Io { .. } => Self::from_error(Exit::StateUnusable, &error).hint(OWN_STATE_DIR),
            ControlError::Unsafe { .. }
            | ControlError::AlreadyRunning(_)
            | ControlError::Gone(_)
            | ControlError::Garbled(_) => Self::from_error(Exit::StateUnusable, &error),
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Queue(error) => error.into(),
            EngineError::Task(_) => Self::from_error(Exit::Failed, &error)
                .hint("everything finished so far is kept; please report this"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use skyhaul_model::JobId;

    use super::*;

    #[test]
    fn queue_failures_choose_their_exit_code() {
        let path = || PathBuf::from("/state");
        let io = QueueError::Io {
            action: "cannot write",
            path: path(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let table = [
            (QueueError::NoSuchJob(JobId(9)), Exit::NoSuchJob),
            (QueueError::NameTaken("a".into(), JobId(1)), Exit::Failed),
            (QueueError::Locked { path: path(), pid: Some(4) }, Exit::StateUnusable),
            (QueueError::TooNew { path: path(), found: 9, known: 1 }, Exit::StateUnusable),
            (QueueError::Damaged { path: path(), what: "x".into() }, Exit::StateUnusable),
            (QueueError::Stopped("disk full".into()), Exit::StateUnusable),
            (io, Exit::StateUnusable),
        ];
        for (error, exit) in table {
            let told = error.to_string();
            assert_eq!(CliError::from(error).exit(), exit, "{told}");
        }
    }

    #[test]
    fn an_engine_that_does_not_answer_makes_the_state_directory_unusable() {
        let silent = CliError::from(ControlError::Silent { pid: 4, seconds: 10 });
        assert_eq!(silent.exit(), Exit::StateUnusable);
        assert!(silent.to_string().contains("process 4"), "{silent}");
        let not_up = ControlError::NotUp { why: "it ended".into(), log: path() };
        assert_eq!(CliError::from(not_up).exit(), Exit::Failed);
    }

    fn path() -> PathBuf {
        PathBuf::from("/state/engine.log")
    }

    #[test]
    fn the_deepest_cause_is_told_once() {
        let cause = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = CliError::failed("cannot read /x").because(&cause);
        assert_eq!(error.to_string(), "cannot read /x: permission denied");
        let again = CliError::failed("cannot read /x: permission denied").because(&cause);
        assert_eq!(again.to_string(), "cannot read /x: permission denied");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        assert_eq!(CliError::BrokenPipe.exit(), Exit::Done);
    }
}
