//! How a job's own list of files is kept: lines of JSON in slices, each slice readable by itself.
//!
//! A line is an array that tells a file against the one before it in its slice, since neighbours mostly differ in
//! few characters. Damage to one line would so change all behind it, hence the last line of a slice checks it. Lists of
//! before have no such line or consist of whole [`FileSpec`]s, and are read as ever.

use std::borrow::Cow;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};
use skyhaul_model::{ErrorKind, FileError, FileSpec, RelPath};

use crate::PlanError;

/// A file against the one before it: bytes that its URL shares with that one's, the rest of the URL, the path, and
/// size and SHA-256 where one of them is known.
#[derive(Serialize, Deserialize)]
struct Line<'a>(usize, #[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Place<'a>, Option<Known>);

type Known = (Option<u64>, Option<[u8; 32]>);

/// Where a file lands, against the last file before it that lands anywhere. The short names are part of the stored
/// format, and a fifth of it.
#[derive(Serialize, Deserialize)]
enum Place<'a> {
    /// It shares so many bytes; the rest is that of the URL.
    #[serde(rename = "=")]
    AsUrl(usize),
    /// It shares so many bytes; the rest.
    #[serde(rename = "p")]
    Path(usize, #[serde(borrow)] Cow<'a, str>),
    /// Nowhere.
    #[serde(rename = "e")]
    Nowhere(FileError),
}

/// The files of a slice of a job's own list: lines that this crate wrote when it took the list in.
///
/// # Errors
/// [`PlanError`] when the slice was damaged meanwhile.
pub fn slice_files(lines: &[u8]) -> Result<Vec<FileSpec>, PlanError> {
    let damaged = |error: serde_json::Error| {
        let message = format!("the queue's copy of the list is damaged ({error}): submit the list again");
        PlanError::refused(ErrorKind::Disk, message)
    };
    let mut before = Before::default();
    let filled =
        checked(lines).map_err(damaged)?.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    filled.map(|line| before.file(line).map_err(damaged)).collect()
}

/// The lines before the one that checks them; all of a slice that has none.
fn checked(slice: &[u8]) -> serde_json::Result<&[u8]> {
    let end = slice.strip_suffix(b"\n").unwrap_or(slice);
    let begin = end.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let (lines, last) = slice.split_at(begin);
    if !last.starts_with(b"\"") {
        return Ok(slice);
    }
    let mut check = Check::default();
    check.add(lines);
    if check.line().as_bytes() == last {
        Ok(lines)
    } else {
        Err(serde::de::Error::custom("its check sum differs"))
    }
}

/// The sum of a slice's lines.
#[derive(Default)]
pub(crate) struct Check(Hasher);

impl Check {
    pub(crate) fn add(&mut self, lines: &[u8]) {
        self.0.update(lines);
    }

    /// The line that ends the slice. No file's line begins with a quote.
    pub(crate) fn line(self) -> String {
        format!("\"{:08x}\"\n", self.0.finalize())
    }
}

/// The URL and the path that the next line of a slice is told against.
#[derive(Default)]
pub(crate) struct Before {
    url: String,
    path: String,
}

impl Before {
    /// Appends the line that tells this file.
    ///
    /// # Errors
    /// Those of the encoder, which has none where it writes to memory.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, file: &FileSpec) -> serde_json::Result<()> {
        let shared = shared(&self.url, &file.url);
        let rest = &file.url[shared..];
        let place = match &file.path {
            Ok(path) => self.place(path.as_str(), rest),
            Err(error) => Place::Nowhere(error.clone()),
        };
        let known = Some((file.size, file.sha256)).filter(|known| *known != (None, None));
        serde_json::to_writer(&mut *out, &Line(shared, rest.into(), place, known))?;
        out.push(b'\n');
        if let Ok(path) = &file.path {
            path.as_str().clone_into(&mut self.path);
        }
        extend(&mut self.url, shared, rest)
    }

    fn place<'a>(&self, path: &'a str, url_rest: &str) -> Place<'a> {
        let shared = shared(&self.path, path);
        let rest = &path[shared..];
        if rest == url_rest { Place::AsUrl(shared) } else { Place::Path(shared, rest.into()) }
    }

    /// The file that a line tells.
    fn file(&mut self, line: &[u8]) -> serde_json::Result<FileSpec> {
        if line.starts_with(b"{") {
            return serde_json::from_slice(line);
        }
        let Line(shared, rest, place, known) = serde_json::from_slice(line)?;
        let (size, sha256) = known.unwrap_or_default();
        extend(&mut self.url, shared, &rest)?;
        let path = match place {
            Place::AsUrl(shared) => self.path(shared, &rest)?,
            Place::Path(shared, rest) => self.path(shared, &rest)?,
            Place::Nowhere(error) => Err(error),
        };
        Ok(FileSpec { url: self.url.clone(), path, size, sha256 })
    }

    /// The rules for names may have become stricter since; then the file fails, not the slice.
    fn path(&mut self, shared: usize, rest: &str) -> serde_json::Result<Result<RelPath, FileError>> {
        extend(&mut self.path, shared, rest)?;
        Ok(RelPath::parse(&self.path).map_err(|error| FileError::new(ErrorKind::Path, error.to_string())))
    }
}

/// Bytes that both texts begin with, up to the beginning of a character.
fn shared(before: &str, text: &str) -> usize {
    let differ = before.bytes().zip(text.bytes()).position(|(a, b)| a != b);
    let mut shared = differ.unwrap_or(before.len().min(text.len()));
    while !(before.is_char_boundary(shared) && text.is_char_boundary(shared)) {
        shared -= 1;
    }
    shared
}

/// Keeps so many bytes of the text and appends the rest.
fn extend(text: &mut String, shared: usize, rest: &str) -> serde_json::Result<()> {
    if !text.is_char_boundary(shared) {
        return Err(serde::de::Error::custom("it shares more with the line before than that has"));
    }
    text.truncate(shared);
    text.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(url: &str, path: &str) -> FileSpec {
        let path = RelPath::parse(path).map_err(|error| FileError::new(ErrorKind::Path, error.to_string()));
        FileSpec { url: url.to_owned(), path, size: None, sha256: None }
    }

    fn lines(files: &[FileSpec]) -> Vec<u8> {
        let (mut before, mut lines, mut check) = (Before::default(), Vec::new(), Check::default());
        files.iter().for_each(|file| before.put(&mut lines, file).unwrap());
        check.add(&lines);
        lines.extend(check.line().bytes());
        lines
    }

    #[test]
    fn the_formats_lines_are_these() {
        let files = [
            spec("http://h/d/f1", "h/d/f1"),
            FileSpec { size: Some(300), ..spec("http://h/d/f2", "h/d/f2") },
            FileSpec {
                path: Err(FileError::new(ErrorKind::Path, "no")),
                sha256: Some([9; 32]),
                ..spec("http://h/é", "x")
            },
            spec("http://h/è", "h/d/own"),
        ];
        let nines = ["9"; 32].join(",");
        let golden = [
            r#"[0,"http://h/d/f1",{"p":[0,"h/d/f1"]},null]"#.to_owned(),
            r#"[12,"2",{"=":5},[300,null]]"#.to_owned(),
            format!(r#"[9,"é",{{"e":{{"kind":"path","message":"no"}}}},[null,[{nines}]]]"#),
            r#"[9,"è",{"p":[4,"own"]},null]"#.to_owned(),
            r#""a9bf027c""#.to_owned(),
        ];
        let written = lines(&files);
        assert_eq!(std::str::from_utf8(&written).unwrap().lines().collect::<Vec<_>>(), golden);
        assert_eq!(slice_files(&written).unwrap(), files);
        let unchecked = golden[..4].join("\n");
        assert_eq!(slice_files(unchecked.as_bytes()).unwrap(), files, "lists of before end without a check");
    }

    #[test]
    fn lists_of_before_are_read() {
        let files = [spec("http://h/a", "h/a"), spec("http://h/b", "own")];
        let old = concat!(
            r#"{"url":"http://h/a","path":{"Ok":"h/a"},"size":null,"sha256":null}"#,
            "\n",
            r#"{"url":"http://h/b","path":{"Ok":"own"},"size":null,"sha256":null}"#,
            "\n",
        );
        assert_eq!(slice_files(old.as_bytes()).unwrap(), files);
    }

    #[test]
    fn a_damaged_slice_is_an_error_and_not_fewer_files() {
        let whole = lines(&[spec("http://h/a", "h/a"), spec("http://h/b", "h/b")]);
        let second = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        let mut other_host = whole.clone();
        other_host[whole.iter().position(|&byte| byte == b'h').unwrap() + 7] = b'g';
        for damaged in [&whole[..whole.len() - 3], &whole[second..], &other_host] {
            assert!(slice_files(damaged).unwrap_err().error.message.contains("damaged"));
        }
    }

    fn any_file() -> impl Strategy<Value = FileSpec> {
        let digest = any::<Option<[u8; 32]>>();
        let path = "[a-céè]{1,4}(/[a-céè]{1,4}){0,3}|\\.\\.";
        ("[abéè€\n\"]{0,6}", path, any::<Option<u64>>(), digest)
            .prop_map(|(url, path, size, sha256)| FileSpec { size, sha256, ..spec(&url, &path) })
    }

    proptest! {
        #[test]
        fn any_files_come_back(files in prop::collection::vec(any_file(), 0..20)) {
            prop_assert_eq!(slice_files(&lines(&files)).unwrap(), files);
        }

        #[test]
        fn damage_is_never_a_panic_and_never_another_list(
            files in prop::collection::vec(any_file(), 1..9), place: prop::sample::Index, byte: u8,
        ) {
            let mut lines = lines(&files);
            let place = place.index(lines.len());
            lines[place] = byte;
            prop_assert!(slice_files(&lines).is_ok_and(|read| read == files) || slice_files(&lines).is_err());
        }
    }
}
