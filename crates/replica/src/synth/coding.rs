//! A Huffman code made to measure, so that image data deflates to an exact, known length at the speed of copying.
//!
//! Deflate lets each block bring its own code. This one gives the few values that the high byte of a pixel takes
//! a short code, all other bytes that occur (text and low bytes) 8 bits, and uses no matches. So a pixel always
//! takes `pixel_bits` bits, text takes a byte a character, and, since the block's header is 74 bytes sharp and all
//! frames hold a multiple of 8 pixels, every piece of the stream starts on a byte boundary: frames encoded once
//! can be put together by copying.

/// The length of the block header in bytes.
pub(crate) const HEADER_LEN: usize = 74;

/// The encoded end of the block: the last code, all ones.
pub(crate) const END_OF_BLOCK: u8 = 0xff;

/// The smallest value of a pixel's high byte; the values beside it are taken too.
const HIGH_FIRST: u8 = 0x0c;

/// The code for one kind of image.
#[derive(Debug, Clone)]
pub(crate) struct Coding {
    high_count: u8,
    high_bits: u32,
    /// The encoded form of each byte that is not a high byte, ready for the bit stream.
    low_codes: [u8; 256],
    /// The bytes that can follow a high byte, as often as fills 256 places.
    low_values: [u8; 256],
}

/// One pixel before encoding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pixel {
    /// Which of the high values, from 0.
    pub(crate) high: u8,
    /// A random byte that picks the low value.
    pub(crate) low: u8,
}

impl Coding {
    /// The code that spends this many bits (9, 10, 12 or 13) on a pixel of 16.
    pub(crate) fn new(pixel_bits: u32) -> Self {
        let (high_count, high_bits) = match pixel_bits {
            ..=9 => (1, 1),
            10 | 11 => (1, 2),
            12 => (4, 4),
            _ => (8, 5),
        };
        let mut coding = Self { high_count, high_bits, low_codes: [0; 256], low_values: [0; 256] };
        // In a canonical code the longer codes count on from where the shorter ones end.
        let first_code = u16::from(high_count) << (8 - high_bits);
        let lows: Vec<u8> = (0..=255_u8).filter(|&byte| coding.length(u16::from(byte)) == 8).collect();
        for (code, &byte) in (first_code..).zip(&lows) {
            coding.low_codes[usize::from(byte)] = u8::try_from(code).unwrap_or(u8::MAX).reverse_bits();
        }
        for (place, value) in coding.low_values.iter_mut().zip(lows.iter().cycle()) {
            *place = *value;
        }
        coding
    }

    /// How many values the high byte of a pixel has.
    pub(crate) fn high_count(&self) -> u8 {
        self.high_count
    }

    /// The bits of one encoded pixel.
    pub(crate) fn pixel_bits(&self) -> u32 {
        self.high_bits + 8
    }

    /// The header of the one block of a stream: final, with its own code.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.push(1, 1);
        bits.push(2, 2);
        // 257 literal codes, 2 distance codes (unused, but a complete code pleases every decoder), and all 19
        // code-length codes, which is what makes the header a whole number of bytes.
        bits.push(0, 5);
        bits.push(1, 5);
        bits.push(15, 4);
        const ORDER: [u32; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let lengths = self.four_lengths();
        for symbol in ORDER {
            bits.push(if lengths.contains(&symbol) { 2 } else { 0 }, 3);
        }
        for symbol in 0..=256_u16 {
            self.push_length(&mut bits, &lengths, self.length(symbol));
        }
        for _ in 0..2 {
            self.push_length(&mut bits, &lengths, 1);
        }
        bits.bytes
    }

    /// Appends text, encoded.
    pub(crate) fn push_text(&self, text: &[u8], out: &mut Vec<u8>) {
        out.extend(text.iter().map(|&byte| self.low_codes[usize::from(byte)]));
    }

    /// Appends pixels (a multiple of 8), raw to `raw` and encoded to `encoded`.
    pub(crate) fn push_pixels(
        &self,
        pixels: impl Iterator<Item = Pixel>,
        raw: &mut Vec<u8>,
        encoded: &mut Vec<u8>,
    ) {
        let mut bits = Bits { bytes: std::mem::take(encoded), ..Bits::default() };
        for pixel in pixels {
            let low = self.low_values[usize::from(pixel.low)];
            raw.extend_from_slice(&[HIGH_FIRST + pixel.high, low]);
            let high_code = u32::from(pixel.high).reverse_bits() >> (32 - self.high_bits);
            let low_code = u32::from(self.low_codes[usize::from(low)]);
            bits.push(high_code | low_code << self.high_bits, self.pixel_bits());
        }
        *encoded = bits.bytes;
    }

    /// The code length of a literal (or of the end, 256); 0 for what never occurs.
    fn length(&self, symbol: u16) -> u32 {
        let highs = u16::from(HIGH_FIRST)..u16::from(HIGH_FIRST + self.high_count);
        let low_count = 255 - (u16::from(self.high_count) << (8 - self.high_bits));
        if highs.contains(&symbol) {
            self.high_bits
        } else if symbol == 256 || symbol < low_count + u16::from(self.high_count) {
            8
        } else {
            0
        }
    }

    /// The four code lengths that the header can name, ascending, each with a code of 2 bits.
    fn four_lengths(&self) -> [u32; 4] {
        match self.high_bits {
            1 => [0, 1, 2, 8],
            bits => [0, 1, bits, 8],
        }
    }

    fn push_length(&self, bits: &mut Bits, lengths: &[u32; 4], length: u32) {
        let rank = lengths.iter().position(|&known| known == length).unwrap_or(0);
        let code = [0b00, 0b10, 0b01, 0b11][rank];
        bits.push(code, 2);
    }
}

/// A deflate bit stream: the first bit goes into the lowest bit of the first byte.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    waiting_count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        self.waiting |= u64::from(value) << self.waiting_count;
        self.waiting_count += count;
        while self.waiting_count >= 8 {
            self.bytes.push(self.waiting.to_le_bytes()[0]);
            self.waiting >>= 8;
            self.waiting_count -= 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::seed::Dice;

    #[test]
    fn a_decoder_gets_back_what_was_encoded() {
        for bits in [9, 10, 12, 13] {
            let coding = Coding::new(bits);
            assert_eq!(coding.pixel_bits(), bits);
            let mut stream = coding.header();
            assert_eq!(stream.len(), HEADER_LEN);
            let text = b"P5\n#\"Site\" gill ~}{\n65535\n";
            coding.push_text(text, &mut stream);
            let mut raw = text.to_vec();
            let mut dice = Dice::new(1);
            let pixels = (0..800).map(|_| {
                let word = dice.next().to_le_bytes();
                Pixel { high: word[0] % coding.high_count(), low: word[1] }
            });
            coding.push_pixels(pixels, &mut raw, &mut stream);
            stream.push(END_OF_BLOCK);
            assert_eq!(stream.len(), HEADER_LEN + text.len() + 100 * bits as usize + 1);
            let mut inflated = Vec::new();
            flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated, raw);
        }
    }
}
