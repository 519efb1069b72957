//! A bzip2 encoder for small pieces: one block a stream, sound in every checksum, in no hurry to be small.
//!
//! Streams may be put one after the other, as `cat a.bz2 b.bz2` does. The entropy code is a flat one (all codes of
//! two neighbouring lengths), which any decoder takes and which needs no counting.

/// Any bytes, in as many streams as they need.
pub(crate) fn pack(raw: &[u8]) -> Vec<u8> {
    /// With the worst growth of run lengths, this many bytes still fit a block of 900,000.
    const PIECE_MAX: usize = 700_000;
    raw.chunks(PIECE_MAX).flat_map(stream).collect()
}

fn stream(raw: &[u8]) -> Vec<u8> {
    let crc = crc(raw);
    let mut bits = Bits::default();
    bits.push_bytes(b"BZh9");
    if !raw.is_empty() {
        push_block(&mut bits, raw, crc);
    }
    bits.push(24, 0x17_7245);
    bits.push(24, 0x38_5090);
    // The stream's checksum mixes those of its blocks; of one block it is that block's, of none it is 0.
    bits.push(32, if raw.is_empty() { 0 } else { crc });
    bits.end()
}

fn push_block(bits: &mut Bits, raw: &[u8], crc: u32) {
    let (sorted, origin) = sort_rotations(&shorten_runs(raw));
    let used: Vec<u8> = (0..=255).filter(|byte| sorted.contains(byte)).collect();
    bits.push(24, 0x31_4159);
    bits.push(24, 0x26_5359);
    bits.push(32, crc);
    // Not randomised.
    bits.push(1, 0);
    bits.push(24, origin);
    push_used(bits, &used);
    let symbols = move_to_front(&sorted, used.clone());
    let code = FlatCode::new(used.len() + 2);
    // Two tables are the fewest that the format allows; both are the same, and the first is always selected.
    const SYMBOLS_PER_SELECTOR: usize = 50;
    let selectors = symbols.len().div_ceil(SYMBOLS_PER_SELECTOR);
    bits.push(3, 2);
    bits.push(15, u32::try_from(selectors).unwrap_or(0));
    for _ in 0..selectors {
        bits.push(1, 0);
    }
    code.push_table(bits);
    code.push_table(bits);
    for symbol in symbols {
        code.push(bits, symbol);
    }
}

/// The first step of the format: four equal bytes are followed by how many more of them there are.
fn shorten_runs(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 4);
    for run in raw.chunk_by(|a, b| a == b) {
        for piece in run.chunks(4 + 251) {
            let (first, more) = piece.split_at(piece.len().min(4));
            out.extend_from_slice(first);
            if first.len() == 4 {
                out.push(u8::try_from(more.len()).unwrap_or(0));
            }
        }
    }
    out
}

/// The last column of the sorted rotations, and where the block itself stands among them.
fn sort_rotations(block: &[u8]) -> (Vec<u8>, u32) {
    let len = block.len();
    let twice = [block, block].concat();
    let mut starts: Vec<usize> = (0..len).collect();
    starts.sort_unstable_by(|&a, &b| twice[a..a + len].cmp(&twice[b..b + len]));
    let origin = starts.iter().position(|&start| start == 0).unwrap_or(0);
    let last_column = starts.iter().map(|&start| twice[start + len - 1]).collect();
    (last_column, u32::try_from(origin).unwrap_or(0))
}

/// Which bytes occur: which of the sixteen ranges, then which of the sixteen in each of those.
fn push_used(bits: &mut Bits, used: &[u8]) {
    let in_range = |range: u8| used.iter().filter(move |&&byte| byte >> 4 == range);
    let mask =
        |places: &mut dyn Iterator<Item = u8>| places.fold(0, |mask, place| mask | 0x8000_u32 >> place);
    bits.push(16, mask(&mut (0..16).filter(|&range| in_range(range).next().is_some())));
    for range in 0..16 {
        let mask = mask(&mut in_range(range).map(|byte| byte & 15));
        if mask != 0 {
            bits.push(16, mask);
        }
    }
}

/// Each byte as its place in a list that keeps the latest in front; runs of place 0 as their length in the digits 1
/// and 2 (symbols 0 and 1), lowest first; the end as the last symbol.
fn move_to_front(bytes: &[u8], mut list: Vec<u8>) -> Vec<usize> {
    let end = list.len() + 1;
    let mut symbols = Vec::with_capacity(bytes.len() + 1);
    let mut zeros = 0_usize;
    for byte in bytes {
        let place = list.iter().position(|known| known == byte).unwrap_or(0);
        if place == 0 {
            zeros += 1;
            continue;
        }
        push_zeros(&mut symbols, std::mem::take(&mut zeros));
        list[..=place].rotate_right(1);
        symbols.push(place + 1);
    }
    push_zeros(&mut symbols, zeros);
    symbols.push(end);
    symbols
}

fn push_zeros(symbols: &mut Vec<usize>, mut count: usize) {
    while count > 0 {
        symbols.push((count + 1) % 2);
        count = (count - 1) / 2;
    }
}

/// A complete prefix code whose code lengths differ by at most one.
struct FlatCode {
    long_bits: u32,
    /// How many symbols, the first ones, have a code one bit shorter.
    short_count: usize,
    symbols: usize,
}

impl FlatCode {
    fn new(symbols: usize) -> Self {
        let long_bits = symbols.next_power_of_two().trailing_zeros();
        Self { long_bits, short_count: (1 << long_bits) - symbols, symbols }
    }

    fn bits_of(&self, symbol: usize) -> u32 {
        self.long_bits - u32::from(symbol < self.short_count)
    }

    /// The code lengths: the first as it is, each as its difference from the one before.
    fn push_table(&self, bits: &mut Bits) {
        let mut current = self.bits_of(0);
        bits.push(5, current);
        for symbol in 0..self.symbols {
            if self.bits_of(symbol) > current {
                bits.push(2, 0b10);
                current += 1;
            }
            bits.push(1, 0);
        }
    }

    fn push(&self, bits: &mut Bits, symbol: usize) {
        let code = if symbol < self.short_count { symbol } else { symbol + self.short_count };
        bits.push(self.bits_of(symbol), u32::try_from(code).unwrap_or(0));
    }
}

/// A bit stream: the first bit goes into the highest bit of the first byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    waiting_count: u32,
}

impl Bits {
    fn push(&mut self, count: u32, value: u32) {
        self.waiting = self.waiting << count | u64::from(value);
        self.waiting_count += count;
        while self.waiting_count >= 8 {
            self.waiting_count -= 8;
            self.bytes.push((self.waiting >> self.waiting_count).to_le_bytes()[0]);
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(8, u32::from(byte));
        }
    }

    fn end(mut self) -> Vec<u8> {
        let missing = self.waiting_count.next_multiple_of(8) - self.waiting_count;
        self.push(missing, 0);
        self.bytes
    }
}

/// The CRC-32 of this format: the common polynomial, highest bit first.
fn crc(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |crc: u32, &byte: &u8| crc << 8 ^ TABLE[usize::from((crc >> 24).to_le_bytes()[0] ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x04c1_1db7;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 1 { crc << 1 ^ POLYNOMIAL } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Dice;

    #[test]
    fn known_streams() {
        // As the program bzip2 writes them, which has no choice in these.
        assert_eq!(stream(b""), b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0");
        assert_eq!(crc(b"123456789"), 0xfc89_1918);
    }

    #[test]
    fn runs_become_counts() {
        assert_eq!(shorten_runs(b"abbbccccddddd"), b"abbbcccc\0dddd\x01");
        let long = shorten_runs(&[7; 600]);
        assert_eq!(long, [7, 7, 7, 7, 251, 7, 7, 7, 7, 251, 7, 7, 7, 7, 86]);
    }

    #[test]
    fn codes_are_complete() {
        for symbols in 3..=258 {
            let code = FlatCode::new(symbols);
            let filled: u32 = (0..symbols).map(|symbol| (1 << 12) >> code.bits_of(symbol)).sum();
            assert_eq!(filled, 1 << 12, "{symbols}");
        }
    }

    #[test]
    fn a_decoder_gets_back_what_was_encoded() {
        let mut noise = vec![0; 20_000];
        Dice::new(3).fill(&mut noise);
        let cases: [&[u8]; 6] = [b"a", b"aaaaa", b"abababab", b"P5\n24 24\n65535\n", &[0; 5000], &noise];
        for raw in cases {
            let twice = [pack(raw), pack(b"and more")].concat();
            assert_eq!(decoded(&twice), [raw, b"and more"].concat());
        }
    }

    fn decoded(bytes: &[u8]) -> Vec<u8> {
        use std::io::Read as _;
        let mut raw = Vec::new();
        ::bzip2::read::MultiBzDecoder::new(bytes).read_to_end(&mut raw).unwrap();
        raw
    }
}
