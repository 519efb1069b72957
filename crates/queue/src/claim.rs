//! What is said of claimed files.

use jiff::Timestamp;
use skyhaul_model::{FileError, FileSeq, FileSpec, JobId, NoResume, Sealed};

/// A file of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRef {
    /// The job.
    pub job: JobId,
    /// The file's place in it.
    pub seq: FileSeq,
}

/// Who holds a claim: one number for each engine that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseOwner(pub u64);

/// Which jobs claims may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimFilter {
    /// Every job that is to run.
    All,
    /// These alone.
    Jobs(Vec<JobId>),
    /// Every job that is to run, but these.
    AllBut(Vec<JobId>),
}

impl ClaimFilter {
    /// Whether claims may come from this job.
    #[must_use]
    pub fn admits(&self, job: JobId) -> bool {
        match self {
            Self::All => true,
            Self::Jobs(jobs) => jobs.contains(&job),
            Self::AllBut(jobs) => !jobs.contains(&job),
        }
    }

    /// The same without these jobs.
    #[must_use]
    pub fn without(mut self, jobs: &[JobId]) -> Self {
        match &mut self {
            Self::All if jobs.is_empty() => {}
            Self::All => return Self::AllBut(jobs.to_vec()),
            Self::Jobs(these) => these.retain(|job| !jobs.contains(job)),
            Self::AllBut(others) => others.extend(jobs),
        }
        self
    }
}

/// A wish for work.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Which jobs.
    pub filter: ClaimFilter,
    /// The most that is wanted.
    pub limit: usize,
    /// Who will hold the claims.
    pub owner: LeaseOwner,
    /// The time now: what is due later is not given out, claims that have expired by now are.
    pub now: Timestamp,
    /// When the claims expire unless renewed.
    pub until: Timestamp,
}

/// A claimed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which file.
    pub file: FileRef,
    /// What was planned.
    pub spec: FileSpec,
    /// Attempts counted so far.
    pub attempts: u32,
    /// Attempts that failed since the file last made progress.
    pub failures: u32,
    /// The failure before this one, where there was one.
    pub last_error: Option<FileError>,
    /// Body bytes received so far.
    pub received: u64,
    /// What is known of its bytes.
    pub known: Known,
}

/// What is known of a claimed file's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// Nothing: they have to be fetched.
    #[default]
    Nothing,
    /// They were sealed before a crash: look whether they are published, do not fetch.
    Sealed(Sealed),
    /// They are published, and the server is to be asked whether it has others by now. If it has not, the
    /// file is completed as it is.
    Recheck(Sealed),
}

/// What a claimed file has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which file.
    pub file: FileRef,
    /// Body bytes received for it over all attempts; never too many. Less than is known already changes nothing.
    pub received: u64,
    /// True when sealed bytes were found to be gone: the file has to be fetched again.
    pub seal_lost: bool,
}

/// An attempt that failed.
#[derive(Clone, Debug)]
pub struct FailedAttempt {
    /// Which file.
    pub file: FileRef,
    /// Why.
    pub error: FileError,
    /// Failures in a row from now on: 1 when this attempt had brought new durable bytes.
    pub failures: u32,
    /// Body bytes received for the file over all attempts.
    pub received: u64,
    /// Why the next attempt cannot go on from what is held, where that is so.
    pub no_resume: Option<NoResume>,
    /// What follows.
    pub end: AttemptEnd,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Another, from this time on.
    RetryAt(Timestamp),
    /// None.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_some_jobs_admits_the_others_that_it_did() {
        let jobs = |ids: &[u64]| ids.iter().copied().map(JobId).collect::<Vec<_>>();
        let admitted =
            |filter: ClaimFilter| (1..=4).filter(|&id| filter.admits(JobId(id))).collect::<Vec<_>>();
        let table = [
            (ClaimFilter::All, vec![], vec![1, 2, 3, 4]),
            (ClaimFilter::All, vec![2], vec![1, 3, 4]),
            (ClaimFilter::Jobs(jobs(&[1, 2])), vec![2, 3], vec![1]),
            (ClaimFilter::AllBut(jobs(&[1])), vec![3], vec![2, 4]),
        ];
        for (filter, without, expected) in table {
            assert_eq!(admitted(filter.clone().without(&jobs(&without))), expected, "{filter:?}");
        }
    }
}
