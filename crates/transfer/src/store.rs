//! A part that is being written: where its bytes go, and what is recorded of them.
//!
//! A crash may lose what was written since the last checkpoint if the machine goes down with it, and
//! nothing if the process alone dies once the meta file stands.

use std::fs::File;
use std::io;

use crate::Assignment;
use crate::ask::Held;
use crate::durable;
use crate::meta::Meta;
use crate::parts::PartPaths;
use crate::place::own_folder;
use crate::trouble::Blow;

/// From this many bytes on a part is worth a meta file, however fast it came.
const WORTH_RECORDING_BYTES: u64 = 128 << 10;

/// Bytes between two checkpoints: what a power cut may cost of one file.
const CHECKPOINT_BYTES: u64 = 8 << 20;

/// Refusals after which bytes begun anew take the place of those held, however few they are (rule 34).
const PATIENCE: u32 = 1;

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
    /// Nothing would keep two versions apart: the bytes are of use in this attempt alone.
    No,
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
    /// The bytes held before, while these here are written beside them.
    old: Option<Old>,
    recorded: bool,
}

#[derive(Debug)]
struct Old {
    length: u64,
    meta: Meta,
}

impl Store {
    /// Begins a part; what was there is gone.
    pub(crate) fn begin(paths: PartPaths, meta: Meta, resumable: Resumable) -> Result<Self, Blow> {
        let failed = |error: io::Error| Blow::of_disk("begin", &paths.part, &error);
        own_folder(&paths.folder)?;
        paths.forget().map_err(failed)?;
        let file = durable::create(&paths.part).map_err(failed)?;
        Ok(Self { file, meta, resumable, old: None, recorded: false, paths })
    }

    /// Begins a part beside the one that is held, which stays until the new one is longer (rule 32).
    pub(crate) fn begin_beside(
        held: &Held,
        assignment: &Assignment,
        paths: PartPaths,
        meta: Meta,
        resumable: Resumable,
    ) -> Result<Self, Blow> {
        let failed = |error: io::Error| Blow::of_disk("begin", &paths.aside, &error);
        own_folder(&paths.folder)?;
        durable::remove(&paths.aside).map_err(failed)?;
        let file = durable::create(&paths.aside).map_err(failed)?;
        let old = Some(Old { length: held.length, meta: held.meta(assignment) });
        Ok(Self { file, meta, resumable, old, recorded: false, paths })
    }

    /// Goes on behind the bytes that are held.
    pub(crate) fn go_on(paths: PartPaths, meta: Meta) -> Result<Self, Blow> {
        let file = durable::open_to_append(&paths.part)
            .map_err(|error| Blow::of_disk("go on with", &paths.part, &error))?;
        Ok(Self { file, meta, resumable: Resumable::Yes, old: None, recorded: false, paths })
    }

    /// Writes behind what is there.
    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        durable::write(&self.file, bytes)
    }

    /// Records `length` bytes where that is due.
    pub(crate) fn checkpoint(&mut self, length: u64, age: Age) -> io::Result<()> {
        if self.old.as_ref().is_some_and(|old| length > old.length) {
            self.take_its_place()?;
        }
        if self.old.is_some() || self.resumable == Resumable::No {
            return Ok(());
        }
        if length.saturating_sub(self.meta.synced) >= CHECKPOINT_BYTES {
            return self.record_synced(length);
        }
        if !self.recorded && (length >= WORTH_RECORDING_BYTES || age == Age::Old) {
            return self.record();
        }
        Ok(())
    }

    /// Gives up for now, after `length` bytes; how many the next attempt can go on from.
    pub(crate) fn pause(mut self, length: u64, why: Pause) -> io::Result<u64> {
        match self.old.take() {
            Some(old) if old.meta.refusals < PATIENCE => return self.fall_back(old),
            Some(_) => self.take_its_place()?,
            None => {}
        }
        if length == 0 || self.resumable == Resumable::No {
            self.paths.forget()?;
            return Ok(0);
        }
        // A write that failed may have left some of its bytes, which no check has seen.
        durable::cut(&self.paths.part, length)?;
        match why {
            Pause::Stopped => self.record_synced(length)?,
            Pause::Failed => self.record()?,
        }
        Ok(length)
    }

    /// Gives these bytes up for good; what was held before stays. How many bytes the next attempt can go on from.
    pub(crate) fn discard(mut self) -> io::Result<u64> {
        match self.old.take() {
            Some(old) => self.fall_back(old),
            None => self.paths.forget().map(|()| 0),
        }
    }

    /// Makes all that was written last, under the part's own name.
    pub(crate) fn seal(mut self) -> Result<PartPaths, Blow> {
        let sealed = durable::sync(&self.file).and_then(|()| match self.old {
            Some(_) => self.take_its_place(),
            None => Ok(()),
        });
        match sealed {
            Ok(()) => Ok(self.paths),
            Err(error) => Err(Blow::of_disk("sync", &self.paths.part, &error)),
        }
    }

    /// The part's names.
    pub(crate) fn paths(&self) -> &PartPaths {
        &self.paths
    }

    /// The new bytes are worth more than the old ones.
    fn take_its_place(&mut self) -> io::Result<()> {
        self.paths.forget()?;
        durable::rename(&self.paths.aside, &self.paths.part)?;
        self.old = None;
        Ok(())
    }

    /// The old bytes are still worth more; that the server would not go on from them is remembered.
    fn fall_back(&self, mut old: Old) -> io::Result<u64> {
        durable::remove(&self.paths.aside)?;
        old.meta.refusals = old.meta.refusals.saturating_add(1);
        old.meta.write(&self.paths.meta)?;
        Ok(old.length)
    }

    fn record_synced(&mut self, length: u64) -> io::Result<()> {
        durable::sync(&self.file)?;
        self.meta.synced = length;
        self.record()
    }

    fn record(&mut self) -> io::Result<()> {
        self.meta.write(&self.paths.meta)?;
        self.recorded = true;
        Ok(())
    }
}
