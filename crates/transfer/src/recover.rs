//! After a crash between seal and done: where do the sealed bytes lie?

use std::fs;
use std::io;
use std::path::Path;

use skyhaul_model::{ErrorKind, FileError, Sealed, VerifyLevel};

use crate::ask::Slot;
use crate::check::read_facts;
use crate::checks::Checks;
use crate::parts::PartPaths;
use crate::place::{Found, look};
use crate::publish::sync_place;
use crate::traces;
use crate::trouble::disk_error;
use crate::{Assignment, Recovery, Whole};

/// Looks for bytes that were sealed before a crash: at the final path, then in the part. Blocking.
///
/// Bytes found at the final path are `Published` once their folders are synced; while the disk refuses
/// that, they are given back to be published again, which tells why. What cannot be read is not taken for gone.
#[must_use]
pub fn recover(assignment: &Assignment, sealed: &Sealed) -> Recovery {
    match is_in_place(assignment, sealed) {
        Ok(true) => in_place(assignment, sealed),
        Ok(false) => in_part(assignment, sealed).unwrap_or_else(Recovery::Unreadable),
        Err(error) => Recovery::Unreadable(error),
    }
}

/// Whether they lie at the final path. Only a file that lies below the root without any link on the way counts.
fn is_in_place(assignment: &Assignment, sealed: &Sealed) -> Result<bool, FileError> {
    match look(&assignment.root, &assignment.path) {
        Ok(Found::File(size)) if size == sealed.size => {
            holds(&assignment.root.final_path(&assignment.path), sealed)
        }
        Ok(_) => Ok(false),
        // What stands in the way will be told when the file is published.
        Err(blow) if blow.error.kind == ErrorKind::Path => Ok(false),
        Err(blow) => Err(blow.error),
    }
}

fn in_place(assignment: &Assignment, sealed: &Sealed) -> Recovery {
    let published = Whole::in_place(assignment, sealed.clone());
    if let Err(error) = sync_place(&published) {
        tracing::warn!(path = %assignment.path, message = %error.message, "cannot confirm a file");
        return Recovery::Part(published);
    }
    traces::forget(std::iter::once(&published));
    Recovery::Published
}

fn in_part(assignment: &Assignment, sealed: &Sealed) -> Result<Recovery, FileError> {
    for slot in [Slot::One, Slot::Two] {
        let part = PartPaths::of(assignment, slot);
        if holds(&part.part, sealed)? {
            return Ok(Recovery::Part(Whole::in_part(assignment, sealed.clone(), part)));
        }
    }
    Ok(Recovery::Gone)
}

/// Whether exactly the sealed bytes lie in a regular file there.
fn holds(path: &Path, sealed: &Sealed) -> Result<bool, FileError> {
    // The digest says it all; the format's own check has had its say before the seal.
    let checks = || Checks::new("", VerifyLevel::Length, []);
    let compare = || {
        let found = fs::symlink_metadata(path)?;
        let right_size = found.is_file() && found.len() == sealed.size;
        Ok(right_size && read_facts(path, checks(), || true)?.sha256 == sealed.sha256)
    };
    compare().or_else(|error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
        _ => Err(disk_error("read", path, &error)),
    })
}
