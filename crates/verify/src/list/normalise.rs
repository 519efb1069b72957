//! From a list as it was written to one that can be searched: sorted lines of path, tab, digest.

use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use super::line::{BadLine, parse_line};
use super::sorter::Sorter;

/// No line of a list is longer, in bytes; with every character escaped a path has 6,000.
const LONGEST_LINE: u64 = 8 << 10;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A line is none of a list of digests.
    #[error("line {number} {why}")]
    Line {
        /// Counted from one.
        number: u64,
        /// What is wrong with it.
        #[source]
        why: BadLine,
    },
    /// Two lines want two digests by one algorithm of one file: no file can have both.
    #[error("it has two different {algorithm} digests of {path}")]
    Conflict {
        /// The file.
        path: String,
        /// The algorithm, in the form of its name.
        algorithm: String,
    },
    /// It cannot be read, or what is made of it not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a list held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Different files.
    pub files: u64,
    /// Different digests of them.
    pub digests: u64,
}

/// Reads a list of any length and writes it anew for [`Search`](super::Search): a line per digest, sorted,
/// each one once. Spills into unnamed files in `scratch`. Blocking; about 40 MB of memory at the most.
///
/// # Errors
/// [`ListError`]; what was written by then is of no use.
pub fn normalise(
    reader: &mut dyn BufRead,
    writer: &mut dyn Write,
    scratch: &Path,
) -> Result<Summary, ListError> {
    write_sorted(read(reader, Sorter::new(scratch))?, writer)
}

fn read(reader: &mut dyn BufRead, mut sorter: Sorter) -> Result<Sorter, ListError> {
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let mut bounded = (&mut *reader).take(LONGEST_LINE);
        if bounded.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let bad = |why| ListError::Line { number, why };
        match bytes.pop_if(|last| *last == b'\n') {
            None if bytes.len() as u64 == LONGEST_LINE => return Err(bad(BadLine::TooLong)),
            _ => {}
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| bad(BadLine::Encoding))?;
        // A mark that some editors begin a text with.
        let text = text.strip_prefix('\u{feff}').filter(|_| number == 1).unwrap_or(text);
        if let Some(line) = parse_line(text).map_err(bad)? {
            sorter.push(&format!("{}\t{}", line.path, line.digest))?;
        }
    }
    Ok(sorter)
}

fn write_sorted(sorter: Sorter, writer: &mut dyn Write) -> Result<Summary, ListError> {
    let mut summary = Summary::default();
    let mut before = String::new();
    sorter.finish(|row| {
        if row == before {
            return Ok(());
        }
        let (path, algorithm) = head(row);
        let (path_before, algorithm_before) = head(&before);
        if path != path_before {
            summary.files += 1;
        } else if algorithm == algorithm_before {
            return Err(ListError::Conflict { path: path.to_owned(), algorithm: algorithm.to_owned() });
        }
        summary.digests += 1;
        writer.write_all(row.as_bytes())?;
        writer.write_all(b"\n")?;
        before.clear();
        before.push_str(row);
        Ok(())
    })?;
    writer.flush()?;
    Ok(summary)
}

/// A row's path and the name of its algorithm.
fn head(row: &str) -> (&str, &str) {
    let (path, digest) = row.split_once('\t').unwrap_or((row, ""));
    (path, digest.split(':').next().unwrap_or(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "900150983cd24fb0d6963f7d28e17f72";
    const B: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    fn normalised(list: &[u8]) -> Result<(String, Summary), String> {
        let scratch = tempfile::tempdir().unwrap();
        let mut written = Vec::new();
        let summary =
            normalise(&mut &*list, &mut written, scratch.path()).map_err(|error| error.to_string())?;
        Ok((String::from_utf8(written).unwrap(), summary))
    }

    #[test]
    fn a_list_is_sorted_and_each_digest_stands_once() {
        let list = format!("\u{feff}# two\n{A}  b/x\r\n\n{B} *a\n{SHA1}  b/x\n{A}  b/x");
        let expected = format!("a\tmd5:{B}\nb/x\tmd5:{A}\nb/x\tsha1:{SHA1}\n");
        assert_eq!(normalised(list.as_bytes()), Ok((expected, Summary { files: 2, digests: 3 })));
        assert_eq!(normalised(b""), Ok((String::new(), Summary::default())));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let told = |list: &[u8]| normalised(list).unwrap_err();
        let form = "is neither 'DIGEST  PATH' nor 'ALGORITHM (PATH) = DIGEST'";
        assert_eq!(told(format!("{A}  a\n\nhello\n").as_bytes()), format!("line 3 {form}"));
        assert_eq!(told(b"\xff\xfe"), "line 1 is not UTF-8");
        assert_eq!(told(&[b'0'; 9000]), "line 1 is longer than any path and digest can be");
        let conflict = format!("{A}  x\n{SHA1}  x\n{B}  x\n");
        assert_eq!(told(conflict.as_bytes()), "it has two different md5 digests of x");
    }

    #[test]
    fn the_longest_path_goes_through() {
        let path = ["y"; 1500].join("/");
        let list = format!("{A}  {path}\n");
        assert_eq!(normalised(list.as_bytes()).unwrap().1, Summary { files: 1, digests: 1 });
    }
}
