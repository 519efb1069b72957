//! Packed chunks: up to 256 files of a listing in one immutable, compressed, checksummed record.
//!
//! Layout, version 1: version u8, CRC-32 u32 (of the plain body), body length varint, body under zstd
//! level 1. Body: file count varint, then for each file: flags u8; the URL as length shared with the
//! URL before it (varint), length of the rest (varint), the rest; the path likewise against the path
//! before it, without its rest where that equals the URL's rest ([`SAME_REST`]), which is so wherever the
//! path is a folder and the URL's tail; then size varint and 32 bytes of SHA-256 where flagged. A file whose
//! path cannot be made has the error's kind (u8) and message (length varint, text) instead of a path.

use skyhaul_model::{ErrorKind, FileError, FileSpec, RelPath};

use crate::codec::{Bytes, RECORD_LIMIT, put_varint};
use crate::ledger::ChunkRef;

/// Files of a chunk, at most. Slots are numbered below it.
pub(crate) const CHUNK_FILES: usize = 256;

/// A chunk is cut when its plain text is over this, in bytes.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 1;

const SAME_REST: u8 = 1;
const NO_PATH: u8 = 2;
const HAS_SIZE: u8 = 4;
const HAS_SHA256: u8 = 8;

/// How many of these files make up the next chunk.
pub(crate) fn next_chunk(files: &[FileSpec]) -> usize {
    let mut bytes = 0;
    let full = files.iter().take(CHUNK_FILES).position(|file| {
        bytes += plain_length(file);
        bytes > CHUNK_BYTES
    });
    // One file makes a chunk, however long its URL is.
    full.unwrap_or(files.len().min(CHUNK_FILES)).max(1).min(files.len())
}

/// The chunk that holds these files.
pub(crate) fn pack(files: &[FileSpec]) -> std::io::Result<Vec<u8>> {
    let body = encode_body(files);
    let mut chunk = vec![VERSION];
    chunk.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    put_varint(&mut chunk, body.len() as u64);
    chunk.extend(zstd::bulk::compress(&body, ZSTD_LEVEL)?);
    Ok(chunk)
}

/// The files that a chunk holds; none if it is damaged.
pub(crate) fn unpack(chunk: &[u8]) -> Option<Vec<FileSpec>> {
    let (&version, rest) = chunk.split_first()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let mut rest = Bytes::new(rest);
    let length = rest.length()?;
    if version != VERSION || length > RECORD_LIMIT {
        return None;
    }
    let body = zstd::bulk::decompress(rest.rest(), length).ok()?;
    if crc32fast::hash(&body).to_le_bytes() != *crc {
        return None;
    }
    decode_body(&body)
}

/// What a reader has to know of a chunk of these files whose frame lies at `offset`.
pub(crate) fn chunk_ref(offset: u64, files: &[FileSpec]) -> ChunkRef {
    let lost = (0..).zip(files).filter(|(_, file)| file.path.is_err()).map(|(slot, _)| slot);
    let sizes = || files.iter().filter_map(|file| file.size);
    ChunkRef {
        offset,
        count: files.len() as u16,
        lost: lost.collect(),
        sized: sizes().count() as u16,
        size_sum: sizes().fold(0, u64::saturating_add),
    }
}

/// What a file adds to a chunk's plain text, in bytes.
pub(crate) fn plain_length(file: &FileSpec) -> usize {
    let path = file.path.as_ref().map_or_else(|error| error.message.len(), |path| path.as_str().len());
    file.url.len() + path
}

fn encode_body(files: &[FileSpec]) -> Vec<u8> {
    let mut body = Vec::with_capacity(CHUNK_BYTES);
    put_varint(&mut body, files.len() as u64);
    let (mut last_url, mut last_path) = ("", "");
    for file in files {
        let url_rest = rest_of(&file.url, last_url);
        let path_rest = file.path.as_ref().ok().map(|path| rest_of(path.as_str(), last_path));
        body.push(flags(file, path_rest == Some(url_rest)));
        put_varint(&mut body, (file.url.len() - url_rest.len()) as u64);
        put_text(&mut body, url_rest);
        match (&file.path, path_rest) {
            (Ok(path), Some(rest)) => {
                put_varint(&mut body, (path.as_str().len() - rest.len()) as u64);
                if rest != url_rest {
                    put_text(&mut body, rest);
                }
                last_path = path.as_str();
            }
            (Err(error), _) => {
                body.push(error.kind as u8);
                put_text(&mut body, &error.message);
            }
            (Ok(_), None) => {}
        }
        if let Some(size) = file.size {
            put_varint(&mut body, size);
        }
        body.extend_from_slice(file.sha256.as_ref().map_or(&[], |digest| &digest[..]));
        last_url = &file.url;
    }
    body
}

fn flags(file: &FileSpec, same_rest: bool) -> u8 {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    flag(same_rest, SAME_REST)
        | flag(file.path.is_err(), NO_PATH)
        | flag(file.size.is_some(), HAS_SIZE)
        | flag(file.sha256.is_some(), HAS_SHA256)
}

/// What of `text` is not the same as in `before`, cut where a character begins.
fn rest_of<'a>(text: &'a str, before: &str) -> &'a str {
    let mut shared = text.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
    while !text.is_char_boundary(shared) {
        shared -= 1;
    }
    &text[shared..]
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    put_varint(body, text.len() as u64);
    body.extend_from_slice(text.as_bytes());
}

fn decode_body(body: &[u8]) -> Option<Vec<FileSpec>> {
    let mut body = Bytes::new(body);
    let count = body.length().filter(|&count| count <= CHUNK_FILES)?;
    let mut files: Vec<FileSpec> = Vec::with_capacity(count);
    let (mut last_url, mut last_path) = (String::new(), String::new());
    for _ in 0..count {
        let flags = body.byte()?;
        let shared = body.length()?;
        let url_rest = text(&mut body)?;
        last_url = join(&last_url, shared, url_rest)?;
        let path = if flags & NO_PATH != 0 {
            let kind = *ErrorKind::ALL.get(usize::from(body.byte()?))?;
            Err(FileError::new(kind, text(&mut body)?))
        } else {
            let shared = body.length()?;
            let rest = if flags & SAME_REST != 0 { url_rest } else { text(&mut body)? };
            last_path = join(&last_path, shared, rest)?;
            // The rules for names may have become stricter since; then the file fails, not the chunk.
            RelPath::parse(&last_path).map_err(|error| FileError::new(ErrorKind::Path, error.to_string()))
        };
        let size = if flags & HAS_SIZE != 0 { Some(body.varint()?) } else { None };
        let sha256 = if flags & HAS_SHA256 != 0 { Some(*body.take(32)?.first_chunk()?) } else { None };
        files.push(FileSpec { url: last_url.clone(), path, size, sha256 });
    }
    body.is_empty().then_some(files)
}

fn text<'a>(body: &mut Bytes<'a>) -> Option<&'a str> {
    let length = body.length()?;
    std::str::from_utf8(body.take(length)?).ok()
}

fn join(before: &str, shared: usize, rest: &str) -> Option<String> {
    Some([before.get(..shared)?, rest].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(url: &str, path: &str) -> FileSpec {
        FileSpec { url: url.to_owned(), path: Ok(RelPath::parse(path).unwrap()), size: None, sha256: None }
    }

    fn listing(count: usize) -> Vec<FileSpec> {
        let file = |number: usize| {
            let name =
                format!("2022/01/{:02}/gill_themis19/ut06/20220101_{number:06}_gill.pgm.gz", number / 60);
            spec(&format!("https://data.example/themis/{name}"), &format!("THEMIS_ASI_RAW/{name}"))
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn the_formats_bytes_are_these() {
        let files = [
            spec("https://a/b/f1", "D/f1"),
            FileSpec { size: Some(300), ..spec("https://a/b/f2", "D/f2") },
            FileSpec {
                path: Err(FileError::new(ErrorKind::Path, "no")),
                sha256: Some([9; 32]),
                ..spec("https://a/é", "x")
            },
        ];
        let body = encode_body(&files);
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = "03".to_owned()
            + "00000e68747470733a2f2f612f622f66310004442f6631"
            + "050d013203ac02"
            + "0a0a02c3a90b026e6f"
            + &"09".repeat(32);
        assert_eq!(hex, golden);
        // What zstd makes of it may change with its version, what it is read from may not.
        let stored = hex_bytes(GOLDEN_CHUNK);
        assert_eq!(unpack(&stored).as_deref(), Some(&files[..]));
    }

    const GOLDEN_CHUNK: &str = include_str!("golden/chunk.txt");

    fn hex_bytes(hex: &str) -> Vec<u8> {
        let hex = hex.trim();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_listing_costs_few_bytes_a_file() {
        let files = listing(CHUNK_FILES);
        let chunk = pack(&files).unwrap();
        assert!(chunk.len() < CHUNK_FILES * 12, "{} bytes", chunk.len());
        assert_eq!(unpack(&chunk).unwrap(), files);
    }

    #[test]
    fn chunks_are_cut_by_count_and_by_bytes() {
        assert_eq!(next_chunk(&[]), 0);
        assert_eq!(next_chunk(&listing(700)), CHUNK_FILES);
        assert_eq!(next_chunk(&listing(7)), 7);
        let long = |bytes: usize| spec(&"u".repeat(bytes), "p");
        assert_eq!(next_chunk(&[long(1 << 20), long(1)]), 1);
        assert_eq!(next_chunk(&[long(30_000), long(30_000), long(30_000)]), 2);
    }

    fn any_spec() -> impl Strategy<Value = FileSpec> {
        let path = prop_oneof![
            "[a-zé]{1,9}(/[a-z%0-9é]{1,9}x){0,3}".prop_map(|text| RelPath::parse(&text)
                .map_err(|error| FileError::new(ErrorKind::Path, error.to_string()))),
            ".{0,20}".prop_map(|message| Err(FileError::new(ErrorKind::Changed, message))),
        ];
        (".{0,40}", path, any::<Option<u64>>(), any::<Option<[u8; 32]>>())
            .prop_map(|(url, path, size, sha256)| FileSpec { url, path, size, sha256 })
    }

    proptest! {
        #[test]
        fn any_files_come_back(files in prop::collection::vec(any_spec(), 0..20)) {
            prop_assert_eq!(unpack(&pack(&files).unwrap()), Some(files));
        }

        #[test]
        fn damage_is_told_and_never_a_panic(
            files in prop::collection::vec(any_spec(), 1..9), place: prop::sample::Index, flip in 1..=255u8,
        ) {
            let mut chunk = pack(&files).unwrap();
            let place = place.index(chunk.len());
            chunk[place] ^= flip;
            let read = unpack(&chunk);
            prop_assert!(read.is_none() || read == Some(files));
        }

        #[test]
        fn noise_is_no_body(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_body(&noise);
        }
    }
}
