//! The engine and what it shows of its work.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skyhaul_engine::{InFlight, JobPace, Progress};
use skyhaul_model::{JobId, JobRecord};

/// Why an engine was started, and so when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Started {
    /// For work that was there: it leaves by itself after some idle minutes.
    OnDemand,
    /// To stay until it is told to stop.
    Lasting,
    /// For a pull in the foreground: it leaves with that.
    Foreground,
}

/// An engine that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// True: an engine that does not run does not answer.
    pub running: bool,
    /// Its process.
    pub pid: u32,
    /// Its skyhaul.
    pub version: String,
    /// When it began to answer.
    pub started_at: Timestamp,
    /// Why it was started.
    pub started: Started,
    /// The SHA-256 of the file of certificates that it trusts beside the system's; none without one.
    #[serde(default)]
    pub certificates: Option<String>,
}

/// A point in the history of changes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RevisionBody {
    pub(crate) revision: u64,
}

/// A snapshot of the engine's work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgressBody {
    jobs: Vec<JobRecord>,
    in_flight: Vec<InFlightBody>,
    rate_bytes_per_s: u64,
    files_per_s: f64,
    eta_s: Option<u64>,
    #[serde(default)]
    paces: Vec<PaceBody>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct PaceBody {
    job: JobId,
    rate_bytes_per_s: u64,
    eta_s: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct InFlightBody {
    job: JobId,
    path: String,
    received: u64,
    total: Option<u64>,
}

impl From<&Progress> for ProgressBody {
    fn from(progress: &Progress) -> Self {
        let in_flight = |file: &InFlight| InFlightBody {
            job: file.job,
            path: file.path.clone(),
            received: file.received,
            total: file.total,
        };
        Self {
            jobs: progress.jobs.clone(),
            in_flight: progress.in_flight.iter().map(in_flight).collect(),
            rate_bytes_per_s: progress.rate_bytes_per_s,
            files_per_s: progress.files_per_s,
            eta_s: progress.eta_s,
            paces: progress.paces.iter().copied().map(PaceBody::from).collect(),
        }
    }
}

impl From<ProgressBody> for Progress {
    fn from(body: ProgressBody) -> Self {
        let in_flight = |file: InFlightBody| InFlight {
            job: file.job,
            path: file.path,
            received: file.received,
            total: file.total,
        };
        Self {
            jobs: body.jobs,
            in_flight: body.in_flight.into_iter().map(in_flight).collect(),
            rate_bytes_per_s: body.rate_bytes_per_s,
            files_per_s: body.files_per_s,
            eta_s: body.eta_s,
            paces: body.paces.into_iter().map(JobPace::from).collect(),
        }
    }
}

impl From<JobPace> for PaceBody {
    fn from(JobPace { job, rate_bytes_per_s, eta_s }: JobPace) -> Self {
        Self { job, rate_bytes_per_s, eta_s }
    }
}

impl From<PaceBody> for JobPace {
    fn from(PaceBody { job, rate_bytes_per_s, eta_s }: PaceBody) -> Self {
        Self { job, rate_bytes_per_s, eta_s }
    }
}
