//! How a job is to be worked off: everything about it that does not decide *which* job it is.

use std::collections::BTreeSet;
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

/// A setting that an engine may have an opinion on where a job's commands have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKey {
    /// [`JobPolicy::retries`].
    Retries,
    /// [`JobPolicy::timeout_s`].
    Timeout,
    /// [`JobPolicy::outage_s`].
    Outage,
    /// [`JobPolicy::min_free`].
    MinFree,
    /// [`JobPolicy::on_existing`].
    OnExisting,
    /// [`JobPolicy::verify`].
    Verify,
    /// [`JobPolicy::accept_corrupt`].
    AcceptCorrupt,
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
    /// The most requests in flight per host, where the job asks for fewer than the engine allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// The least time in microseconds between two of the job's requests to a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_interval_us: Option<u64>,
    /// The most bytes a second, where the job asks for fewer than the engine allows.
    pub limit_rate: Option<u64>,
    /// The same by the time of day, as it was typed: `08:00,2M 18:00,off`. Stands in the place of `limit_rate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_timetable: Option<String>,
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
    /// What the job's commands have said nothing about: there an engine's own settings hold.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub left_open: BTreeSet<PolicyKey>,
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
            in_flight: None,
            request_interval_us: None,
            limit_rate: None,
            limit_timetable: None,
            on_complete: None,
            on_complete_url: None,
            follow: None,
            checksums: None,
            background: false,
            left_open: BTreeSet::new(),
        }
    }
}

impl JobPolicy {
    /// The policy as it holds in an engine with settings of its own: they fill in what the job leaves open.
    #[must_use]
    pub fn under(&self, engine: &Self) -> Self {
        let mut held = self.clone();
        for key in self.left_open.difference(&engine.left_open) {
            match key {
                PolicyKey::Retries => held.retries = engine.retries,
                PolicyKey::Timeout => held.timeout_s = engine.timeout_s,
                PolicyKey::Outage => held.outage_s = engine.outage_s,
                PolicyKey::MinFree => held.min_free = engine.min_free,
                PolicyKey::OnExisting => held.on_existing = engine.on_existing,
                PolicyKey::Verify => held.verify = engine.verify,
                PolicyKey::AcceptCorrupt => held.accept_corrupt = engine.accept_corrupt,
            }
        }
        held
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_fills_in_what_a_job_leaves_open_and_nothing_else() {
        let open = BTreeSet::from([PolicyKey::Retries, PolicyKey::Timeout]);
        let job = JobPolicy { verify: VerifyLevel::Length, left_open: open, ..JobPolicy::default() };
        let engine = JobPolicy {
            retries: 0,
            outage_s: 5,
            left_open: BTreeSet::from([PolicyKey::Timeout]),
            ..JobPolicy::default()
        };
        let held = job.under(&engine);
        assert_eq!((held.retries, held.timeout_s, held.outage_s), (0, 60, 86_400));
        assert_eq!(held.verify, VerifyLevel::Length);
    }

    #[test]
    fn what_was_kept_before_there_was_anything_to_leave_open_is_all_stated() {
        let kept: JobPolicy = serde_json::from_str(r#"{"retries":3,"limit_rate":5}"#).unwrap();
        assert_eq!((kept.retries, kept.limit_rate, kept.left_open.len()), (3, Some(5), 0));
    }
}
