//! What every command is given.

use crate::error::CliError;
use crate::output::Output;
use crate::settings::{Format, Settings};
use crate::stop::Stop;

/// Settings, streams and the wish to end.
pub(crate) struct Context {
    /// What holds for this run.
    pub(crate) settings: Settings,
    /// Where words go.
    pub(crate) output: Output,
    /// Whether a signal has come.
    pub(crate) stop: Stop,
}

impl Context {
    /// Whether answers are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.output.format() == Format::Json
    }
}

/// Runs blocking work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(CliError::failed("a task of skyhaul broke; please report this").because(&error)),
    }
}

/// A context whose streams tests read back.
#[cfg(test)]
pub(crate) mod scripted {
    use crate::args::TransferArgs;
    use crate::output::capture::{Buffer, output};
    use crate::settings::{Bars, Format, LogFormat, Loudness};

    use super::*;

    /// A context, its stdout and its stderr.
    pub(crate) fn context(format: Format) -> (Context, Buffer, Buffer) {
        let (output, answer, stderr) = output(format, Loudness::Normal);
        let settings = Settings {
            state_dir: "/nowhere".into(),
            api: "https://api.example".into(),
            format,
            loudness: Loudness::Normal,
            bars: Bars::Off,
            log: None,
            log_format: LogFormat::Text,
            config: None,
            dashboard_port: None,
            forget_after: None,
            standing: crate::args::StandingDefaults::default(),
            transfer: TransferArgs::default(),
        };
        (Context { settings, output, stop: Stop::default() }, answer, stderr)
    }
}
