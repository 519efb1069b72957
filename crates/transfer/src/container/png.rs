//! The PNG check (ISO/IEC 15948): the signature, every chunk's CRC-32, and IEND at the end.

use crc32fast::Hasher;

use super::fill;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// A picture as far as it was seen.
#[derive(Debug)]
pub(crate) struct Png {
    state: State,
    kind: [u8; 4],
    crc: Hasher,
}

#[derive(Debug)]
enum State {
    Signature([u8; 8], usize),
    /// A chunk's length and kind.
    Head([u8; 8], usize),
    Data(u32),
    Crc([u8; 4], usize),
    /// Behind IEND; what follows is not the picture's.
    Over,
    Bad(&'static str),
}

impl Default for Png {
    fn default() -> Self {
        Self { state: State::Signature([0; 8], 0), kind: [0; 4], crc: Hasher::new() }
    }
}

impl Png {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !matches!(self.state, State::Bad(_) | State::Over) {
            self.step(&mut bytes);
        }
    }

    pub(crate) fn finish(self) -> Result<(), String> {
        match self.state {
            State::Over => Ok(()),
            State::Bad(why) => Err(why.to_owned()),
            State::Signature(_, 0) => Err("is empty".to_owned()),
            _ => Err("ends before the end of its picture".to_owned()),
        }
    }

    fn step(&mut self, bytes: &mut &[u8]) {
        match &mut self.state {
            State::Signature(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(SIGNATURE) => self.state = State::Head([0; 8], 0),
                    Some(_) => self.state = State::Bad("does not begin as PNG"),
                    None => (*field, *length) = filling,
                }
            }
            State::Head(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(head) => self.begin(head),
                    None => (*field, *length) = filling,
                }
            }
            State::Data(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                self.crc.update(&bytes[..taken]);
                *bytes = &bytes[taken..];
                *left -= taken as u32;
                if *left == 0 {
                    self.state = State::Crc([0; 4], 0);
                }
            }
            State::Crc(field, length) => {
                let mut filling = (*field, *length);
                match fill(&mut filling, bytes) {
                    Some(told) => self.end(u32::from_be_bytes(told)),
                    None => (*field, *length) = filling,
                }
            }
            State::Over | State::Bad(_) => *bytes = &[],
        }
    }

    fn begin(&mut self, head: [u8; 8]) {
        let [a, b, c, d, kind @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        let is_first = self.kind == [0; 4];
        self.kind = kind;
        self.crc = Hasher::new();
        self.crc.update(&kind);
        self.state = match length {
            _ if is_first && kind != *b"IHDR" => State::Bad("does not begin as PNG"),
            // The standard's limit; more is damage.
            length if i32::try_from(length).is_err() => State::Bad("has a chunk of impossible length"),
            0 => State::Crc([0; 4], 0),
            length => State::Data(length),
        };
    }

    fn end(&mut self, told: u32) {
        let seen = std::mem::take(&mut self.crc).finalize();
        self.state = if seen != told {
            State::Bad("fails the CRC-32 of a PNG chunk")
        } else if self.kind == *b"IEND" {
            State::Over
        } else {
            State::Head([0; 8], 0)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let body = [&kind[..], data].concat();
        let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
        bytes.extend(&body);
        bytes.extend(crc32fast::hash(&body).to_be_bytes());
        bytes
    }

    fn picture() -> Vec<u8> {
        let chunks = [chunk(b"IHDR", &[7; 13]), chunk(b"IDAT", &[9; 40]), chunk(b"IEND", b"")];
        [SIGNATURE.to_vec(), chunks.concat()].concat()
    }

    fn check(bytes: &[u8], size: usize) -> Result<(), String> {
        let mut png = Png::default();
        bytes.chunks(size).for_each(|piece| png.feed(piece));
        png.finish()
    }

    #[test]
    fn pictures_pass_and_every_cut_and_flip_is_found() {
        let whole = picture();
        for size in [1, 3, 1000] {
            assert_eq!(check(&whole, size), Ok(()));
            for at in 0..whole.len() {
                assert!(check(&whole[..at], size).is_err(), "cut at {at}");
                let mut bad = whole.clone();
                bad[at] ^= 0x10;
                assert!(check(&bad, size).is_err(), "flip at {at}");
            }
        }
        assert_eq!(check(&[whole, b"more".to_vec()].concat(), 5), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let headless = [SIGNATURE.to_vec(), chunk(b"IDAT", &[1])].concat();
        let endless = [SIGNATURE.to_vec(), vec![0xff; 8]].concat();
        let table = [
            (Vec::new(), "is empty"),
            (b"GIF89a..".to_vec(), "does not begin as PNG"),
            (headless, "does not begin as PNG"),
            (endless, "does not begin as PNG"),
            (picture()[..30].to_vec(), "ends before the end of its picture"),
        ];
        for (bytes, expected) in table {
            assert_eq!(check(&bytes, 4), Err(expected.to_owned()));
        }
    }
}
