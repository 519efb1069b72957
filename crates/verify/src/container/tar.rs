//! The tar check (POSIX.1-1988 ustar, and what GNU and pax made of it): every header's checksum, every
//! member's length, and the empty block that ends an archive.
//!
//! Members carry no checksum of their own; where they are all of one format that has one, that is checked.

use super::steps::{End, Step, Structure};
use super::{Container, Damage, plain};

const BLOCK: usize = 512;

/// The longest pax header that is looked into: room for every path and comment.
const LONGEST_PAX: u64 = 64 << 10;

/// An archive as far as it was seen.
#[derive(Debug)]
pub(super) struct Tar {
    /// The extension of the members that are looked into.
    members: Option<String>,
    count: u64,
    /// The present member's check.
    member: Option<Container>,
    /// What is looked at next.
    awaits: Awaits,
    /// What passes at the moment.
    passing: Passing,
    /// Zeros that fill up the present member's last block.
    padding: u64,
    /// The next member's size, where a pax header told it: it may be too large for the member's own.
    next_size: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Header,
    /// A further block that tells of a member's holes, before so many bytes of its content.
    Holes(u64),
    /// So many bytes of pax records, filled up to whole blocks.
    Pax(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    Content,
    Padding,
    /// What follows the empty block: another one, and what fills up the tape's record.
    Rest,
}

impl Tar {
    /// The check of an archive; of its members those with this extension are looked into.
    pub(super) fn of(members: Option<String>) -> Self {
        let (awaits, passing) = (Awaits::Header, Passing::Content);
        Self { members, count: 0, member: None, awaits, passing, padding: 0, next_size: None }
    }

    fn begin(&mut self, header: &[u8]) -> Result<Step, Damage> {
        let number = self.count + 1;
        let broken = || Damage::from(format!("fails the checksum of its tar header {number}"));
        let told = octal(header.get(148..156).unwrap_or_default());
        if !told.is_some_and(|told| sums(header).contains(&told)) {
            return Err(if self.count == 0 { "does not begin as tar".into() } else { broken() });
        }
        let size = size_of(header).ok_or_else(broken)?;
        self.count = number;
        self.member = self.check_of(header);
        self.passing = Passing::Content;
        match header.get(156) {
            Some(b'x') if (1..=LONGEST_PAX).contains(&size) => {
                self.awaits = Awaits::Pax(size);
                Ok(Step::Take(size.next_multiple_of(BLOCK as u64) as usize))
            }
            // GNU's own form of a file with holes.
            Some(b'S') if header.get(482) == Some(&1) => self.holes(size),
            _ => {
                let told = self.next_size.take().filter(|_| has_content(header));
                Ok(self.content(told.unwrap_or(size)))
            }
        }
    }

    fn holes(&mut self, size: u64) -> Result<Step, Damage> {
        self.awaits = Awaits::Holes(size);
        Ok(Step::Take(BLOCK))
    }

    fn content(&mut self, size: u64) -> Step {
        self.awaits = Awaits::Header;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Step::Pass(size)
    }

    fn check_of(&self, header: &[u8]) -> Option<Container> {
        let extension = self.members.as_deref()?;
        // Regular files alone; the others describe.
        if !matches!(header.get(156)?, 0 | b'0' | b'7') {
            return None;
        }
        let name = header.get(..100)?.split(|&byte| byte == 0).next()?;
        let fits = name.rsplit(|&byte| byte == b'.').next()?.eq_ignore_ascii_case(extension.as_bytes());
        if fits { plain(&format!("member.{extension}")) } else { None }
    }
}

impl Structure for Tar {
    fn first(&self) -> Step {
        Step::Take(BLOCK)
    }

    fn take(&mut self, block: &[u8]) -> Result<Step, Damage> {
        match self.awaits {
            Awaits::Header => {}
            Awaits::Holes(size) if block.get(504) == Some(&1) => return self.holes(size),
            Awaits::Holes(size) => return Ok(self.content(size)),
            Awaits::Pax(length) => {
                let records = usize::try_from(length).ok().and_then(|length| block.get(..length));
                self.next_size = records.and_then(pax_size);
                return Ok(self.content(0));
            }
        }
        if block.iter().any(|&byte| byte != 0) {
            return self.begin(block);
        }
        // A file of zeros alone is one that was never written.
        if self.count == 0 {
            return Err("does not begin as tar".into());
        }
        self.passing = Passing::Rest;
        Ok(Step::Pass(u64::MAX))
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        match (self.passing, &mut self.member) {
            (Passing::Content, Some(member)) => member.feed(bytes),
            (Passing::Rest, _) if bytes.iter().any(|&byte| byte != 0) => {
                return Err("has other bytes behind its tar members".into());
            }
            _ => {}
        }
        Ok(())
    }

    fn passed(&mut self) -> Result<Step, Damage> {
        if self.passing != Passing::Content {
            return Ok(Step::Take(BLOCK));
        }
        self.passing = Passing::Padding;
        let verdict = self.member.take().and_then(Container::finish).unwrap_or(Ok(()));
        verdict.map_err(|damage| format!("has a damaged member: member {} {damage}", self.count))?;
        Ok(Step::Pass(self.padding))
    }

    fn end(&mut self, end: End) -> Result<(), Damage> {
        match end {
            End::Empty => Err("is empty".into()),
            End::Within if self.passing == Passing::Rest => Ok(()),
            _ if self.count == 0 => Err("does not begin as tar".into()),
            // Readers forgive the missing mark; a file that was cut between two members looks the same.
            _ if self.passing == Passing::Padding => {
                Err(format!("ends after tar member {} without a mark", self.count).into())
            }
            _ => Err(format!("ends within tar member {}", self.count).into()),
        }
    }
}

/// The two sums of a header's bytes that tar programs have written, with blanks in the sum's own place.
fn sums(header: &[u8]) -> [u64; 2] {
    let bytes = || header.iter().enumerate();
    let own = |at: &usize| (148..156).contains(at);
    let unsigned = bytes().map(|(at, &byte)| if own(&at) { 32 } else { u64::from(byte) }).sum();
    let signed: i64 =
        bytes().map(|(at, &byte)| if own(&at) { 32 } else { i64::from(byte.cast_signed()) }).sum();
    [unsigned, u64::try_from(signed).unwrap_or(unsigned)]
}

/// How many bytes of content follow a header. Links and folders may tell a size and have none.
fn size_of(header: &[u8]) -> Option<u64> {
    let size = match header.get(124..136)? {
        // GNU's and star's form for sizes of 8 GiB and more.
        [0x80, number @ ..] => {
            number.iter().try_fold(0_u64, |n, &byte| n.checked_mul(256)?.checked_add(byte.into()))?
        }
        text => octal(text)?,
    };
    let size = if has_content(header) { size } else { 0 };
    i64::try_from(size).is_ok().then_some(size)
}

fn has_content(header: &[u8]) -> bool {
    !matches!(header.get(156), Some(b'1'..=b'6'))
}

/// The size that pax records (`LENGTH KEY=VALUE`, each on a line) tell of the next member.
fn pax_size(mut records: &[u8]) -> Option<u64> {
    while !records.is_empty() {
        let blank = records.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&records[..blank]).ok()?.parse().ok()?;
        let record = records.get(blank + 1..length)?;
        if let Some(size) = record.strip_prefix(b"size=") {
            let size = std::str::from_utf8(size.strip_suffix(b"\n")?).ok()?.parse().ok()?;
            return i64::try_from(size).is_ok().then_some(size);
        }
        records = &records[length..];
    }
    None
}

/// An octal number among blanks and zeros.
fn octal(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if !rest.first().is_none_or(|byte| matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |n, &digit| n.checked_mul(8)?.checked_add(u64::from(digit - b'0')))
}
