//! The rows of the index.
//!
//! Job, window and history rows are bincode; chunk and result rows are packed by hand, since there is one
//! of each for every 256 files. No row grows with the size of its job.

use serde::{Deserialize, Serialize};
use skyhaul_model::{FileError, FileState, Intent, NoResume, Plan, Troubles, WindowState, WindowTarget};

use super::Row;
use crate::codec::{self, Bytes, Moment, put_signed, put_varint};
use crate::ledger::FrameMark;

/// A job: how far the ledger has been read into the index, what is wanted, and all counters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRow {
    /// The last frame that the rows hold.
    #[serde(with = "mark")]
    pub(crate) applied: FrameMark,
    /// Where the newest settings lie in the ledger, if they were changed at all.
    pub(crate) settings_at: Option<u64>,
    pub(crate) intent: Intent,
    pub(crate) plan: Plan,
    pub(crate) finished_at: Option<Moment>,
    pub(crate) window_error: Option<FileError>,
    /// The number of the next window.
    pub(crate) next_window: u32,
    pub(crate) windows: u64,
    pub(crate) windows_listed: u64,
    pub(crate) windows_failed: u64,
    /// Listed windows that told their bytes.
    pub(crate) windows_told: u64,
    pub(crate) window_bytes: u64,
    /// The number of the next chunk.
    pub(crate) next_chunk: u32,
    pub(crate) files: u64,
    pub(crate) files_done: u64,
    pub(crate) files_failed: u64,
    /// Files that told their size.
    pub(crate) files_sized: u64,
    pub(crate) size_sum: u64,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_adopted: u64,
    /// Bytes of the ledger that tell of what is past.
    pub(crate) dead: u64,
}

/// A window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowRow {
    pub(crate) target: WindowTarget,
    pub(crate) state: WindowState,
    pub(crate) failures: u32,
    pub(crate) error: Option<FileError>,
    pub(crate) not_before: Option<Moment>,
    /// Files that it has brought so far.
    pub(crate) files: u64,
    /// Where they are: first chunks and numbers of chunks, one run for each listing that brought any.
    pub(crate) runs: Vec<(u32, u32)>,
}

/// A chunk: where its frame lies, and two bits of state for each of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    /// Where the frame lies in the ledger.
    pub(crate) offset: u64,
    /// Files; 0 for a chunk whose frame was lost to damage.
    pub(crate) count: u16,
    /// Files that have a history: most chunks have none, and then nobody looks for one.
    pub(crate) histories: u16,
    bits: Vec<u8>,
}

/// What the two bits of a file say. Active is never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Pending,
    Done,
    Failed,
    /// Pending; it was done and is to be compared with what its server has.
    Recheck,
}

/// What is known of a chunk's sealed files, by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResultRow {
    seals: Vec<(u16, SealRef)>,
}

/// Where a file's seal lies in the ledger, and what the counters need of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealRef {
    /// Where the frame lies.
    pub(crate) at: u64,
    pub(crate) size: u64,
    pub(crate) received: u64,
    pub(crate) adopted: bool,
}

/// What a file has been through, where that is not the plain "never tried" or "done at the first attempt".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryRow {
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) received: u64,
    pub(crate) not_before: Option<Moment>,
    pub(crate) error: Option<FileError>,
    pub(crate) no_resume: Option<NoResume>,
    /// Of a failed file: whether it is to be compared with what its server has once it is put back.
    pub(crate) recheck: bool,
}

/// What failed so far in a job, counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TroublesRow(pub(crate) Troubles);

impl Default for JobRow {
    fn default() -> Self {
        Self {
            applied: FrameMark::default(),
            settings_at: None,
            intent: Intent::Run,
            plan: Plan::Unplanned,
            finished_at: None,
            window_error: None,
            next_window: 0,
            windows: 0,
            windows_listed: 0,
            windows_failed: 0,
            windows_told: 0,
            window_bytes: 0,
            next_chunk: 0,
            files: 0,
            files_done: 0,
            files_failed: 0,
            files_sized: 0,
            size_sum: 0,
            bytes_done: 0,
            bytes_received: 0,
            bytes_adopted: 0,
            dead: 0,
        }
    }
}

impl Row for JobRow {
    const TABLE: u8 = b'J';
    const VERSION: u8 = 2;
    const COPIED: bool = true;

    fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn decode(body: &[u8]) -> Option<Self> {
        codec::decode(body)
    }
}

impl Row for WindowRow {
    const TABLE: u8 = b'W';
    const VERSION: u8 = 2;

    fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn decode(body: &[u8]) -> Option<Self> {
        codec::decode(body)
    }
}

impl Row for HistoryRow {
    const TABLE: u8 = b'H';
    const VERSION: u8 = 2;

    fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn decode(body: &[u8]) -> Option<Self> {
        codec::decode(body)
    }
}

impl Row for TroublesRow {
    const TABLE: u8 = b'T';
    const VERSION: u8 = 1;

    fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn decode(body: &[u8]) -> Option<Self> {
        codec::decode(body)
    }
}

impl Stored {
    /// The state as others see it.
    pub(crate) fn state(self) -> FileState {
        match self {
            Self::Pending | Self::Recheck => FileState::Pending,
            Self::Done => FileState::Done,
            Self::Failed => FileState::Failed,
        }
    }
}

impl ChunkRow {
    /// A chunk of pending files, but for the `lost` ones, which have failed.
    pub(crate) fn new(offset: u64, count: u16, lost: &[u16]) -> Self {
        let mut row = Self { offset, count, histories: 0, bits: vec![0; usize::from(count).div_ceil(4)] };
        lost.iter().for_each(|&slot| row.set(slot, Stored::Failed));
        row
    }

    /// The state of a file; none if there is no such slot.
    pub(crate) fn state(&self, slot: u16) -> Option<FileState> {
        self.stored(slot).map(Stored::state)
    }

    /// What is stored of a file; none if there is no such slot.
    pub(crate) fn stored(&self, slot: u16) -> Option<Stored> {
        if slot >= self.count {
            return None;
        }
        let byte = self.bits.get(usize::from(slot / 4))?;
        Some(match (byte >> ((slot % 4) * 2)) & 3 {
            0 => Stored::Pending,
            1 => Stored::Done,
            2 => Stored::Failed,
            _ => Stored::Recheck,
        })
    }

    /// Stores a state.
    pub(crate) fn set(&mut self, slot: u16, state: Stored) {
        let bits = match state {
            Stored::Pending => 0,
            Stored::Done => 1,
            Stored::Failed => 2,
            Stored::Recheck => 3,
        };
        if let Some(byte) = self.bits.get_mut(usize::from(slot / 4)) {
            let shift = (slot % 4) * 2;
            *byte = (*byte & !(3 << shift)) | (bits << shift);
        }
    }

    /// Slots from `from` on whose state is this one.
    pub(crate) fn slots(&self, state: FileState, from: u16) -> impl Iterator<Item = u16> {
        (from..self.count).filter(move |&slot| self.state(slot) == Some(state))
    }
}

impl Row for ChunkRow {
    const TABLE: u8 = b'C';
    const VERSION: u8 = 2;

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bits.len() + 12);
        put_varint(&mut body, self.offset);
        put_varint(&mut body, u64::from(self.count));
        put_varint(&mut body, u64::from(self.histories));
        body.extend_from_slice(&self.bits);
        body
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(body);
        let offset = bytes.varint()?;
        let count = u16::try_from(bytes.varint()?).ok()?;
        let histories = u16::try_from(bytes.varint()?).ok()?;
        let bits = bytes.take(usize::from(count).div_ceil(4))?.to_vec();
        bytes.is_empty().then_some(Self { offset, count, histories, bits })
    }
}

impl ResultRow {
    pub(crate) fn get(&self, slot: u16) -> Option<SealRef> {
        let place = self.seals.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        self.seals.get(place).map(|(_, seal)| *seal)
    }

    pub(crate) fn set(&mut self, slot: u16, seal: Option<SealRef>) {
        match (self.seals.binary_search_by_key(&slot, |(slot, _)| *slot), seal) {
            (Ok(place), Some(seal)) => self.seals[place].1 = seal,
            (Ok(place), None) => drop(self.seals.remove(place)),
            (Err(place), Some(seal)) => self.seals.insert(place, (slot, seal)),
            (Err(_), None) => {}
        }
    }
}

impl Row for ResultRow {
    const TABLE: u8 = b'R';
    const VERSION: u8 = 1;

    /// Per seal: slot and adopted flag, ledger offset (against the seal before), size, received (against
    /// the size): about ten bytes.
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.seals.len() * 12);
        let mut last_at = 0u64;
        for (slot, seal) in &self.seals {
            put_varint(&mut body, u64::from(*slot) << 1 | u64::from(seal.adopted));
            put_signed(&mut body, seal.at.wrapping_sub(last_at) as i64);
            put_varint(&mut body, seal.size);
            put_signed(&mut body, seal.received.wrapping_sub(seal.size) as i64);
            last_at = seal.at;
        }
        body
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(body);
        let mut seals: Vec<(u16, SealRef)> = Vec::new();
        let mut last_at = 0u64;
        while !bytes.is_empty() {
            let tag = bytes.varint()?;
            let slot = u16::try_from(tag >> 1).ok()?;
            let at = last_at.wrapping_add(bytes.signed()? as u64);
            let size = bytes.varint()?;
            let received = size.wrapping_add(bytes.signed()? as u64);
            if seals.last().is_some_and(|(last, _)| *last >= slot) {
                return None;
            }
            seals.push((slot, SealRef { at, size, received, adopted: tag & 1 == 1 }));
            last_at = at;
        }
        Some(Self { seals })
    }
}

/// A frame's mark as three numbers.
mod mark {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ledger::FrameMark;

    pub(super) fn serialize<S: Serializer>(mark: &FrameMark, serializer: S) -> Result<S::Ok, S::Error> {
        (mark.offset, mark.length, mark.crc).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FrameMark, D::Error> {
        let (offset, length, crc) = Deserialize::deserialize(deserializer)?;
        Ok(FrameMark { offset, length, crc })
    }
}
