//! What can happen to a job, as its ledger tells it.
//!
//! Each kind has a number that is never used for anything else, and a version. A job's facts (query,
//! name, priority, policy, hold) are JSON inside, so that fields can be added; all else is bincode. Claims
//! are in no ledger: they end with the process.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skyhaul_model::{
    FileError, FileSeq, Intent, JobKey, JobPolicy, NewWindow, NoResume, Proof, Query, Recheck, Sealed, Span,
    Trouble, Verified, WindowId,
};

use super::frame::Frame;
use super::old;
use crate::codec::{self, Moment};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// The job was made.
    Created(Box<CreatedFacts>),
    /// What a person may change was changed.
    Changed(Box<Settings>),
    /// A person wants something else of it.
    Intent { intent: Intent, at: Moment },
    /// The query ended in these windows, numbered from 0.
    Planned { windows: Vec<NewWindow>, at: Moment },
    /// The query was refused.
    Refused { error: FileError, at: Moment },
    /// Files of a window's listing, packed. They count only once a [`Event::Listed`] names this frame.
    Chunk { window: WindowId, packed: Vec<u8> },
    /// A window is listed.
    Listed(Listed),
    /// A window's place was taken by these, numbered from `first`.
    Split { window: WindowId, first: WindowId, parts: Vec<NewWindow> },
    /// A window's attempt failed and another follows.
    Retry { window: WindowId, not_before: Moment, error: FileError },
    /// A window was given up.
    WindowFailed { window: WindowId, error: FileError, at: Moment },
    /// Everything that failed was put back.
    Requeued,
    /// Files' bytes are whole, checked and synced.
    Sealed(Vec<SealedFile>),
    /// Files are published.
    Done { files: Vec<DoneFile>, at: Moment },
    /// Attempts failed.
    Failed { files: Vec<FailedFile>, at: Moment },
    /// More was received for files, or their sealed bytes are gone.
    Received(Vec<ReceivedFile>),
    /// Published bytes were found missing or damaged.
    Invalidated(Vec<(FileSeq, FileError)>),
    /// Failures, counted; those that came with earlier frames are not in it.
    Troubled(Vec<Trouble>),
    /// The windows that touch the span (none: all) are listed again.
    Relisted { span: Option<Stretch>, files: Recheck },
    /// Windows were added behind those that are there, numbered from `first`.
    Extended { first: WindowId, windows: Vec<NewWindow>, at: Moment },
    /// What files of a ledger that was written anew had been through.
    Remembered(Vec<Remembered>),
    /// All before was written anew; the job had finished then.
    Rewritten { finished_at: Moment },
}

/// What a file has been through: its history row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) seq: FileSeq,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) received: u64,
    pub(crate) error: Option<FileError>,
    pub(crate) no_resume: Option<NoResume>,
    pub(crate) recheck: bool,
}

/// A span as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    start: Moment,
    end: Moment,
}

/// What makes a job this job, and what it was told first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CreatedFacts {
    pub(crate) key: JobKey,
    pub(crate) query: Query,
    pub(crate) created_at: Timestamp,
    pub(crate) settings: Settings,
}

/// What may be changed of a job: by a person, and the engine's hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) priority: i8,
    pub(crate) policy: JobPolicy,
    /// Why the engine holds the job back; kept, so that it can still be told when the engine is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<FileError>,
}

/// A listing: it names the chunks that make it up, and says what a reader has to know without opening them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) window: WindowId,
    /// The number of the first chunk; the others follow.
    pub(crate) first_chunk: u32,
    pub(crate) chunks: Vec<ChunkRef>,
    pub(crate) bytes: Option<u64>,
    pub(crate) at: Moment,
    /// Files that the window had brought before: only what is not among them is in the chunks. Where a
    /// reader knows of fewer, an earlier listing was lost, and this one alone is not the whole.
    pub(crate) held: u64,
    /// Its files whose paths cannot be made, counted: they have failed with it.
    pub(crate) lost: Vec<Trouble>,
}

/// A chunk's frame, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkRef {
    pub(crate) offset: u64,
    /// Files.
    pub(crate) count: u16,
    /// Slots of files whose path cannot be made.
    pub(crate) lost: Vec<u16>,
    /// Files that told their size.
    pub(crate) sized: u16,
    /// The sum of those sizes.
    pub(crate) size_sum: u64,
}

/// A sealed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedFile {
    pub(crate) seq: FileSeq,
    size: u64,
    sha256: [u8; 32],
    verified: Verified,
    proof: Proof,
    received: u64,
}

/// A published file, and which of its seals it was published under: should that one be lost to damage, the
/// file is not taken for done under an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneFile {
    pub(crate) seq: FileSeq,
    /// Where the frame of the seal lies.
    pub(crate) seal_at: u64,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedFile {
    pub(crate) seq: FileSeq,
    pub(crate) error: FileError,
    pub(crate) failures: u32,
    pub(crate) received: u64,
    /// When it is tried again; none: given up.
    pub(crate) not_before: Option<Moment>,
    pub(crate) no_resume: Option<NoResume>,
}

/// What was received for a file over all attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceivedFile {
    pub(crate) seq: FileSeq,
    pub(crate) received: u64,
    pub(crate) seal_lost: bool,
}

/// Why a whole frame says nothing to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// A newer skyhaul wrote it.
    Newer,
    /// It was never written by any.
    Garbled,
}

impl From<Span> for Stretch {
    fn from(Span { start, end }: Span) -> Self {
        Self { start: start.into(), end: end.into() }
    }
}

impl From<Stretch> for Span {
    fn from(Stretch { start, end }: Stretch) -> Self {
        Self { start: start.into(), end: end.into() }
    }
}

impl SealedFile {
    pub(crate) fn new(seq: FileSeq, sealed: &Sealed) -> Self {
        let Sealed { size, sha256, verified, proof, received } = *sealed;
        Self { seq, size, sha256, verified, proof, received }
    }

    pub(crate) fn sealed(&self) -> Sealed {
        let Self { size, sha256, verified, proof, received, .. } = *self;
        Sealed { size, sha256, verified, proof, received }
    }
}

impl Event {
    /// The version in which a kind is written; 0 for kinds that are not known.
    pub(crate) fn newest_version(kind: u8) -> u8 {
        match kind {
            7 => 3,
            14 => 2,
            1..=21 => 1,
            _ => 0,
        }
    }

    /// Whether it says nothing any more once later events have come: then it counts for nothing when a ledger's
    /// live size is reckoned. Of others, parts may be past; that is for those who apply them to say.
    pub(crate) fn is_past_when_followed(&self) -> bool {
        match self {
            Self::Created(_)
            | Self::Planned { .. }
            | Self::Extended { .. }
            | Self::Chunk { .. }
            | Self::Sealed(_)
            | Self::Done { .. }
            | Self::Remembered(_)
            | Self::Rewritten { .. } => false,
            Self::Listed(listed) => listed.chunks.is_empty(),
            _ => true,
        }
    }

    /// The number of the kind.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Created(_) => 1,
            Self::Changed(_) => 2,
            Self::Intent { .. } => 3,
            Self::Planned { .. } => 4,
            Self::Refused { .. } => 5,
            Self::Chunk { .. } => 6,
            Self::Listed(_) => 7,
            Self::Split { .. } => 8,
            Self::Retry { .. } => 9,
            Self::WindowFailed { .. } => 10,
            Self::Requeued => 11,
            Self::Sealed(_) => 12,
            Self::Done { .. } => 13,
            Self::Failed { .. } => 14,
            Self::Received(_) => 15,
            Self::Invalidated(_) => 16,
            Self::Troubled(_) => 17,
            Self::Relisted { .. } => 18,
            Self::Extended { .. } => 19,
            Self::Remembered(_) => 20,
            Self::Rewritten { .. } => 21,
        }
    }

    /// The frame's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Created(facts) => json(facts),
            Self::Changed(settings) => json(settings),
            Self::Intent { intent, at } => codec::encode(&(intent, at)),
            Self::Planned { windows, at } => codec::encode(&(windows, at)),
            Self::Refused { error, at } => codec::encode(&(error, at)),
            Self::Chunk { window, packed } => [&window.0.to_le_bytes()[..], packed].concat(),
            Self::Listed(listed) => codec::encode(listed),
            Self::Split { window, first, parts } => codec::encode(&(window, first, parts)),
            Self::Retry { window, not_before, error } => codec::encode(&(window, not_before, error)),
            Self::WindowFailed { window, error, at } => codec::encode(&(window, error, at)),
            Self::Requeued => Vec::new(),
            Self::Sealed(files) => codec::encode(files),
            Self::Done { files, at } => codec::encode(&(files, at)),
            Self::Failed { files, at } => codec::encode(&(files, at)),
            Self::Received(files) => codec::encode(files),
            Self::Invalidated(files) => codec::encode(files),
            Self::Troubled(troubles) => codec::encode(troubles),
            Self::Relisted { span, files } => codec::encode(&(span, files)),
            Self::Extended { first, windows, at } => codec::encode(&(first, windows, at)),
            Self::Remembered(files) => codec::encode(files),
            Self::Rewritten { finished_at } => codec::encode(finished_at),
        }
    }

    /// What a whole frame says.
    pub(crate) fn decode(frame: &Frame) -> Result<Self, Undecodable> {
        let newest = Self::newest_version(frame.kind);
        let decoded = match frame.version {
            version if version > newest => return Err(Undecodable::Newer),
            version if version < newest => old::decode_payload(frame.kind, version, &frame.payload),
            _ => Self::decode_payload(frame.kind, &frame.payload),
        };
        decoded.ok_or(Undecodable::Garbled)
    }

    fn decode_payload(kind: u8, payload: &[u8]) -> Option<Self> {
        use codec::decode;
        Some(match kind {
            1 => Self::Created(serde_json::from_slice(payload).ok()?),
            2 => Self::Changed(serde_json::from_slice(payload).ok()?),
            3 => decode(payload).map(|(intent, at)| Self::Intent { intent, at })?,
            4 => decode(payload).map(|(windows, at)| Self::Planned { windows, at })?,
            5 => decode(payload).map(|(error, at)| Self::Refused { error, at })?,
            6 => {
                let (window, packed) = payload.split_first_chunk::<4>()?;
                Self::Chunk { window: WindowId(u32::from_le_bytes(*window)), packed: packed.to_vec() }
            }
            7 => Self::Listed(decode(payload)?),
            8 => decode(payload).map(|(window, first, parts)| Self::Split { window, first, parts })?,
            9 => decode(payload).map(|(window, not_before, error)| Self::Retry {
                window,
                not_before,
                error,
            })?,
            10 => decode(payload).map(|(window, error, at)| Self::WindowFailed { window, error, at })?,
            11 => payload.is_empty().then_some(Self::Requeued)?,
            12 => Self::Sealed(decode(payload)?),
            13 => decode(payload).map(|(files, at)| Self::Done { files, at })?,
            14 => decode(payload).map(|(files, at)| Self::Failed { files, at })?,
            15 => Self::Received(decode(payload)?),
            16 => Self::Invalidated(decode(payload)?),
            17 => Self::Troubled(decode(payload)?),
            18 => decode(payload).map(|(span, files)| Self::Relisted { span, files })?,
            19 => decode(payload).map(|(first, windows, at)| Self::Extended { first, windows, at })?,
            20 => Self::Remembered(decode(payload)?),
            21 => decode(payload).map(|finished_at| Self::Rewritten { finished_at })?,
            _ => return None,
        })
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Structs of strings and numbers cannot fail to serialise; an empty payload is refused when read.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, Source, WindowTarget};

    use super::super::frame::FrameMark;
    use super::*;

    fn samples() -> Vec<Event> {
        let at = Moment::from(Timestamp::from_second(1_700_000_000).unwrap());
        let error = FileError::new(ErrorKind::NotFound, "status 404");
        let query =
            Query { source: Source::Urls { digest: "d".to_owned(), base: None }, out: "/o".to_owned() };
        let target = WindowTarget::Slice { offset: 0, length: 900, first_line: 1 };
        let window = WindowId(3);
        let chunk = ChunkRef { offset: 24, count: 2, lost: vec![1], sized: 1, size_sum: 300 };
        let sealed = Sealed {
            size: 300,
            sha256: [7; 32],
            verified: Verified::Container,
            proof: Proof::Fetched,
            received: 301,
        };
        let failed = FailedFile {
            seq: FileSeq(65_537),
            error: error.clone(),
            failures: 1,
            received: 9,
            not_before: Some(at),
            no_resume: Some(NoResume::NoRanges),
        };
        let trouble = Trouble::once(&error, "https://h/a", "D/a", at.into());
        let settings = Settings { name: Some("night".to_owned()), priority: -3, ..Settings::default() };
        let span = Span { start: at.into(), end: at.into() };
        let remembered = Remembered {
            seq: FileSeq(1),
            attempts: 2,
            failures: 1,
            received: 9,
            error: Some(error.clone()),
            no_resume: None,
            recheck: true,
        };
        vec![
            Event::Created(Box::new(CreatedFacts {
                key: query.key(),
                query,
                created_at: at.into(),
                settings: Settings::default(),
            })),
            Event::Changed(Box::new(settings)),
            Event::Intent { intent: Intent::Paused, at },
            Event::Planned { windows: vec![NewWindow { target: target.clone() }], at },
            Event::Refused { error: error.clone(), at },
            Event::Chunk { window, packed: vec![1, 2, 3] },
            Event::Listed(Listed {
                window,
                first_chunk: 5,
                chunks: vec![chunk],
                bytes: Some(12),
                at,
                held: 300,
                lost: vec![trouble.clone()],
            }),
            Event::Split { window, first: WindowId(9), parts: vec![NewWindow { target: target.clone() }] },
            Event::Retry { window, not_before: at, error: error.clone() },
            Event::WindowFailed { window, error: error.clone(), at },
            Event::Requeued,
            Event::Sealed(vec![SealedFile::new(FileSeq(1), &sealed)]),
            Event::Done { files: vec![DoneFile { seq: FileSeq(70_000), seal_at: 300 }], at },
            Event::Failed { files: vec![failed], at },
            Event::Received(vec![ReceivedFile { seq: FileSeq(2), received: 77, seal_lost: true }]),
            Event::Invalidated(vec![(FileSeq(1), error.clone())]),
            Event::Troubled(vec![trouble]),
            Event::Relisted { span: Some(span.into()), files: Recheck::Done },
            Event::Extended { first: window, windows: vec![NewWindow { target }], at },
            Event::Remembered(vec![remembered]),
            Event::Rewritten { finished_at: at },
        ]
    }

    fn frame(kind: u8, version: u8, payload: Vec<u8>) -> Frame {
        Frame { mark: FrameMark::default(), kind, version, payload }
    }

    #[test]
    fn every_kind_comes_back() {
        for (index, event) in samples().into_iter().enumerate() {
            assert_eq!(usize::from(event.kind()), index + 1);
            let version = Event::newest_version(event.kind());
            assert_eq!(Event::decode(&frame(event.kind(), version, event.encode())), Ok(event));
        }
    }

    /// A change here is a change of the stored format: it needs a new version, not a new line. What is
    /// JSON inside may gain fields and must be readable without them.
    #[test]
    fn the_formats_bytes_are_these() {
        let golden: Vec<&str> = include_str!("../golden/events.txt").lines().collect();
        assert_eq!(golden.len(), samples().len());
        for (event, line) in samples().into_iter().zip(golden) {
            let (kind, stored) = line.split_once(' ').unwrap_or((line, ""));
            let stored = if event.kind() <= 2 { stored.as_bytes().to_vec() } else { from_hex(stored) };
            assert_eq!(kind.parse(), Ok(event.kind()));
            assert!(event.kind() <= 2 || event.encode() == stored, "{line} is now {:02x?}", event.encode());
            let version = Event::newest_version(event.kind());
            assert_eq!(Event::decode(&frame(event.kind(), version, stored)), Ok(event));
        }
    }

    fn from_hex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_a_newer_one_wrote_is_told_from_what_nobody_wrote() {
        assert_eq!(Event::decode(&frame(22, 1, vec![])), Err(Undecodable::Newer));
        assert_eq!(Event::decode(&frame(11, 2, vec![])), Err(Undecodable::Newer));
        assert_eq!(Event::decode(&frame(11, 1, vec![0])), Err(Undecodable::Garbled));
    }
}
