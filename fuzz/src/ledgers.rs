//! A job's ledger, byte by byte: the queue opens with what can be believed of it, or says what is wrong.
//!
//! Checksums keep made-up bytes out, and with them whoever makes them up; so frames get right ones here
//! (`docs/format.md`), and what is in them is anything.

use std::fs;
use std::path::Path;

use skyhaul_queue::{FileQuery, JobQueue, WorkQueue};
use skyhaul_queue_sled::{BootId, SledQueue};

use crate::block_on;

const HEADER_BYTES: usize = 24;

/// The first byte says whether the rest are a ledger's bytes as they are (even) or frames (odd), each of
/// kind, version, length in two bytes, low one first, and so many bytes.
pub(crate) fn ledgers(input: &[u8]) {
    let Some((form, rest)) = input.split_first() else { return };
    let ledger = if form % 2 == 0 { rest.to_vec() } else { framed(rest) };
    let dir = tempfile::tempdir().unwrap();
    let job = dir.path().join("jobs/1");
    fs::create_dir_all(&job).unwrap();
    fs::write(dir.path().join("format"), "skyhaul-state 1\n").unwrap();
    fs::write(dir.path().join("next-id"), "2\n").unwrap();
    fs::write(job.join("ledger"), ledger).unwrap();
    block_on(open(dir.path()));
}

async fn open(state_dir: &Path) {
    // A refusal is a sentence; it must not fail either.
    let opened = SledQueue::open(state_dir, BootId::named("boot")).await.map_err(|error| error.to_string());
    let Ok(opened) = opened else { return };
    for job in opened.queue.jobs().await.unwrap() {
        let query = FileQuery { state: None, after: None, limit: 100 };
        let _ = opened.queue.files(job.id, query).await.map_err(|error| error.to_string());
    }
    opened.queue.close().await.unwrap();
}

fn framed(mut frames: &[u8]) -> Vec<u8> {
    let mut ledger = b"SKYLEDG\n".to_vec();
    ledger.extend(1_u32.to_le_bytes());
    ledger.extend(1_u64.to_le_bytes());
    ledger.extend(crc32(&ledger));
    assert_eq!(ledger.len(), HEADER_BYTES);
    while let [kind, version, low, high, rest @ ..] = frames {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (payload, following) = rest.split_at(length);
        let offset = (ledger.len() as u64).to_le_bytes();
        let guarded = [&offset[..], &[*kind, *version], payload].concat();
        ledger.extend((payload.len() as u32).to_le_bytes());
        ledger.extend(crc32(&guarded));
        ledger.extend(&guarded[8..]);
        frames = following;
    }
    ledger
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    crc32fast::hash(bytes).to_le_bytes()
}
