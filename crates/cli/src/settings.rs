//! What holds for this run: flags before variables before the config file before defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

use crate::args::{GlobalArgs, StandingDefaults, TransferArgs, folder, http_url};
use crate::config::Config;
use crate::error::CliError;

/// The archive's own address.
const DEFAULT_API: &str = "https://api.phys.ucalgary.ca";

/// Our folder in the platform's per-user directories.
const APP: &str = "skyhaul";

/// For whom answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

/// How much is told beside answers, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loudness {
    /// Errors only.
    Quiet,
    /// Notes, hints and warnings.
    Normal,
    /// What is being done.
    Verbose,
    /// And how.
    Debug,
}

/// Whether live progress may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bars {
    /// Where somebody watches.
    Allowed,
    /// Nowhere.
    Off,
}

/// The environment variables that count; empty ones count as not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    /// `SKYHAUL_STATE_DIR`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `SKYHAUL_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `SKYHAUL_API`.
    pub(crate) api: Option<String>,
    /// `SKYHAUL_LOG`.
    pub(crate) log: Option<String>,
    /// `SKYHAUL_LOG_FORMAT`.
    pub(crate) log_format: Option<String>,
}

/// What holds for this run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where the queue lives, absolute.
    pub(crate) state_dir: PathBuf,
    /// The archive's API base, without a trailing slash.
    pub(crate) api: String,
    /// For whom answers are written.
    pub(crate) format: Format,
    /// How much is told beside them.
    pub(crate) loudness: Loudness,
    /// Whether live progress may be shown.
    pub(crate) bars: Bars,
    /// What is logged, where somebody said so in the log's own syntax.
    pub(crate) log: Option<String>,
    /// How the log is written.
    pub(crate) log_format: LogFormat,
    /// The config file that was named, absolute.
    pub(crate) config: Option<PathBuf>,
    /// The port of the dashboard, where the config file names one.
    pub(crate) dashboard_port: Option<u16>,
    /// How long after their end jobs are forgotten, where the config file says so.
    pub(crate) forget_after: Option<Duration>,
    /// The config file's settings for standing jobs.
    pub(crate) standing: StandingDefaults,
    /// The config file's transfer settings, to be laid under a command's flags.
    pub(crate) transfer: TransferArgs,
}

impl Variables {
    /// Reads the process's environment.
    pub(crate) fn of_process() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let text = |name| text(name).filter(|value| !value.trim().is_empty());
        Self {
            state_dir: path("SKYHAUL_STATE_DIR"),
            config: path("SKYHAUL_CONFIG"),
            api: text("SKYHAUL_API"),
            log: text("SKYHAUL_LOG"),
            log_format: text("SKYHAUL_LOG_FORMAT"),
        }
    }
}

impl Settings {
    /// Puts the layers together. Reads the config file.
    pub(crate) fn resolve(flags: &GlobalArgs, variables: Variables) -> Result<Self, CliError> {
        let named = flags.config.clone().or(variables.config);
        let config = read_config(named.clone())?;
        let log_format = match (flags.log_format, variables.log_format) {
            (Some(given), _) => Some(given),
            (None, Some(variable)) => Some(LogFormat::from_str(&variable, false).map_err(|why| {
                CliError::usage(format!("SKYHAUL_LOG_FORMAT cannot be used: {why}"))
                    .hint("it is text or json")
            })?),
            (None, None) => config.log_format,
        };
        let state_dir = match flags.state_dir.clone().or(variables.state_dir).or(config.state_dir) {
            Some(given) => given,
            None => default_state_dir()?,
        };
        let api = match (&flags.api, variables.api) {
            (Some(given), _) => given.clone(),
            (None, Some(variable)) => http_url(&variable)
                .map_err(|why| CliError::usage(format!("SKYHAUL_API cannot be used: {why}")))?,
            (None, None) => config.api.unwrap_or_else(|| DEFAULT_API.to_owned()),
        };
        let told = told_loudness(flags).or(config.loudness);
        Ok(Self {
            state_dir: absolute(&state_dir)?,
            api,
            format: if flags.json || config.json { Format::Json } else { Format::Human },
            loudness: told.unwrap_or(Loudness::Normal),
            bars: if flags.no_progress || config.no_progress { Bars::Off } else { Bars::Allowed },
            // A flag wins over the variable, the variable over the file.
            log: variables.log.filter(|_| told_loudness(flags).is_none()),
            log_format: log_format.unwrap_or(LogFormat::Text),
            config: named.as_deref().map(absolute).transpose()?,
            dashboard_port: config.dashboard_port,
            forget_after: config.forget_after,
            standing: config.standing,
            transfer: config.transfer,
        })
    }
}

fn told_loudness(flags: &GlobalArgs) -> Option<Loudness> {
    match (flags.quiet, flags.verbose) {
        (true, _) => Some(Loudness::Quiet),
        (false, 0) => None,
        (false, 1) => Some(Loudness::Verbose),
        (false, _) => Some(Loudness::Debug),
    }
}

/// A file that was named must be there; the default one need not.
fn read_config(named: Option<PathBuf>) -> Result<Config, CliError> {
    match named {
        Some(path) => Config::read(&path),
        None => match choose_native_strategy() {
            Ok(platform) => Config::read_if_there(&platform.config_dir().join(APP).join("config.toml")),
            Err(_) => Ok(Config::default()),
        },
    }
}

fn default_state_dir() -> Result<PathBuf, CliError> {
    choose_native_strategy().map(|platform| platform.data_dir().join(APP)).map_err(|error| {
        CliError::usage("there is no home directory to keep the queue in: give --state-dir DIR")
            .because(&error)
    })
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    folder(&path.to_string_lossy()).map_err(|why| CliError::usage(format!("--state-dir: {why}")))?;
    std::path::absolute(path)
        .map_err(|error| CliError::usage(format!("cannot use {}", path.display())).because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "api = \"https://file\"\nstate-dir = \"/file\"\nquiet = true\nconnections = 3\n";

    fn settings(flags: GlobalArgs, variables: Variables, file: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let flags = GlobalArgs { config: flags.config.or(Some(path)), ..flags };
        Settings::resolve(&flags, variables).unwrap()
    }

    fn variables() -> Variables {
        Variables {
            state_dir: Some("/variable".into()),
            config: None,
            api: Some("https://variable/".into()),
            log: Some("trace".into()),
            log_format: Some("json".into()),
        }
    }

    fn flags() -> GlobalArgs {
        GlobalArgs {
            state_dir: Some("/flag".into()),
            api: Some("https://flag".into()),
            verbose: 1,
            ..GlobalArgs::default()
        }
    }

    #[test]
    fn flags_win_over_variables_over_the_file_over_defaults() {
        let seen = |s: Settings| (s.api, s.state_dir.display().to_string(), s.loudness, s.log);
        let row = |api: &str, dir: &str, loudness, log: Option<&str>| {
            (api.to_owned(), dir.to_owned(), loudness, log.map(str::to_owned))
        };
        let all = settings(flags(), variables(), FILE);
        assert_eq!(all.transfer.connections, Some(3));
        assert_eq!(seen(all), row("https://flag", "/flag", Loudness::Verbose, None));
        assert_eq!(
            seen(settings(GlobalArgs::default(), variables(), FILE)),
            row("https://variable", "/variable", Loudness::Quiet, Some("trace"))
        );
        assert_eq!(
            seen(settings(GlobalArgs::default(), Variables::default(), FILE)),
            row("https://file", "/file", Loudness::Quiet, None)
        );
        let nothing = settings(GlobalArgs::default(), Variables::default(), "");
        assert_eq!((nothing.api.as_str(), nothing.loudness), (DEFAULT_API, Loudness::Normal));
        assert!(nothing.state_dir.is_absolute());
    }

    #[test]
    fn the_logs_format_follows_the_same_order() {
        let flags = |log_format| GlobalArgs { log_format, ..GlobalArgs::default() };
        let seen = |flags, variables, file| settings(flags, variables, file).log_format;
        let file = "log-format = \"json\"";
        assert_eq!(seen(flags(Some(LogFormat::Text)), variables(), file), LogFormat::Text);
        assert_eq!(seen(flags(None), variables(), "log-format = \"text\""), LogFormat::Json);
        assert_eq!(seen(flags(None), Variables::default(), file), LogFormat::Json);
        assert_eq!(seen(flags(None), Variables::default(), ""), LogFormat::Text);
    }

    #[test]
    fn a_named_config_file_must_be_there() {
        let flags = GlobalArgs { config: Some("/nowhere/at/all.toml".into()), ..GlobalArgs::default() };
        let error = Settings::resolve(&flags, Variables::default()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.toml"), "{error}");
        assert_eq!(error.exit(), crate::exit::Exit::Usage);
    }

    #[test]
    fn a_bad_variable_is_named() {
        let variables = Variables { api: Some("nonsense".into()), ..Variables::default() };
        let error = Settings::resolve(&GlobalArgs::default(), variables).unwrap_err();
        assert!(error.to_string().starts_with("SKYHAUL_API"), "{error}");
    }
}
