//! Small files of every format.

use std::io::Write;

use ::bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::container::lookup3::lookup3;

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Members with every field that a header may have.
pub(super) fn gzip_with_headers() -> Vec<(&'static str, Vec<u8>)> {
    let builder = GzBuilder::new().extra(vec![1; 300]).filename("a.pgm").comment("c");
    let mut full = builder.write(Vec::new(), Compression::best());
    full.write_all(&text(1000)).unwrap();
    let plain = gz(b"x");
    let mut with_crc = plain[..10].to_vec();
    with_crc[3] = 0b1010;
    with_crc.extend(b"name\0");
    let crc = crc32fast::hash(&with_crc).to_le_bytes();
    with_crc.extend(&crc[..2]);
    with_crc.extend(&plain[10..]);
    vec![("every field", full.finish().unwrap()), ("a CRC", with_crc)]
}

pub(super) fn bz2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), ::bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that repeat themselves only now and then.
pub(super) fn text(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * n % 251) as u8).collect()
}

#[derive(Clone, Copy)]
pub(super) struct Stack {
    pub(super) frames: usize,
    pub(super) greatest: u32,
}

impl Default for Stack {
    fn default() -> Self {
        Self { frames: 3, greatest: 65_535 }
    }
}

impl Stack {
    pub(super) fn make(self) -> Vec<u8> {
        let pixel = if self.greatest > 255 { 2 } else { 1 };
        let frame = |number: usize| {
            let heading =
                format!("P5\n#\"Site unique ID\" gill\n#\"Frame\" {number}\n6 4\n{}\n", self.greatest);
            [heading.into_bytes(), text(6 * 4 * pixel)].concat()
        };
        (0..self.frames).flat_map(frame).collect()
    }
}

pub(super) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind[..], data].concat();
    let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
    bytes.extend(&body);
    bytes.extend(crc32fast::hash(&body).to_be_bytes());
    bytes
}

pub(super) fn picture() -> Vec<u8> {
    let chunks = [chunk(b"IHDR", &[7; 13]), chunk(b"IDAT", &[9; 40]), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

/// A file with its superblock behind a user block, and some data.
pub(super) fn hdf5(version: u8, user_block: u64) -> Vec<u8> {
    let end = user_block + 400;
    let mut bytes = vec![b'u'; user_block as usize];
    bytes.extend(superblock(version, user_block, end));
    bytes.resize(end as usize, b'd');
    bytes
}

pub(super) fn superblock(version: u8, base: u64, end: u64) -> Vec<u8> {
    let mut bytes = b"\x89HDF\r\n\x1a\n".to_vec();
    match version {
        0 => bytes.extend([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]),
        1 => bytes.extend([1, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0, 32, 0, 0, 0]),
        version => bytes.extend([version, 8, 8, 0]),
    }
    for address in [base, u64::MAX, end, 96] {
        bytes.extend(address.to_le_bytes());
    }
    if version >= 2 {
        bytes.extend(lookup3(&bytes).to_le_bytes());
    }
    bytes
}

#[derive(Clone, Copy)]
pub(super) enum Sum {
    Unsigned,
    Signed,
}

pub(super) fn tar_header(name: &str, length: usize, kind: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{length:011o}\0").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    sign(&mut header, Sum::Unsigned);
    header
}

/// Writes a header's checksum, which counts its own place as blanks.
pub(super) fn sign(header: &mut [u8], sum: Sum) {
    header[148..156].fill(b' ');
    let sum = match sum {
        Sum::Unsigned => header.iter().map(|&byte| i64::from(byte)).sum::<i64>(),
        Sum::Signed => header.iter().map(|&byte| i64::from(byte.cast_signed())).sum(),
    };
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub(super) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        bytes.extend(tar_header(name, content.len(), b'0'));
        bytes.extend(*content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A picture with everything that may look like its end and is not: a preview in a segment, stuffed bytes
/// and restart marks in the scan.
pub(super) fn jpeg() -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xe1\x00\x08\xff\xd8\xff\xd9ab".to_vec();
    bytes.extend(b"\xff\xff\xff\xda\x00\x04\x01\x02scan\xff\x00data\xff\xd0more");
    bytes.extend(b"\xff\xc4\x00\x03t\xff\xda\x00\x02second\xff\xff\xd9");
    bytes
}

#[derive(Clone, Copy)]
pub(super) enum Chain {
    LowFirst,
    HighFirst,
}

/// A time stamp, a variable, and the end mark.
pub(super) fn save_file(form: u8, chain: Chain) -> Vec<u8> {
    let mut bytes = vec![b'S', b'R', 0, form];
    for (kind, content) in [(10_u32, 40_u64), (2, 100), (6, 0)] {
        let next = if kind == 6 { 0 } else { bytes.len() as u64 + 16 + content };
        let halves = match chain {
            Chain::LowFirst => next.rotate_left(32),
            Chain::HighFirst => next,
        };
        bytes.extend(kind.to_be_bytes());
        bytes.extend(halves.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + content as usize, b'v');
    }
    bytes
}
