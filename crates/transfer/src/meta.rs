//! The small file beside a part that says what it is a part of.
//!
//! Its first line is the CRC-32 of the rest, so that one that a crash tore is not believed; a part
//! without a believed one is no more than bytes.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use skyhaul_verify::Digest;

use crate::durable::{self, Synced};
use crate::ranges::Ranges;
use crate::validator::Validators;

/// The number of the format of parts without holes: within one boot, all that lies there counts.
const WITHOUT_HOLES: u32 = 1;

/// The number of the format of parts with holes: what is recorded counts. A reader that does not know it starts over.
const WITH_HOLES: u32 = 2;

/// No such file is longer; a longer one is not ours.
const LONGEST_BYTES: u64 = 64 << 10;

/// What a part is a part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    version: u32,
    /// The URL that was asked.
    pub(crate) url: String,
    /// The URL that answered, after redirects.
    pub(crate) final_url: String,
    /// That answer's validators.
    pub(crate) validators: Validators,
    /// The whole's length in bytes, where it was told.
    pub(crate) total: Option<u64>,
    /// The whole's digest as the server told it.
    pub(crate) server_digest: Option<Digest>,
    /// The boot of the machine in which the part was written.
    pub(crate) boot: String,
    /// Bytes of the part that are known to be on the disk.
    pub(crate) synced: u64,
    /// How many attempts to go on the server has answered with the whole file.
    pub(crate) refusals: u32,
    /// The later of two versions that are held has the higher number.
    #[serde(default)]
    pub(crate) serial: u32,
    /// How many versions of the file have been found to be replaced by another so far.
    #[serde(default)]
    pub(crate) changes: u32,
    /// What lies in a part that has holes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pieces: Option<Pieces>,
}

/// What lies in a part that has holes, because several streams fill it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pieces {
    /// Bytes that are written: they outlive the process.
    pub(crate) written: Ranges,
    /// Those of them that are known to be on the disk: they outlive the boot.
    pub(crate) synced: Ranges,
}

impl Meta {
    /// Of a part that begins now.
    pub(crate) fn new(url: &str, final_url: &str, validators: Validators, boot: &str) -> Self {
        Self {
            version: WITHOUT_HOLES,
            url: url.to_owned(),
            final_url: final_url.to_owned(),
            validators,
            total: None,
            server_digest: None,
            boot: boot.to_owned(),
            synced: 0,
            refusals: 0,
            serial: 0,
            changes: 0,
            pieces: None,
        }
    }

    /// What lies in the part, if it has holes.
    pub(crate) fn pieces(&self) -> Option<&Pieces> {
        self.pieces.as_ref()
    }

    /// The part has holes, or has none again.
    pub(crate) fn set_pieces(&mut self, pieces: Option<Pieces>) {
        self.version = if pieces.is_some() { WITH_HOLES } else { WITHOUT_HOLES };
        if let Some(pieces) = &pieces {
            self.synced = pieces.synced.prefix();
        }
        self.pieces = pieces;
    }

    /// Reads one; none when there is none that can be believed.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() && found.len() <= LONGEST_BYTES => Ok(parse(&fs::read(path)?)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it in the place of the one before.
    ///
    /// One that vouches for no synced byte is of no use after a power cut, so nobody waits for it.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let vouches = self.synced > 0 || self.pieces.as_ref().is_some_and(|pieces| !pieces.synced.is_empty());
        let synced = if vouches { Synced::Yes } else { Synced::Later };
        let json = serde_json::to_vec(self)?;
        let mut bytes = format!("{:08x}\n", crc32fast::hash(&json)).into_bytes();
        bytes.extend(json);
        durable::replace(path, &bytes, synced)
    }
}

fn parse(bytes: &[u8]) -> Option<Meta> {
    let (head, json) = bytes.split_at_checked(9)?;
    let crc = u32::from_str_radix(std::str::from_utf8(head).ok()?.strip_suffix('\n')?, 16).ok()?;
    if crc != crc32fast::hash(json) {
        return None;
    }
    let is_known = |meta: &Meta| match meta.version {
        WITHOUT_HOLES => meta.pieces.is_none(),
        version => version == WITH_HOLES && meta.pieces.is_some(),
    };
    serde_json::from_slice(json).ok().filter(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_torn_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.meta");
        assert_eq!(Meta::read(&path).unwrap(), None);
        let validators = Validators { etag: Some("\"é\"".into()), ..Validators::default() };
        let meta =
            Meta { total: Some(7), synced: 3, ..Meta::new("https://a/", "https://b/", validators, "b1") };
        meta.write(&path).unwrap();
        assert_eq!(Meta::read(&path).unwrap(), Some(meta));
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
            let mut flipped = whole.clone();
            flipped[length] ^= 1;
            assert_eq!(parse(&flipped), None, "{length}");
        }
    }

    #[test]
    fn a_part_with_holes_is_of_a_format_that_older_readers_leave_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.meta");
        let mut meta = Meta::new("https://a/", "https://a/", Validators::default(), "b1");
        let pieces = Pieces { written: vec![(0, 5), (9, 12)].into(), synced: vec![(0, 3), (9, 10)].into() };
        meta.set_pieces(Some(pieces.clone()));
        meta.write(&path).unwrap();
        let read = Meta::read(&path).unwrap().unwrap();
        assert_eq!((read.version, read.pieces(), read.synced), (2, Some(&pieces), 3));
        meta.set_pieces(None);
        meta.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"version\":1") && !text.contains("pieces"), "{text}");
    }
}
