//! Parts: where a file's bytes lie until they are whole, and how many of them are believed.
//!
//! A part is believed only with the meta file beside it, and only what that has (invariant I3): what was written, within
//! the boot that wrote it; what was synced, after another. What lies there must be what was recorded, which is found
//! out when it is read. Two versions of a file may be held at once, each in its own slot with its own meta file, and
//! neither ever moves to the other's name.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::Assignment;
use crate::ask::{Held, Slot};
use crate::durable;
use crate::extents::Extents;
use crate::meta::Meta;

/// The names of one part of a file and of what belongs to it, all in one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartPaths {
    /// The job's folder of partial files.
    pub(crate) folder: PathBuf,
    /// What both parts' names begin with.
    stem: String,
    slot: Slot,
    /// The part.
    pub(crate) part: PathBuf,
    /// What the part is a part of.
    pub(crate) meta: PathBuf,
}

/// What is held of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The version that was being fetched last.
    pub(crate) first: Option<Held>,
    /// Another, for the case that it comes back.
    pub(crate) second: Option<Held>,
}

impl PartPaths {
    /// The names for an assignment's file. They tell readers nothing, so that none takes a part for data.
    pub(crate) fn of(assignment: &Assignment, slot: Slot) -> Self {
        let folder = assignment.root.partials(&assignment.key);
        let digest = Sha256::digest(assignment.path.as_str().as_bytes());
        let nibbles = digest.iter().take(16).flat_map(|byte| [byte >> 4, byte & 0xf]);
        let stem = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect();
        Self::named(folder, stem, slot)
    }

    /// What all of them begin with, and those of no other file.
    pub(crate) fn stem(&self) -> &str {
        &self.stem
    }

    /// What is remembered of bytes that came whole and were wrong; both slots share it.
    pub(crate) fn bad(&self) -> PathBuf {
        self.folder.join(format!("{}.bad", self.stem))
    }

    /// Lies there when the file at the final path has been found wrong; both slots share it.
    pub(crate) fn wrong(&self) -> PathBuf {
        self.folder.join(format!("{}.wrong", self.stem))
    }

    /// All that may be kept of the file, in either slot.
    pub(crate) fn names(&self) -> [PathBuf; 6] {
        let other = self.other();
        [self.part.clone(), self.meta.clone(), other.part, other.meta, self.bad(), self.wrong()]
    }

    /// The names in the other slot.
    pub(crate) fn other(&self) -> Self {
        Self::named(self.folder.clone(), self.stem.clone(), self.slot.other())
    }

    /// Forgets the part. The meta file is gone from the disk before anything else may bear the part's
    /// name, or after a power cut it could vouch for bytes that it never saw.
    pub(crate) fn forget(&self) -> io::Result<()> {
        if durable::remove(&self.meta)? == durable::Removed::Now {
            durable::sync_dir(&self.folder)?;
        }
        durable::remove(&self.part).map(drop)
    }

    fn named(folder: PathBuf, stem: String, slot: Slot) -> Self {
        let infix = match slot {
            Slot::One => "",
            Slot::Two => ".2",
        };
        let part = folder.join(format!("{stem}{infix}.part"));
        let meta = folder.join(format!("{stem}{infix}.meta"));
        Self { folder, stem, slot, part, meta }
    }

    /// What can be believed of the part; what lies behind that is cut off.
    fn load(&self, assignment: &Assignment) -> io::Result<Option<Held>> {
        let Some(meta) = Meta::read(&self.meta)? else { return Ok(None) };
        let length = match fs::symlink_metadata(&self.part) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(held) = believed(meta, length, self.slot, assignment) else { return Ok(None) };
        if held.written.end() < length {
            durable::cut(&durable::open_to_place(&self.part)?, held.written.end())?;
        }
        Ok(Some(held))
    }
}

/// What the name of something that is kept of a file begins with.
pub(crate) fn stem_of(name: &str) -> Option<&str> {
    name.split_once('.').map(|(stem, _)| stem)
}

impl Kept {
    /// What is held of an assignment's file. Blocking.
    pub(crate) fn load(assignment: &Assignment) -> io::Result<Self> {
        let paths = PartPaths::of(assignment, Slot::One);
        match (paths.load(assignment)?, paths.other().load(assignment)?) {
            (Some(a), Some(b)) => {
                let order = |held: &Held| (held.serial, held.bytes());
                let (first, second) = if order(&a) >= order(&b) { (a, b) } else { (b, a) };
                Self { first: Some(first), second: Some(second) }.without_twins(assignment)
            }
            (a, b) => Ok(Self { first: a.or(b), second: None }),
        }
    }

    /// The version that is not the first has come back: it is to be gone on with.
    pub(crate) fn go_back(&mut self) {
        let newest = self.serial();
        std::mem::swap(&mut self.first, &mut self.second);
        if let Some(first) = &mut self.first {
            first.serial = newest + 1;
        }
    }

    /// The number of the version that came last.
    pub(crate) fn serial(&self) -> u32 {
        self.each().map(|held| held.serial).max().unwrap_or(0)
    }

    /// What is held, the version that was being fetched last before the other.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Held> {
        self.first.iter().chain(&self.second)
    }

    /// A crash may leave one version twice; the longer part of it is enough.
    fn without_twins(self, assignment: &Assignment) -> io::Result<Self> {
        let (Some(first), Some(second)) = (&self.first, &self.second) else { return Ok(self) };
        if !first.is_of(&second.validators, second.total) {
            return Ok(self);
        }
        let (longer, shorter) =
            if first.bytes() >= second.bytes() { (first, second) } else { (second, first) };
        PartPaths::of(assignment, shorter.slot).forget()?;
        Ok(Self { first: Some(longer.clone()), second: None })
    }
}

/// How much of a part of `length` bytes is believed (invariant I3); none when it is of no use.
fn believed(meta: Meta, length: u64, slot: Slot, assignment: &Assignment) -> Option<Held> {
    let synced = meta.synced.within(length);
    let written = Some(meta.written.within(length)).filter(|_| meta.boot == assignment.boot);
    // Somebody may have cut off what came last.
    let written =
        written.filter(|written| written.prefix() >= synced.prefix()).unwrap_or_else(|| synced.clone());
    // What lies behind a hole is of use only to several streams.
    let is_for_several = meta.total.is_some() && meta.validators.strong().is_some();
    let written = if is_for_several { written } else { written.without_others() };
    let fits = |total: Option<u64>| total.is_none_or(|total| written.end() <= total);
    let told_otherwise = matches!((meta.total, assignment.size), (Some(a), Some(b)) if a != b);
    let of_use = meta.url == assignment.url && written.prefix() > 0 && !told_otherwise;
    (of_use && fits(meta.total) && fits(assignment.size)).then(|| Held {
        synced: synced.within(written.end()),
        written,
        total: meta.total.or(assignment.size),
        validators: meta.validators,
        final_url: meta.final_url,
        server_digest: meta.server_digest,
        refusals: meta.refusals,
        slot,
        serial: meta.serial,
        changes: meta.changes,
    })
}

impl Held {
    /// Nothing of a file yet, but what its first answer said of it.
    pub(crate) fn begun(meta: &Meta, slot: Slot) -> Self {
        Self {
            written: Extents::default(),
            synced: Extents::default(),
            total: meta.total,
            validators: meta.validators.clone(),
            final_url: meta.final_url.clone(),
            server_digest: meta.server_digest.clone(),
            refusals: meta.refusals,
            slot,
            serial: meta.serial,
            changes: meta.changes,
        }
    }

    /// How many bytes there are without a gap from the first on.
    pub(crate) fn length(&self) -> u64 {
        self.written.prefix()
    }

    /// How many bytes there are in all.
    pub(crate) fn bytes(&self) -> u64 {
        self.written.total()
    }

    /// The meta file's content for these bytes.
    pub(crate) fn meta(&self, assignment: &Assignment) -> Meta {
        let validators = self.validators.clone();
        let mut meta = Meta::new(&assignment.url, &self.final_url, validators, &assignment.boot);
        meta.total = self.total;
        meta.server_digest = self.server_digest.clone();
        meta.written = self.written.clone();
        meta.synced = self.synced.clone();
        meta.refusals = self.refusals;
        meta.serial = self.serial;
        meta.changes = self.changes;
        meta
    }
}
