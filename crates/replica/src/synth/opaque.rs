//! Formats whose inside is random: the signature and the outer structure are right, the payload is noise.

use crate::seed::Dice;

const JPEG_HEAD: [u8; 30] = [
    0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, // start, APP0
    0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, // start of scan
];

/// The length of [`jpeg`].
pub(crate) fn jpeg_len(about: u64) -> u64 {
    about.max(JPEG_HEAD.len() as u64 + 2)
}

/// JPEG: start, APP0, a scan of noise without a marker in it, end.
pub(crate) fn jpeg(about: u64, dice: &mut Dice) -> Vec<u8> {
    let len = jpeg_len(about);
    let mut bytes = JPEG_HEAD.to_vec();
    append_noise(&mut bytes, len - 2, dice);
    for byte in &mut bytes[JPEG_HEAD.len()..] {
        *byte &= 0x7f;
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

const SAVE_RECORD: u64 = 16;
const SAVE_STAMP: u64 = 1024;
const SAVE_OVERHEAD: u64 = 4 + SAVE_RECORD * 3 + SAVE_STAMP;

/// The length of [`idl_save`].
pub(crate) fn idl_save_len(about: u64) -> u64 {
    about.max(SAVE_OVERHEAD)
}

/// An IDL save file: the magic, then a chain of a time stamp, a variable of noise and the end marker.
pub(crate) fn idl_save(about: u64, dice: &mut Dice) -> Vec<u8> {
    const TIME_STAMP: u32 = 10;
    const VARIABLE: u32 = 2;
    const END_MARKER: u32 = 6;
    let len = idl_save_len(about);
    let mut bytes = b"SR\x00\x04".to_vec();
    let stamp_end = 4 + SAVE_RECORD + SAVE_STAMP;
    push_record(&mut bytes, TIME_STAMP, stamp_end);
    bytes.resize(usize::try_from(stamp_end).unwrap_or(0), 0);
    push_record(&mut bytes, VARIABLE, len - SAVE_RECORD);
    append_noise(&mut bytes, len - SAVE_RECORD, dice);
    push_record(&mut bytes, END_MARKER, 0);
    bytes
}

fn push_record(bytes: &mut Vec<u8>, kind: u32, next: u64) {
    bytes.extend(kind.to_be_bytes());
    let next = next.to_be_bytes();
    // The low half comes first in this format.
    bytes.extend(&next[4..]);
    bytes.extend(&next[..4]);
    bytes.extend([0; 4]);
}

const TEXT_LINE: u64 = 32;

/// The length of [`text`].
pub(crate) fn text_len(about: u64) -> u64 {
    (about / TEXT_LINE).max(1) * TEXT_LINE
}

/// Text: a time of day and two numbers a line, all lines of one length.
pub(crate) fn text(about: u64, dice: &mut Dice) -> Vec<u8> {
    let lines = text_len(about) / TEXT_LINE;
    let mut bytes = Vec::new();
    for line in 0..lines {
        let second = line * 5 % 86_400;
        let (first, other) = (dice.below(100_000), dice.below(100_000));
        let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        bytes.extend(format!("{time}  {first:>5}.0000  {other:>5}.00 \n").as_bytes());
    }
    bytes
}

fn append_noise(bytes: &mut Vec<u8>, up_to: u64, dice: &mut Dice) {
    let from = bytes.len();
    bytes.resize(usize::try_from(up_to).unwrap_or(from).max(from), 0);
    dice.fill(&mut bytes[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_told() {
        for about in [0, 100, 5000, 70_001] {
            let dice = &mut Dice::new(1);
            assert_eq!(jpeg(about, dice).len() as u64, jpeg_len(about));
            assert_eq!(idl_save(about, dice).len() as u64, idl_save_len(about));
            assert_eq!(text(about, dice).len() as u64, text_len(about));
        }
    }

    #[test]
    fn structures_hold() {
        let dice = &mut Dice::new(2);
        let file = jpeg(5000, dice);
        assert!(file.starts_with(&[0xff, 0xd8]) && file.ends_with(&[0xff, 0xd9]));
        let file = idl_save(5000, dice);
        let next = |at: usize| u32::from_be_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize;
        let end = next(next(4));
        assert_eq!((end, file[end + 3]), (5000 - 16, 6));
        assert!(text(100, dice).split(|byte| *byte == b'\n').count() == 4);
    }
}
