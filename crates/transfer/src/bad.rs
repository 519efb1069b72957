//! What is remembered of bytes that came whole and were wrong, so that the same bytes are known again.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checks::Facts;
use crate::durable::{self, Synced};

/// No such file is longer; a longer one is not ours.
const LONGEST_BYTES: u64 = 4 << 10;

/// Whether wrong bytes have come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// These are new.
    First,
    /// The same ones came the time before: it is not the network that damages them.
    Again,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bad {
    size: u64,
    sha256: [u8; 32],
}

/// Remembers wrong bytes at `path`, and says whether they were remembered already.
pub(crate) fn remember(path: &Path, facts: &Facts) -> io::Result<Came> {
    let bad = Bad { size: facts.size, sha256: facts.sha256 };
    if read(path)?.as_ref() == Some(&bad) {
        return Ok(Came::Again);
    }
    // Lost in a power cut, it costs one fetch more.
    durable::replace(path, &serde_json::to_vec(&bad)?, Synced::Later)?;
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
