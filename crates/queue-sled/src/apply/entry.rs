//! All that is stored of one file, as a value: pure steps from one to the next.

use skyhaul_model::{FileError, FileEvent, FileState, Illegal};

use crate::codec::Moment;
use crate::index::{HistoryRow, SealRef};
use crate::ledger::FailedFile;

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
    pub(crate) seal: Option<SealRef>,
}

impl Entry {
    /// Puts a file's rows together; without a history it has been through nothing remarkable.
    pub(crate) fn new(state: FileState, history: Option<&HistoryRow>, seal: Option<SealRef>) -> Self {
        let received = seal.map_or(0, |seal| seal.received);
        match history {
            None => Self {
                state,
                attempts: plain_attempts(state),
                failures: 0,
                received,
                not_before: None,
                error: None,
                seal,
            },
            Some(history) => Self {
                state,
                attempts: history.attempts,
                failures: history.failures,
                received: received.max(history.received),
                not_before: history.not_before,
                error: history.error.clone(),
                seal,
            },
        }
    }

    /// The history to store; none where [`Entry::new`] gets along without one.
    pub(crate) fn history(&self) -> Option<HistoryRow> {
        let plain = Self::new(self.state, None, self.seal);
        (*self != plain).then(|| HistoryRow {
            attempts: self.attempts,
            failures: self.failures,
            received: self.received,
            not_before: self.not_before,
            error: self.error.clone(),
        })
    }

    /// Its bytes are whole, checked and synced.
    pub(crate) fn sealed(self, seal: SealRef) -> Step {
        // Only what may be completed may be sealed.
        self.state.after(FileEvent::Complete)?;
        Ok(Self { received: self.received.max(seal.received), seal: Some(seal), ..self })
    }

    /// It is published.
    pub(crate) fn completed(self) -> Step {
        let state = self.state.after(FileEvent::Complete)?;
        if self.seal.is_none() {
            return Err(Illegal { from: self.state, event: FileEvent::Complete });
        }
        let attempts = self.attempts.saturating_add(1);
        Ok(Self { state, attempts, failures: 0, not_before: None, error: None, ..self })
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
            seal: self.seal,
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
        Self { seal: None, ..self }
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

    /// A person asks for another go.
    pub(crate) fn requeued(self) -> Step {
        Ok(Self { state: self.state.after(FileEvent::Requeue)?, failures: 0, not_before: None, ..self })
    }
}

/// Attempts of a file of which nothing is remembered.
fn plain_attempts(state: FileState) -> u32 {
    u32::from(state == FileState::Done)
}

#[cfg(test)]
mod tests {
    use skyhaul_model::ErrorKind;

    use super::*;

    const SEAL: SealRef = SealRef { at: 24, size: 100, received: 120, adopted: false };

    fn fresh() -> Entry {
        Entry::new(FileState::Pending, None, None)
    }

    fn failure(not_before: Option<Moment>) -> FailedFile {
        let error = FileError::new(ErrorKind::Http, "status 500");
        FailedFile { seq: skyhaul_model::FileSeq(0), error, failures: 1, received: 50, not_before }
    }

    #[test]
    fn a_file_done_at_the_first_attempt_needs_no_history() {
        let done = fresh().sealed(SEAL).unwrap().completed().unwrap();
        assert_eq!((done.attempts, done.received, done.history()), (1, 120, None));
        assert_eq!(Entry::new(FileState::Done, None, Some(SEAL)), done);
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
        ];
        for entry in entries {
            let history = entry.history().expect("none of these is plain");
            assert_eq!(Entry::new(entry.state, Some(&history), entry.seal), entry);
        }
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
