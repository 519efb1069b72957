//! What an engine shows of its work: a snapshot a few times a second, for whoever watches.

use std::collections::HashMap;
use std::time::Duration;

use skyhaul_model::{JobId, JobRecord, Plan};

/// A snapshot of an engine's work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The jobs that it works on, that are listed, and that it holds back, by number.
    pub jobs: Vec<JobRecord>,
    /// The files in work.
    pub in_flight: Vec<InFlight>,
    /// Body bytes a second, over the last seconds.
    pub rate_bytes_per_s: u64,
    /// Files a second, over the last seconds.
    pub files_per_s: f64,
    /// Seconds that the first job will still take, where that can be told.
    pub eta_s: Option<u64>,
    /// How fast each of the jobs goes.
    pub paces: Vec<JobPace>,
}

/// How fast one job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobPace {
    /// The job.
    pub job: JobId,
    /// Body bytes a second, over the last seconds.
    pub rate_bytes_per_s: u64,
    /// Seconds that it will still take, where that can be told.
    pub eta_s: Option<u64>,
}

/// A file in work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Its job.
    pub job: JobId,
    /// Where it will land, relative to the output root.
    pub path: String,
    /// Bytes that are here of the present attempt, those of a resumed part included.
    pub received: u64,
    /// Its size in bytes, once known.
    pub total: Option<u64>,
}

/// Smooths a growing total into a rate: an exponential average over about five seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    last_total: Option<f64>,
    per_second: f64,
}

/// How far back the average remembers.
const MEMORY: Duration = Duration::from_secs(5);

impl Rate {
    /// Takes the total `elapsed` after the one before and gives the rate a second.
    pub(crate) fn update(&mut self, total: f64, elapsed: Duration) -> f64 {
        let seconds = elapsed.as_secs_f64();
        let Some(last) = self.last_total.replace(total) else { return 0.0 };
        if seconds <= 0.0 {
            return self.per_second;
        }
        let now = (total - last).max(0.0) / seconds;
        let weight = 1.0 - (-seconds / MEMORY.as_secs_f64()).exp();
        self.per_second += (now - self.per_second) * weight;
        self.per_second
    }
}

/// The rates of the jobs in hand, from what their records count.
#[derive(Debug, Default)]
pub(crate) struct Paces(HashMap<JobId, (Rate, Rate)>);

impl Paces {
    /// Takes the records `elapsed` after those before; jobs that are not among them are forgotten.
    pub(crate) fn update(&mut self, jobs: &[JobRecord], elapsed: Duration) -> Vec<JobPace> {
        self.0.retain(|id, _| jobs.iter().any(|job| job.id == *id));
        let pace = |job: &JobRecord| {
            let (bytes, files) = self.0.entry(job.id).or_default();
            let bytes_per_s = bytes.update(job.bytes.received as f64, elapsed);
            let files_per_s = files.update(job.files.done as f64, elapsed);
            let eta_s = eta_s(job, bytes_per_s, files_per_s);
            JobPace { job: job.id, rate_bytes_per_s: bytes_per_s as u64, eta_s }
        };
        jobs.iter().map(pace).collect()
    }
}

/// Ten years: what seems to take longer cannot be told.
const LONGEST_ETA_S: f64 = 10.0 * 365.0 * 86_400.0;

/// Seconds that a job will still take: by bytes where its total is known, else by files.
pub(crate) fn eta_s(job: &JobRecord, bytes_per_s: f64, files_per_s: f64) -> Option<u64> {
    if job.plan != Plan::Planned || job.windows.open() > 0 {
        return None;
    }
    let left_files = (job.files.pending + job.files.active) as f64;
    let seconds = match job.bytes.total {
        Some(total) if bytes_per_s > 0.0 => total.saturating_sub(job.bytes.done) as f64 / bytes_per_s,
        _ if files_per_s > 0.0 => left_files / files_per_s,
        _ => return None,
    };
    // A job whose last file waits for its next try has next to no rate: no number is better than a wild one.
    (seconds < LONGEST_ETA_S).then_some(seconds.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_shown_as_it_is_and_an_end_fades() {
        let mut rate = Rate::default();
        let step = Duration::from_millis(250);
        let mut total = 0.0;
        for _ in 0..200 {
            rate.update(total, step);
            total += 1_000.0;
        }
        assert!((rate.per_second - 4_000.0).abs() < 1.0, "{rate:?}");
        for _ in 0..200 {
            rate.update(total, step);
        }
        assert!(rate.per_second < 1.0, "{rate:?}");
    }
}
