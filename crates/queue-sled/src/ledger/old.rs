//! Payloads in the versions of earlier skyhauls: read for ever, written no more.

use serde::Deserialize;
use skyhaul_model::{FileError, FileSeq, WindowId};

use super::event::{ChunkRef, Event, FailedFile, Listed};
use crate::codec::{Moment, decode};

/// What a payload of an earlier version says; none if it says nothing.
pub(super) fn decode_payload(kind: u8, version: u8, payload: &[u8]) -> Option<Event> {
    match (kind, version) {
        (7, 1) => decode::<ListedV1>(payload).map(Listed::from).map(Event::Listed),
        (7, 2) => decode::<ListedV2>(payload).map(Listed::from).map(Event::Listed),
        (14, 1) => {
            let (files, at) = decode::<(Vec<FailedFileV1>, Moment)>(payload)?;
            Some(Event::Failed { files: files.into_iter().map(FailedFile::from).collect(), at })
        }
        _ => None,
    }
}

/// A listing before windows were listed again.
#[derive(Deserialize)]
struct ListedV1 {
    window: WindowId,
    first_chunk: u32,
    chunks: Vec<ChunkRef>,
    bytes: Option<u64>,
    at: Moment,
}

/// A listing before the files in it that cannot be fetched were counted with it.
#[derive(Deserialize)]
struct ListedV2 {
    window: WindowId,
    first_chunk: u32,
    chunks: Vec<ChunkRef>,
    bytes: Option<u64>,
    at: Moment,
    held: u64,
}

/// A failed attempt before it was told why it cannot be gone on from.
#[derive(Deserialize)]
struct FailedFileV1 {
    seq: FileSeq,
    error: FileError,
    failures: u32,
    received: u64,
    not_before: Option<Moment>,
}

impl From<ListedV1> for Listed {
    fn from(ListedV1 { window, first_chunk, chunks, bytes, at }: ListedV1) -> Self {
        ListedV2 { window, first_chunk, chunks, bytes, at, held: 0 }.into()
    }
}

impl From<ListedV2> for Listed {
    fn from(ListedV2 { window, first_chunk, chunks, bytes, at, held }: ListedV2) -> Self {
        Self { window, first_chunk, chunks, bytes, at, held, lost: Vec::new() }
    }
}

impl From<FailedFileV1> for FailedFile {
    fn from(FailedFileV1 { seq, error, failures, received, not_before }: FailedFileV1) -> Self {
        Self { seq, error, failures, received, not_before, no_resume: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they were written before listings could be repeated, and after.
    #[test]
    fn what_was_written_then_is_read_now() {
        for (version, payload, held) in [
            (1, "0305011802010101fb2c01010cfc00e2a7ca00", 0),
            (2, "0305011802010101fb2c01010cfc00e2a7ca00fb2c01", 300),
        ] {
            let Some(Event::Listed(listed)) = decode_payload(7, version, &hex(payload)) else {
                panic!("not read")
            };
            assert_eq!((listed.window, listed.first_chunk, listed.chunks.len()), (WindowId(3), 5, 1));
            assert_eq!((listed.bytes, listed.held, listed.lost), (Some(12), held, Vec::new()));
        }
        let failed = hex("01fc01000100000a73746174757320343034010901fc00e2a7ca00fc00e2a7ca00");
        let Some(Event::Failed { files, .. }) = decode_payload(14, 1, &failed) else { panic!("not read") };
        assert_eq!((files[0].seq, files[0].received, files[0].no_resume), (FileSeq(65_537), 9, None));
        assert_eq!(decode_payload(11, 1, &[]), None);
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}
