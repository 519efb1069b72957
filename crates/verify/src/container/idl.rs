//! The check of IDL save files: the magic, and the chain of records from one to the next up to the end mark.
//!
//! The format is known from its unofficial description alone: a record begins with its kind and the file
//! offset of the next, in 16 bytes. Files carry no checksum, so that this finds what is cut off or
//! shifted, and of flipped bits those in the chain. In compressed files the records' contents are
//! compressed one by one; the chain is the same.

use super::Damage;
use super::steps::{End, Step, Structure};

const HEAD_BYTES: u64 = 16;
const END_MARKER: u32 = 6;

/// Record kinds end here, with room for some that nobody has described.
const MOST_KINDS: u32 = 64;

/// A save file as far as it was seen.
#[derive(Debug, Default)]
pub(super) struct IdlSave {
    /// Bytes up to and with the last field.
    offset: u64,
}

impl Structure for IdlSave {
    fn first(&self) -> Step {
        Step::Take(4)
    }

    fn take(&mut self, field: &[u8]) -> Result<Step, Damage> {
        self.offset += field.len() as u64;
        match *field {
            // Plain, and compressed.
            [b'S', b'R', 0, 4 | 6] => Ok(Step::Take(16)),
            [k0, k1, k2, k3, a0, a1, a2, a3, b0, b1, b2, b3, ..] => {
                let kind = u32::from_be_bytes([k0, k1, k2, k3]);
                let (first, second) =
                    (u32::from_be_bytes([a0, a1, a2, a3]), u32::from_be_bytes([b0, b1, b2, b3]));
                self.record(kind, next_record(first, second))
            }
            _ => Err("does not begin as an IDL save file".into()),
        }
    }

    fn passed(&mut self) -> Result<Step, Damage> {
        Ok(Step::Take(16))
    }

    fn end(&mut self, end: End) -> Result<(), Damage> {
        match end {
            End::Empty => Err("is empty".into()),
            // What follows the end mark is read by nobody.
            End::Over => Ok(()),
            End::Between | End::Within => Err("ends before the end mark of an IDL save file".into()),
        }
    }
}

impl IdlSave {
    fn record(&mut self, kind: u32, next: u64) -> Result<Step, Damage> {
        if kind == END_MARKER {
            return Ok(Step::Over);
        }
        let content = next.checked_sub(self.offset).filter(|_| kind < MOST_KINDS);
        let Some(content) = content.filter(|_| i64::try_from(next).is_ok()) else {
            return Err(format!("has a broken record at byte {}", self.offset - HEAD_BYTES).into());
        };
        self.offset = next;
        Ok(Step::Pass(content))
    }
}

/// The next record's offset. It is told low half first; after a `PROMOTE64` record some writers tell it
/// high half first. Below 4 GiB one half is zero and the other one it.
fn next_record(first: u32, second: u32) -> u64 {
    let (low, high) = if first == 0 { (second, first) } else { (first, second) };
    u64::from(high) << 32 | u64::from(low)
}
