//! Finds a file in a normalised list by a few reads, whoever makes them.
//!
//! The list may lie behind an interface that answers later, so that the search reads nothing itself: it says
//! which bytes it wants and takes them. It ends whatever it is given: every answer narrows it down.

use std::ops::Range;

use skyhaul_model::RelPath;

use super::LONGEST_ROW;
use crate::digest::Digest;

/// What is asked for at a time: enough for a line that has begun before and a whole one.
const BLOCK: u64 = 2 * LONGEST_ROW as u64;

/// What a list says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// These digests of the file at this path, all of which must agree.
    ByPath(Vec<Digest>),
    /// These digests of a file of this name, in whatever folder; who knows of another file of the same name
    /// must not believe them.
    ByName(Vec<Digest>),
}

/// A search in progress: as long as it [wants](Self::wants) bytes, [take](Self::take) them to it.
#[derive(Debug)]
pub struct Search {
    path: RelPath,
    /// The list's length in bytes.
    length: u64,
    by: By,
    /// What the rows that are looked for begin with.
    key: Vec<u8>,
    state: State,
    digests: Vec<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Path,
    Name,
}

#[derive(Debug)]
enum State {
    /// The first row that is looked for, if there is one, begins within this range; its start is a row's.
    Narrowing(Range<u64>),
    /// Rows are read one by one from here, which is where one begins.
    Reading(u64),
    Over,
}

impl Found {
    /// The digests that are demanded, all of which must agree: a list has no two of one algorithm for one name.
    #[must_use]
    pub fn digests(self) -> Vec<Digest> {
        match self {
            Self::Nothing => Vec::new(),
            Self::ByPath(digests) | Self::ByName(digests) => digests,
        }
    }
}

impl Search {
    /// The search for `path` in a list of `length` bytes.
    #[must_use]
    pub fn new(length: u64, path: &RelPath) -> Self {
        let mut search = Self {
            path: path.clone(),
            length,
            by: By::Path,
            key: Vec::new(),
            state: State::Over,
            digests: Vec::new(),
        };
        search.begin(By::Path);
        search
    }

    /// The bytes of the list that are wanted next; none when the search is over.
    #[must_use]
    pub fn wants(&self) -> Option<Range<u64>> {
        let from = match &self.state {
            State::Narrowing(range) => middle(range),
            State::Reading(from) => *from,
            State::Over => return None,
        };
        Some(from..self.length.min(from + BLOCK))
    }

    /// Takes what was wanted. Fewer bytes are taken for the list's end.
    pub fn take(&mut self, bytes: &[u8]) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Narrowing(range) => self.narrow(range, bytes),
            State::Reading(from) => self.read(from, bytes),
            State::Over => {}
        }
        if let (State::Over, true, By::Path) = (&self.state, self.digests.is_empty(), self.by) {
            self.begin(By::Name);
        }
    }

    /// What was found, once nothing more is wanted.
    #[must_use]
    pub fn found(self) -> Found {
        match (self.digests, self.by) {
            (digests, _) if digests.is_empty() => Found::Nothing,
            (digests, By::Path) => Found::ByPath(digests),
            (digests, By::Name) => Found::ByName(digests),
        }
    }

    fn begin(&mut self, by: By) {
        self.by = by;
        let name = match by {
            By::Path => self.path.as_str(),
            By::Name => self.path.file_name(),
        };
        // A file in the root is looked for by its path, which is its name, and not once more.
        if by == By::Name && name == self.path.as_str() {
            return;
        }
        self.key = format!("{name}\t").into_bytes();
        self.look_in(0..self.length);
    }

    fn look_in(&mut self, range: Range<u64>) {
        self.state = match range {
            range if range.start >= self.length => State::Over,
            range if range.end - range.start <= BLOCK => State::Reading(range.start),
            range => State::Narrowing(range),
        };
    }

    /// Looks at the first row that begins behind the middle.
    fn narrow(&mut self, range: Range<u64>, bytes: &[u8]) {
        let middle = middle(&range);
        let row = bytes.iter().position(|&byte| byte == b'\n').and_then(|end| bytes.get(end + 1..));
        let Some(row) = row.filter(|row| !row.is_empty()) else { return self.look_in(range.start..middle) };
        let begin = middle + (bytes.len() - row.len()) as u64;
        if begin < range.end && row < self.key.as_slice() {
            self.look_in(begin..range.end);
        } else {
            self.look_in(range.start..middle);
        }
    }

    /// Looks at the rows from here on, up to the first that is greater.
    fn read(&mut self, from: u64, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (row, following) = (&rest[..end], &rest[end + 1..]);
            if let Some(digest) = row.strip_prefix(self.key.as_slice()) {
                self.digests.extend(std::str::from_utf8(digest).ok().and_then(|text| text.parse().ok()));
            } else if row > self.key.as_slice() {
                return;
            }
            rest = following;
        }
        let read = (bytes.len() - rest.len()) as u64;
        if read > 0 && from + read < self.length {
            self.state = State::Reading(from + read);
        }
    }
}

fn middle(range: &Range<u64>) -> u64 {
    range.start + (range.end - range.start) / 2
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn find(list: &[u8], path: &str) -> (Found, usize) {
        let mut search = Search::new(list.len() as u64, &RelPath::parse(path).unwrap());
        let mut reads = 0;
        while let Some(wanted) = search.wants() {
            let at = |offset: u64| usize::try_from(offset).unwrap();
            search.take(&list[at(wanted.start)..at(wanted.end)]);
            reads += 1;
        }
        (search.found(), reads)
    }

    fn digest(number: u8) -> Digest {
        Digest::new(crate::Algorithm::Md5, vec![number; 16]).unwrap()
    }

    #[test]
    fn a_path_goes_before_a_name() {
        let list = format!("a/x\t{}\na/x\tsha1:{}\nx\t{}\n", digest(1), "00".repeat(20), digest(2));
        let sha1 = Digest::new(crate::Algorithm::Sha1, vec![0; 20]).unwrap();
        assert_eq!(find(list.as_bytes(), "a/x").0, Found::ByPath(vec![digest(1), sha1]));
        assert_eq!(find(list.as_bytes(), "b/x").0, Found::ByName(vec![digest(2)]));
        assert_eq!(find(list.as_bytes(), "x").0, Found::ByPath(vec![digest(2)]));
        assert_eq!(find(list.as_bytes(), "a").0, Found::Nothing);
        assert_eq!(find(b"", "a/x").0, Found::Nothing);
    }

    #[test]
    fn a_long_list_takes_few_reads() {
        let mut list = String::new();
        for number in 0..100_000 {
            writeln!(list, "D/2022/{number:06}_full.pgm.gz\t{}", digest((number % 251) as u8)).unwrap();
        }
        for number in [0, 1, 49_999, 99_998, 99_999] {
            let (found, reads) = find(list.as_bytes(), &format!("D/2022/{number:06}_full.pgm.gz"));
            assert_eq!(found, Found::ByPath(vec![digest((number % 251) as u8)]));
            assert!(reads <= 14, "{reads}");
        }
        assert_eq!(find(list.as_bytes(), "D/2022/000000_full.pgm").0, Found::Nothing);
    }

    /// Every path that a list may hold, some of them long.
    fn path() -> impl Strategy<Value = String> {
        prop_oneof!["[a-c]{1,2}(/[a-c]{1,2}){0,2}", "[ab]{1,2}/c{200,255}", Just("ü/ß".to_owned())]
    }

    proptest! {
        #[test]
        fn what_is_there_is_found_and_nothing_else(
            rows in prop::collection::btree_map(path(), any::<u8>(), 0..200),
            asked in prop::collection::vec(path(), 1..20),
        ) {
            let rows: BTreeMap<String, u8> = rows;
            let list: String = rows.iter().map(|(path, number)| format!("{path}\t{}\n", digest(*number))).collect();
            for path in asked.iter().chain(rows.keys()) {
                let name = path.rsplit('/').next().unwrap();
                let expected = match (rows.get(path), rows.get(name)) {
                    (Some(number), _) => Found::ByPath(vec![digest(*number)]),
                    (None, Some(number)) => Found::ByName(vec![digest(*number)]),
                    (None, None) => Found::Nothing,
                };
                prop_assert_eq!(find(list.as_bytes(), path).0, expected, "{}", path);
            }
        }

        #[test]
        fn it_ends_whatever_it_is_given(length in 0u64..50_000, bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            let mut search = Search::new(length, &RelPath::parse("a/b").unwrap());
            // At worst it reads on byte by byte, once for the path and once for the name.
            for _ in 0..2 * (length + 64) {
                search.take(&bytes);
            }
            prop_assert_eq!(search.wants(), None);
        }
    }
}
