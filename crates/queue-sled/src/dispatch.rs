//! What of a job can be claimed, is claimed, or waits for a time: in memory alone, flat in the job's size.
//!
//! A cursor goes through the files in listing order; what lies behind it and can be claimed again is
//! remembered by number, what waits by its time. So every unclaimed pending file is at or past the cursor,
//! among the returned, or among the waiting (invariant I9). A crash loses all of it, and only it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use skyhaul_model::{FileSeq, FileSpec, Troubles, WindowId};
use skyhaul_queue::LeaseOwner;

use crate::known::KnownFiles;
use crate::ledger::ChunkRef;

/// A claim's holder and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) owner: LeaseOwner,
    pub(crate) until: Timestamp,
}

/// A claimed file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileClaim {
    pub(crate) lease: Lease,
    /// Received as far as the ledger knows.
    pub(crate) recorded: u64,
    /// Received as far as checkpoints told.
    pub(crate) received: u64,
}

/// A claimed window and its listing so far.
#[derive(Debug)]
pub(crate) struct WindowClaim {
    pub(crate) lease: Lease,
    /// Chunks that are in the ledger.
    pub(crate) chunks: Vec<ChunkRef>,
    /// Files that do not fill a chunk yet.
    pub(crate) rest: Vec<FileSpec>,
    /// Its files whose paths cannot be made, counted.
    pub(crate) lost: Troubles,
    /// The files that the window has brought before; none until the first file is staged.
    pub(crate) known: Option<KnownFiles>,
}

/// Numbers that wait for a time.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    by_time: BTreeSet<(Timestamp, T)>,
    times: BTreeMap<T, Timestamp>,
}

/// A job's claims and what can be claimed.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// Files before it are done, failed, claimed, returned or waiting.
    pub(crate) cursor: FileSeq,
    pub(crate) returned: BTreeSet<FileSeq>,
    pub(crate) waiting: Waiting<FileSeq>,
    pub(crate) claims: BTreeMap<FileSeq, FileClaim>,
    /// Pending windows that wait for nothing.
    pub(crate) windows: BTreeSet<WindowId>,
    pub(crate) waiting_windows: Waiting<WindowId>,
    pub(crate) window_claims: BTreeMap<WindowId, WindowClaim>,
}

impl Dispatch {
    /// A pending file that nobody has: when it may be claimed again.
    pub(crate) fn put_back(&mut self, seq: FileSeq, not_before: Option<Timestamp>) {
        self.waiting.remove(seq);
        match not_before {
            Some(at) => self.waiting.insert(seq, at),
            None if seq < self.cursor => drop(self.returned.insert(seq)),
            None => {}
        }
    }

    /// Forgets a file that has come to its end.
    pub(crate) fn end(&mut self, seq: FileSeq) {
        self.claims.remove(&seq);
        self.waiting.remove(seq);
        self.returned.remove(&seq);
    }

    /// Goes through the files from the first one on again.
    pub(crate) fn rewind(&mut self) {
        self.cursor = FileSeq(0);
        self.returned.clear();
    }

    /// Lets go of what has waited long enough.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        while let Some(seq) = self.waiting.pop_due(now) {
            // The cursor comes by those that are not behind it.
            if seq < self.cursor {
                self.returned.insert(seq);
            }
        }
        while let Some(window) = self.waiting_windows.pop_due(now) {
            self.windows.insert(window);
        }
    }

    /// The earliest time after `clock` that a file or window waits for.
    pub(crate) fn next_due(&self, clock: Timestamp) -> Option<Timestamp> {
        let file = self.waiting.first_after(clock);
        let window = self.waiting_windows.first_after(clock);
        file.into_iter().chain(window).min()
    }

    /// Bytes that checkpoints told of and the ledger does not know.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.claims.values().map(FileClaim::unrecorded).sum()
    }
}

impl FileClaim {
    /// Bytes that checkpoints told of and the ledger does not know.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.received.saturating_sub(self.recorded)
    }
}

impl Default for Dispatch {
    fn default() -> Self {
        Self {
            cursor: FileSeq(0),
            returned: BTreeSet::new(),
            waiting: Waiting::default(),
            claims: BTreeMap::new(),
            windows: BTreeSet::new(),
            waiting_windows: Waiting::default(),
            window_claims: BTreeMap::new(),
        }
    }
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), times: BTreeMap::new() }
    }
}

impl<T: Copy + Ord> Waiting<T> {
    /// Lets it wait until `at`, whatever it waited for before.
    pub(crate) fn insert(&mut self, item: T, at: Timestamp) {
        self.remove(item);
        self.by_time.insert((at, item));
        self.times.insert(item, at);
    }

    pub(crate) fn remove(&mut self, item: T) {
        if let Some(at) = self.times.remove(&item) {
            self.by_time.remove(&(at, item));
        }
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<T> {
        let &(_, item) = self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.remove(item);
        Some(item)
    }

    fn first_after(&self, clock: Timestamp) -> Option<Timestamp> {
        // Few have come due since the last claim, so few are passed over.
        self.by_time.iter().map(|(at, _)| *at).find(|at| *at > clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_waits_behind_the_cursor_is_returned_in_time() {
        let mut dispatch = Dispatch { cursor: FileSeq(10), ..Dispatch::default() };
        dispatch.put_back(FileSeq(3), Some(at(50)));
        dispatch.put_back(FileSeq(4), Some(at(40)));
        dispatch.put_back(FileSeq(12), Some(at(40)));
        dispatch.put_back(FileSeq(5), None);
        dispatch.put_back(FileSeq(11), None);
        assert_eq!(dispatch.next_due(at(0)), Some(at(40)));
        dispatch.wake(at(40));
        assert_eq!(dispatch.returned, BTreeSet::from([FileSeq(4), FileSeq(5)]));
        assert_eq!(dispatch.next_due(at(40)), Some(at(50)));
        dispatch.end(FileSeq(3));
        assert_eq!(dispatch.next_due(at(40)), None);
    }

    #[test]
    fn a_later_time_replaces_an_earlier_one() {
        let mut waiting = Waiting::default();
        waiting.insert(WindowId(1), at(10));
        waiting.insert(WindowId(1), at(20));
        assert_eq!((waiting.pop_due(at(10)), waiting.first_after(at(0))), (None, Some(at(20))));
        assert_eq!((waiting.pop_due(at(20)), waiting.first_after(at(0))), (Some(WindowId(1)), None));
    }
}
