//! The HDF5 check (HDF5 File Format Specification 3.0, section II.A): the superblock, and that the file
//! reaches as far as it says.
//!
//! The superblock is looked for at 0, 512, 1024, 2048 and so on. A file may be longer than the end that it
//! tells, as the library itself allows; one that is shorter is cut off. The superblock's checksum exists
//! since version 2. The data have none that is always there, so a flipped bit in them is not found.

use super::Damage;
use super::lookup3::lookup3;
use super::steps::{End, Step, Structure};

const SIGNATURE: [u8; 8] = [0x89, b'H', b'D', b'F', 0x0d, 0x0a, 0x1a, 0x0a];

/// The first offset behind the file's start where a superblock may lie; each further one is twice as far.
const FIRST_USER_BLOCK: u64 = 512;

/// No user block is that long: a file without a signature up to here is none.
const LAST_USER_BLOCK: u64 = 1 << 32;

/// A file as far as it was seen.
#[derive(Debug, Default)]
pub(super) struct Hdf5 {
    awaits: Awaits,
    /// Where the superblock is looked for, and then where it lies.
    place: u64,
    /// Signature, version, and what of the superblock is needed to know its length.
    begun: Vec<u8>,
    /// Where the file must reach to, once it is known.
    must_reach: u64,
    /// Bytes up to and with the last that was asked for.
    offset: u64,
}

#[derive(Debug, Default)]
enum Awaits {
    #[default]
    Signature,
    /// The version and the sizes of addresses: the eight bytes behind the signature.
    Sizes,
    /// The superblock's rest.
    Rest,
}

impl Structure for Hdf5 {
    fn first(&self) -> Step {
        Step::Take(SIGNATURE.len())
    }

    fn take(&mut self, field: &[u8]) -> Result<Step, Damage> {
        self.offset += field.len() as u64;
        match self.awaits {
            Awaits::Signature if field != SIGNATURE => self.look_further(),
            Awaits::Signature => {
                self.awaits = Awaits::Sizes;
                self.begun.extend(field);
                Ok(Step::Take(8))
            }
            Awaits::Sizes => {
                self.awaits = Awaits::Rest;
                self.begun.extend(field);
                Ok(Step::Take(rest_of_superblock(field)?))
            }
            Awaits::Rest => {
                self.begun.extend(field);
                self.must_reach = self.end_of_file()?;
                Ok(Step::Pass(self.must_reach.saturating_sub(self.offset)))
            }
        }
    }

    fn passed(&mut self) -> Result<Step, Damage> {
        match self.awaits {
            Awaits::Signature => Ok(Step::Take(SIGNATURE.len())),
            Awaits::Sizes | Awaits::Rest => Ok(Step::Over),
        }
    }

    fn end(&mut self, end: End) -> Result<(), Damage> {
        match (end, &self.awaits) {
            (End::Empty, _) => Err("is empty".into()),
            (End::Over, _) => Ok(()),
            (_, Awaits::Signature) => Err("does not begin as HDF5".into()),
            (_, Awaits::Sizes) => Err("ends within its HDF5 superblock".into()),
            (_, Awaits::Rest) if self.must_reach == 0 => Err("ends within its HDF5 superblock".into()),
            _ => {
                Err(format!("ends before byte {}, where its HDF5 superblock ends it", self.must_reach).into())
            }
        }
    }
}

impl Hdf5 {
    fn look_further(&mut self) -> Result<Step, Damage> {
        self.place = if self.place == 0 { FIRST_USER_BLOCK } else { self.place * 2 };
        if self.place > LAST_USER_BLOCK {
            return Err("does not begin as HDF5".into());
        }
        let pass = self.place - self.offset;
        self.offset = self.place;
        Ok(Step::Pass(pass))
    }

    /// The file's length as the superblock tells it.
    fn end_of_file(&self) -> Result<u64, Damage> {
        let broken = || Damage::from("has a broken HDF5 superblock");
        let superblock = self.begun.as_slice();
        let version = superblock.get(8).ok_or_else(broken)?;
        let addresses = Addresses::of(*version, superblock).ok_or_else(broken)?;
        if *version >= 2 {
            let (guarded, checksum) = superblock.split_last_chunk::<4>().ok_or_else(broken)?;
            if lookup3(guarded) != u32::from_le_bytes(*checksum) {
                return Err("fails the checksum of its HDF5 superblock".into());
            }
        }
        // Told from the file's start. A user block that was added or cut off since has moved all.
        let base = addresses.number(0).ok_or_else(broken)?;
        let end = addresses.number(2).ok_or_else(broken)?;
        let moved = end.checked_sub(base).and_then(|length| length.checked_add(self.place));
        moved.filter(|&end| end >= self.offset && i64::try_from(end).is_ok()).ok_or_else(broken)
    }
}

/// How many bytes of the superblock follow the first 16, of which these are the second eight.
fn rest_of_superblock(sizes: &[u8]) -> Result<usize, Damage> {
    let broken = || Damage::from("has a broken HDF5 superblock");
    let version = *sizes.first().ok_or_else(broken)?;
    let size = match version {
        0 | 1 => sizes.get(5),
        2 | 3 => sizes.get(1),
        _ => return Err(format!("has an HDF5 superblock of the unknown version {version}").into()),
    };
    let size = size.copied().filter(|size| matches!(size, 2 | 4 | 8 | 16 | 32)).ok_or_else(broken)?;
    let whole = match version {
        // Four addresses.
        0 => 24 + 4 * usize::from(size),
        1 => 28 + 4 * usize::from(size),
        // Four addresses and the checksum.
        _ => 16 + 4 * usize::from(size),
    };
    Ok(whole - 16)
}

/// The addresses of a superblock: base, another, end of file, another.
struct Addresses<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl<'a> Addresses<'a> {
    fn of(version: u8, superblock: &'a [u8]) -> Option<Self> {
        let (size, at) = match version {
            0 => (13, 24),
            1 => (13, 28),
            _ => (9, 12),
        };
        let size = usize::from(*superblock.get(size)?);
        Some(Self { bytes: superblock.get(at..)?, size })
    }

    /// A little-endian number; none when it is undefined (all ones) or beyond every file.
    fn number(&self, index: usize) -> Option<u64> {
        let bytes = self.bytes.get(index * self.size..(index + 1) * self.size)?;
        if bytes.iter().all(|&byte| byte == 0xff) {
            return None;
        }
        let shift = |number: u64, &byte: &u8| Some(number.checked_mul(256)? + u64::from(byte));
        bytes.iter().rev().try_fold(0, shift)
    }
}
