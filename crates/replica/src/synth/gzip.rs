//! The frame around a deflate stream: a gzip header with name and time, and the trailer that proves the contents.

/// The header of a gzip file, with FNAME and MTIME.
pub(crate) fn header(name: &str, modified: i64) -> Vec<u8> {
    const MAGIC_AND_METHOD: [u8; 3] = [0x1f, 0x8b, 8];
    const HAS_NAME: u8 = 8;
    const UNIX: u8 = 3;
    let seconds = u32::try_from(modified).unwrap_or(0).to_le_bytes();
    let mut bytes = MAGIC_AND_METHOD.to_vec();
    bytes.push(HAS_NAME);
    bytes.extend(seconds);
    bytes.extend([0, UNIX]);
    bytes.extend(name.as_bytes());
    bytes.push(0);
    bytes
}

/// How long [`header`] is.
pub(crate) fn header_len(name: &str) -> usize {
    11 + name.len()
}

/// The length of [`trailer`].
pub(crate) const TRAILER_LEN: usize = 8;

/// The trailer: CRC-32 and length of what was compressed.
pub(crate) fn trailer(crc: u32, len: u64) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    // The format keeps the length modulo 2^32.
    bytes[4..].copy_from_slice(&len.to_le_bytes()[..4]);
    bytes
}
