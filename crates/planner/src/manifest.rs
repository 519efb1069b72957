//! Reads the files of a manifest as a stream, whatever its size.

use std::fmt;
use std::io::{Cursor, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use skyhaul_model::{ErrorKind, FileError, FileSpec, RelPath};

/// A file as `manifest --format json` writes it; further keys are ignored.
#[derive(Deserialize)]
struct Row {
    url: String,
    path: String,
    size: u64,
    sha256: String,
}

/// Calls `each` for every element of the document's `files` array, in order.
///
/// # Errors
/// The document is no JSON, has no `files`, a file lacks its digest, or `each` failed.
pub(crate) fn read_files(
    reader: impl Read,
    each: &mut dyn FnMut(FileSpec) -> std::io::Result<()>,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(behind_mark(reader)?);
    Document { each }.deserialize(&mut json)?;
    json.end()
}

/// Without the mark of its byte order, which some editors put before a text.
fn behind_mark(mut reader: impl Read) -> Result<impl Read, serde_json::Error> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let mut head = Vec::new();
    reader.by_ref().take(MARK.len() as u64).read_to_end(&mut head).map_err(serde_json::Error::io)?;
    head.drain(..if head == MARK { MARK.len() } else { 0 });
    Ok(Cursor::new(head).chain(reader))
}

struct Document<'a> {
    each: &'a mut dyn FnMut(FileSpec) -> std::io::Result<()>,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest with a 'files' array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "files" {
                map.next_value_seed(Files { each: &mut *self.each })?;
                seen = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if seen { Ok(()) } else { Err(A::Error::missing_field("files")) }
    }
}

struct Files<'a> {
    each: &'a mut dyn FnMut(FileSpec) -> std::io::Result<()>,
}

impl<'de> DeserializeSeed<'de> for Files<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Files<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of files with url, path, size and sha256")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element::<Row>()? {
            let sha256 = parse_sha256(&row.sha256)
                .ok_or_else(|| A::Error::custom(format!("'{}' is no SHA-256", row.sha256)))?;
            let path =
                RelPath::parse(&row.path).map_err(|error| FileError::new(ErrorKind::Path, error.to_string()));
            let spec = FileSpec { url: row.url, path, size: Some(row.size), sha256: Some(sha256) };
            (self.each)(spec).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

fn parse_sha256(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<FileSpec>, String> {
        let mut files = Vec::new();
        let mut each = |file| {
            files.push(file);
            Ok(())
        };
        read_files(text.as_bytes(), &mut each).map_err(|error| error.to_string())?;
        Ok(files)
    }

    #[test]
    fn files_are_found_wherever_they_stand() {
        let digest = "ab".repeat(32);
        let text = format!(
            r#"{{"job":{{"files":[1]}},"files":[{{"path":"a/b","x":1,"url":"http://h/b","size":3,"sha256":"{digest}"}}],"z":null}}"#
        );
        let files = read(&text).unwrap();
        assert_eq!(files[0].sha256, Some([0xab; 32]));
        assert_eq!(files[0].path.as_ref().unwrap().as_str(), "a/b");
        assert_eq!(read(&format!("\u{feff}{text}")).unwrap(), files);
    }

    #[test]
    fn what_is_no_manifest_says_so() {
        assert!(read("{}").unwrap_err().contains("missing field `files`"));
        assert!(read(r#"{"files":[{"path":"a","url":"u","size":1}]}"#).unwrap_err().contains("sha256"));
        assert!(
            read(r#"{"files":[{"path":"a","url":"u","size":1,"sha256":"xyz"}]}"#)
                .unwrap_err()
                .contains("no SHA-256")
        );
        assert!(read(r#"{"files":[]"#).is_err());
        assert!(read("<html>").is_err());
    }
}
