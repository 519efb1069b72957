//! The check of binary PGM files (Netpbm's `P5`), of which the archive strings many in one file: every
//! frame has its heading and all its pixels.
//!
//! A frame is `P5`, width, height and the greatest grey value, told apart by white space, then one byte of
//! white space and the pixels, of two bytes where the greatest value is above 255. The cameras write what
//! they know of themselves into comment lines, among them lines that are not well formed; a comment is
//! whatever stands from `#` to the end of its line.
//!
//! Inside a compression the check is an extra: what does not even begin as PGM is left to the compression's
//! own checksum, which has vouched for the bytes.

use super::{Check, Damage};

/// An image stack as far as it was seen.
#[derive(Debug, Default)]
pub(super) struct Pgm {
    opening: Opening,
    frames: u64,
    state: State,
    /// Width, height and greatest value as far as they were read.
    numbers: [u32; 3],
    /// How many of them are complete.
    read: usize,
}

/// Whether a file has to begin as PGM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Opening {
    #[default]
    Must,
    May,
}

#[derive(Debug, Default)]
enum State {
    /// Before a frame.
    #[default]
    Between,
    /// Behind the `P`.
    Magic,
    /// White space before a number.
    Space,
    Comment,
    Number,
    /// So many bytes of pixels are to come.
    Pixels(u64),
    /// Something else, which is none of ours.
    Foreign,
}

impl Check for Pgm {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::Pixels(left) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.pixels(left - taken as u64);
                    &bytes[taken..]
                }
                State::Comment => match bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                    Some(end) => {
                        self.state = State::Space;
                        &bytes[end + 1..]
                    }
                    None => return Ok(()),
                },
                State::Foreign => return Ok(()),
                _ => {
                    self.step(first)?;
                    rest
                }
            };
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Damage> {
        match self.state {
            State::Between if self.frames > 0 => Ok(()),
            _ if self.may_be_foreign() => Ok(()),
            State::Between => Err("is empty".into()),
            _ => Err(format!("ends within PGM frame {}", self.frames + 1).into()),
        }
    }
}

impl Pgm {
    /// The check of what lies inside a compressed file.
    pub(super) fn inside() -> Self {
        Self { opening: Opening::May, ..Self::default() }
    }

    /// Whether nothing has been seen yet that makes it a PGM which has to be whole.
    fn may_be_foreign(&self) -> bool {
        let unseen = matches!(self.state, State::Between | State::Magic | State::Foreign);
        unseen && self.frames == 0 && self.opening == Opening::May
    }

    /// Takes one byte where one byte counts.
    fn step(&mut self, byte: u8) -> Result<(), Damage> {
        match (&self.state, byte) {
            (State::Between, b'P') => self.state = State::Magic,
            (State::Between, b' ' | b'\t' | b'\r' | b'\n') if self.frames > 0 => {}
            (State::Magic, b'5') => {
                self.state = State::Space;
                (self.numbers, self.read) = ([0; 3], 0);
            }
            (State::Between | State::Magic, _) if self.may_be_foreign() => self.state = State::Foreign,
            (State::Between | State::Magic, _) if self.frames == 0 => {
                return Err("does not begin as a binary PGM".into());
            }
            (State::Between | State::Magic, _) => {
                return Err(format!("has other bytes behind PGM frame {}", self.frames).into());
            }
            (State::Space | State::Number, b'0'..=b'9') => self.digit(byte - b'0')?,
            (State::Number, byte) if byte.is_ascii_whitespace() => self.end_number()?,
            (State::Number, b'#') if self.read + 1 < self.numbers.len() => {
                self.read += 1;
                self.state = State::Comment;
            }
            (State::Space, b'#') => self.state = State::Comment,
            (State::Space, byte) if byte.is_ascii_whitespace() => {}
            _ => return Err(self.broken()),
        }
        Ok(())
    }

    fn digit(&mut self, digit: u8) -> Result<(), Damage> {
        self.state = State::Number;
        let broken = self.broken();
        let number = self.numbers.get_mut(self.read).ok_or_else(|| broken.clone())?;
        let grown = number.checked_mul(10).and_then(|number| number.checked_add(digit.into()));
        *number = grown.ok_or(broken)?;
        Ok(())
    }

    fn end_number(&mut self) -> Result<(), Damage> {
        self.read += 1;
        self.state = State::Space;
        if self.read < self.numbers.len() {
            return Ok(());
        }
        let [width, height, greatest] = self.numbers;
        if width == 0 || height == 0 || !(1..=65_535).contains(&greatest) {
            return Err(self.broken());
        }
        let pixel = if greatest > 255 { 2 } else { 1 };
        let bytes = (u64::from(width) * u64::from(height)).checked_mul(pixel).ok_or_else(|| self.broken())?;
        self.state = State::Pixels(bytes);
        Ok(())
    }

    fn pixels(&mut self, left: u64) {
        self.state = State::Pixels(left);
        if left == 0 {
            self.frames += 1;
            self.state = State::Between;
        }
    }

    fn broken(&self) -> Damage {
        format!("has a broken heading in PGM frame {}", self.frames + 1).into()
    }
}
