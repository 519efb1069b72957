//! HDF5 files that the HDF5 library opens: one dataset of noise, `/data/images`, under a superblock of the oldest or
//! the newest kind.
//!
//! What is written follows the HDF5 file format specification, version 3.0: superblocks 0 and 2 (section II.A),
//! object headers 2 (IV.A.1.b), and lookup3 checksums over them.

use crate::seed::Dice;

/// An address that leads nowhere.
const NOWHERE: u64 = u64::MAX;

/// The longer of the two superblocks, and what stands before the noise after either.
const HEAD_MAX: u64 = 96 + OBJECTS_LEN;

/// The three object headers: the root group, `/data`, `/data/images`.
const OBJECTS_LEN: u64 = GROUP_LEN + GROUP_LEN + DATASET_LEN;
/// The longest name that a group links to.
const NAME_LEN: usize = 6;
const GROUP_LEN: u64 = 7 + (4 + 18) + (4 + 2) + (4 + 3 + NAME_LEN as u64 + 8) + 4;
const DATASET_LEN: u64 = 7 + (4 + 12) + (4 + 12) + (4 + 2) + (4 + 18) + 4;

/// The length of [`make`].
pub(crate) fn len(about: u64) -> u64 {
    about.max(HEAD_MAX)
}

/// A file of about so many bytes.
pub(crate) fn make(about: u64, dice: &mut Dice) -> Vec<u8> {
    let len = len(about);
    let mut bytes = if dice.below(2) == 0 { oldest_superblock(len) } else { newest_superblock(len) };
    let root = bytes.len() as u64;
    let data = root + GROUP_LEN;
    let images = data + GROUP_LEN;
    let noise = images + DATASET_LEN;
    bytes.extend(group("data", data));
    bytes.extend(group("images", images));
    bytes.extend(dataset(noise, len - noise));
    let from = bytes.len();
    bytes.resize(usize::try_from(len).unwrap_or(from), 0);
    dice.fill(&mut bytes[from..]);
    bytes
}

const SIGNATURE: [u8; 8] = [0x89, b'H', b'D', b'F', 0x0d, 0x0a, 0x1a, 0x0a];

fn oldest_superblock(len: u64) -> Vec<u8> {
    const OWN_LEN: u64 = 96;
    let mut bytes = SIGNATURE.to_vec();
    // Five version and reserved bytes, 8-byte offsets and lengths, one reserved byte.
    bytes.extend([0, 0, 0, 0, 0, 8, 8, 0]);
    // Group leaf and internal node sizes, then the consistency flags.
    bytes.extend([4, 0, 16, 0, 0, 0, 0, 0]);
    // Base, free space, end of file, driver; then the root group: its name's place and its header.
    for word in [0, NOWHERE, len, NOWHERE, 0, OWN_LEN] {
        bytes.extend(word.to_le_bytes());
    }
    // Nothing is cached.
    bytes.resize(OWN_LEN as usize, 0);
    bytes
}

fn newest_superblock(len: u64) -> Vec<u8> {
    const OWN_LEN: u64 = 48;
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([2, 8, 8, 0]);
    // Base, extension, end of file, root group.
    for word in [0, NOWHERE, len, OWN_LEN] {
        bytes.extend(word.to_le_bytes());
    }
    with_checksum(bytes)
}

/// The header of a group with one link. A name shorter than [`NAME_LEN`] leaves a gap, which the format allows where no
/// message would fit in.
fn group(name: &str, target: u64) -> Vec<u8> {
    let mut info = vec![0, 0];
    info.extend(NOWHERE.to_le_bytes());
    info.extend(NOWHERE.to_le_bytes());
    let mut link = vec![1, 0, u8::try_from(name.len()).unwrap_or(0)];
    link.extend(name.as_bytes());
    link.extend(target.to_le_bytes());
    object(&[(2, &info), (10, &[0, 0]), (6, &link)], GROUP_LEN)
}

/// The header of a row of bytes.
fn dataset(address: u64, count: u64) -> Vec<u8> {
    let mut space = vec![2, 1, 0, 1];
    space.extend(count.to_le_bytes());
    // Unsigned, one byte, all 8 bits of it.
    let kind = [0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
    // Allocated late, filled if a value is set, which none is.
    let fill = [3, 0x0a];
    let mut layout = vec![3, 1];
    layout.extend(address.to_le_bytes());
    layout.extend(count.to_le_bytes());
    object(&[(1, &space), (3, &kind), (5, &fill), (8, &layout)], DATASET_LEN)
}

/// An object header of these messages, exactly so long: what is missing is a gap before the checksum.
fn object(messages: &[(u8, &[u8])], len: u64) -> Vec<u8> {
    const PREFIX_AND_CHECKSUM: u64 = 7 + 4;
    let mut bytes = b"OHDR\x02\0".to_vec();
    bytes.push(u8::try_from(len - PREFIX_AND_CHECKSUM).unwrap_or(0));
    for (kind, content) in messages {
        bytes.push(*kind);
        bytes.extend(u16::try_from(content.len()).unwrap_or(0).to_le_bytes());
        bytes.push(0);
        bytes.extend(*content);
    }
    bytes.resize(usize::try_from(len).unwrap_or(4) - 4, 0);
    with_checksum(bytes)
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(lookup3(&bytes).to_le_bytes());
    bytes
}

/// Bob Jenkins's hash of 2006, as the format uses it: starting from 0.
fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(u32::try_from(bytes.len()).unwrap_or(0));
    let mut words = [start; 3];
    if bytes.is_empty() {
        return start;
    }
    let mut rest = bytes;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        add(&mut words, block);
        mix(&mut words);
        rest = after;
    }
    add(&mut words, rest);
    finish(words)
}

fn add(words: &mut [u32; 3], block: &[u8]) {
    for (place, byte) in block.iter().enumerate() {
        let word = &mut words[place / 4];
        *word = word.wrapping_add(u32::from(*byte) << (place % 4 * 8));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    /// One step: `x` loses `z` and takes it turned; `z` takes `y`.
    fn step(x: &mut u32, z: &mut u32, y: u32, turn: u32) {
        *x = x.wrapping_sub(*z) ^ z.rotate_left(turn);
        *z = z.wrapping_add(y);
    }
    step(a, c, *b, 4);
    step(b, a, *c, 6);
    step(c, b, *a, 8);
    step(a, c, *b, 16);
    step(b, a, *c, 19);
    step(c, b, *a, 4);
}

fn finish([mut a, mut b, mut c]: [u32; 3]) -> u32 {
    let step = |x: &mut u32, y: u32, turn: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(turn));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_its_authors() {
        // The examples in lookup3.c.
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }

    #[test]
    fn either_superblock_tells_the_end() {
        let mut versions = Vec::new();
        for seed in 0..8 {
            for about in [0, 5000] {
                let file = make(about, &mut Dice::new(seed));
                assert_eq!(file.len() as u64, len(about));
                let end = if file[8] == 0 { 40 } else { 28 };
                assert_eq!(u64::from_le_bytes(file[end..end + 8].try_into().unwrap()), file.len() as u64);
                versions.push(file[8]);
            }
        }
        assert!(versions.contains(&0) && versions.contains(&2));
    }
}
