//! All that is stored of one file, as a value: pure steps from one to the next.

use skyhaul_model::{FileError, FileEvent, FileState, Illegal, NoResume};

use crate::codec::Moment;
use crate::index::{HistoryRow, SealRef, Stored};
use crate::ledger::{FailedFile, Remembered};

/// A step's outcome: the file after it, or why it cannot be taken.
pub(crate) type Step = Result<Entry, Illegal>;

/// A file's stored state. Active is not stored: a file under a claim is pending here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) state: FileState,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    /// Body bytes over all attempts; never less than its seal says.
    pub(crate) received: u64,
    pub(crate) not_before: Option<Moment>,
    pub(crate) error: Option<FileError>,
    pub(crate) no_resume: Option<NoResume>,
    pub(crate) seal: Option<SealRef>,
    /// Whether what is sealed is published and to be compared with what its server has.
    pub(crate) recheck: bool,
}

impl Entry {
    /// Puts a file's rows together; without a history it has been through nothing remarkable.
    pub(crate) fn new(stored: Stored, history: Option<&HistoryRow>, seal: Option<SealRef>) -> Self {
        let received = seal.map_or(0, |seal| seal.received);
        let plain = Self {
            state: stored.state(),
            attempts: plain_attempts(stored),
            failures: 0,
            received,
            not_before: None,
            error: None,
            no_resume: None,
            seal,
            recheck: stored == Stored::Recheck && seal.is_some(),
        };
        let Some(history) = history else { return plain };
        Self {
            attempts: history.attempts,
            failures: history.failures,
            received: received.max(history.received),
            not_before: history.not_before,
            error: history.error.clone(),
            no_resume: history.no_resume,
            recheck: plain.recheck || stored == Stored::Failed && history.recheck,
            ..plain
        }
    }

    /// The state to store.
    pub(crate) fn stored(&self) -> Stored {
        match self.state {
            FileState::Pending | FileState::Active if self.recheck => Stored::Recheck,
            FileState::Pending | FileState::Active => Stored::Pending,
            FileState::Done => Stored::Done,
            FileState::Failed => Stored::Failed,
        }
    }

    /// The history to store; none where [`Entry::new`] gets along without one.
    pub(crate) fn history(&self) -> Option<HistoryRow> {
        (!self.is_plain()).then(|| HistoryRow {
            attempts: self.attempts,
            failures: self.failures,
            received: self.received,
            not_before: self.not_before,
            error: self.error.clone(),
            no_resume: self.no_resume,
            recheck: self.recheck,
        })
    }

    /// Whether it is what [`Entry::new`] makes of a file without a history.
    pub(crate) fn is_plain(&self) -> bool {
        let stored = self.stored();
        self.attempts == plain_attempts(stored)
            && self.failures == 0
            && self.received == self.seal.map_or(0, |seal| seal.received)
            && self.not_before.is_none()
            && self.error.is_none()
            && self.no_resume.is_none()
            && self.recheck == (stored == Stored::Recheck && self.seal.is_some())
    }

    /// Its bytes are whole, checked and synced.
    pub(crate) fn sealed(self, seal: SealRef) -> Step {
        // Only what may be completed may be sealed.
        self.state.after(FileEvent::Complete)?;
        let received = self.received.max(seal.received);
        Ok(Self { received, seal: Some(seal), recheck: false, ..self })
    }

    /// It is published.
    pub(crate) fn completed(self) -> Step {
        let state = self.state.after(FileEvent::Complete)?;
        if self.seal.is_none() {
            return Err(Illegal { from: self.state, event: FileEvent::Complete });
        }
        // That a file was found unchanged is no attempt at it.
        let attempts = self.attempts.saturating_add(u32::from(!self.recheck));
        Ok(Self {
            state,
            attempts,
            failures: 0,
            not_before: None,
            error: None,
            no_resume: None,
            recheck: false,
            ..self
        })
    }

    /// It is published under the seal that lies there, and no other.
    pub(crate) fn completed_under(self, seal_at: u64) -> Step {
        if self.seal.is_none_or(|seal| seal.at != seal_at) {
            return Err(Illegal { from: self.state, event: FileEvent::Complete });
        }
        self.completed()
    }

    /// An attempt failed.
    pub(crate) fn failed(self, attempt: &FailedFile) -> Step {
        let event = if attempt.not_before.is_some() { FileEvent::Retry } else { FileEvent::Fail };
        Ok(Self {
            state: self.state.after(event)?,
            attempts: self.attempts.saturating_add(1),
            failures: attempt.failures,
            received: self.received.max(attempt.received),
            not_before: attempt.not_before,
            error: Some(attempt.error.clone()),
            no_resume: attempt.no_resume,
            ..self
        })
    }

    /// A claim on it was given back.
    pub(crate) fn released(self) -> Step {
        Ok(Self { state: self.state.after(FileEvent::Release)?, ..self })
    }

    /// More was received.
    pub(crate) fn received(self, received: u64) -> Self {
        Self { received: self.received.max(received), ..self }
    }

    /// Its sealed bytes are gone.
    pub(crate) fn seal_lost(self) -> Self {
        Self { seal: None, recheck: false, ..self }
    }

    /// Its published bytes were found bad.
    pub(crate) fn invalidated(self, error: &FileError) -> Step {
        let state = self.state.after(FileEvent::Invalidate)?;
        Ok(Self { state, error: Some(error.clone()), seal: None, ..self })
    }

    /// It was sealed anew although it is done: that its bytes were found bad before is lost.
    pub(crate) fn superseded(self) -> Step {
        Ok(Self { state: self.state.after(FileEvent::Invalidate)?, seal: None, ..self })
    }

    /// Its ledger was written anew: this is what it had been through before.
    pub(crate) fn remembered(self, past: &Remembered) -> Self {
        Self {
            attempts: past.attempts,
            failures: past.failures,
            received: self.received.max(past.received),
            error: past.error.clone(),
            no_resume: past.no_resume,
            recheck: past.recheck && self.seal.is_some(),
            ..self
        }
    }

    /// A person asks for another go.
    pub(crate) fn requeued(self) -> Step {
        Ok(Self { state: self.state.after(FileEvent::Requeue)?, failures: 0, not_before: None, ..self })
    }
}

/// Attempts of a file of which nothing is remembered.
fn plain_attempts(stored: Stored) -> u32 {
    u32::from(matches!(stored, Stored::Done | Stored::Recheck))
}

#[cfg(test)]
mod tests {
    use skyhaul_model::ErrorKind;

    use super::*;

    const SEAL: SealRef = SealRef { at: 24, size: 100, received: 120, adopted: false };

    fn fresh() -> Entry {
        Entry::new(Stored::Pending, None, None)
    }

    fn failure(not_before: Option<Moment>) -> FailedFile {
        let error = FileError::new(ErrorKind::Http, "status 500");
        FailedFile {
            seq: skyhaul_model::FileSeq(0),
            error,
            failures: 1,
            received: 50,
            not_before,
            no_resume: None,
        }
    }

    #[test]
    fn a_file_done_at_the_first_attempt_needs_no_history() {
        let done = fresh().sealed(SEAL).unwrap().completed().unwrap();
        assert_eq!((done.attempts, done.received, done.history()), (1, 120, None));
        assert_eq!(Entry::new(Stored::Done, None, Some(SEAL)), done);
    }

    #[test]
    fn a_history_brings_everything_back() {
        let again = jiff::Timestamp::UNIX_EPOCH.into();
        let entries = [
            fresh().failed(&failure(Some(again))).unwrap(),
            fresh().failed(&failure(None)).unwrap(),
            fresh().failed(&failure(None)).unwrap().requeued().unwrap(),
            fresh().failed(&failure(Some(again))).unwrap().sealed(SEAL).unwrap().completed().unwrap(),
            fresh().sealed(SEAL).unwrap().seal_lost(),
            fresh().sealed(SEAL).unwrap().received(130).completed().unwrap(),
            doubted().failed(&failure(Some(again))).unwrap(),
            doubted().failed(&failure(None)).unwrap(),
            doubted().seal_lost(),
        ];
        for entry in entries {
            assert_ne!(Entry::new(entry.stored(), None, entry.seal), entry);
            let history = entry.history().expect("none of these is plain");
            assert_eq!(Entry::new(entry.stored(), Some(&history), entry.seal), entry);
        }
    }

    fn doubted() -> Entry {
        Entry::new(Stored::Recheck, None, Some(SEAL))
    }

    #[test]
    fn a_check_that_finds_nothing_new_leaves_no_trace() {
        let done = Entry::new(Stored::Done, None, Some(SEAL));
        assert_eq!((doubted().history(), doubted().completed_under(SEAL.at).unwrap()), (None, done));
        let newer = SealRef { at: 900, ..SEAL };
        let changed = doubted().sealed(newer).unwrap().completed().unwrap();
        assert_eq!((changed.attempts, changed.seal, changed.recheck), (2, Some(newer), false));
    }

    #[test]
    fn a_check_that_failed_is_made_when_the_file_is_put_back() {
        let back = doubted().failed(&failure(None)).unwrap().requeued().unwrap();
        assert_eq!((back.recheck, back.stored()), (true, Stored::Recheck));
    }

    #[test]
    fn nothing_is_done_without_a_seal() {
        assert!(fresh().completed().is_err());
        assert!(fresh().sealed(SEAL).unwrap().completed_under(SEAL.at + 1).is_err());
        let done = fresh().sealed(SEAL).unwrap().completed_under(SEAL.at).unwrap();
        assert!(done.clone().completed().is_err() && done.clone().sealed(SEAL).is_err());
        let bad = done.invalidated(&FileError::new(ErrorKind::Checksum, "differs")).unwrap();
        assert_eq!((bad.state, bad.seal, bad.received, bad.attempts), (FileState::Pending, None, 120, 1));
        assert!(bad.completed().is_err());
    }
}
