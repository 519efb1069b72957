//! The gzip check (RFC 1952): headers, deflate streams, CRC-32 and length of every member.

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::fill;

/// How much is inflated at a time; what comes out is hashed and forgotten.
const WINDOW_BYTES: usize = 32 << 10;

const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// A gzip file as far as it was seen.
#[derive(Debug)]
pub(crate) struct Gzip {
    state: State,
    /// The present member's flags, less those whose fields have passed.
    flags: u8,
    members: u64,
    inflate: Decompress,
    crc: Hasher,
    inflated: u32,
    output: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// The ten bytes that every member begins with.
    Head([u8; 10], usize),
    ExtraLength([u8; 2], usize),
    Skip(usize),
    Text,
    HeaderCrc([u8; 2], usize),
    Deflate,
    Trailer([u8; 8], usize),
    /// Zeros that fill up a tape or disk block behind the last member.
    Padding,
    Bad(String),
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            state: State::Head([0; 10], 0),
            flags: 0,
            members: 0,
            inflate: Decompress::new(false),
            crc: Hasher::new(),
            inflated: 0,
            output: Vec::with_capacity(WINDOW_BYTES),
        }
    }
}

impl Gzip {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !matches!(self.state, State::Bad(_)) {
            if let Err(why) = self.step(&mut bytes) {
                self.state = State::Bad(why);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), String> {
        if let State::Head(_, 0) | State::Padding = self.state {
            return if self.members > 0 { Ok(()) } else { Err("is empty".to_owned()) };
        }
        match std::mem::replace(&mut self.state, State::Padding) {
            State::Bad(why) => Err(why),
            _ => Err(format!("ends within gzip member {}", self.members + 1)),
        }
    }

    /// Takes some of `bytes`, at least one.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<(), String> {
        match &mut self.state {
            State::Head(_, 0) if self.members > 0 && bytes[0] == 0 => self.state = State::Padding,
            State::Head(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(head) => self.begin(head)?,
                    None => (*field, *length) = filling,
                }
            }
            State::ExtraLength(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(extra) => self.state = State::Skip(u16::from_le_bytes(extra).into()),
                    None => (*field, *length) = filling,
                }
                self.skip_nothing();
            }
            State::Skip(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                *bytes = &bytes[taken..];
                self.skip_nothing();
            }
            State::Text => match bytes.iter().position(|&byte| byte == 0) {
                Some(end) => {
                    *bytes = &bytes[end + 1..];
                    self.next_field();
                }
                None => *bytes = &[],
            },
            State::HeaderCrc(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(_) => self.next_field(),
                    None => (*field, *length) = filling,
                }
            }
            State::Deflate => self.inflate(bytes)?,
            State::Trailer(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(trailer) => self.end(trailer)?,
                    None => (*field, *length) = filling,
                }
            }
            State::Padding if bytes.iter().all(|&byte| byte == 0) => *bytes = &[],
            State::Padding => return Err("has other bytes behind its gzip data".to_owned()),
            State::Bad(why) => return Err(why.clone()),
        }
        Ok(())
    }

    fn begin(&mut self, head: [u8; 10]) -> Result<(), String> {
        let [0x1f, 0x8b, 8, flags, ..] = head else {
            return Err(match self.members {
                0 => "does not begin as gzip".to_owned(),
                _ => "has other bytes behind its gzip data".to_owned(),
            });
        };
        self.flags = flags;
        self.next_field();
        Ok(())
    }

    /// Goes on to the next part of the member that its flags announce.
    fn next_field(&mut self) {
        for (flag, state) in [
            (HAS_EXTRA, State::ExtraLength([0; 2], 0)),
            (HAS_NAME, State::Text),
            (HAS_COMMENT, State::Text),
            (HAS_HEADER_CRC, State::HeaderCrc([0; 2], 0)),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                self.state = state;
                return;
            }
        }
        self.state = State::Deflate;
    }

    fn skip_nothing(&mut self) {
        if matches!(self.state, State::Skip(0)) {
            self.next_field();
        }
    }

    fn inflate(&mut self, bytes: &mut &[u8]) -> Result<(), String> {
        let damaged = || format!("is damaged within gzip member {}", self.members + 1);
        let before = self.inflate.total_in();
        self.output.clear();
        let status = self.inflate.decompress_vec(bytes, &mut self.output, FlushDecompress::None);
        let status = status.map_err(|_| damaged())?;
        let taken = usize::try_from(self.inflate.total_in() - before).map_err(|_| damaged())?;
        *bytes = bytes.get(taken..).ok_or_else(damaged)?;
        self.crc.update(&self.output);
        // The trailer keeps the length modulo 2^32.
        self.inflated = self.inflated.wrapping_add(self.output.len() as u32);
        match status {
            Status::StreamEnd => self.state = State::Trailer([0; 8], 0),
            _ if taken == 0 && self.output.is_empty() => return Err(damaged()),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, trailer: [u8; 8]) -> Result<(), String> {
        let [a, b, c, d, e, f, g, h] = trailer;
        let (crc, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let seen = std::mem::take(&mut self.crc).finalize();
        self.members += 1;
        if crc != seen {
            return Err(format!("fails the CRC-32 of gzip member {}", self.members));
        }
        if length != self.inflated {
            return Err(format!("fails the length of gzip member {}", self.members));
        }
        self.inflated = 0;
        self.inflate.reset(false);
        self.state = State::Head([0; 10], 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};

    use super::*;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Feeds in pieces of `size`.
    fn check(bytes: &[u8], size: usize) -> Result<(), String> {
        let mut gzip = Gzip::default();
        bytes.chunks(size).for_each(|piece| gzip.feed(piece));
        gzip.finish()
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * n % 251) as u8).collect()
    }

    #[test]
    fn whole_files_pass_in_pieces_of_any_size() {
        let full = GzBuilder::new()
            .extra(vec![1; 300])
            .filename("a.pgm")
            .comment("c")
            .write(Vec::new(), Compression::best());
        let mut full = full;
        full.write_all(&text(1000)).unwrap();
        let full = full.finish().unwrap();
        let members = [gz(b""), full, gz(&text(200_000))].concat();
        let padded = [members.clone(), vec![0; 700]].concat();
        for size in [1, 2, 7, 4096, usize::MAX] {
            assert_eq!(check(&members, size.min(members.len())), Ok(()), "{size}");
            assert_eq!(check(&padded, size.min(padded.len())), Ok(()), "{size}");
        }
    }

    #[test]
    fn a_header_crc_is_passed_over() {
        let plain = gz(b"x");
        let mut with_crc = plain[..10].to_vec();
        with_crc[3] = HAS_HEADER_CRC;
        with_crc.extend([0xaa, 0xbb]);
        with_crc.extend(&plain[10..]);
        assert_eq!(check(&with_crc, 3), Ok(()));
    }

    #[test]
    fn every_cut_and_every_flip_is_found() {
        let whole = [gz(&text(500)), gz(&text(30))].concat();
        let first = gz(&text(500)).len();
        for length in (0..whole.len()).filter(|&length| length != first) {
            assert!(check(&whole[..length], 64).is_err(), "cut at {length}");
        }
        // Time, extra flags and system in a header are not covered by any check.
        let unchecked = |at: usize| matches!(at, 4..=9) || (first + 4..=first + 9).contains(&at);
        for at in (0..whole.len()).filter(|&at| !unchecked(at)) {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            let verdict = check(&bad, 64);
            assert!(verdict.is_err() || at == 3 || at == first + 3, "flip at {at}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let mut bad_crc = gz(b"abc");
        let at = bad_crc.len() - 8;
        bad_crc[at] ^= 1;
        let mut bad_length = gz(b"abc");
        let at = bad_length.len() - 4;
        bad_length[at] ^= 1;
        let table = [
            (Vec::new(), "is empty"),
            (b"<html>, for a change".to_vec(), "does not begin as gzip"),
            (gz(b"abc")[..15].to_vec(), "ends within gzip member 1"),
            (bad_crc, "fails the CRC-32 of gzip member 1"),
            (bad_length, "fails the length of gzip member 1"),
            ([gz(b"abc"), b"trailing garbage".to_vec()].concat(), "has other bytes behind its gzip data"),
            ([gz(b"abc"), vec![0, 0, 7]].concat(), "has other bytes behind its gzip data"),
        ];
        for (bytes, expected) in table {
            assert_eq!(check(&bytes, 5), Err(expected.to_owned()));
        }
    }
}
