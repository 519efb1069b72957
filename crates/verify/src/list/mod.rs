//! Lists of digests as `sha256sum`, `md5sum`, `b2sum` and their like write them (`--checksums FILE`).
//!
//! A list is read once, line by line ([`parse_line`]), and written anew as sorted lines of path and digest
//! ([`normalise`]), in which a path is found by a few reads however long the list is ([`Search`]). A list
//! is taken in as a whole or not at all: a crash in between leaves nothing that counts.

mod line;
mod normalise;
mod search;
mod sorter;

pub use self::line::{BadLine, Line, parse_line};
pub use self::normalise::{ListError, Summary, normalise};
pub use self::search::{Found, Search};

/// No line of a normalised list is longer, in bytes: a path has at most 3,000, a digest's text 150.
const LONGEST_ROW: usize = 4 << 10;
