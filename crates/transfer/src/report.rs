//! What there is to be said of a file that is damaged at its source: for people, and for the archive's.
//!
//! The report lies beside the bytes in `corrupt/`; both go when the file comes whole after all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use skyhaul_model::RelPath;

use crate::bad::Answered;
use crate::checks::Facts;
use crate::durable::{self, Synced};
use crate::place::{Found, folders_up, look_below};
use crate::spelling::Names;
use crate::{Assignment, OutputRoot};

/// What is said of a damaged file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report<'a> {
    url: &'a str,
    path: &'a str,
    size: u64,
    sha256: String,
    /// What the format's own check said, as a fragment that follows the file's name.
    pub(crate) problem: &'a str,
    /// The answers that brought these bytes; of the first, a power cut may have taken the record.
    fetched: Vec<Answered>,
    reported_by: &'static str,
}

impl<'a> Report<'a> {
    pub(crate) fn new(
        assignment: &'a Assignment,
        facts: &Facts,
        problem: &'a str,
        first: Option<Answered>,
        second: Answered,
    ) -> Self {
        Self {
            url: &assignment.url,
            path: assignment.path.as_str(),
            size: facts.size,
            sha256: facts.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            problem,
            fetched: first.into_iter().chain([second]).collect(),
            reported_by: concat!("skyhaul ", env!("CARGO_PKG_VERSION")),
        }
    }

    /// Writes it beside the bytes at `place`.
    pub(crate) fn write(&self, place: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        durable::replace(&beside(place), &json, Synced::Yes).map(drop)
    }
}

/// The folder of a root's damaged files; seldom is there one.
pub(crate) fn folder(root: &OutputRoot) -> Option<PathBuf> {
    let is_there = |folder: &PathBuf| fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
    Some(root.corrupt()).filter(is_there)
}

/// Removes a damaged file and its report from the folder `corrupt`: the file has come whole. What cannot be
/// removed does no harm.
pub(crate) fn withdraw(corrupt: &Path, path: &RelPath) {
    // Only what was put there is ours, so that no link on the way is followed.
    if !matches!(look_below(corrupt, path, Names::Exact), Ok(Found::File(_))) {
        return;
    }
    let place = corrupt.join(path.as_str());
    for gone in [&place, &beside(&place)] {
        if let Err(error) = durable::remove(gone) {
            tracing::debug!(path = %gone.display(), %error, "cannot remove");
        }
    }
    // Folders that hold other reports stay, and so do those above them.
    let _ = folders_up(corrupt, path).iter().take_while(|folder| durable::remove_empty_dir(folder)).count();
}

fn beside(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".report.json");
    PathBuf::from(name)
}
