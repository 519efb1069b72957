//! What is remembered of bytes that came whole and were wrong, so that the same bytes are known again, and of the
//! answer that brought them, for a report.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::Facts;
use crate::durable::{self, Synced};

/// No such file is longer; a longer one is not ours.
const LONGEST_BYTES: u64 = 4 << 10;

/// Whether wrong bytes have come before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// These are new.
    First,
    /// The same ones came the time before, by this answer: it is not the network that damages them.
    Again(Option<Answered>),
}

/// The answer that brought some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// When all of them had come.
    pub(crate) at: Timestamp,
    /// The URL that answered, after redirects.
    pub(crate) url: String,
    /// Its entity tag.
    pub(crate) etag: Option<String>,
    /// Its modification date.
    pub(crate) last_modified: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bad {
    size: u64,
    sha256: [u8; 32],
    #[serde(default)]
    answered: Option<Answered>,
}

/// Remembers wrong bytes at `path`, and says whether they were remembered already.
pub(crate) fn remember(path: &Path, facts: &Facts, answered: Answered) -> io::Result<Came> {
    if let Some(before) = read(path)?
        && (before.size, before.sha256) == (facts.size, facts.sha256)
    {
        return Ok(Came::Again(before.answered));
    }
    let bad = Bad { size: facts.size, sha256: facts.sha256, answered: Some(answered) };
    // Lost in a power cut, it costs one fetch more.
    drop(durable::replace(path, &serde_json::to_vec(&bad)?, Synced::Later)?);
    Ok(Came::First)
}

fn read(path: &Path) -> io::Result<Option<Bad>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() <= LONGEST_BYTES => {
            Ok(serde_json::from_slice(&fs::read(path)?).ok())
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
