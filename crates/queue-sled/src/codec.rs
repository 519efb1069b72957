//! How plain structs become bytes: the one place that knows bincode, and the varints of hand-packed records.
//!
//! bincode 2, standard configuration (little-endian, variable-length integers). What a byte string may
//! make us allocate is bounded, and bytes left over are an error: damaged input is told, never trusted.

use bincode::config;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No record is larger than this, in bytes.
pub(crate) const RECORD_LIMIT: usize = 64 << 20;

/// A value's bytes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config::standard())
        .expect("structs of numbers, strings and lists of known length always encode")
}

/// The value that `bytes` hold, all of them; none if they hold no such value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let bounded = config::standard().with_limit::<RECORD_LIMIT>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, bounded).ok()?;
    (used == bytes.len()).then_some(value)
}

/// A time as stored: seconds since 1970 and nanoseconds of the same sign, both UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(i64, i32);

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.as_second(), time.subsec_nanosecond())
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        // Only damage that a checksum missed gets here with anything else.
        Self::new(moment.0, moment.1).unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Appends a number, seven bits a byte, low ones first (LEB128).
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number so that small ones of either sign are short.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Reads hand-packed records; every answer is none when the bytes end too early or make no sense.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|one| one[0])
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some(((raw >> 1) as i64) ^ -((raw & 1) as i64))
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_left_over_are_refused() {
        let mut bytes = encode(&(1u32, "a".to_owned()));
        assert_eq!(decode::<(u32, String)>(&bytes), Some((1, "a".to_owned())));
        bytes.push(0);
        assert_eq!(decode::<(u32, String)>(&bytes), None);
    }

    #[test]
    fn a_length_that_lies_allocates_nothing() {
        let mut bytes = vec![253];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(decode::<Vec<u8>>(&bytes), None);
    }

    #[test]
    fn an_overlong_varint_is_refused() {
        assert_eq!(Bytes::new(&[0xff; 11]).varint(), None);
        assert_eq!(Bytes::new(&[0x80]).varint(), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned);
            put_signed(&mut out, signed);
            let mut bytes = Bytes::new(&out);
            prop_assert_eq!((bytes.varint(), bytes.signed()), (Some(unsigned), Some(signed)));
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn times_come_back(second in -1_000_000_000_000i64..1_000_000_000_000 / 8, nano in 0..1_000_000_000i32) {
            if let Ok(time) = Timestamp::new(second, nano) {
                prop_assert_eq!(Timestamp::from(Moment::from(time)), time);
            }
        }
    }
}
