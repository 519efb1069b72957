//! One line of a list of digests. Pure.
//!
//! Two forms are read: a digest, white space, a path (GNU coreutils and most others), and
//! `ALGORITHM (path) = digest` (BSD, and `--tag`). A `\` before either says that `\\`, `\n` and `\r` in the path
//! stand for a backslash and for line ends.

use skyhaul_model::{PathError, RelPath};

use crate::digest::{Algorithm, Digest};

/// A file that is named in a list, and what its digest must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file, below the output root; a name alone may stand for a file in any folder.
    pub path: RelPath,
    /// What is claimed.
    pub digest: Digest,
}

/// Why a line is none of a list of digests; the end of a sentence that names the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It has neither form.
    #[error("is neither 'DIGEST  PATH' nor 'ALGORITHM (PATH) = DIGEST'")]
    Form,
    /// Its digits are as many as no known algorithm gives.
    #[error("has a digest of {0} hexadecimal digits, which is none of MD5, SHA-1, SHA-2 or BLAKE2b")]
    Length(usize),
    /// It names an algorithm that is not known.
    #[error("names the algorithm '{0}', which is none of MD5, SHA1, SHA2 or BLAKE2b")]
    Algorithm(String),
    /// What stands where the digest should is none of the algorithm named.
    #[error("has a digest that is none of {0}")]
    Digest(Algorithm),
    /// It has an escape that nobody writes.
    #[error("has a '\\' in its path that stands for nothing")]
    Escape,
    /// No file below the output root can be meant.
    #[error("names no file below the output root: {0}")]
    Path(#[from] PathError),
    /// The path holds what no file name here does.
    #[error("names a file with control characters in its name, as no file is called here")]
    Control,
    /// It is not text.
    #[error("is not UTF-8")]
    Encoding,
    /// It is longer than any path and digest.
    #[error("is longer than any path and digest can be")]
    TooLong,
}

/// Reads one line, without its line end; none when it is empty or a comment (`#`).
///
/// # Errors
/// [`BadLine`] when it is anything else than a digest and a path.
pub fn parse_line(line: &str) -> Result<Option<Line>, BadLine> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (line, is_escaped) = line.strip_prefix('\\').map_or((line, false), |rest| (rest, true));
    let (digest, path) = match plain(line)? {
        Some(parts) => parts,
        None => tagged(line)?,
    };
    let path = if is_escaped { unescape(path)? } else { path.to_owned() };
    Ok(Some(Line { path: relative(&path)?, digest }))
}

/// `DIGEST  PATH`; none when it does not begin with hexadecimal digits.
fn plain(line: &str) -> Result<Option<(Digest, &str)>, BadLine> {
    let digits = line.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (hex, rest) = line.split_at(digits);
    let Some(rest) = rest.strip_prefix([' ', '\t']).filter(|_| digits > 0) else { return Ok(None) };
    // The second of two blanks, or the mark of a binary file, is no part of the path.
    let path = rest.strip_prefix([' ', '*']).unwrap_or(rest);
    // A word of the tagged form may look like digits.
    if path.starts_with('(') && line.contains(" = ") {
        return Ok(None);
    }
    let algorithm = told_by_length(digits).ok_or(BadLine::Length(digits))?;
    let digest = Digest::from_hex(algorithm, hex).ok_or(BadLine::Digest(algorithm))?;
    Ok(Some((digest, path)))
}

/// `ALGORITHM (PATH) = DIGEST`, and OpenSSL's form of it, without the blanks before `(` and `=`.
fn tagged(line: &str) -> Result<(Digest, &str), BadLine> {
    let (name, rest) = line.split_once('(').ok_or(BadLine::Form)?;
    let (path, hex) = rest.rsplit_once(')').ok_or(BadLine::Form)?;
    let hex = hex.trim_start().strip_prefix('=').ok_or(BadLine::Form)?.trim();
    let name = name.trim();
    let algorithm = named(name).ok_or_else(|| BadLine::Algorithm(name.chars().take(40).collect()))?;
    let digest = Digest::from_hex(algorithm, hex).ok_or(BadLine::Digest(algorithm))?;
    Ok((digest, path))
}

fn told_by_length(digits: usize) -> Option<Algorithm> {
    match digits {
        32 => Some(Algorithm::Md5),
        40 => Some(Algorithm::Sha1),
        56 => Some(Algorithm::Sha224),
        64 => Some(Algorithm::Sha256),
        96 => Some(Algorithm::Sha384),
        128 => Some(Algorithm::Sha512OrBlake2b),
        _ => None,
    }
}

fn named(name: &str) -> Option<Algorithm> {
    match name.to_ascii_uppercase().as_str() {
        "MD5" => Some(Algorithm::Md5),
        "SHA1" | "SHA-1" => Some(Algorithm::Sha1),
        "SHA224" | "SHA2-224" => Some(Algorithm::Sha224),
        "SHA256" | "SHA2-256" | "SHA-256" => Some(Algorithm::Sha256),
        "SHA384" | "SHA2-384" => Some(Algorithm::Sha384),
        "SHA512" | "SHA2-512" | "SHA-512" => Some(Algorithm::Sha512),
        "BLAKE2B" | "BLAKE2B-512" | "BLAKE2B512" | "BLAKE2" => Some(Algorithm::Blake2b512),
        "BLAKE2B-256" => Some(Algorithm::Blake2b256),
        _ => None,
    }
}

fn unescape(path: &str) -> Result<String, BadLine> {
    let mut plain = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => return Err(BadLine::Escape),
            },
            char => char,
        });
    }
    Ok(plain)
}

/// The path below the output root; tools that were told to walk `.` begin every path so.
fn relative(mut path: &str) -> Result<RelPath, BadLine> {
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    if path.chars().any(char::is_control) {
        return Err(BadLine::Control);
    }
    Ok(RelPath::parse(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
    const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(line: &str) -> Result<Option<(String, Algorithm)>, BadLine> {
        Ok(parse_line(line)?.map(|line| (line.path.as_str().to_owned(), line.digest.algorithm())))
    }

    #[test]
    fn lines_of_every_tool() {
        let long = "ab".repeat(64);
        let table = [
            (format!("{MD5}  a/b.gz"), "a/b.gz", Algorithm::Md5),
            (format!("{SHA1} *a/b.gz"), "a/b.gz", Algorithm::Sha1),
            (format!("{SHA256}  a b  c.gz\r"), "a b  c.gz", Algorithm::Sha256),
            (format!("{}  x", SHA256.to_uppercase()), "x", Algorithm::Sha256),
            (format!("{SHA256} x"), "x", Algorithm::Sha256),
            (format!("{SHA256}\tx"), "x", Algorithm::Sha256),
            (format!("{SHA256}  ./D/x"), "D/x", Algorithm::Sha256),
            (format!("{SHA256}  (1).gz"), "(1).gz", Algorithm::Sha256),
            (format!("{}  x", "0".repeat(56)), "x", Algorithm::Sha224),
            (format!("{}  x", "0".repeat(96)), "x", Algorithm::Sha384),
            (format!("{long}  x"), "x", Algorithm::Sha512OrBlake2b),
            (format!("SHA256 (a (1)/b = c) = {SHA256}"), "a (1)/b = c", Algorithm::Sha256),
            (format!("SHA2-256(x)= {SHA256}"), "x", Algorithm::Sha256),
            (format!("MD5 (x) = {MD5}"), "x", Algorithm::Md5),
            (format!("SHA512 (x) = {long}"), "x", Algorithm::Sha512),
            (format!("BLAKE2b (x) = {long}"), "x", Algorithm::Blake2b512),
            (format!("BLAKE2b-256 (x) = {SHA256}"), "x", Algorithm::Blake2b256),
        ];
        for (line, path, algorithm) in table {
            assert_eq!(read(&line), Ok(Some((path.to_owned(), algorithm))), "{line}");
        }
        for line in ["", "  ", "\r", "# by hand", "#"] {
            assert_eq!(read(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        let bad_path = |path: &str| BadLine::Path(RelPath::parse(path).unwrap_err());
        let table = [
            ("no list at all".to_owned(), BadLine::Form),
            ("abc".into(), BadLine::Form),
            (SHA256.into(), BadLine::Form),
            (format!("SHA256 (x) {SHA256}"), BadLine::Form),
            (format!("{}  x", "0".repeat(33)), BadLine::Length(33)),
            (format!("{}  x", "0".repeat(8)), BadLine::Length(8)),
            (format!("SM3 (x) = {SHA256}"), BadLine::Algorithm("SM3".into())),
            (format!("BLAKE2b-160 (x) = {SHA1}"), BadLine::Algorithm("BLAKE2b-160".into())),
            (format!("SHA256 (x) = {MD5}"), BadLine::Digest(Algorithm::Sha256)),
            ("SHA256 (x) = é".into(), BadLine::Digest(Algorithm::Sha256)),
            (format!("{MD5}  "), bad_path("")),
            (format!("{MD5}  /etc/passwd"), bad_path("/etc/passwd")),
            (format!("{MD5}  a/../b"), bad_path("a/../b")),
            (format!("\\{MD5}  a\\tb"), BadLine::Escape),
            (format!("\\{MD5}  a\\"), BadLine::Escape),
            (format!("\\{MD5}  a\\nb"), BadLine::Control),
            (format!("{MD5}  a\tb"), BadLine::Control),
        ];
        for (line, expected) in table {
            assert_eq!(read(&line), Err(expected), "{line}");
        }
    }

    #[test]
    fn a_backslash_is_one_where_it_was_not_announced() {
        // A name that holds one is refused as a path, whichever way it is written.
        assert!(matches!(read(&format!("{MD5}  a\\nb")), Err(BadLine::Path(_))));
        assert!(matches!(read(&format!("\\{MD5}  a\\\\nb")), Err(BadLine::Path(_))));
        assert_eq!(read(&format!("\\{MD5}  ab")), Ok(Some(("ab".into(), Algorithm::Md5))));
    }
}
