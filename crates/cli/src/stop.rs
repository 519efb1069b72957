//! The signals that ask us to end: the first stops cleanly, the second at once.

use std::sync::{Arc, OnceLock};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::exit::Exit;

/// What asked us to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A service manager, a batch system, `kill`.
    Terminate,
}

/// A wish to end, known to everybody who works.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    first: Arc<OnceLock<Signal>>,
}

impl Stop {
    /// The token that is cancelled by the first signal.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The signal that came first; none if none came.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    /// Does `work`, or gives it up when a signal comes first.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(CliError::interrupted()),
            result = work => result,
        }
    }

    fn note(&self, signal: Signal) {
        let _later_ones_change_nothing = self.first.set(signal);
        self.token.cancel();
    }
}

/// Listens for signals until the process ends. The handle is the owner's to abort.
pub(crate) fn listen(stop: Stop) -> Result<JoinHandle<()>, CliError> {
    let mut signals = platform::Signals::new()
        .map_err(|error| CliError::failed("cannot listen for signals").because(&error))?;
    Ok(tokio::spawn(async move {
        stop.note(signals.next().await);
        signals.next().await;
        end_at_once();
    }))
}

/// Everything durable is durable already; a second Ctrl-C means that waiting is not wanted.
#[expect(clippy::exit, reason = "a person who asks twice wants no more waiting, not even for us")]
fn end_at_once() {
    std::process::exit(i32::from(Exit::Interrupted.code()));
}

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{self, SignalKind};

    use super::Signal;

    // SIGHUP is left alone: under nohup it is ignored on purpose, and listening would undo that.
    pub(super) struct Signals {
        interrupt: unix::Signal,
        terminate: unix::Signal,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: unix::signal(SignalKind::interrupt())?,
                terminate: unix::signal(SignalKind::terminate())?,
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use std::io;

    use tokio::signal::windows;

    use super::Signal;

    pub(super) struct Signals {
        interrupt: windows::CtrlC,
        terminate: windows::CtrlBreak,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self { interrupt: windows::ctrl_c()?, terminate: windows::ctrl_break()? })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_gives_work_up_and_is_remembered() {
        let stop = Stop::default();
        assert_eq!(stop.or(async { Ok(1) }).await.unwrap(), 1);
        stop.note(Signal::Terminate);
        stop.note(Signal::Interrupt);
        let given_up = stop.or(std::future::pending::<Result<(), CliError>>()).await;
        assert_eq!(given_up.unwrap_err().exit(), Exit::Interrupted);
        assert_eq!(stop.signal(), Some(Signal::Terminate));
    }
}
