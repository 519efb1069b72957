//! How to transfer: the flags that `pull`, `submit`, `plan` and `engine run` share.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use skyhaul_http::RateLimit;
use skyhaul_model::{OnExisting, VerifyLevel, parse_bytes, parse_duration};
use skyhaul_queue::SecretHeader;

use super::parse::{count, header, positive, request_rate, seconds, told_url};

/// How to transfer; what is none comes from the config file, else from the defaults.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Transfer options")]
pub(crate) struct TransferArgs {
    /// Most TCP connections per host [default: 16]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = positive)]
    pub(crate) connections: Option<u32>,

    /// Most requests in flight per host; over HTTP/1.1 never more than the connections [default: 64]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = positive)]
    pub(crate) in_flight: Option<u32>,

    /// Most bytes a second for all together, as 2M; or a timetable in local time: "08:00,2M 18:00,off"
    #[arg(long, allow_negative_numbers = true, value_name = "R", value_parser = RateLimit::parse)]
    pub(crate) limit_rate: Option<RateLimit>,

    /// Most requests a second per host, evenly spaced
    #[arg(long, allow_negative_numbers = true, value_name = "R", value_parser = request_rate)]
    pub(crate) requests_per_second: Option<f64>,

    /// Further attempts after the first, per file and listing [default: 10]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = count)]
    pub(crate) retries: Option<u32>,

    /// Slower than 100 bytes/s for this long is a stall [default: 60]
    #[arg(long, allow_negative_numbers = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<NonZeroU64>,

    /// How long a host that had answered may stay away before its files fail [default: 24h]
    #[arg(long, allow_negative_numbers = true, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) outage: Option<Duration>,

    /// Send this header to the files' own host; repeatable
    #[arg(long, value_name = "K: V", value_parser = header)]
    pub(crate) header: Vec<SecretHeader>,

    /// Trust the certificates in FILE (PEM) beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Pause instead of leaving fewer free bytes than this on the disk [default: 1G]
    #[arg(long, allow_negative_numbers = true, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) min_free: Option<u64>,

    /// What to do with a file that already lies at its place [default: verify]
    #[arg(long, value_name = "HOW")]
    pub(crate) on_existing: Option<OnExistingArg>,

    /// How much to check [default: auto]
    #[arg(long, value_name = "HOW")]
    pub(crate) verify: Option<VerifyArg>,

    /// Put files that are damaged at the archive in their place, marked as not verified
    #[arg(long)]
    pub(crate) accept_corrupt: bool,

    /// Wait for free disk space instead of pausing the job
    #[arg(long)]
    pub(crate) wait_for_space: bool,

    /// Run CMD in a shell when the job is completed or failed; it finds SKYHAUL_JOB_ID, _STATE, _OUT and more
    #[arg(long, value_name = "CMD")]
    pub(crate) on_complete: Option<String>,

    /// Tell URL by a POST of JSON when the job is completed or failed; an empty one takes an earlier one away
    #[arg(long, value_name = "URL", value_parser = told_url)]
    pub(crate) on_complete_url: Option<String>,
}

/// `--on-existing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnExistingArg {
    /// Keep it if its length agrees with the server's and its own check passes
    Verify,
    /// Keep it as it lies
    Trust,
    /// Fetch it again
    Replace,
}

/// `--verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyArg {
    /// The strongest check that applies
    Auto,
    /// Digests that are given, else lengths only
    Length,
}

impl TransferArgs {
    /// These flags, with what they leave open taken from `file`. Headers add up, by name.
    pub(crate) fn or(self, file: &Self) -> Self {
        let mut header = self.header;
        for from_file in &file.header {
            if !header.iter().any(|given| given.name.eq_ignore_ascii_case(&from_file.name)) {
                header.push(from_file.clone());
            }
        }
        Self {
            connections: self.connections.or(file.connections),
            in_flight: self.in_flight.or(file.in_flight),
            limit_rate: self.limit_rate.or_else(|| file.limit_rate.clone()),
            requests_per_second: self.requests_per_second.or(file.requests_per_second),
            retries: self.retries.or(file.retries),
            timeout: self.timeout.or(file.timeout),
            outage: self.outage.or(file.outage),
            header,
            cacert: self.cacert.or_else(|| file.cacert.clone()),
            min_free: self.min_free.or(file.min_free),
            on_existing: self.on_existing.or(file.on_existing),
            verify: self.verify.or(file.verify),
            accept_corrupt: self.accept_corrupt || file.accept_corrupt,
            wait_for_space: self.wait_for_space || file.wait_for_space,
            on_complete: self.on_complete.or_else(|| file.on_complete.clone()),
            on_complete_url: self.on_complete_url.or_else(|| file.on_complete_url.clone()),
        }
    }

    /// What of these flags an engine must be told that is started for a job: what no job remembers. No secret
    /// is among them.
    pub(crate) fn engine_words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(count) = self.in_flight {
            words.extend(["--in-flight".into(), count.to_string().into()]);
        }
        if let Some(rate) = self.requests_per_second {
            words.extend(["--requests-per-second".into(), rate.to_string().into()]);
        }
        if let Some(path) = &self.cacert {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            words.extend(["--cacert".into(), path.into()]);
        }
        words
    }
}

impl From<OnExistingArg> for OnExisting {
    fn from(how: OnExistingArg) -> Self {
        match how {
            OnExistingArg::Verify => Self::Verify,
            OnExistingArg::Trust => Self::Trust,
            OnExistingArg::Replace => Self::Replace,
        }
    }
}

impl From<VerifyArg> for VerifyLevel {
    fn from(how: VerifyArg) -> Self {
        match how {
            VerifyArg::Auto => Self::Auto,
            VerifyArg::Length => Self::Length,
        }
    }
}
