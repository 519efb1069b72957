//! Which bytes of a file there are, where they need not begin at its first. Pure.

/// A set of offsets, as ranges in order that do not touch each other: first offset, and the one behind the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds the bytes from `from` to before `end`.
    pub(crate) fn insert(&mut self, from: u64, end: u64) {
        if from >= end {
            return;
        }
        // Those that it touches become one with it.
        let first = self.0.partition_point(|&(_, before)| before < from);
        let behind = self.0.partition_point(|&(begin, _)| begin <= end);
        let join = |(from, end): (u64, u64), &(a, b): &(u64, u64)| (from.min(a), end.max(b));
        let joined = self.0[first..behind].iter().fold((from, end), join);
        self.0.splice(first..behind, [joined]);
    }

    /// How many bytes there are without a gap from the file's first on.
    pub(crate) fn prefix(&self) -> u64 {
        self.0.first().filter(|range| range.0 == 0).map_or(0, |range| range.1)
    }

    /// How many bytes there are in all.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(from, end)| end - from).sum()
    }

    /// Those before `end`.
    pub(crate) fn before(&self, end: u64) -> Self {
        let clipped = self.0.iter().map(|range| (range.0, range.1.min(end)));
        Self(clipped.filter(|range| range.0 < range.1).collect())
    }

    /// The first gap at `from` or behind, and before `end`.
    pub(crate) fn gap(&self, from: u64, end: u64) -> Option<(u64, u64)> {
        let next = self.0.partition_point(|range| range.1 <= from);
        let (begin, next) = match self.0.get(next) {
            Some(&(first, behind)) if first <= from => (behind, next + 1),
            _ => (from, next),
        };
        let until = self.0.get(next).map_or(end, |range| range.0.min(end));
        (begin < until).then_some((begin, until))
    }
}

/// Puts them in order.
impl From<Vec<(u64, u64)>> for Ranges {
    fn from(read: Vec<(u64, u64)>) -> Self {
        let mut ranges = Self::default();
        read.into_iter().for_each(|(from, end)| ranges.insert(from, end));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.0.iter().flat_map(|&(from, end)| from..end).collect()
    }

    proptest! {
        /// A set of numbers is the oracle.
        #[test]
        fn they_are_sets(pairs in prop::collection::vec((0..60u64, 0..60u64), 0..12), a in 0..70u64, b in 0..70u64) {
            let ranges = Ranges::from(pairs.clone());
            let oracle: BTreeSet<u64> = pairs.iter().flat_map(|&(from, end)| from..end).collect();
            prop_assert_eq!(set(&ranges), oracle.clone());
            prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", ranges);
            prop_assert_eq!(ranges.total(), oracle.len() as u64);
            prop_assert_eq!(ranges.prefix(), (0..).find(|n| !oracle.contains(n)).unwrap());
            prop_assert_eq!(set(&ranges.before(a)), oracle.range(..a).copied().collect());
            let first = (a..b).find(|n| !oracle.contains(n));
            let gap = first.map(|first| (first, (first..b).find(|n| oracle.contains(n)).unwrap_or(b)));
            prop_assert_eq!(ranges.gap(a, b), gap);
        }
    }
}
