//! The JPEG check (ITU-T T.81 annex B): the start mark, segment after segment, and the end mark.
//!
//! JPEG has no checksum: this finds what is cut off, not what is flipped within a scan. Cameras put
//! previews, sounds and second pictures behind the end mark, so what comes there is let pass.

use super::{Check, Damage};

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// A picture as far as it was seen.
#[derive(Debug, Default)]
pub(super) enum Jpeg {
    #[default]
    Start,
    StartMark,
    /// Between segments.
    Mark,
    /// The kind of the mark that has begun.
    Kind,
    /// The first byte of a segment's length, for a mark of this kind.
    Length(u8),
    LengthRest(u8, u8),
    /// So many bytes of a segment of this kind.
    Segment(u8, u16),
    /// A scan's data, which end at a mark.
    Scan,
    ScanMark,
    Over,
}

impl Check for Jpeg {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = match *self {
                Self::Over => return Ok(()),
                Self::Segment(kind, left) => {
                    let taken = bytes.len().min(left.into());
                    // At most what is left, which is a u16.
                    *self = after(kind, left - taken as u16);
                    &bytes[taken..]
                }
                Self::Scan => match bytes.iter().position(|&byte| byte == 0xff) {
                    Some(at) => {
                        *self = Self::ScanMark;
                        &bytes[at + 1..]
                    }
                    None => return Ok(()),
                },
                _ => {
                    self.step(first)?;
                    rest
                }
            };
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Damage> {
        match self {
            Self::Start => Err("is empty".into()),
            Self::StartMark => Err("does not begin as JPEG".into()),
            Self::Over => Ok(()),
            _ => Err("ends before the end of its picture".into()),
        }
    }
}

impl Jpeg {
    /// Takes one byte where one byte counts.
    fn step(&mut self, byte: u8) -> Result<(), Damage> {
        *self = match (&*self, byte) {
            (Self::Start, 0xff) => Self::StartMark,
            (Self::StartMark, START) => Self::Mark,
            (Self::Start | Self::StartMark, _) => return Err("does not begin as JPEG".into()),
            (Self::Mark, 0xff) => Self::Kind,
            // Any number of fill bytes may stand before a kind.
            (Self::Kind | Self::ScanMark, 0xff) => return Ok(()),
            // A byte of data that looks like a mark, and the marks that a decoder may start anew at.
            (Self::ScanMark, 0 | 0x01 | 0xd0..=0xd7) => Self::Scan,
            (Self::Kind | Self::ScanMark, END) => Self::Over,
            (Self::Kind, 0x01 | 0xd0..=0xd7) => Self::Mark,
            (Self::Kind | Self::ScanMark, kind @ 0xc0..) if kind != START => Self::Length(kind),
            (&Self::Length(kind), high) => Self::LengthRest(kind, high),
            (&Self::LengthRest(kind, high), low) => segment(kind, u16::from_be_bytes([high, low]))?,
            _ => return Err("has other bytes where a JPEG segment should begin".into()),
        };
        Ok(())
    }
}

/// A segment, whose length counts its own two bytes.
fn segment(kind: u8, length: u16) -> Result<Jpeg, Damage> {
    let content = length.checked_sub(2).ok_or("has a JPEG segment of impossible length")?;
    Ok(after(kind, content))
}

fn after(kind: u8, left: u16) -> Jpeg {
    match (kind, left) {
        (SCAN, 0) => Jpeg::Scan,
        (_, 0) => Jpeg::Mark,
        (kind, left) => Jpeg::Segment(kind, left),
    }
}
