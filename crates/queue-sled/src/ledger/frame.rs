//! A frame's bytes, and the file header before the first one. All numbers are little-endian.
//!
//! File header, 24 bytes: magic `SKYLEDG\n`, format u32, job u64, CRC-32 u32 of the 20 bytes before.
//! Frame: payload length u32, CRC-32 u32, kind u8, version u8, payload. The CRC covers the frame's offset
//! in the file (u64), kind, version and payload.

use skyhaul_model::JobId;

use crate::codec::RECORD_LIMIT;

/// The newest file format known here.
pub(crate) const LEDGER_FORMAT: u32 = 1;

/// Where the first frame begins.
pub(crate) const HEADER_LEN: u64 = 24;

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEAD: usize = 10;

const MAGIC: &[u8; 8] = b"SKYLEDG\n";

/// Kinds and versions beyond these are not looked at: most of what is no frame is told without reading on.
const HIGHEST_KIND: u8 = 32;
const HIGHEST_VERSION: u8 = 4;

/// A whole frame and where it lies.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) mark: FrameMark,
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) payload: Vec<u8>,
}

/// Where a frame lies, and its checksum: enough to find it and to know it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameMark {
    pub(crate) offset: u64,
    /// Head and payload, in bytes.
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

/// A frame's head, not yet believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) payload_length: usize,
    pub(crate) crc: u32,
    pub(crate) kind: u8,
    pub(crate) version: u8,
}

/// What a file header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Valid { format: u32, job: JobId },
    Damaged,
}

impl FrameMark {
    /// Where the next frame begins.
    pub(crate) fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

impl Head {
    /// The head that these bytes would be, if its length can be.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let [kind, version] = *rest.first_chunk::<2>()?;
        let payload_length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let head = Self { payload_length, crc: u32::from_le_bytes(*crc), kind, version };
        let may_be = (1..=HIGHEST_KIND).contains(&kind) && (1..=HIGHEST_VERSION).contains(&version);
        (may_be && payload_length <= RECORD_LIMIT).then_some(head)
    }

    /// Whether the payload is the one that was written here.
    pub(crate) fn fits(&self, offset: u64, payload: &[u8]) -> bool {
        payload.len() == self.payload_length && checksum(offset, self.kind, self.version, payload) == self.crc
    }

    pub(crate) fn mark(&self, offset: u64) -> FrameMark {
        FrameMark { offset, length: (FRAME_HEAD + self.payload_length) as u32, crc: self.crc }
    }
}

/// The bytes of a frame that is to lie at `offset`; none if the payload is too large for one.
pub(crate) fn encode_frame(
    offset: u64,
    kind: u8,
    version: u8,
    payload: &[u8],
) -> Option<(FrameMark, Vec<u8>)> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= RECORD_LIMIT)?;
    let crc = checksum(offset, kind, version, payload);
    let mut bytes = Vec::with_capacity(FRAME_HEAD + payload.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&[kind, version]);
    bytes.extend_from_slice(payload);
    Some((FrameMark { offset, length: length + FRAME_HEAD as u32, crc }, bytes))
}

/// The file header of a job's ledger.
pub(crate) fn encode_header(job: JobId) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&LEDGER_FORMAT.to_le_bytes());
    bytes.extend_from_slice(&job.0.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// What the first bytes of a ledger say.
pub(crate) fn parse_header(bytes: &[u8]) -> Header {
    let parsed = || {
        let (body, crc) = bytes.get(..HEADER_LEN as usize)?.split_last_chunk::<4>()?;
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (format, job) = rest.split_first_chunk::<4>()?;
        let whole = magic == MAGIC && crc32fast::hash(body).to_le_bytes() == *crc;
        let job = JobId(u64::from_le_bytes(*job.first_chunk::<8>()?));
        whole.then_some(Header::Valid { format: u32::from_le_bytes(*format), job })
    };
    parsed().unwrap_or(Header::Damaged)
}

fn checksum(offset: u64, kind: u8, version: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&[kind, version]);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_again_at_its_place_only() {
        let (mark, bytes) = encode_frame(24, 3, 1, b"payload").unwrap();
        let head = Head::parse(&bytes).unwrap();
        assert_eq!((mark.end(), bytes.len(), head.mark(24)), (41, 17, mark));
        assert!(head.fits(24, b"payload"));
        assert!(!head.fits(25, b"payload"));
        assert!(!head.fits(24, b"payloae"));
        assert!(!head.fits(24, b"payloadd"));
    }

    #[test]
    fn the_formats_bytes_are_these() {
        let (_, bytes) = encode_frame(24, 3, 1, b"ab").unwrap();
        assert_eq!(hex(&bytes), "0200000026c2ecbd03016162");
        assert_eq!(hex(&encode_header(JobId(7))), "534b594c4544470a010000000700000000000000d3d825ad");
    }

    #[test]
    fn a_header_that_is_not_whole_is_told() {
        let mut bytes = encode_header(JobId(7));
        assert_eq!(parse_header(&bytes), Header::Valid { format: 1, job: JobId(7) });
        assert_eq!(parse_header(&bytes[..20]), Header::Damaged);
        bytes[9] ^= 1;
        assert_eq!(parse_header(&bytes), Header::Damaged);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
