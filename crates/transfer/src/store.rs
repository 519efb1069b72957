//! A part that is being written: where its bytes go, and what is recorded of them.
//!
//! A crash may lose what was written since the last checkpoint if the machine goes down with it, and
//! the batch on its way to the disk if the process alone dies once the meta file stands.

use std::fs::File;
use std::io;

use jiff::Timestamp;
use skyhaul_model::NoResume;

use crate::Assignment;
use crate::ask::Held;
use crate::bad::Answered;
use crate::durable::{self, Synced};
use crate::extents::Extents;
use crate::meta::{Meta, Note};
use crate::parts::PartPaths;
use crate::place::own_folder;
use crate::root::is_at;
use crate::trouble::Blow;
use crate::validator::{Validators, http_date};
use crate::version::Kinship;

/// From this many bytes on a part is worth a meta file, however fast it came.
const WORTH_RECORDING_BYTES: u64 = 128 << 10;

/// Whether a file of so many bytes is written in one go, and made last together with others.
pub(crate) fn is_small(bytes: u64) -> bool {
    bytes <= WORTH_RECORDING_BYTES
}

/// Bytes between two checkpoints: what a power cut may cost of one file.
const CHECKPOINT_BYTES: u64 = 8 << 20;

/// Refusals to go on from a version after which another one takes its place, even one of no use for going on.
const PATIENCE: u32 = 4;

/// Whether a body has taken long enough to be worth recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It has only just begun.
    Young,
    /// It takes its time.
    Old,
}

/// Whether a later attempt could safely go on from the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumable {
    /// It could.
    Yes,
    /// It could not, for this reason: the bytes are of use in this attempt alone.
    No(NoResume),
}

/// Why writing is given up for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// We were told to stop: what is here is made to last.
    Stopped,
    /// The network or the disk failed, and another attempt is near.
    Failed,
}

/// A part being written.
#[derive(Debug)]
pub(crate) struct Store {
    paths: PartPaths,
    file: File,
    meta: Meta,
    resumable: Resumable,
    rival: Option<Rival>,
    /// Where the record takes notes, once there is one.
    recorded: Option<Note>,
    /// A sync was refused. The kernel may take bytes for written that never reached the disk, so that what was synced
    /// before is all that is believed.
    doubtful: bool,
}

/// Bytes that were held before, in the other slot, while these here come (rules 10 and 32).
#[derive(Debug)]
pub(crate) struct Rival {
    paths: PartPaths,
    length: u64,
    meta: Meta,
    kinship: Kinship,
}

impl Store {
    /// Begins a part, beside a rival where there is one; what was in its own slot is gone.
    pub(crate) fn begin(
        paths: PartPaths,
        meta: Meta,
        resumable: Resumable,
        rival: Option<Rival>,
    ) -> Result<Self, Blow> {
        let failed = |error: io::Error| Blow::of_disk("begin", &paths.part, &error);
        own_folder(&paths.folder)?;
        paths.forget().map_err(failed)?;
        let file = durable::create_to_append(&paths.part).map_err(failed)?;
        Ok(Self { file, meta, resumable, rival, recorded: None, doubtful: false, paths })
    }

    /// Goes on behind the bytes that are held.
    pub(crate) fn go_on(paths: PartPaths, meta: Meta) -> Result<Self, Blow> {
        let file = durable::open_to_append(&paths.part)
            .map_err(|error| Blow::of_disk("go on with", &paths.part, &error))?;
        let resumable = Resumable::Yes;
        Ok(Self { file, meta, resumable, rival: None, recorded: None, doubtful: false, paths })
    }

    /// Writes behind what is there.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        durable::write(&self.file, bytes)?;
        self.meta.written.append(bytes);
        Ok(())
    }

    /// What has been written, as far as that was told.
    pub(crate) fn written(&self) -> &Extents {
        &self.meta.written
    }

    /// Records what has been appended where that is due.
    pub(crate) fn checkpoint(&mut self, age: Age) -> io::Result<()> {
        if self.resumable != Resumable::Yes {
            return Ok(());
        }
        let length = self.meta.written.total();
        if length.saturating_sub(self.meta.synced.total()) >= CHECKPOINT_BYTES {
            return self.record_synced();
        }
        match &self.recorded {
            Some(note) => note.write(&self.meta.written),
            None if length >= WORTH_RECORDING_BYTES || age == Age::Old => self.record(),
            None => Ok(()),
        }
    }

    /// Lets bytes be placed anywhere from now on: the part's own length says no more what is in it. Gives the file to
    /// place them in.
    pub(crate) fn spread(&mut self) -> io::Result<File> {
        let file = durable::open_to_place(&self.paths.part)?;
        // Bytes that are placed behind a missing end would turn it into zeros, which are found out only at the end.
        if file.metadata()?.len() < self.meta.written.end() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter"));
        }
        self.record()?;
        Ok(file)
    }

    /// Records what has been placed so far, and syncs it where that is due.
    pub(crate) fn record_placed(&mut self, written: Extents) -> io::Result<()> {
        if self.doubtful {
            return Ok(());
        }
        self.note_placed(written);
        if self.meta.written.total().saturating_sub(self.meta.synced.total()) >= CHECKPOINT_BYTES {
            return self.record_synced();
        }
        self.record()
    }

    /// Takes note of what has been placed, for the next record.
    pub(crate) fn note_placed(&mut self, written: Extents) {
        self.meta.written = written;
    }

    /// Gives up for now; how many bytes the next attempt can go on from.
    pub(crate) fn pause(mut self, why: Pause) -> io::Result<u64> {
        if self.doubtful {
            return self.fall_back();
        }
        let length = self.meta.written.total();
        let is_of_use = length > 0 && self.resumable == Resumable::Yes;
        if let Some(rival) = self.rival.take() {
            if rival.is_worth_more_than(length, is_of_use) {
                self.paths.forget()?;
                return rival.refused();
            }
            if rival.kinship == Kinship::Same || !is_of_use {
                rival.paths.forget()?;
            }
        }
        if !is_of_use {
            self.paths.forget()?;
            return Ok(0);
        }
        // A write that failed may have left some of its bytes, which no check has seen.
        durable::cut(&self.file, self.meta.written.end())?;
        let recorded = match why {
            Pause::Stopped => self.record_synced(),
            Pause::Failed => self.record(),
        };
        if self.doubtful {
            return self.fall_back();
        }
        recorded.map(|()| length)
    }

    /// Keeps no more than what was synced before a sync was refused; nothing where even that cannot be recorded.
    fn fall_back(mut self) -> io::Result<u64> {
        self.meta.written = self.meta.synced.clone();
        let length = self.meta.written.total();
        if length == 0 || self.rival.is_some() || self.resumable != Resumable::Yes {
            return self.discard();
        }
        match durable::cut(&self.file, self.meta.written.end()).and_then(|()| self.record()) {
            Ok(()) => Ok(length),
            Err(error) => self.discard().and(Err(error)),
        }
    }

    /// Gives these bytes up for good; what was held before stays. How many bytes the next attempt can go on from.
    pub(crate) fn discard(self) -> io::Result<u64> {
        self.paths.forget()?;
        self.rival.map_or(Ok(0), Rival::refused)
    }

    /// The answer that brought these bytes, which had all come by `now`.
    pub(crate) fn answered(&self, now: Timestamp) -> Answered {
        let Validators { etag, last_modified, .. } = self.meta.validators.clone();
        Answered { at: now, url: self.meta.final_url.clone(), etag, last_modified }
    }

    /// Whether the part is still there, and as long as it was written. One that went to the disk in one go has not been
    /// there for others to change.
    pub(crate) fn is_as_written(&self, length: u64) -> bool {
        let is_as_long = || self.file.metadata().is_ok_and(|found| found.len() == length);
        self.recorded.is_none() || is_as_long() && is_at(&self.file, &self.paths.part)
    }

    /// Dates what was written as the server dates it, and makes it last if that is not left for later.
    pub(crate) fn seal(mut self, synced: Synced) -> Result<PartPaths, Blow> {
        let date = self.meta.validators.last_modified.as_deref().and_then(http_date);
        if let Some(Err(error)) = date.map(|date| durable::set_modified(&self.file, date)) {
            // It only costs the next recheck a whole body.
            tracing::debug!(%error, path = %self.paths.part.display(), "cannot date a file");
        }
        if synced == Synced::Yes
            && let Err(error) = self.sync(durable::sync_dated)
        {
            let blow = Blow::of_disk("sync", &self.paths.part, &error);
            if let Err(error) = self.fall_back() {
                tracing::debug!(%error, "cannot record a part");
            }
            return Err(blow);
        }
        Ok(self.paths)
    }

    /// The part's names.
    pub(crate) fn paths(&self) -> &PartPaths {
        &self.paths
    }

    fn record_synced(&mut self) -> io::Result<()> {
        self.sync(durable::sync)?;
        self.meta.synced = self.meta.written.clone();
        self.record()
    }

    fn sync(&mut self, sync: fn(&File) -> io::Result<()>) -> io::Result<()> {
        if self.doubtful {
            return Err(io::Error::other("an earlier sync was refused"));
        }
        let synced = sync(&self.file);
        if synced.is_err() {
            self.doubtful = true;
            self.lower();
        }
        synced
    }

    /// Takes the record back to what was synced, at once: a process that is killed before it can tell of the refusal
    /// leaves nothing behind that would be believed.
    fn lower(&mut self) {
        self.meta.written = self.meta.synced.clone();
        let lowered = if self.meta.synced.is_empty() { Ok(()) } else { self.record() };
        // To remove it needs no room.
        if (self.meta.synced.is_empty() || lowered.is_err())
            && let Err(error) = durable::remove(&self.paths.meta)
        {
            tracing::debug!(%error, path = %self.paths.meta.display(), "cannot take a record back");
        }
    }

    fn record(&mut self) -> io::Result<()> {
        self.recorded = None;
        self.recorded = Some(self.meta.write(&self.paths.meta)?);
        Ok(())
    }
}

impl Rival {
    pub(crate) fn new(held: &Held, assignment: &Assignment, kinship: Kinship) -> Self {
        let paths = PartPaths::of(assignment, held.slot);
        Self { paths, length: held.bytes(), meta: held.meta(assignment), kinship }
    }

    /// Whether these bytes are worth more than `length` new ones.
    fn is_worth_more_than(&self, length: u64, is_of_use: bool) -> bool {
        match self.kinship {
            // However often the server begins anew, fewer bytes of one version are worth nothing beside more.
            Kinship::Same => !is_of_use || length <= self.length,
            Kinship::Other => !is_of_use && self.meta.refusals < PATIENCE,
        }
    }

    /// They stay; that the server would not go on from them is remembered. How many they are.
    fn refused(mut self) -> io::Result<u64> {
        self.meta.refusals = self.meta.refusals.saturating_add(1);
        drop(self.meta.write(&self.paths.meta)?);
        Ok(self.length)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::tests::Bench;

    /// A part of which 100 bytes were synced before 50 more came.
    fn begun(bench: &Bench) -> Store {
        let mut store = bench.store();
        store.append(&[7; 100]).unwrap();
        store.record_synced().unwrap();
        store.append(&[7; 50]).unwrap();
        store
    }

    /// The first so many bytes of it.
    fn sevens(length: usize) -> Extents {
        Extents::prefix_of(length as u64, crc32fast::hash(&vec![7; length]))
    }

    /// A file whose syncs are refused, as Linux refuses them for a device.
    fn refusing() -> File {
        durable::open_to_place("/dev/null".as_ref()).unwrap()
    }

    #[test]
    fn after_a_refused_sync_what_was_synced_before_is_all_that_is_believed() {
        let bench = Bench::new("a.dat", b"");
        let mut store = begun(&bench);
        let file = std::mem::replace(&mut store.file, refusing());
        store.record_synced().unwrap_err();
        assert_eq!(bench.held().unwrap().written, sevens(100), "a kill comes before the pause");
        // The next one would succeed.
        store.file = file;
        assert_eq!(store.pause(Pause::Stopped).unwrap(), 100);
        assert_eq!(bench.held().unwrap().written, sevens(100));
    }

    #[test]
    fn a_sync_that_is_refused_at_the_end_leaves_what_was_synced_of_a_part_with_holes() {
        for is_sealed in [false, true] {
            let bench = Bench::new("a.dat", b"");
            let mut store = begun(&bench);
            store.spread().unwrap();
            let seven = |length| crc32fast::hash(&vec![7; length]);
            store.note_placed(vec![(0, 120, seven(120)), (140, 150, seven(10))].into());
            store.record().unwrap();
            assert_eq!(bench.held().unwrap().bytes(), 130);
            store.file = refusing();
            if is_sealed {
                store.seal(Synced::Yes).unwrap_err();
            } else {
                assert_eq!(store.pause(Pause::Stopped).unwrap(), 100);
            }
            assert_eq!(bench.held().unwrap().written, sevens(100));
        }
    }

    #[test]
    fn what_is_placed_after_a_refused_sync_is_never_vouched_for() {
        let bench = Bench::new("a.dat", b"");
        let mut store = begun(&bench);
        let place = store.spread().unwrap();
        let all = Extents::prefix_of(9 << 20, 7);
        let file = std::mem::replace(&mut store.file, refusing());
        store.record_placed(all.clone()).unwrap_err();
        // The streams go on until they have heard of it.
        store.file = file;
        place.set_len(9 << 20).unwrap();
        store.record_placed(all.clone()).unwrap();
        store.note_placed(all);
        assert_eq!(bench.held().unwrap().written, sevens(100));
        store.seal(Synced::Yes).unwrap_err();
        assert_eq!(bench.held().unwrap().written, sevens(100));
    }

    #[test]
    fn where_nothing_was_synced_before_a_refused_sync_nothing_is_kept() {
        let bench = Bench::new("a.dat", b"");
        let mut store = bench.store();
        store.append(&[7; 50]).unwrap();
        store.record().unwrap();
        store.file = refusing();
        store.record_synced().unwrap_err();
        assert_eq!(bench.held(), None, "a kill comes before the pause");
        assert_eq!(store.pause(Pause::Stopped).unwrap(), 0);
        assert_eq!(bench.held(), None);
    }
}
