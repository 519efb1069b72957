//! PNG pictures and tar archives of them, with every checksum right.

use std::num::Wrapping;

use crate::seed::Dice;

const PNG_WIDTH: u64 = 480;
const PNG_ROW: u64 = PNG_WIDTH + 1;
/// The most that one stored deflate block holds.
const STORED_MAX: u64 = 65_535;
/// Signature, IHDR, the IDAT frame with the zlib header and checksum, IEND.
const PNG_FRAME: u64 = 8 + 25 + 12 + 6 + 12;

fn png_rows(about: u64) -> u64 {
    (about.saturating_sub(PNG_FRAME) / PNG_ROW).max(1)
}

/// The length of [`png`].
pub(crate) fn png_len(about: u64) -> u64 {
    let raw = png_rows(about) * PNG_ROW;
    PNG_FRAME + raw + raw.div_ceil(STORED_MAX) * 5
}

/// A grey picture of noise, stored without compression.
pub(crate) fn png(about: u64, dice: &mut Dice) -> Vec<u8> {
    let rows = png_rows(about);
    let mut raw = vec![0; usize::try_from(rows * PNG_ROW).unwrap_or(0)];
    dice.fill(&mut raw);
    for row in raw.chunks_mut(PNG_ROW as usize) {
        // No filter.
        row[0] = 0;
    }
    let mut head = Vec::new();
    head.extend(u32::try_from(PNG_WIDTH).unwrap_or(0).to_be_bytes());
    head.extend(u32::try_from(rows).unwrap_or(0).to_be_bytes());
    head.extend([8, 0, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    push_chunk(&mut bytes, b"IHDR", &head);
    push_chunk(&mut bytes, b"IDAT", &zlib_stored(&raw));
    push_chunk(&mut bytes, b"IEND", &[]);
    bytes
}

fn push_chunk(bytes: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    bytes.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    let from = bytes.len();
    bytes.extend(kind);
    bytes.extend(data);
    let crc = crc32fast::hash(&bytes[from..]);
    bytes.extend(crc.to_be_bytes());
}

fn zlib_stored(raw: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let blocks = raw.chunks(STORED_MAX as usize);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
        bytes.push(u8::from(index == last));
        bytes.extend(len.to_le_bytes());
        bytes.extend((!len).to_le_bytes());
        bytes.extend(block);
    }
    bytes.extend(adler32(raw).to_be_bytes());
    bytes
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut a, mut b) = (Wrapping(1_u32), Wrapping(0_u32));
    // 5552 bytes are what the sums hold without overflow.
    for chunk in bytes.chunks(5552) {
        for &byte in chunk {
            a += u32::from(byte);
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    b.0 << 16 | a.0
}

const TAR_BLOCK: u64 = 512;
/// About the size of one picture of a burst.
const MEMBER_ABOUT: u64 = 356_000;

/// Member count and the size each is asked to have.
fn members(about: u64) -> (u64, u64) {
    let count = (about / MEMBER_ABOUT).max(3);
    (count, about / count)
}

/// The length of [`tar`].
pub(crate) fn tar_len(about: u64) -> u64 {
    let (count, each) = members(about);
    let padded = png_len(each).div_ceil(TAR_BLOCK) * TAR_BLOCK;
    count * (TAR_BLOCK + padded) + 2 * TAR_BLOCK
}

/// An archive of pictures, ended by two empty blocks.
pub(crate) fn tar(about: u64, dice: &mut Dice) -> Vec<u8> {
    let (count, each) = members(about);
    let mut bytes = Vec::with_capacity(usize::try_from(tar_len(about)).unwrap_or(0));
    for number in 0..count {
        let picture = png(each, dice);
        bytes.extend(tar_header(&format!("frame_{number:05}.png"), picture.len()));
        bytes.extend(&picture);
        bytes.resize(bytes.len().next_multiple_of(TAR_BLOCK as usize), 0);
    }
    bytes.resize(bytes.len() + 2 * TAR_BLOCK as usize, 0);
    bytes
}

fn tar_header(name: &str, len: usize) -> [u8; TAR_BLOCK as usize] {
    let mut header = [0; TAR_BLOCK as usize];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{len:011o}\0"));
    put(136, "00000000000\0");
    // The checksum counts itself as blanks.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_picture_is_sound() {
        for about in [0, 1000, 200_000] {
            let file = png(about, &mut Dice::new(1));
            assert_eq!(file.len() as u64, png_len(about));
            let mut at = 8;
            let mut kinds = Vec::new();
            while at < file.len() {
                let len = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
                let crc = u32::from_be_bytes(file[at + 8 + len..at + 12 + len].try_into().unwrap());
                assert_eq!(crc32fast::hash(&file[at + 4..at + 8 + len]), crc);
                kinds.push(file[at + 4..at + 8].to_vec());
                if &file[at + 4..at + 8] == b"IDAT" {
                    let mut raw = Vec::new();
                    flate2::read::ZlibDecoder::new(&file[at + 8..at + 8 + len])
                        .read_to_end(&mut raw)
                        .unwrap();
                    assert_eq!(raw.len() as u64, png_rows(about) * PNG_ROW);
                }
                at += 12 + len;
            }
            assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
        }
    }

    #[test]
    fn an_archive_is_sound() {
        let file = tar(20_000, &mut Dice::new(1));
        assert_eq!(file.len() as u64, tar_len(20_000));
        assert!(file.ends_with(&[0; 1024]));
        let header = &file[..512];
        let stored = u32::from_str_radix(std::str::from_utf8(&header[148..154]).unwrap(), 8).unwrap();
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        let own: u32 = header[148..156].iter().map(|&byte| u32::from(byte)).sum();
        assert_eq!(stored, sum - own + 8 * 32);
    }
}
