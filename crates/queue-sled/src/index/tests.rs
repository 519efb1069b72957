//! Tests of rows, tables and the store.

use proptest::prelude::*;
use skyhaul_model::{ErrorKind, FileError, FileState, JobId, WindowState, WindowTarget};

use super::row::{key, seal, unseal};
use super::*;
use crate::boot::BootId;
use crate::disk;

const JOB: JobId = JobId(258);

fn index_at(path: &std::path::Path) -> Index {
    Index::open(path, &path.with_extension("jobs"), &[], Watch::new()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seal_ref(at: u64) -> SealRef {
    SealRef { at, size: 2_000_000, received: 2_000_001, adopted: at.is_multiple_of(2) }
}

/// A change here is a change of the index's format: raise the row's version.
#[test]
fn the_formats_bytes_are_these() {
    let mut chunk = ChunkRow::new(300, 5, &[4]);
    chunk.set(1, Stored::Done);
    assert_eq!(hex(&chunk.encode()), "ac0205000402");
    let mut results = ResultRow::default();
    results.set(3, Some(seal_ref(100)));
    results.set(1, Some(seal_ref(201)));
    assert_eq!(hex(&results.encode()), "02920380897a0207c90180897a02");
    let history = HistoryRow {
        attempts: 2,
        failures: 1,
        received: 9,
        not_before: None,
        error: Some(FileError::new(ErrorKind::Http, "x")),
        no_resume: None,
        recheck: true,
    };
    assert_eq!(hex(&history.encode()), "02010900010201780001");
    let window = WindowRow {
        target: WindowTarget::Slice { offset: 1, length: 2, first_line: 3 },
        state: WindowState::Failed,
        failures: 4,
        error: None,
        not_before: None,
        files: 300,
        runs: vec![(5, 2)],
    };
    assert_eq!(hex(&window.encode()), "0101020303040000fb2c01010502");
    assert_eq!(hex(&key::<ChunkRow>(JOB, 7)), "4300000000000001020000000000000007");
    assert_eq!(hex(&JobRow::default().encode()), "00".repeat(24));
}

#[test]
fn a_value_in_the_wrong_place_is_no_row() {
    let row = ChunkRow::new(300, 5, &[]);
    let place = key::<ChunkRow>(JOB, 7);
    let mut value = seal(&place, &row);
    assert_eq!(unseal(&place, &value), Some(row));
    assert_eq!(unseal::<ChunkRow>(&key::<ChunkRow>(JOB, 8), &value), None);
    value[1] ^= 1;
    assert_eq!(unseal::<ChunkRow>(&place, &value), None);
}

#[test]
fn rows_are_seen_at_once_and_written_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut index = index_at(&path);
    for number in 0..3 {
        index.chunks.put(JOB, number, ChunkRow::new(number, 4, &[]));
    }
    index.chunks.remove(JOB, 1);
    index.chunks.edit(JOB, 2, |row| row.set(0, Stored::Done)).unwrap();
    index.chunks.edit(JOB, 9, |row| row.set(0, Stored::Done)).unwrap();
    assert_eq!(index.chunks.changed(), 3);
    assert_eq!(index.chunks.get(JOB, 1).unwrap(), None);
    assert_eq!(index.chunks.written(JOB, 0, 9).unwrap(), Vec::<u64>::new());
    index.spill().unwrap();
    assert_eq!(index.chunks.written(JOB, 0, 9).unwrap(), [0, 2]);
    assert_eq!(index.chunks.written(JOB, 1, 9).unwrap(), [2]);
    index.chunks.put(JobId(2), 0, ChunkRow::new(0, 1, &[]));
    index.close().unwrap();

    let mut index = index_at(&path);
    assert_eq!(index.chunks.peek(JOB, 2).unwrap().unwrap().state(0), Some(FileState::Done));
    assert_eq!(index.chunks.jobs().unwrap(), [JobId(2), JOB]);
    index.clear_job(JOB).unwrap();
    assert_eq!(index.chunks.jobs().unwrap(), [JobId(2)]);
    assert_eq!(index.chunks.get(JOB, 0).unwrap(), None);
}

#[test]
fn a_half_written_snapshot_does_not_keep_the_index_shut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut index = index_at(&path);
    index.chunks.put(JOB, 0, ChunkRow::new(0, 4, &[]));
    index.close().unwrap();
    std::fs::write(path.join("snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
    let mut index = index_at(&path);
    assert!(index.chunks.get(JOB, 0).unwrap().is_some());
}

#[test]
fn the_index_is_believed_when_closed_or_within_one_boot() {
    let dir = tempfile::tempdir().unwrap();
    let (file, index) = (dir.path().join("index.state"), dir.path().join("index"));
    let (now, then) = (BootId::named("now"), BootId::named("then"));
    let trust = |boot: &BootId| read_state(&file, &index, boot).unwrap();
    let believed = |boot: &BootId| matches!(trust(boot), Trust::Clean | Trust::SameBoot);
    assert_eq!(trust(&now), Trust::Fresh);
    disk::create_dir(&index).unwrap();
    assert!(matches!(trust(&now), Trust::Doubted(_)));
    for (state, same, other) in [
        (IndexState::Clean, true, true),
        (IndexState::Open, true, false),
        (IndexState::Rebuild, false, false),
    ] {
        write_state(&file, state, &now).unwrap();
        assert_eq!(believed(&now), same, "{state:?} in the same boot");
        assert_eq!(believed(&then), other, "{state:?} in another boot");
    }
    std::fs::write(&file, b"\xff\xfe").unwrap();
    assert!(matches!(trust(&now), Trust::Doubted(_)));
    set_aside(&index).unwrap();
    set_aside(&index).unwrap();
    assert!(!index.exists());
}

proptest! {
    #[test]
    fn states_are_kept_apart(count in 1..=256u16, changes in prop::collection::vec((0..300u16, 0..4usize), 0..60)) {
        let mut row = ChunkRow::new(7, count, &[]);
        let mut model = vec![Stored::Pending; usize::from(count)];
        for (slot, state) in changes {
            let state = [Stored::Pending, Stored::Done, Stored::Failed, Stored::Recheck][state];
            if slot < count {
                row.set(slot, state);
                model[usize::from(slot)] = state;
            }
        }
        let row = ChunkRow::decode(&row.encode()).unwrap();
        for (slot, state) in (0..).zip(&model) {
            prop_assert_eq!((row.stored(slot), row.state(slot)), (Some(*state), Some(state.state())));
        }
        prop_assert_eq!(row.state(count), None);
        let done: Vec<u16> = row.slots(FileState::Done, 1).collect();
        let wanted: Vec<u16> = (1..count).filter(|&slot| model[usize::from(slot)] == Stored::Done).collect();
        prop_assert_eq!(done, wanted);
    }

    #[test]
    fn seals_come_back(seals in prop::collection::btree_map(any::<u16>(), any::<(u64, u64, u64, bool)>(), 0..40)) {
        let mut row = ResultRow::default();
        for (&slot, &(at, size, received, adopted)) in seals.iter().rev() {
            row.set(slot, Some(SealRef { at, size, received, adopted }));
        }
        let again = ResultRow::decode(&row.encode());
        prop_assert_eq!(again.as_ref(), Some(&row));
        for (&slot, &(at, size, received, adopted)) in &seals {
            prop_assert_eq!(row.get(slot), Some(SealRef { at, size, received, adopted }));
        }
    }

    #[test]
    fn noise_is_no_row(noise in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = (JobRow::decode(&noise), WindowRow::decode(&noise), ChunkRow::decode(&noise));
        let _ = (ResultRow::decode(&noise), HistoryRow::decode(&noise));
    }
}
