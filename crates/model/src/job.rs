//! Jobs: their records, their counters, and the visible state that follows from both.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FileError, JobId, JobKey, JobPolicy, Query};

/// What a person wants of a job.
///
/// The order is part of the stored format: append only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Work on it.
    #[default]
    Run,
    /// Let no new byte be asked for.
    Paused,
    /// Drop it, keep what is finished.
    Cancelled,
}

/// How far the query has been turned into windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// The windows are not known yet.
    Unplanned,
    /// The windows are known.
    Planned,
    /// The archive refused the query (or never answered): nothing can be listed.
    Refused(FileError),
}

/// How many windows a job has, by state. Split windows are counted by their parts alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCounts {
    /// All.
    pub total: u64,
    /// Listed.
    pub listed: u64,
    /// Given up.
    pub failed: u64,
}

/// How many files a job has, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    /// All that are known so far.
    pub total: u64,
    /// Waiting.
    pub pending: u64,
    /// With a worker.
    pub active: u64,
    /// Published.
    pub done: u64,
    /// Given up.
    pub failed: u64,
}

/// A job's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteCounts {
    /// The archive's own total, where every listed window told one.
    pub total: Option<u64>,
    /// Sizes of published files.
    pub done: u64,
    /// Body bytes received over the network, repeats included; never too many.
    pub received: u64,
    /// Sizes of files that were taken over as they lay.
    pub adopted: u64,
}

/// A job's state as people see it: derived, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its list of files is being asked for and nothing else can be done yet.
    Planning,
    /// Waits for its turn.
    Queued,
    /// Files are in flight.
    Running,
    /// Held, by a person or by the engine.
    Paused,
    /// All of it is here.
    Completed,
    /// Finished, but some files or windows failed.
    Failed,
    /// Dropped by a person.
    Cancelled,
}

/// A job as the queue tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its number.
    pub id: JobId,
    /// Its query's key.
    pub key: JobKey,
    /// A label for people.
    pub name: Option<String>,
    /// -100 to 100, higher first.
    pub priority: i8,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was completed, failed or cancelled.
    pub finished_at: Option<Timestamp>,
    /// What is to be pulled.
    pub query: Query,
    /// How it is to be worked off.
    pub policy: JobPolicy,
    /// What a person wants of it.
    pub intent: Intent,
    /// Why the engine holds it back by itself.
    pub hold: Option<FileError>,
    /// How far its query has been turned into windows.
    pub plan: Plan,
    /// Its windows.
    pub windows: WindowCounts,
    /// Its files.
    pub files: FileCounts,
    /// Its bytes.
    pub bytes: ByteCounts,
    /// The last window's failure, where windows failed.
    pub window_error: Option<FileError>,
}

impl WindowCounts {
    /// Windows that still have to be listed.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.total - self.listed - self.failed
    }
}

impl JobState {
    /// Every state, in the order of its declaration.
    pub const ALL: [Self; 7] = [
        Self::Planning,
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// That of a job of which this is known: intent first, then what the counters say.
    #[must_use]
    pub fn of(
        intent: Intent,
        hold: Option<&FileError>,
        plan: &Plan,
        windows: &WindowCounts,
        files: &FileCounts,
    ) -> Self {
        if intent == Intent::Cancelled {
            return Self::Cancelled;
        }
        if is_settled(plan, windows, files) {
            let has_failures = is_unlisted(plan, windows) || files.failed > 0;
            return if has_failures { Self::Failed } else { Self::Completed };
        }
        if intent == Intent::Paused || hold.is_some() {
            return Self::Paused;
        }
        match (files.active > 0, files.pending > 0) {
            (true, _) => Self::Running,
            (false, true) => Self::Queued,
            (false, false) => Self::Planning,
        }
    }

    /// The name that `status --json` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl JobRecord {
    /// The visible state.
    #[must_use]
    pub fn state(&self) -> JobState {
        JobState::of(self.intent, self.hold.as_ref(), &self.plan, &self.windows, &self.files)
    }

    /// Whether every window and every file has come to its end.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        is_settled(&self.plan, &self.windows, &self.files)
    }

    /// Whether the archive refused or could not be asked, so that the list of files is incomplete.
    #[must_use]
    pub fn is_unlisted(&self) -> bool {
        is_unlisted(&self.plan, &self.windows)
    }

    /// The sentence that explains a hold, a refusal or failed windows.
    #[must_use]
    pub fn error(&self) -> Option<&FileError> {
        match &self.plan {
            Plan::Refused(error) => Some(error),
            _ => self.hold.as_ref().or(self.window_error.as_ref()),
        }
    }
}

fn is_settled(plan: &Plan, windows: &WindowCounts, files: &FileCounts) -> bool {
    match plan {
        Plan::Unplanned => false,
        Plan::Refused(_) => true,
        Plan::Planned => windows.open() == 0 && files.pending == 0 && files.active == 0,
    }
}

fn is_unlisted(plan: &Plan, windows: &WindowCounts) -> bool {
    matches!(plan, Plan::Refused(_)) || windows.failed > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Source};

    fn job(intent: Intent, plan: Plan, windows: [u64; 3], files: [u64; 4]) -> JobRecord {
        let query = Query { source: Source::Urls { digest: String::new(), base: None }, out: "/o".into() };
        let [total, listed, failed] = windows;
        let [pending, active, done, lost] = files;
        JobRecord {
            id: JobId(1),
            key: query.key(),
            name: None,
            priority: 0,
            created_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            query,
            policy: JobPolicy::default(),
            intent,
            hold: None,
            plan,
            windows: WindowCounts { total, listed, failed },
            files: FileCounts { total: pending + active + done + lost, pending, active, done, failed: lost },
            bytes: ByteCounts::default(),
            window_error: None,
        }
    }

    #[test]
    fn the_state_follows_from_intent_and_counters() {
        use JobState as S;
        let refused = || Plan::Refused(FileError::new(ErrorKind::Http, "no"));
        let table = [
            (Intent::Run, Plan::Unplanned, [0, 0, 0], [0, 0, 0, 0], S::Planning),
            (Intent::Run, Plan::Planned, [2, 1, 0], [0, 0, 5, 0], S::Planning),
            (Intent::Run, Plan::Planned, [2, 1, 0], [5, 0, 0, 0], S::Queued),
            (Intent::Run, Plan::Planned, [2, 1, 0], [5, 1, 0, 0], S::Running),
            (Intent::Paused, Plan::Planned, [2, 1, 0], [5, 1, 0, 0], S::Paused),
            (Intent::Paused, Plan::Planned, [1, 1, 0], [0, 0, 5, 0], S::Completed),
            (Intent::Run, Plan::Planned, [0, 0, 0], [0, 0, 0, 0], S::Completed),
            (Intent::Run, Plan::Planned, [1, 1, 0], [0, 0, 4, 1], S::Failed),
            (Intent::Run, Plan::Planned, [1, 0, 1], [0, 0, 0, 0], S::Failed),
            (Intent::Run, refused(), [0, 0, 0], [0, 0, 0, 0], S::Failed),
            (Intent::Cancelled, Plan::Planned, [1, 1, 0], [5, 0, 0, 0], S::Cancelled),
        ];
        for (intent, plan, windows, files, state) in table {
            assert_eq!(
                job(intent, plan.clone(), windows, files).state(),
                state,
                "{intent:?} {plan:?} {windows:?} {files:?}"
            );
        }
    }

    #[test]
    fn a_hold_shows_as_paused_with_its_reason() {
        let mut held = job(Intent::Run, Plan::Planned, [1, 1, 0], [5, 0, 0, 0]);
        held.hold = Some(FileError::new(ErrorKind::Disk, "the disk is full"));
        assert_eq!(held.state(), JobState::Paused);
        assert_eq!(held.error().map(|e| e.kind), Some(ErrorKind::Disk));
    }
}
