//! Parts: where a file's bytes lie until they are whole, and how many of them are believed.
//!
//! A part is believed only with the meta file beside it, and within it only as far as invariant I3
//! allows: all of it within the boot that wrote it, what was synced after another.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::Assignment;
use crate::ask::Held;
use crate::durable;
use crate::meta::Meta;

/// The names of one file's part and of what belongs to it, all in one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartPaths {
    /// The job's folder of partial files.
    pub(crate) folder: PathBuf,
    /// The part.
    pub(crate) part: PathBuf,
    /// A part begun anew, while the one before is still worth more.
    pub(crate) aside: PathBuf,
    /// What the part is a part of.
    pub(crate) meta: PathBuf,
    /// What is remembered of bytes that came whole and were wrong.
    pub(crate) bad: PathBuf,
}

impl PartPaths {
    /// The names for an assignment's file. They tell readers nothing, so that none takes a part for data.
    pub(crate) fn of(assignment: &Assignment) -> Self {
        let folder = assignment.root.partials(&assignment.key);
        let digest = Sha256::digest(assignment.path.as_str().as_bytes());
        let stem: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let named = |extension: &str| folder.join(format!("{stem}.{extension}"));
        let (part, aside, meta, bad) = (named("part"), named("new"), named("meta"), named("bad"));
        Self { folder, part, aside, meta, bad }
    }

    /// What can be believed of the part; what lies behind that is cut off.
    pub(crate) fn load(&self, assignment: &Assignment) -> io::Result<Option<Held>> {
        durable::remove(&self.aside)?;
        let Some(meta) = Meta::read(&self.meta)? else { return Ok(None) };
        let length = match fs::symlink_metadata(&self.part) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(held) = believed(meta, length, assignment) else { return Ok(None) };
        if held.length < length {
            durable::cut(&self.part, held.length)?;
        }
        Ok(Some(held))
    }

    /// Forgets the part. The meta file is gone from the disk before anything else may bear the part's
    /// name, or after a power cut it could vouch for bytes that it never saw.
    pub(crate) fn forget(&self) -> io::Result<()> {
        if durable::remove(&self.meta)? == durable::Removed::Now {
            durable::sync_dir(&self.folder)?;
        }
        durable::remove(&self.part).map(drop)
    }
}

/// How much of a part of `length` bytes is believed (invariant I3); none when it is of no use.
fn believed(meta: Meta, length: u64, assignment: &Assignment) -> Option<Held> {
    let same_boot = meta.boot == assignment.boot;
    let trusted = if same_boot { length } else { meta.synced.min(length) };
    let fits = |total: Option<u64>| total.is_none_or(|total| trusted <= total);
    let told_otherwise = matches!((meta.total, assignment.size), (Some(a), Some(b)) if a != b);
    let of_use = meta.url == assignment.url && trusted > 0 && !told_otherwise;
    (of_use && fits(meta.total) && fits(assignment.size)).then(|| Held {
        length: trusted,
        total: meta.total.or(assignment.size),
        validators: meta.validators,
        final_url: meta.final_url,
        server_sha256: meta.server_sha256,
        synced: meta.synced.min(trusted),
        refusals: meta.refusals,
    })
}

impl Held {
    /// The meta file's content for these bytes.
    pub(crate) fn meta(&self, assignment: &Assignment) -> Meta {
        let validators = self.validators.clone();
        let mut meta = Meta::new(&assignment.url, &self.final_url, validators, &assignment.boot);
        meta.total = self.total;
        meta.server_sha256 = self.server_sha256;
        meta.synced = self.synced;
        meta.refusals = self.refusals;
        meta
    }
}
