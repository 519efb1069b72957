//! The ledger: what is true of one job, as an append-only file of checksummed frames.
//!
//! A file header names the job; every frame says one thing that happened ([`Event`]). What
//! [`Ledger::sync`] has returned from survives a power cut. A crash may lose frames that were appended
//! since, and may leave a torn one at the end, which is cut off when the ledger is opened again. Frames
//! are bound to their place: a stale block from elsewhere does not pass for one.

mod event;
mod file;
mod frame;
mod old;
mod scan;

pub(crate) use event::{
    ChunkRef, CreatedFacts, DoneFile, Event, FailedFile, Listed, ReceivedFile, Remembered, SealedFile,
    Settings, Undecodable,
};
pub(crate) use file::Ledger;
pub(crate) use frame::{FrameMark, HEADER_LEN, Header};
pub(crate) use scan::{Scanned, Scanner};
