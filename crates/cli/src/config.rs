//! The config file: TOML whose keys are the flags' names.
//!
//! Every value goes through the same reader as the flag of that name, so that both accept the same.
//! Paths are relative to the file's own folder; `~/` is the home directory.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use skyhaul_http::RateLimit;
use skyhaul_model::{parse_bytes, parse_duration};
use skyhaul_queue::SecretHeader;
use toml::{Table, Value};

use crate::args::{
    OnExistingArg, StandingDefaults, TransferArgs, VerifyArg, count, folder, header, http_url, positive,
    request_rate, seconds, told_url,
};
use crate::error::CliError;
use crate::nearest::nearest;
use crate::settings::{LogFormat, Loudness};

/// The settings of a config file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// `state-dir`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `api`.
    pub(crate) api: Option<String>,
    /// `json`.
    pub(crate) json: bool,
    /// `quiet` and `verbose`.
    pub(crate) loudness: Option<Loudness>,
    /// `no-progress`.
    pub(crate) no_progress: bool,
    /// `log-format`.
    pub(crate) log_format: Option<LogFormat>,
    /// `window` and `every`.
    pub(crate) standing: StandingDefaults,
    /// `dashboard-port`.
    pub(crate) dashboard_port: Option<u16>,
    /// `forget-after`.
    pub(crate) forget_after: Option<Duration>,
    /// The transfer flags.
    pub(crate) transfer: TransferArgs,
}

const KEYS: [&str; 27] = [
    "window",
    "every",
    "state-dir",
    "api",
    "json",
    "quiet",
    "verbose",
    "no-progress",
    "connections",
    "in-flight",
    "limit-rate",
    "requests-per-second",
    "retries",
    "timeout",
    "outage",
    "header",
    "cacert",
    "min-free",
    "on-existing",
    "verify",
    "accept-corrupt",
    "wait-for-space",
    "on-complete",
    "on-complete-url",
    "log-format",
    "dashboard-port",
    "forget-after",
];

impl Config {
    /// Reads a file that must be there.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CliError::usage(format!("cannot read the config file {}", path.display())).because(&error)
        })?;
        Self::parse(&text, path)
    }

    /// Reads a file that need not be there.
    pub(crate) fn read_if_there(path: &Path) -> Result<Self, CliError> {
        match std::fs::metadata(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            _ => Self::read(path),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, CliError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let message = format!("{} line {line}: {}", path.display(), error.message());
            CliError::usage(message)
        })?;
        let keys = Keys { table: &table, path };
        keys.refuse_unknown()?;
        Ok(Self {
            state_dir: keys.read("state-dir", folder)?.map(|given| keys.placed(&given)),
            api: keys.read("api", http_url)?,
            json: keys.switch("json")?,
            loudness: keys.loudness()?,
            no_progress: keys.switch("no-progress")?,
            log_format: keys.read("log-format", one_of)?,
            standing: StandingDefaults {
                window: keys.read("window", positive)?,
                every: keys.read("every", seconds)?,
            },
            dashboard_port: keys.read("dashboard-port", port)?,
            forget_after: keys.read("forget-after", parse_duration)?,
            transfer: keys.transfer()?,
        })
    }
}

/// The keys of one file, read with errors that name key and file.
struct Keys<'a> {
    table: &'a Table,
    path: &'a Path,
}

impl Keys<'_> {
    fn refuse_unknown(&self) -> Result<(), CliError> {
        let Some(key) = self.table.keys().find(|key| !KEYS.contains(&key.as_str())) else {
            return Ok(());
        };
        let error = CliError::usage(format!("unknown key '{key}' in {}", self.path.display()));
        Err(match nearest(key, KEYS).first() {
            Some(meant) => error.hint(format!("did you mean '{meant}'?")),
            None => error.hint("keys are the names of the global and the transfer flags, without the dashes"),
        })
    }

    fn transfer(&self) -> Result<TransferArgs, CliError> {
        Ok(TransferArgs {
            connections: self.read("connections", positive)?,
            in_flight: self.read("in-flight", positive)?,
            limit_rate: self.read("limit-rate", RateLimit::parse)?,
            requests_per_second: self.read("requests-per-second", request_rate)?,
            retries: self.read("retries", count)?,
            timeout: self.read("timeout", seconds)?,
            outage: self.read("outage", parse_duration)?,
            header: self.headers()?,
            cacert: self.read("cacert", folder)?.map(|given| self.placed(&given)),
            min_free: self.read("min-free", parse_bytes)?,
            on_existing: self.read("on-existing", one_of::<OnExistingArg>)?,
            verify: self.read("verify", one_of::<VerifyArg>)?,
            accept_corrupt: self.switch("accept-corrupt")?,
            wait_for_space: self.switch("wait-for-space")?,
            on_complete: self
                .read("on-complete", |text| Ok::<_, std::convert::Infallible>(text.to_owned()))?,
            on_complete_url: self.read("on-complete-url", told_url)?,
        })
    }

    /// The key's value as the flag of that name would read it.
    fn read<T, E: Display>(
        &self,
        key: &str,
        reader: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, CliError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let text = scalar(value).ok_or_else(|| self.wrong(key, "it must be text or a number"))?;
        reader(&text).map(Some).map_err(|why| self.wrong(key, why))
    }

    fn switch(&self, key: &str) -> Result<bool, CliError> {
        match self.table.get(key) {
            None => Ok(false),
            Some(Value::Boolean(on)) => Ok(*on),
            Some(_) => Err(self.wrong(key, "it must be true or false")),
        }
    }

    fn loudness(&self) -> Result<Option<Loudness>, CliError> {
        let verbose = match self.table.get("verbose") {
            None | Some(Value::Boolean(false) | Value::Integer(0)) => None,
            Some(Value::Boolean(true) | Value::Integer(1)) => Some(Loudness::Verbose),
            Some(Value::Integer(2..)) => Some(Loudness::Debug),
            Some(_) => return Err(self.wrong("verbose", "it must be true, false, 1 or 2")),
        };
        Ok(if self.switch("quiet")? { Some(Loudness::Quiet) } else { verbose })
    }

    /// One header, or a list of them.
    fn headers(&self) -> Result<Vec<SecretHeader>, CliError> {
        let values = match self.table.get("header") {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let read = |value: &Value| match value {
            Value::String(text) => header(text).map_err(|why| self.wrong("header", why)),
            _ => Err(self.wrong("header", "it must be text, or a list of texts, as \"K: V\"")),
        };
        values.iter().map(read).collect()
    }

    fn placed(&self, given: &Path) -> PathBuf {
        if let (Ok(rest), Ok(home)) = (given.strip_prefix("~"), etcetera::home_dir()) {
            return home.join(rest);
        }
        self.path.parent().map_or_else(|| given.to_owned(), |folder| folder.join(given))
    }

    fn wrong(&self, key: &str, why: impl Display) -> CliError {
        CliError::usage(format!("the key '{key}' in {} cannot be used: {why}", self.path.display()))
    }
}

/// One of a flag's words.
fn one_of<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let words: Vec<String> = words.map(|word| word.get_name().to_owned()).collect();
        format!("'{text}' is none of {}", words.join(", "))
    })
}

fn port(text: &str) -> Result<u16, String> {
    text.trim().parse().map_err(|_| format!("'{text}' is no port: write a number from 0 to {}", u16::MAX))
}

/// A number or text as one would type it behind a flag.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/skyhaul/config.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read_like_its_flag() {
        let config = parse(
            r#"
            state-dir = "state"
            api = "http://127.0.0.1:8000/"
            json = true
            verbose = 2
            no-progress = true
            connections = 4
            in-flight = "8"
            limit-rate = "08:00,2M 18:00,off"
            requests-per-second = 0.5
            retries = 0
            timeout = "90s"
            outage = "2h"
            header = ["X-A: 1", "X-B: 2"]
            cacert = "/abs/ca.pem"
            min-free = "5G"
            on-existing = "trust"
            verify = "length"
            accept-corrupt = true
            wait-for-space = true
            on-complete = "mail -s done me"
            on-complete-url = "https://hooks.example/x?key=1"
            dashboard-port = 8088
            forget-after = "90d"
            window = 30
            every = "1h"
            log-format = "json"
            "#,
        )
        .unwrap();
        assert_eq!(config.state_dir, Some("/etc/skyhaul/state".into()));
        assert_eq!(config.api.as_deref(), Some("http://127.0.0.1:8000"));
        assert_eq!(config.loudness, Some(Loudness::Debug));
        assert!(config.json && config.no_progress);
        assert_eq!(config.log_format, Some(LogFormat::Json));
        let transfer = config.transfer;
        assert_eq!(transfer.on_complete.as_deref(), Some("mail -s done me"));
        assert_eq!(transfer.on_complete_url.as_deref(), Some("https://hooks.example/x?key=1"));
        assert_eq!(config.dashboard_port, Some(8088));
        assert_eq!(config.forget_after, Some(Duration::from_secs(90 * 86_400)));
        let standing = (config.standing.window, config.standing.every.map(std::num::NonZeroU64::get));
        assert_eq!(standing, (Some(30), Some(3_600)));
        assert_eq!((transfer.connections, transfer.in_flight, transfer.retries), (Some(4), Some(8), Some(0)));
        assert_eq!(transfer.limit_rate, RateLimit::parse("08:00,2M 18:00,off").ok());
        assert_eq!(transfer.timeout.map(std::num::NonZeroU64::get), Some(90));
        assert_eq!(transfer.outage.map(|d| d.as_secs()), Some(7_200));
        assert_eq!(transfer.header.len(), 2);
        assert_eq!(transfer.cacert, Some("/abs/ca.pem".into()));
        assert_eq!(transfer.min_free, Some(5_000_000_000));
        assert_eq!(transfer.on_existing, Some(OnExistingArg::Trust));
        assert_eq!(transfer.verify, Some(VerifyArg::Length));
        assert!(transfer.accept_corrupt && transfer.wait_for_space);
    }

    #[test]
    fn a_wrong_value_is_told_with_what_would_be_right() {
        let table = [
            ("retries = \"many\"", "'many' is no whole number from 0 to 4294967295"),
            ("verify = \"all\"", "'all' is none of auto, length"),
            ("log-format = \"xml\"", "'xml' is none of text, json"),
            ("dashboard-port = 70000", "'70000' is no port: write a number from 0 to 65535"),
        ];
        for (text, told) in table {
            let error = parse(text).unwrap_err();
            assert!(error.ends_with(told), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_and_the_nearest_key() {
        let error = Config::parse("limit_rate = 1", Path::new("/c.toml")).unwrap_err();
        assert_eq!(error.to_string(), "unknown key 'limit_rate' in /c.toml");
        let CliError::Report(report) = error else { panic!() };
        assert_eq!(report.hints, ["did you mean 'limit-rate'?"]);
    }

    #[test]
    fn wrong_values_name_their_key() {
        let table = [
            ("connections = 0", "connections"),
            ("connections = [1]", "connections"),
            ("json = \"yes\"", "json"),
            ("verbose = \"very\"", "verbose"),
            ("on-existing = \"keep\"", "on-existing"),
            ("header = [1]", "header"),
            ("api = \"ftp://x\"", "api"),
            ("retries = -1", "retries"),
        ];
        for (text, key) in table {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("'{key}'")) && error.contains("config.toml"), "{error}");
        }
    }

    #[test]
    fn broken_toml_is_placed() {
        let error = parse("api = \"https://x\"\nconnections = = 3\n").unwrap_err();
        assert!(error.starts_with("/etc/skyhaul/config.toml line 2:"), "{error}");
        let error = parse("api = \"https://x\"\n= 3\n").unwrap_err();
        assert!(error.starts_with("/etc/skyhaul/config.toml line 2:"), "{error}");
    }

    #[test]
    fn a_header_in_the_file_does_not_show_its_value_when_wrong() {
        assert!(!parse("header = \"s3cret\"").unwrap_err().contains("s3cret"));
    }
}
