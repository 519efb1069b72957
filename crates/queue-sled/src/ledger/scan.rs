//! Reading a ledger from front to back, over damage: what is whole is found, what is not is told.
//!
//! Behind damage every byte is tried as the beginning of a frame; a checksum bound to the place decides.
//! Memory is bounded by the largest frame.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::frame::{FRAME_HEAD, Frame, Head};

/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// What lies next in a ledger.
#[derive(Debug)]
pub(crate) enum Scanned {
    /// A whole frame.
    Frame(Frame),
    /// Bytes that are no frame, with whole frames behind them.
    Gap { from: u64, to: u64 },
    /// Bytes at the end that are no frame: a write that a crash cut short.
    Torn { from: u64, to: u64 },
}

/// Goes through the frames of a ledger.
pub(crate) struct Scanner {
    file: File,
    /// Where the next frame is expected.
    at: u64,
    length: u64,
    block: Vec<u8>,
    block_at: u64,
}

impl Scanner {
    /// Begins at `from`, where a frame begins or the file ends.
    pub(crate) fn new(file: File, from: u64) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, at: from, length, block: Vec::new(), block_at: 0 })
    }

    /// What lies next; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Scanned>> {
        if self.at >= self.length {
            return Ok(None);
        }
        if let Some(frame) = self.frame_at(self.at)? {
            self.at = frame.mark.end();
            return Ok(Some(Scanned::Frame(frame)));
        }
        let from = self.at;
        for candidate in from + 1..self.length {
            if let Some(frame) = self.frame_at(candidate)? {
                self.at = candidate;
                return Ok(Some(Scanned::Gap { from, to: frame.mark.offset }));
            }
        }
        self.at = self.length;
        Ok(Some(Scanned::Torn { from, to: self.length }))
    }

    fn frame_at(&mut self, offset: u64) -> io::Result<Option<Frame>> {
        let Some(head) = self.bytes(offset, FRAME_HEAD)?.and_then(Head::parse) else { return Ok(None) };
        let Some(payload) = self.bytes(offset + FRAME_HEAD as u64, head.payload_length)? else {
            return Ok(None);
        };
        if !head.fits(offset, payload) {
            return Ok(None);
        }
        let payload = payload.to_vec();
        Ok(Some(Frame { mark: head.mark(offset), kind: head.kind, version: head.version, payload }))
    }

    /// Bytes of the file; none if it ends before.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let end = offset.saturating_add(length as u64);
        if end > self.length {
            return Ok(None);
        }
        if offset < self.block_at || end > self.block_at + self.block.len() as u64 {
            let wanted = (length.max(BLOCK) as u64).min(self.length - offset);
            self.block.resize(wanted as usize, 0);
            self.block_at = offset;
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.read_exact(&mut self.block)?;
        }
        let start = (offset - self.block_at) as usize;
        Ok(self.block.get(start..start + length))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::frame::encode_frame;
    use super::*;

    /// A file of frames with payloads of these lengths, and where each frame begins.
    fn frames(lengths: &[usize]) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for (index, &length) in lengths.iter().enumerate() {
            let payload: Vec<u8> = (0..length).map(|byte| (byte * 31 + index) as u8).collect();
            offsets.push(bytes.len() as u64);
            bytes.extend(encode_frame(bytes.len() as u64, 1 + index as u8 % 9, 1, &payload).unwrap().1);
        }
        (bytes, offsets)
    }

    /// Where frames lie, where gaps, and where a torn end begins.
    type Found = (Vec<u64>, Vec<(u64, u64)>, Option<u64>);

    fn scan(bytes: &[u8]) -> Found {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut scanner = Scanner::new(file, 0).unwrap();
        let (mut found, mut gaps, mut torn) = (Vec::new(), Vec::new(), None);
        while let Some(next) = scanner.next().unwrap() {
            match next {
                Scanned::Frame(frame) => found.push(frame.mark.offset),
                Scanned::Gap { from, to } => gaps.push((from, to)),
                Scanned::Torn { from, to } => {
                    assert_eq!(to, bytes.len() as u64);
                    torn = Some(from);
                }
            }
        }
        (found, gaps, torn)
    }

    #[test]
    fn frames_larger_than_a_block_are_read() {
        let (bytes, offsets) = frames(&[10, BLOCK * 2, 0, BLOCK - 3, 7]);
        assert_eq!(scan(&bytes), (offsets, vec![], None));
    }

    proptest! {
        #[test]
        fn a_torn_end_is_found_at_any_byte(lengths in prop::collection::vec(0..200usize, 1..8), cut: prop::sample::Index) {
            let (bytes, offsets) = frames(&lengths);
            let cut = cut.index(bytes.len() + 1);
            let (found, gaps, torn) = scan(&bytes[..cut]);
            let mut ends = offsets.clone();
            ends.push(bytes.len() as u64);
            let whole = ends[1..].iter().filter(|&&end| end <= cut as u64).count();
            prop_assert_eq!(&found[..], &offsets[..whole]);
            prop_assert_eq!(gaps, vec![]);
            prop_assert_eq!(torn, (ends[whole] < cut as u64).then_some(ends[whole]));
        }

        #[test]
        fn damage_costs_the_frame_it_hits_and_no_other(
            lengths in prop::collection::vec(0..200usize, 2..8), place: prop::sample::Index, flip in 1..=255u8,
        ) {
            let (mut bytes, offsets) = frames(&lengths);
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            let hit = offsets.iter().rposition(|&offset| offset <= place as u64).unwrap();
            let (found, gaps, torn) = scan(&bytes);
            let left: Vec<u64> = offsets.iter().enumerate().filter(|(i, _)| *i != hit).map(|(_, &o)| o).collect();
            prop_assert_eq!(found, left);
            if hit + 1 < offsets.len() {
                prop_assert_eq!((gaps, torn), (vec![(offsets[hit], offsets[hit + 1])], None));
            } else {
                prop_assert_eq!((gaps, torn), (vec![], Some(offsets[hit])));
            }
        }
    }
}
