//! The exit codes: a constant with a sentence each, stable, and shown by `--help` and the manual page.

use std::process::ExitCode;

use skyhaul_model::JobRecord;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, all of it.
    Done,
    /// Failed.
    Failed,
    /// The command line (or the config file that stands in for it) was wrong.
    Usage,
    /// Some files failed for good.
    SomeFailed,
    /// The archive refused or could not be reached.
    Unlisted,
    /// There is no such job.
    NoSuchJob,
    /// The state directory cannot be used.
    StateUnusable,
    /// A signal ended it.
    Interrupted,
}

impl Exit {
    /// Every way to end, in the order of the codes.
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::SomeFailed,
        Self::Unlisted,
        Self::NoSuchJob,
        Self::StateUnusable,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::Unlisted => 4,
            Self::NoSuchJob => 5,
            Self::StateUnusable => 6,
            Self::Interrupted => 130,
        }
    }

    /// What the number means, for people.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Done => "done, all of it",
            Self::Failed => "failed; the sentence on stderr says why",
            Self::Usage => "the command line was wrong",
            Self::SomeFailed => "finished, but some files failed for good",
            Self::Unlisted => "the archive refused the query or could not be reached",
            Self::NoSuchJob => "no such job",
            Self::StateUnusable => "the state directory is unusable",
            Self::Interrupted => "interrupted; everything is kept",
        }
    }

    /// What a finished job's counters amount to. An incomplete list wins over failed files: nobody knows
    /// how many files it lacks.
    pub(crate) fn of_job(job: &JobRecord) -> Self {
        if job.is_unlisted() {
            Self::Unlisted
        } else if job.files.failed > 0 {
            Self::SomeFailed
        } else {
            Self::Done
        }
    }

    /// The worse of two ends of jobs that were worked off together.
    pub(crate) fn worse(self, other: Self) -> Self {
        if other.code() > self.code() { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, FileError, Plan};

    use super::*;
    use crate::samples;

    #[test]
    fn the_codes_are_the_documented_ones() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 130]);
    }

    #[test]
    fn an_incomplete_list_wins_over_failed_files() {
        let refused = || Plan::Refused(FileError::new(ErrorKind::Http, "no"));
        let table = [
            (Plan::Planned, 0, 0, Exit::Done),
            (Plan::Planned, 0, 2, Exit::SomeFailed),
            (Plan::Planned, 1, 0, Exit::Unlisted),
            (Plan::Planned, 1, 2, Exit::Unlisted),
            (refused(), 0, 0, Exit::Unlisted),
        ];
        for (plan, windows_failed, files_failed, exit) in table {
            let mut job = samples::job();
            job.plan = plan;
            job.windows.failed = windows_failed;
            job.files.failed = files_failed;
            assert_eq!(Exit::of_job(&job), exit, "{windows_failed} windows, {files_failed} files");
        }
    }

    #[test]
    fn several_jobs_end_like_the_worst() {
        assert_eq!(Exit::SomeFailed.worse(Exit::Done), Exit::SomeFailed);
        assert_eq!(Exit::SomeFailed.worse(Exit::Unlisted), Exit::Unlisted);
    }
}
