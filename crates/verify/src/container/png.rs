//! The PNG check (ISO/IEC 15948): the signature, every chunk's CRC-32, IEND, and nothing behind it.

use crc32fast::Hasher;

use super::Damage;
use super::steps::{End, Step, Structure};

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// A picture as far as it was seen.
#[derive(Debug, Default)]
pub(super) struct Png {
    awaits: Awaits,
    /// The present chunk's kind; none before the first.
    kind: Option<[u8; 4]>,
    crc: Hasher,
}

#[derive(Debug, Default)]
enum Awaits {
    #[default]
    Signature,
    /// A chunk's length and kind.
    Head,
    /// A chunk's CRC-32.
    Crc,
    /// The byte that must not come.
    Nothing,
}

impl Structure for Png {
    fn first(&self) -> Step {
        Step::Take(SIGNATURE.len())
    }

    fn take(&mut self, field: &[u8]) -> Result<Step, Damage> {
        match (&self.awaits, field) {
            (Awaits::Signature, field) if field == SIGNATURE => Ok(self.head()),
            (Awaits::Signature, _) => Err("does not begin as PNG".into()),
            (Awaits::Head, &[a, b, c, d, e, f, g, h]) => {
                self.begin(u32::from_be_bytes([a, b, c, d]), [e, f, g, h])
            }
            (Awaits::Crc, &[a, b, c, d]) => self.end_chunk(u32::from_be_bytes([a, b, c, d])),
            _ => Err("has other bytes behind its picture".into()),
        }
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        self.crc.update(bytes);
        Ok(())
    }

    fn passed(&mut self) -> Result<Step, Damage> {
        self.awaits = Awaits::Crc;
        Ok(Step::Take(4))
    }

    fn end(&mut self, end: End) -> Result<(), Damage> {
        match (end, &self.awaits) {
            (End::Empty, _) => Err("is empty".into()),
            (End::Between, Awaits::Nothing) => Ok(()),
            _ => Err("ends before the end of its picture".into()),
        }
    }
}

impl Png {
    fn head(&mut self) -> Step {
        self.awaits = Awaits::Head;
        Step::Take(8)
    }

    fn begin(&mut self, length: u32, kind: [u8; 4]) -> Result<Step, Damage> {
        if self.kind.is_none() && kind != *b"IHDR" {
            return Err("does not begin as PNG".into());
        }
        // The standard's limit; more is damage.
        if i32::try_from(length).is_err() {
            return Err("has a chunk of impossible length".into());
        }
        self.kind = Some(kind);
        self.crc.update(&kind);
        Ok(Step::Pass(length.into()))
    }

    fn end_chunk(&mut self, told: u32) -> Result<Step, Damage> {
        if std::mem::take(&mut self.crc).finalize() != told {
            return Err("fails the CRC-32 of a PNG chunk".into());
        }
        if self.kind == Some(*b"IEND") {
            self.awaits = Awaits::Nothing;
            return Ok(Step::Take(1));
        }
        Ok(self.head())
    }
}
