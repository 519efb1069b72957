//! What is worth telling of an engine's work at one moment. Pure.

use jiff::Timestamp;
use skyhaul_engine::Progress;
use skyhaul_model::{FileError, JobRecord, Plan};

use crate::human;

/// The sum of all jobs in work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Files known so far.
    pub(crate) files_total: u64,
    /// Files done.
    pub(crate) files_done: u64,
    /// Bytes here: of files that are done, and of those in flight.
    pub(crate) bytes: u64,
    /// Bytes in all, where every job's total is known.
    pub(crate) bytes_total: Option<u64>,
    files_failed: u64,
    files_waiting: u64,
    rate_bytes_per_s: u64,
    eta_s: Option<u64>,
    windows_total: u64,
    windows_open: u64,
    unplanned: bool,
    held: Option<FileError>,
    next_listing_at: Option<Timestamp>,
}

impl Snapshot {
    /// Sums an engine's jobs up.
    pub(crate) fn of(progress: &Progress) -> Self {
        let sum = |part: fn(&JobRecord) -> u64| progress.jobs.iter().map(part).sum::<u64>();
        let in_flight: u64 = progress.in_flight.iter().map(|file| file.received).sum();
        Self {
            files_total: sum(|job| job.files.total),
            files_done: sum(|job| job.files.done),
            files_failed: sum(|job| job.files.failed),
            files_waiting: sum(|job| job.files.pending),
            bytes: sum(|job| job.bytes.done) + in_flight,
            bytes_total: progress.jobs.iter().map(|job| job.bytes.total).sum(),
            rate_bytes_per_s: progress.rate_bytes_per_s,
            eta_s: progress.eta_s,
            windows_total: sum(|job| job.windows.total),
            windows_open: sum(|job| job.windows.open()),
            unplanned: progress.jobs.iter().any(|job| job.plan == Plan::Unplanned),
            held: progress.jobs.iter().find_map(|job| job.hold.clone()),
            next_listing_at: progress.jobs.iter().filter_map(JobRecord::next_listing_at).min(),
        }
    }

    /// One line: how far, how fast, how long still.
    pub(crate) fn line(&self) -> String {
        if let Some(planning) = self.planning()
            && self.files_total == 0
        {
            return planning;
        }
        let mut parts = vec![
            format!("{} of {} files", human::count(self.files_done), human::count(self.files_total)),
            human::bytes(self.bytes),
            human::rate(self.rate_bytes_per_s),
        ];
        parts.extend(self.eta_s.map(|seconds| format!("{} left", human::time_left(seconds))));
        if self.files_waiting > 0 {
            parts.push(format!("{} waiting", human::count(self.files_waiting)));
        }
        parts.push(format!("{} failed", human::count(self.files_failed)));
        parts.extend(self.planning());
        parts.extend(self.next_listing_at.map(|at| format!("to be listed again at {}", human::moment(at))));
        parts.extend(self.held.as_ref().map(|reason| format!("held: {}", reason.message)));
        parts.join(", ")
    }

    /// How far the listing is, while it goes on.
    fn planning(&self) -> Option<String> {
        if self.unplanned {
            return Some("asking the archive".to_owned());
        }
        let listed = self.windows_total - self.windows_open;
        (self.windows_open > 0).then(|| {
            format!("{} of {} windows listed", human::count(listed), human::count(self.windows_total))
        })
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_engine::InFlight;
    use skyhaul_model::{ErrorKind, JobId};

    use super::*;
    use crate::samples;

    fn progress() -> Progress {
        let in_flight =
            InFlight { job: JobId(7), path: "D/a".into(), received: 500_000, total: Some(2_000_000) };
        Progress {
            jobs: vec![samples::job()],
            in_flight: vec![in_flight],
            rate_bytes_per_s: 11_200_000,
            eta_s: Some(360),
            ..Progress::default()
        }
    }

    #[test]
    fn a_line_tells_how_far_how_fast_and_how_long() {
        let line = Snapshot::of(&progress()).line();
        assert_eq!(line, "43 of 60 files, 92.5 MB, 11.2 MB/s, 6 min left, 12 waiting, 0 failed");
    }

    #[test]
    fn listing_is_told_while_it_goes_on() {
        let mut early = progress();
        early.jobs[0].plan = Plan::Unplanned;
        early.jobs[0].files = skyhaul_model::FileCounts::default();
        assert_eq!(Snapshot::of(&early).line(), "asking the archive");
        let mut listing = progress();
        listing.jobs[0].windows.total = 365;
        listing.eta_s = None;
        let line = Snapshot::of(&listing).line();
        assert_eq!(line, "43 of 60 files, 92.5 MB, 11.2 MB/s, 12 waiting, 0 failed, 1 of 365 windows listed");
    }

    #[test]
    fn several_jobs_are_summed_and_an_unknown_total_stays_unknown() {
        let mut two = progress();
        two.jobs.push(samples::finished_job());
        let sum = Snapshot::of(&two);
        assert_eq!((sum.files_total, sum.files_done, sum.bytes_total), (120, 103, Some(258_000_000)));
        two.jobs[1].bytes.total = None;
        assert_eq!(Snapshot::of(&two).bytes_total, None);
    }

    #[test]
    fn a_hold_is_told() {
        let mut held = progress();
        held.jobs[0].hold = Some(FileError::new(ErrorKind::Disk, "the disk is full"));
        assert!(Snapshot::of(&held).line().ends_with(", held: the disk is full"));
    }
}
