//! What an engine shows of its work: a snapshot a few times a second, for whoever watches.

use std::collections::HashMap;
use std::time::Duration;

use skyhaul_model::{ErrorKind, JobId, JobRecord, Plan};

use crate::engine::is_runnable;

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

impl Progress {
    /// The jobs that are kept out by hosts alone: their queue does not know that they are held.
    pub fn kept_out(&self) -> impl Iterator<Item = &JobRecord> {
        // Of disks the queue knows, and newer.
        self.jobs.iter().filter(|job| job.hold.as_ref().is_some_and(|reason| reason.kind != ErrorKind::Disk))
    }

    /// The record as it is shown: one that is kept out by hosts alone is held without its queue's knowing.
    #[must_use]
    pub fn shown(&self, job: JobRecord) -> JobRecord {
        if !is_runnable(&job) {
            return job;
        }
        let hold = self.kept_out().find(|shown| shown.id == job.id).and_then(|shown| shown.hold.clone());
        JobRecord { hold, ..job }
    }
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
    if job.hold.is_some() || job.plan != Plan::Planned || job.windows.open() > 0 {
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
    use skyhaul_model::{FileError, Intent};
    use skyhaul_queue::JobQueue;

    use super::*;
    use crate::nowhere::{idle, job_of_list, listed, settings};

    #[tokio::test]
    async fn a_job_that_is_kept_out_is_shown_as_held_and_a_disk_is_left_to_the_queue() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, queue) = idle(settings());
        let id = listed(&engine, job_of_list("", dir.path())).await;
        let free = queue.job(id).await.unwrap().unwrap();
        let paused = JobRecord { intent: Intent::Paused, ..free.clone() };
        let held = |kind| JobRecord { hold: Some(FileError::new(kind, "why")), ..free.clone() };
        let shown = |kind, job: &JobRecord| {
            Progress { jobs: vec![held(kind)], ..Progress::default() }.shown(job.clone())
        };
        assert_eq!(shown(ErrorKind::Connection, &free), held(ErrorKind::Connection));
        assert_eq!(shown(ErrorKind::Connection, &paused), paused);
        assert_eq!(shown(ErrorKind::Disk, &free), free);
        assert_eq!(shown(ErrorKind::Connection, &held(ErrorKind::Disk)), held(ErrorKind::Disk));
        assert_eq!(eta_s(&free, 1.0, 1.0), Some(100));
        assert_eq!(eta_s(&held(ErrorKind::Connection), 1.0, 1.0), None);
    }

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
