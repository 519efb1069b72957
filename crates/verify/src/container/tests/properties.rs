//! What must hold of every check, whatever comes and in whatever pieces.

use proptest::prelude::*;
use proptest::sample::Index;

use super::samples::{self, Chain, Stack, bz2, gz, hdf5, jpeg, picture, save_file, tar};
use super::{Container, verdict};

/// A good file of every format.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let stack = Stack::default().make();
    let mut samples = vec![
        ("a.gz", [gz(&samples::text(500)), gz(&samples::text(30))].concat()),
        ("a.pgm.gz", gz(&stack)),
        ("a.pgm.bz2", bz2(&stack)),
        ("a.bz2", [bz2(&samples::text(900)), bz2(b"")].concat()),
        ("a.pgm", stack),
        ("a.png", picture()),
        ("a.h5", hdf5(0, 0)),
        ("b.h5", hdf5(2, 512)),
        ("a.png.tar", tar(&[("1.png", &picture()), ("2.png", &picture())])),
        ("a.tar", tar(&[("1.txt", b"abc"), ("2.txt", b"")])),
        ("a.jpg", jpeg()),
        ("a.sav", save_file(4, Chain::LowFirst)),
    ];
    samples.extend(samples::gzip_with_headers().into_iter().map(|(_, bytes)| ("c.gz", bytes)));
    samples
}

#[test]
fn every_cut_is_found() {
    for (name, whole) in samples() {
        let whole_members = |length: usize| match name {
            // Each gzip member and each bzip2 stream could be the last.
            "a.gz" => length == gz(&samples::text(500)).len(),
            "a.bz2" => length == bz2(&samples::text(900)).len(),
            // Each frame could be the last.
            "a.pgm" => length > 0 && length.is_multiple_of(whole.len() / 3),
            // Of the two empty blocks at the end one will do.
            "a.png.tar" | "a.tar" => length >= whole.len() - 512,
            _ => false,
        };
        assert_eq!(verdict(name, &whole), Ok(()), "{name}");
        for length in 0..whole.len() {
            assert_eq!(
                verdict(name, &whole[..length]).is_ok(),
                whole_members(length),
                "{name} cut at {length}"
            );
        }
    }
}

#[test]
fn every_flip_is_found_where_a_format_can() {
    for (name, whole) in samples().into_iter().filter(|(name, _)| can_find_flips(name)) {
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                let expected = says_nothing(name, &whole, at, bit);
                assert_eq!(verdict(name, &bad).is_ok(), expected, "{name}: bit {bit} of byte {at}");
            }
        }
    }
}

/// The formats whose every byte is under a checksum: gzip, bzip2 and PNG.
fn can_find_flips(name: &str) -> bool {
    matches!(name, "a.pgm.gz" | "a.pgm.bz2" | "a.png")
}

/// The bits that no reader asks for.
fn says_nothing(name: &str, whole: &[u8], at: usize, bit: usize) -> bool {
    match (name, at) {
        // That the content is text; time; how hard the compressor tried; on what system.
        ("a.pgm.gz", 3) => bit == 0,
        ("a.pgm.gz", 4..=9) => true,
        // What fills up the last byte before the trailer.
        ("a.pgm.gz", at) => at == whole.len() - 9 && bit >= bits_in_last_byte(&whole[10..at + 1]),
        // The block size, as long as the blocks still fit.
        ("a.pgm.bz2", 3) => matches!(whole[3] ^ 1 << bit, b'1'..=b'9'),
        // That the block is randomised, which changes nothing before its 618th byte.
        ("a.pgm.bz2", 14) => bit == 7,
        // What fills up the last byte.
        ("a.pgm.bz2", at) => at == whole.len() - 1 && is_fill(whole, bit),
        _ => false,
    }
}

/// How many bits of its last byte a deflate stream takes: with those and zeros it is still whole, with all of
/// those flipped it is another.
fn bits_in_last_byte(deflated: &[u8]) -> usize {
    let inflate = |last: u8| {
        let bytes = [&deflated[..deflated.len() - 1], &[last]].concat();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&bytes[..]), &mut content).ok()?;
        Some(content)
    };
    let last = deflated[deflated.len() - 1];
    (0..8).find(|taken| (*taken..8).all(|bit| inflate(last ^ 1 << bit) == inflate(last))).unwrap_or(8)
}

/// Whether the bit of the last byte is behind the end of the stream. The stream's length in bits is known by
/// the mark of its end, which stands 80 bits before it.
fn is_fill(whole: &[u8], bit: usize) -> bool {
    const END_MARK: u128 = 0x1772_4538_5090;
    let bits = whole.iter().rev().take(16).rev().fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte));
    let fill = (0..8).find(|fill| bits >> (fill + 32) & 0xffff_ffff_ffff == END_MARK).unwrap();
    bit < fill
}

/// A sample that something may have happened to.
fn maltreated() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let harm = prop_oneof![
        Just(Harm::None),
        (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        any::<Index>().prop_map(Harm::Cut),
        prop::collection::vec(any::<u8>(), 1..600).prop_map(Harm::Append),
        prop::collection::vec(any::<u8>(), 0..600).prop_map(Harm::Replace),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Harm::Zero(from, to)),
    ];
    (prop::sample::select(samples()), harm).prop_map(|((name, bytes), harm)| (name, harm.to(bytes)))
}

#[derive(Clone, Debug)]
enum Harm {
    None,
    Flip(Index, u8),
    Cut(Index),
    Append(Vec<u8>),
    Replace(Vec<u8>),
    Zero(Index, Index),
}

impl Harm {
    fn to(self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::None => {}
            Self::Flip(at, bits) => *at.get_mut(&mut bytes) ^= bits,
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Append(more) => bytes.extend(more),
            Self::Replace(other) => bytes = other,
            Self::Zero(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes[from.min(to)..from.max(to)].fill(0);
            }
        }
        bytes
    }
}

proptest! {
    #[test]
    fn the_verdict_is_the_same_in_any_pieces(
        (name, bytes) in maltreated(),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut container = Container::of(name).unwrap();
        let mut from = 0;
        for to in cuts {
            container.feed(&bytes[from..to]);
            from = to;
        }
        let in_pieces = container.finish().unwrap().map_err(|damage| damage.to_string());
        prop_assert_eq!(in_pieces, verdict(name, &bytes));
    }
}
