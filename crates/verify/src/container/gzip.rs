//! The gzip check (RFC 1952): headers, deflate streams, CRC-32 and length of every member, and then what
//! is inside.
//!
//! Zeros behind the last member are let pass: files that were copied from tapes and block devices are
//! filled up with them, and gzip itself says nothing about them. Anything else there is damage.

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::budget::Budget;
use super::{Check, Container, Damage};

/// How much is inflated at a time; what comes out is looked at and forgotten.
const WINDOW_BYTES: usize = 32 << 10;

const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// A gzip file as far as it was seen.
pub(super) struct Gzip {
    state: State,
    /// The present member's flags, less those whose fields have passed.
    flags: u8,
    members: u64,
    inflate: Decompress,
    /// Of the present member's header, and then of what comes out of it.
    crc: Hasher,
    inflated: u32,
    output: Vec<u8>,
    budget: Budget,
    inner: Option<Container>,
}

#[derive(Debug)]
enum State {
    /// The ten bytes that every member begins with.
    Head(Field<10>),
    ExtraLength(Field<2>),
    Skip(usize),
    Text,
    HeaderCrc(Field<2>),
    Deflate,
    Trailer(Field<8>),
    /// Zeros behind the last member.
    Padding,
}

impl Gzip {
    /// The check of a file whose content is held to another check.
    pub(super) fn new(inner: Option<Container>) -> Self {
        Self {
            state: State::Head(Field::default()),
            flags: 0,
            members: 0,
            inflate: Decompress::new(false),
            crc: Hasher::new(),
            inflated: 0,
            output: Vec::with_capacity(WINDOW_BYTES),
            budget: Budget::default(),
            inner,
        }
    }

    /// Takes some of `bytes`, at least one.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<(), Damage> {
        match &mut self.state {
            State::Head(field) if self.members > 0 && field.is_empty() && bytes[0] == 0 => {
                self.state = State::Padding;
            }
            State::Deflate => self.inflate(bytes)?,
            State::Trailer(field) => {
                if let Some(trailer) = field.fill(bytes) {
                    self.end_member(trailer)?;
                }
            }
            State::Padding if bytes.iter().all(|&byte| byte == 0) => *bytes = &[],
            State::Padding => return Err("has other bytes behind its gzip data".into()),
            State::HeaderCrc(field) => {
                if let Some(told) = field.fill(bytes) {
                    self.end_header(u16::from_le_bytes(told))?;
                }
            }
            _ => {
                let before = *bytes;
                self.header(bytes)?;
                self.crc.update(&before[..before.len() - bytes.len()]);
                // The header's own CRC is of the bytes before it; the content's begins anew.
                if matches!(self.state, State::Deflate) {
                    self.crc.reset();
                }
            }
        }
        Ok(())
    }

    /// Takes some of a header before its CRC.
    fn header(&mut self, bytes: &mut &[u8]) -> Result<(), Damage> {
        match &mut self.state {
            State::Head(field) => {
                if let Some(head) = field.fill(bytes) {
                    self.begin_member(head)?;
                }
            }
            State::ExtraLength(field) => {
                if let Some(length) = field.fill(bytes) {
                    self.state = State::Skip(u16::from_le_bytes(length).into());
                }
            }
            State::Skip(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                *bytes = &bytes[taken..];
            }
            _ => match bytes.iter().position(|&byte| byte == 0) {
                Some(end) => {
                    *bytes = &bytes[end + 1..];
                    self.next_field();
                }
                None => *bytes = &[],
            },
        }
        if matches!(self.state, State::Skip(0)) {
            self.next_field();
        }
        Ok(())
    }

    fn begin_member(&mut self, head: [u8; 10]) -> Result<(), Damage> {
        let [0x1f, 0x8b, 8, flags, ..] = head else {
            return Err(match self.members {
                0 => "does not begin as gzip".into(),
                _ => "has other bytes behind its gzip data".into(),
            });
        };
        if flags & RESERVED != 0 {
            return Err(self.broken_header());
        }
        self.flags = flags;
        self.next_field();
        Ok(())
    }

    /// Goes on to the next part of the member that its flags announce.
    fn next_field(&mut self) {
        for (flag, state) in [
            (HAS_EXTRA, State::ExtraLength(Field::default())),
            (HAS_NAME, State::Text),
            (HAS_COMMENT, State::Text),
            (HAS_HEADER_CRC, State::HeaderCrc(Field::default())),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                self.state = state;
                return;
            }
        }
        self.state = State::Deflate;
    }

    /// The header's CRC is the lower half of its CRC-32.
    fn end_header(&mut self, told: u16) -> Result<(), Damage> {
        let seen = std::mem::take(&mut self.crc).finalize() & 0xffff;
        if seen != u32::from(told) {
            return Err(self.broken_header());
        }
        self.next_field();
        Ok(())
    }

    fn inflate(&mut self, bytes: &mut &[u8]) -> Result<(), Damage> {
        let damaged = || Damage::from(format!("is damaged within gzip member {}", self.members + 1));
        let before = self.inflate.total_in();
        self.output.clear();
        let status = self.inflate.decompress_vec(bytes, &mut self.output, FlushDecompress::None);
        let status = status.map_err(|_| damaged())?;
        let taken = usize::try_from(self.inflate.total_in() - before).map_err(|_| damaged())?;
        *bytes = bytes.get(taken..).ok_or_else(damaged)?;
        if status != Status::StreamEnd && taken == 0 && self.output.is_empty() {
            return Err(damaged());
        }
        self.budget.spend(taken as u64, self.output.len() as u64);
        self.crc.update(&self.output);
        // The trailer keeps the length modulo 2^32.
        self.inflated = self.inflated.wrapping_add(self.output.len() as u32);
        if let Some(inner) = &mut self.inner {
            inner.feed(&self.output);
        }
        if status == Status::StreamEnd {
            self.state = State::Trailer(Field::default());
        }
        Ok(())
    }

    fn end_member(&mut self, trailer: [u8; 8]) -> Result<(), Damage> {
        let [a, b, c, d, e, f, g, h] = trailer;
        let (crc, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let seen = std::mem::take(&mut self.crc).finalize();
        self.members += 1;
        if crc != seen {
            return Err(format!("fails the CRC-32 of gzip member {}", self.members).into());
        }
        if length != self.inflated {
            return Err(format!("fails the length of gzip member {}", self.members).into());
        }
        self.inflated = 0;
        self.inflate.reset(false);
        self.state = State::Head(Field::default());
        Ok(())
    }

    fn broken_header(&self) -> Damage {
        format!("has a broken header of gzip member {}", self.members + 1).into()
    }
}

impl Check for Gzip {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        while !bytes.is_empty() && !self.is_given_up() {
            self.step(&mut bytes)?;
        }
        Ok(())
    }

    fn is_given_up(&self) -> bool {
        self.budget.is_spent()
    }

    fn finish(&mut self) -> Result<(), Damage> {
        match &self.state {
            State::Head(field) if field.is_empty() && self.members == 0 => Err("is empty".into()),
            State::Head(field) if field.is_empty() => finish_inner(self.inner.take()),
            State::Padding => finish_inner(self.inner.take()),
            _ => Err(format!("ends within gzip member {}", self.members + 1).into()),
        }
    }
}

/// The verdict on what was inside a compressed file.
pub(super) fn finish_inner(inner: Option<Container>) -> Result<(), Damage> {
    let verdict = inner.and_then(Container::finish).unwrap_or(Ok(()));
    verdict.map_err(|damage| format!("holds a file that {damage}").into())
}

/// A field of `N` bytes that come in pieces.
#[derive(Clone, Copy, Debug)]
struct Field<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Field<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Field<N> {
    fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes from `bytes` what is still missing; all of it once it is full.
    fn fill(&mut self, bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (taken, rest) = bytes.split_at(bytes.len().min(N - self.length));
        self.bytes[self.length..self.length + taken.len()].copy_from_slice(taken);
        self.length += taken.len();
        *bytes = rest;
        (self.length == N).then_some(self.bytes)
    }
}
