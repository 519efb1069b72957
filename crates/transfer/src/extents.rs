//! What has been written of a part: which bytes, and the CRC-32 by which they are known again. Pure.
//!
//! A CRC-32 finds what other programs, a repair of the file system or a lost page do to a part. It is no guard against
//! forgers: who can write a part can write the published file as well.

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use crate::ranges::Ranges;

/// First offset, the one behind the last, and the CRC-32 of the bytes between.
type Extent = (u64, u64, u32);

/// Stretches of a file in order that do not touch each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Extent>")]
pub(crate) struct Extents(Vec<Extent>);

impl Extents {
    /// The first `length` bytes.
    pub(crate) fn prefix_of(length: u64, crc: u32) -> Self {
        vec![(0, length, crc)].into()
    }

    /// Adds the bytes from `from` to before `end`. None of them is there already: such an addition is left out, for
    /// what lies there then could not be known again.
    pub(crate) fn add(&mut self, from: u64, end: u64, crc: u32) {
        let at = self.0.partition_point(|extent| extent.1 <= from);
        if from >= end || self.0.get(at).is_some_and(|next| next.0 < end) {
            return;
        }
        let before = self.0[..at].last().filter(|before| before.1 == from);
        let behind = self.0.get(at).filter(|behind| behind.0 == end);
        let touched = at - usize::from(before.is_some())..at + usize::from(behind.is_some());
        let joined = before.map_or((from, end, crc), |&before| join(before, (from, end, crc)));
        let joined = behind.map_or(joined, |&behind| join(joined, behind));
        self.0.splice(touched, [joined]);
    }

    /// Adds bytes behind the last.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let end = self.end();
        self.add(end, end + bytes.len() as u64, crc32fast::hash(bytes));
    }

    /// Those that lie in the first `length` bytes as a whole: a piece of one cannot be known again.
    pub(crate) fn within(&self, length: u64) -> Self {
        Self(self.0.iter().filter(|extent| extent.1 <= length).copied().collect())
    }

    /// The bytes without a gap from the file's first on, and no others.
    pub(crate) fn without_others(&self) -> Self {
        self.within(self.prefix())
    }

    /// Which bytes there are.
    pub(crate) fn ranges(&self) -> Ranges {
        self.0.iter().map(|&(from, end, _)| (from, end)).collect::<Vec<_>>().into()
    }

    /// How many bytes there are without a gap from the file's first on.
    pub(crate) fn prefix(&self) -> u64 {
        self.first().map_or(0, |first| first.1)
    }

    /// The CRC-32 of these.
    pub(crate) fn prefix_crc(&self) -> u32 {
        self.first().map_or(0, |first| first.2)
    }

    /// How many bytes there are in all.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(from, end, _)| end - from).sum()
    }

    /// The offset behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are bytes behind a gap.
    pub(crate) fn have_holes(&self) -> bool {
        self.prefix() < self.end()
    }

    fn first(&self) -> Option<&Extent> {
        self.0.first().filter(|first| first.0 == 0)
    }
}

fn join((from, middle, first): Extent, (_, end, second): Extent) -> Extent {
    let mut crc = Hasher::new_with_initial_len(first, middle - from);
    crc.combine(&Hasher::new_with_initial_len(second, end - middle));
    (from, end, crc.finalize())
}

/// Puts what was read from a file in order.
impl From<Vec<Extent>> for Extents {
    fn from(read: Vec<Extent>) -> Self {
        let mut extents = Self::default();
        read.into_iter().for_each(|(from, end, crc)| extents.add(from, end, crc));
        extents
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The file's own bytes are the oracle: whatever comes in whatever order is known again.
        #[test]
        fn each_stretch_bears_the_crc_of_its_bytes(
            bytes in prop::collection::vec(any::<u8>(), 1..60),
            adds in prop::collection::vec((0..60usize, 0..20usize), 0..14),
            cut in 0..60u64,
        ) {
            let (mut extents, mut there) = (Extents::default(), vec![false; bytes.len()]);
            for (from, length) in adds {
                let (from, end) = (from.min(bytes.len()), (from + length).min(bytes.len()));
                extents.add(from as u64, end as u64, crc32fast::hash(&bytes[from..end]));
                if !there[from..end].contains(&true) {
                    there[from..end].fill(true);
                }
            }
            prop_assert!(extents.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", extents);
            let mut seen = vec![false; bytes.len()];
            for &(from, end, crc) in &extents.0 {
                let range = from as usize..end as usize;
                prop_assert_eq!(crc, crc32fast::hash(&bytes[range.clone()]));
                seen[range].fill(true);
            }
            let prefix = there.iter().take_while(|there| **there).count();
            let end = there.iter().rposition(|there| *there).map_or(0, |last| last as u64 + 1);
            prop_assert_eq!((extents.prefix(), extents.end()), (prefix as u64, end));
            prop_assert_eq!(extents.prefix_crc(), crc32fast::hash(&bytes[..prefix]));
            prop_assert_eq!(extents.total(), there.iter().filter(|there| **there).count() as u64);
            prop_assert_eq!(extents.have_holes(), extents.without_others() != extents);
            prop_assert!(extents.within(cut).0.iter().all(|kept| kept.1 <= cut && extents.0.contains(kept)));
            let read: Extents = serde_json::from_str(&serde_json::to_string(&extents).unwrap()).unwrap();
            prop_assert_eq!(&read, &extents);
            let mut longer = extents.without_others();
            longer.append(b"and more");
            let expected = [&bytes[..prefix], b"and more"].concat();
            prop_assert_eq!(longer, Extents::prefix_of(prefix as u64 + 8, crc32fast::hash(&expected)));
            prop_assert_eq!(there, seen);
        }
    }
}
