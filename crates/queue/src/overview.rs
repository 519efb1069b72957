//! All jobs at a glance: how many there are in each state, their files in sum, and the first of the unfinished.

use skyhaul_model::{FileCounts, JobRecord, JobState};

/// What somebody who looks often wants of a queue, whether it has ten jobs or ten thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// All jobs in numbers.
    pub totals: Totals,
    /// The first of those that are not over, by number.
    pub unfinished: Vec<JobRecord>,
}

/// All jobs in numbers, kept up by adding what a job has become and taking away what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    jobs: [u64; JobState::ALL.len()],
    files: FileCounts,
}

impl Overview {
    /// Of all jobs, with the first `most` that are unfinished.
    #[must_use]
    pub fn of(mut jobs: Vec<JobRecord>, most: usize) -> Self {
        let mut totals = Totals::default();
        jobs.iter().for_each(|job| totals.add(job.state(), &job.files));
        jobs.retain(|job| !job.state().is_final());
        jobs.truncate(most);
        Self { totals, unfinished: jobs }
    }
}

impl Totals {
    /// How many jobs are in a state.
    #[must_use]
    pub fn jobs(&self, state: JobState) -> u64 {
        self.jobs[state as usize]
    }

    /// The files of all jobs together.
    #[must_use]
    pub fn files(&self) -> FileCounts {
        self.files
    }

    /// Counts a job in another state, for who knows more of it than the queue.
    pub fn restate(&mut self, from: JobState, to: JobState) {
        // They may have been counted at another moment than the job was looked at.
        if let Some(fewer) = self.jobs[from as usize].checked_sub(1) {
            self.jobs[from as usize] = fewer;
            self.jobs[to as usize] += 1;
        }
    }

    /// Counts a job in.
    pub fn add(&mut self, state: JobState, files: &FileCounts) {
        self.change(state, files, |sum, part| *sum += part);
    }

    /// Takes a job away that was counted in like this.
    pub fn take(&mut self, state: JobState, files: &FileCounts) {
        self.change(state, files, |sum, part| *sum -= part);
    }

    fn change(&mut self, state: JobState, of: &FileCounts, by: fn(&mut u64, u64)) {
        by(&mut self.jobs[state as usize], 1);
        let FileCounts { total, pending, active, done, failed } = &mut self.files;
        for (sum, part) in [
            (total, of.total),
            (pending, of.pending),
            (active, of.active),
            (done, of.done),
            (failed, of.failed),
        ] {
            by(sum, part);
        }
    }
}
