//! The small file beside a part that says what it is a part of, and what has been written of it.
//!
//! Its first line is the CRC-32 of the second, so that one that a crash tore is not believed; a part without a believed
//! one is no more than bytes. Behind them is a place for one note of how far the part has grown since, with a CRC-32 of
//! its own. The note is not synced: it outlives the process, and after another boot it does not count.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use skyhaul_verify::Digest;

use crate::durable::{self, Synced};
use crate::extents::Extents;
use crate::validator::Validators;

/// The number of the format. A part whose record has another is begun anew: those before did not say by what its bytes
/// are known again.
const FORMAT: u32 = 3;

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
    /// Bytes of the part that are written: they outlive the process.
    pub(crate) written: Extents,
    /// Those of them that are known to be on the disk: they outlive the boot.
    pub(crate) synced: Extents,
    /// How many attempts to go on the server has answered with the whole file.
    pub(crate) refusals: u32,
    /// The later of two versions that are held has the higher number.
    #[serde(default)]
    pub(crate) serial: u32,
    /// How many versions of the file have been found to be replaced by another so far.
    #[serde(default)]
    pub(crate) changes: u32,
}

/// The place in a record for a note of how far its part has grown.
#[derive(Debug)]
pub(crate) struct Note {
    record: File,
    at: u64,
    seed: u32,
}

impl Meta {
    /// Of a part that begins now.
    pub(crate) fn new(url: &str, final_url: &str, validators: Validators, boot: &str) -> Self {
        Self {
            version: FORMAT,
            url: url.to_owned(),
            final_url: final_url.to_owned(),
            validators,
            total: None,
            server_digest: None,
            boot: boot.to_owned(),
            written: Extents::default(),
            synced: Extents::default(),
            refusals: 0,
            serial: 0,
            changes: 0,
        }
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

    /// Writes it in the place of the one before. Gives the place for notes.
    ///
    /// One that vouches for no synced byte is of no use after a power cut, so nobody waits for it.
    pub(crate) fn write(&self, path: &Path) -> io::Result<Note> {
        let synced = if self.synced.is_empty() { Synced::Later } else { Synced::Yes };
        let json = serde_json::to_vec(self)?;
        let seed = crc32fast::hash(&json);
        let bytes = [format!("{seed:08x}\n").as_bytes(), &json, b"\n"].concat();
        Ok(Note { record: durable::replace(path, &bytes, synced)?, at: bytes.len() as u64, seed })
    }
}

impl Note {
    /// Notes that this has been written of a part without holes.
    pub(crate) fn write(&self, written: &Extents) -> io::Result<()> {
        let text = in_note(written.prefix(), written.prefix_crc(), self.seed);
        durable::write_at(&self.record, text.as_bytes(), self.at)
    }
}

/// A note is of fixed length, so that each takes the whole place of the one before. It is of its own record alone.
fn in_note(length: u64, crc: u32, seed: u32) -> String {
    let told = format!("{length:016x} {crc:08x}");
    let check = crc32fast::hash(format!("{seed:08x} {told}").as_bytes());
    format!("{told} {check:08x}\n")
}

fn parse(bytes: &[u8]) -> Option<Meta> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, rest) = text.split_once('\n')?;
    let (json, note) = rest.split_once('\n')?;
    let seed = crc32fast::hash(json.as_bytes());
    if head != format!("{seed:08x}") {
        return None;
    }
    let meta: Meta = serde_json::from_str(json).ok().filter(|meta: &Meta| meta.version == FORMAT)?;
    let written = parse_note(note, seed).unwrap_or_else(|| meta.written.clone());
    Some(Meta { written, ..meta })
}

/// What a note says; none where there is none, or a torn one.
fn parse_note(note: &str, seed: u32) -> Option<Extents> {
    let mut words = note.split(' ');
    let length = u64::from_str_radix(words.next()?, 16).ok()?;
    let crc = u32::from_str_radix(words.next()?, 16).ok()?;
    (note == in_note(length, crc, seed)).then(|| Extents::prefix_of(length, crc))
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
        let written = Extents::prefix_of(5, 0xabcd);
        let meta = Meta {
            total: Some(7),
            written,
            synced: Extents::prefix_of(3, 7),
            ..Meta::new("https://a/", "https://b/", validators, "b1")
        };
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
    fn a_note_counts_as_a_whole_and_for_its_own_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.meta");
        let validators = Validators::default();
        let mut meta = Meta::new("https://a/", "https://a/", validators, "b1");
        let note = meta.write(&path).unwrap();
        let bare = fs::read(&path).unwrap();
        for grown in [Extents::prefix_of(1 << 40, 7), Extents::prefix_of(9, 0xffff_ffff)] {
            note.write(&grown).unwrap();
            assert_eq!(Meta::read(&path).unwrap().unwrap().written, grown);
        }
        let noted = fs::read(&path).unwrap();
        for at in bare.len()..noted.len() {
            let mut flipped = noted.clone();
            flipped[at] ^= 1;
            for torn in [&noted[..at], &flipped] {
                assert_eq!(parse(torn).unwrap().written, Extents::default(), "{at}");
            }
        }
        meta.total = Some(9);
        meta.write(&path).unwrap();
        let other = [&fs::read(&path).unwrap(), &noted[bare.len()..]].concat();
        assert_eq!(parse(&other).unwrap().written, Extents::default(), "a note of the record before");
    }
}
