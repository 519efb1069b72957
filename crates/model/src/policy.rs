//! How a job is to be worked off: everything about it that does not decide *which* job it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Follow;

/// What to do with a file that already lies at a final path and that the queue does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Keep it if its length agrees with the server's and its digest or container check passes.
    #[default]
    Verify,
    /// Keep it as it lies.
    Trust,
    /// Fetch it anew.
    Replace,
}

/// How much is checked beyond digests that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLevel {
    /// The strongest check that applies.
    #[default]
    Auto,
    /// Given digests, else lengths only.
    Length,
}

/// The newest command's wishes for a job; the newest wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobPolicy {
    /// Further attempts after the first, for files and for listings alike.
    pub retries: u32,
    /// Slower than 100 bytes/s for this many seconds is a stall.
    pub timeout_s: u64,
    /// How many seconds a host that had answered may stay away before its files fail.
    pub outage_s: u64,
    /// Hold the job when the output's disk has fewer free bytes than this.
    pub min_free: u64,
    /// What to do with files that lie there already.
    pub on_existing: OnExisting,
    /// How much is checked.
    pub verify: VerifyLevel,
    /// Put files that are damaged at their source in place, marked `none`.
    pub accept_corrupt: bool,
    /// The most connections per host, where the job asks for fewer than the engine allows.
    pub connections: Option<u32>,
    /// The most bytes a second, where the job asks for fewer than the engine allows.
    pub limit_rate: Option<u64>,
    /// A shell command that is run once the job is completed or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_complete: Option<String>,
    /// A URL that is told once the job is completed or failed. Often as good as a password: it appears in no log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_complete_url: Option<String>,
    /// A standing job: when all is here, it is listed again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<Follow>,
    /// SHA-256, in hex, of the list of checksums that the files must match. The list itself lies beside the job;
    /// until it is there the job waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksums: Option<String>,
    /// Submitted to be worked on in the background: a process that lets go of the queue sees to it that an engine
    /// goes on with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
}

impl Default for JobPolicy {
    fn default() -> Self {
        Self {
            retries: 10,
            timeout_s: 60,
            outage_s: 86_400,
            min_free: 1_000_000_000,
            on_existing: OnExisting::Verify,
            verify: VerifyLevel::Auto,
            accept_corrupt: false,
            connections: None,
            limit_rate: None,
            on_complete: None,
            on_complete_url: None,
            follow: None,
            checksums: None,
            background: false,
        }
    }
}

impl JobPolicy {
    /// The stall limit as a duration.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    /// The outage limit as a duration.
    #[must_use]
    pub fn outage(&self) -> Duration {
        Duration::from_secs(self.outage_s)
    }
}
