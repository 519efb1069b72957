//! One job in memory: its windows, its files, and the record that follows from them.

use jiff::Timestamp;
use skyhaul_model::{
    ByteCounts, FileCounts, FileError, FileRecord, FileSeq, FileSpec, FileState, Intent, JobId, JobKey,
    JobPolicy, JobRecord, NewWindow, NoResume, Plan, Proof, Query, Sealed, Troubles, WindowCounts, WindowId,
    WindowRecord, WindowState,
};

use crate::{Known, LeaseOwner, QueueError, Result, SecretHeader};

/// A claim's holder and end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) owner: LeaseOwner,
    pub(super) until: Timestamp,
}

/// A window under a claim, and what was staged under it.
#[derive(Debug)]
pub(super) struct WindowClaim {
    pub(super) lease: Lease,
    pub(super) staged: Vec<FileSpec>,
}

#[derive(Debug)]
pub(super) struct Window {
    pub(super) record: WindowRecord,
    pub(super) claim: Option<WindowClaim>,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) spec: FileSpec,
    /// The window that brought it.
    pub(super) window: WindowId,
    pub(super) state: FileState,
    pub(super) attempts: u32,
    pub(super) failures: u32,
    pub(super) error: Option<FileError>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) sealed: Option<Sealed>,
    /// Whether the server is to be asked for changes to what is sealed and published.
    pub(super) recheck: bool,
    pub(super) received: u64,
    pub(super) no_resume: Option<NoResume>,
    pub(super) lease: Option<Lease>,
}

/// Windows and files stand at the places that their ids name.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) key: JobKey,
    pub(super) name: Option<String>,
    pub(super) priority: i8,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) query: Query,
    pub(super) policy: JobPolicy,
    pub(super) intent: Intent,
    pub(super) hold: Option<FileError>,
    pub(super) plan: Plan,
    pub(super) headers: Vec<SecretHeader>,
    pub(super) input: Vec<u8>,
    pub(super) checksums: Option<Vec<u8>>,
    pub(super) windows: Vec<Window>,
    pub(super) files: Vec<File>,
    pub(super) window_error: Option<FileError>,
    pub(super) troubles: Troubles,
}

impl Job {
    /// Adds windows behind those that are there.
    pub(super) fn add_windows(&mut self, windows: Vec<NewWindow>) {
        for NewWindow { target } in windows {
            let id = WindowId(u32::try_from(self.windows.len()).unwrap_or(u32::MAX));
            let record = WindowRecord {
                id,
                target,
                state: WindowState::Pending,
                failures: 0,
                error: None,
                not_before: None,
            };
            self.windows.push(Window { record, claim: None });
        }
    }

    /// Adds a window's file behind those that are there; one that cannot land anywhere has failed already.
    pub(super) fn add_file(&mut self, window: WindowId, spec: FileSpec) {
        let error = spec.path.as_ref().err().cloned();
        let state = if error.is_some() { FileState::Failed } else { FileState::Pending };
        self.files.push(File {
            spec,
            window,
            state,
            attempts: 0,
            failures: 0,
            error,
            not_before: None,
            sealed: None,
            recheck: false,
            received: 0,
            no_resume: None,
            lease: None,
        });
    }

    pub(super) fn file(&self, seq: FileSeq) -> Result<&File> {
        let found = usize::try_from(seq.0).ok().and_then(|index| self.files.get(index));
        found.ok_or(QueueError::NoSuchFile(self.id, seq))
    }

    pub(super) fn file_mut(&mut self, seq: FileSeq) -> Result<&mut File> {
        let id = self.id;
        let found = usize::try_from(seq.0).ok().and_then(|index| self.files.get_mut(index));
        found.ok_or(QueueError::NoSuchFile(id, seq))
    }

    pub(super) fn window_mut(&mut self, id: WindowId) -> Result<&mut Window> {
        let job = self.id;
        let found = usize::try_from(id.0).ok().and_then(|index| self.windows.get_mut(index));
        found.ok_or(QueueError::NotClaimed(job, id))
    }

    /// The window, if it is under a claim.
    pub(super) fn claimed_window(&mut self, id: WindowId) -> Result<&mut Window> {
        let job = self.id;
        let window = self.window_mut(id)?;
        if window.claim.is_some() { Ok(window) } else { Err(QueueError::NotClaimed(job, id)) }
    }

    /// Whether nothing more will happen by itself.
    pub(super) fn is_over(&self) -> bool {
        self.intent == Intent::Cancelled || self.record().is_settled()
    }

    /// Keeps the finishing time true after a change made at `now`; a change without a time ends nothing.
    pub(super) fn note_finish(&mut self, now: Option<Timestamp>) {
        self.finished_at = if self.is_over() { self.finished_at.or(now) } else { None };
    }

    pub(super) fn record(&self) -> JobRecord {
        JobRecord {
            id: self.id,
            key: self.key.clone(),
            name: self.name.clone(),
            priority: self.priority,
            created_at: self.created_at,
            finished_at: self.finished_at,
            query: self.query.clone(),
            policy: self.policy.clone(),
            intent: self.intent,
            hold: self.hold.clone(),
            plan: self.plan.clone(),
            windows: self.window_counts(),
            files: self.file_counts(),
            bytes: self.byte_counts(),
            window_error: self.window_error.clone(),
        }
    }

    /// Windows that count: all but those that others have taken the place of.
    fn counted_windows(&self) -> impl Iterator<Item = &WindowState> {
        self.windows.iter().map(|window| &window.record.state).filter(|state| **state != WindowState::Split)
    }

    fn window_counts(&self) -> WindowCounts {
        let mut counts = WindowCounts::default();
        for state in self.counted_windows() {
            counts.total += 1;
            counts.listed += u64::from(matches!(state, WindowState::Listed { .. }));
            counts.failed += u64::from(*state == WindowState::Failed);
        }
        counts
    }

    fn file_counts(&self) -> FileCounts {
        let mut counts = FileCounts::default();
        for file in &self.files {
            counts.total += 1;
            match file.state {
                FileState::Pending => counts.pending += 1,
                FileState::Active => counts.active += 1,
                FileState::Done => counts.done += 1,
                FileState::Failed => counts.failed += 1,
            }
        }
        counts
    }

    fn byte_counts(&self) -> ByteCounts {
        let mut bytes = ByteCounts::default();
        for file in &self.files {
            bytes.received += file.received;
            if let (FileState::Done, Some(sealed)) = (file.state, &file.sealed) {
                bytes.done += sealed.size;
                bytes.adopted += if sealed.proof == Proof::Adopted { sealed.size } else { 0 };
            }
        }
        bytes.total = self.bytes_total(bytes.done);
        bytes
    }

    /// What the files told, else what came once all have, else what the windows told; nothing before all windows are
    /// listed.
    fn bytes_total(&self, done: u64) -> Option<u64> {
        let told = |state: &WindowState| match state {
            WindowState::Listed { bytes, .. } => Some(*bytes),
            _ => None,
        };
        let windows: Vec<Option<u64>> = self.counted_windows().map(told).collect::<Option<_>>()?;
        if self.plan != Plan::Planned {
            return None;
        }
        let by_files: Option<u64> = self.files.iter().map(|file| file.spec.size).sum();
        let all_came = self.files.iter().all(|file| file.state == FileState::Done).then_some(done);
        // Windows may tell of files that another has, or that are no longer there.
        let by_windows = || windows.into_iter().sum::<Option<u64>>().map(|told| told.max(done));
        by_files.or(all_came).or_else(by_windows)
    }
}

impl File {
    pub(super) fn record(&self, seq: FileSeq) -> FileRecord {
        FileRecord {
            seq,
            spec: self.spec.clone(),
            state: self.state,
            attempts: self.attempts,
            error: self.error.clone(),
            not_before: self.not_before,
            sealed: self.sealed.clone().filter(|_| self.state == FileState::Done || self.recheck),
            received: self.received,
            no_resume: self.no_resume,
        }
    }

    pub(super) fn known(&self) -> Known {
        match self.sealed.clone() {
            None => Known::Nothing,
            Some(sealed) if self.recheck => Known::Recheck(sealed),
            Some(sealed) => Known::Sealed(sealed),
        }
    }
}
