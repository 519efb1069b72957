//! After a crash between seal and done: where do the sealed bytes lie?

use std::fs;
use std::path::Path;

use skyhaul_model::{Sealed, VerifyLevel};

use crate::ask::Slot;
use crate::check::read_facts;
use crate::checks::Checks;
use crate::parts::PartPaths;
use crate::place::{Found, look};
use crate::publish::{forget_traces, sync_place};
use crate::{Assignment, Recovery, Whole};

/// Looks for bytes that were sealed before a crash: at the final path, then in the part. Blocking.
///
/// Bytes found at the final path are `Published` once their folders are synced; while the disk refuses
/// that, they are given back to be published again, which tells why.
#[must_use]
pub fn recover(assignment: &Assignment, sealed: &Sealed) -> Recovery {
    let in_place = look(assignment.root.path(), &assignment.path);
    let final_path = assignment.root.final_path(&assignment.path);
    // Only a file that lies below the root without any link on the way counts.
    if in_place == Ok(Found::File(sealed.size)) && holds(&final_path, sealed) {
        let published = Whole::in_place(assignment, sealed.clone());
        if let Err(error) = sync_place(&published) {
            tracing::warn!(path = %assignment.path, message = %error.message, "cannot confirm a file");
            return Recovery::Part(published);
        }
        forget_traces(&published);
        return Recovery::Published;
    }
    let mut parts = [Slot::One, Slot::Two].into_iter().map(|slot| PartPaths::of(assignment, slot));
    match parts.find(|part| holds(&part.part, sealed)) {
        Some(part) => Recovery::Part(Whole::in_part(assignment, sealed.clone(), part)),
        None => Recovery::Gone,
    }
}

/// Whether exactly the sealed bytes lie in a regular file there.
fn holds(path: &Path, sealed: &Sealed) -> bool {
    let right_size =
        fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == sealed.size);
    // The digest says it all; the format's own check has had its say before the seal.
    let checks = || Checks::new("", VerifyLevel::Length, []);
    right_size && read_facts(path, checks(), || true).is_ok_and(|facts| facts.sha256 == sealed.sha256)
}
