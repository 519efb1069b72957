//! What becomes of a part that others change while nobody looks after it: none of its bytes gets into the file.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::segments::{kill_at, process, sent, slow};
use super::site::Fault;
use super::{Bench, noise};
use crate::extents::Extents;
use crate::store::Pause;
use crate::{End, Meter, Spare, Whole, publish, transfer};

/// What others do to a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meddling {
    Cut(u64),
    /// Behind its end.
    Extend,
    Overwrite(u64),
    /// A file system that was repaired leaves zeros.
    Empty,
    /// Another file of the same length takes its name.
    Replace,
}

impl Meddling {
    /// Each of them, at several places of a file of `length` bytes.
    fn all(length: u64) -> Vec<Self> {
        use Meddling::{Cut, Empty, Extend, Overwrite, Replace};
        let places = [0, length / 2, length - 1];
        let at_places = places.into_iter().flat_map(|at| [Cut(at), Overwrite(at)]);
        at_places.chain([Extend, Empty, Replace]).collect()
    }

    /// Does it to the file at `path`, if there is one; an offset beyond its end counts from its beginning again.
    pub(super) fn befall(self, path: &Path) {
        let Ok(mut file) = File::options().write(true).open(path) else { return };
        let length = file.metadata().unwrap().len();
        match self {
            Self::Cut(at) => file.set_len(at % length.max(1)).unwrap(),
            Self::Extend => {
                let mut end = File::options().append(true).open(path).unwrap();
                end.write_all(&[0x5a; 3_000]).unwrap();
            }
            Self::Overwrite(at) => {
                let mut bytes = fs::read(path).unwrap();
                if let Some(byte) = bytes.get_mut((at % length.max(1)) as usize) {
                    *byte ^= 0x5a;
                }
                file.write_all(&bytes).unwrap();
            }
            Self::Empty => {
                file.set_len(0).unwrap();
                file.set_len(length).unwrap();
            }
            Self::Replace => {
                let other = path.with_extension("other");
                fs::write(&other, vec![0x5a; length as usize]).unwrap();
                fs::rename(other, path).unwrap();
            }
        }
    }
}

const LENGTH: usize = 400_000;

/// Makes attempts until the file is whole; what lies at its final path is right.
async fn comes_whole(bench: &mut Bench, bytes: &[u8], what: &str) {
    for _ in 0..3 {
        if let End::Whole(whole) = bench.attempt().await {
            return publishes(bench, whole, bytes, what);
        }
    }
    panic!("{what}: it does not come whole");
}

fn publishes(bench: &Bench, whole: Whole, bytes: &[u8], what: &str) {
    publish(&[whole]).remove(0).unwrap();
    assert!(fs::read(bench.place()).unwrap() == bytes, "{what}: the bytes differ");
}

#[tokio::test]
async fn a_part_that_others_changed_while_we_were_stopped_is_never_part_of_the_file() {
    let bytes = noise(LENGTH);
    for meddling in Meddling::all(300_000) {
        let mut bench = Bench::new("a.dat", &bytes);
        bench.site.then(Fault::Cut(300_000));
        bench.failure().await;
        meddling.befall(&bench.parts().part);
        comes_whole(&mut bench, &bytes, &format!("{meddling:?}")).await;
    }
}

#[tokio::test]
async fn what_was_appended_by_others_is_cut_off_and_what_was_written_is_gone_on_from() {
    let bytes = noise(LENGTH);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(300_000));
    bench.failure().await;
    Meddling::Extend.befall(&bench.parts().part);
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=300000-"]);
}

#[tokio::test]
async fn a_part_whose_bytes_all_came_is_looked_at_before_it_is_taken_for_the_file() {
    let bytes = noise(1 << 20);
    for meddling in Meddling::all(bytes.len() as u64) {
        let mut bench = Bench::new("a.dat", &bytes);
        let mut store = bench.store();
        store.append(&bytes).unwrap();
        store.pause(Pause::Failed).unwrap();
        meddling.befall(&bench.parts().part);
        comes_whole(&mut bench, &bytes, &format!("{meddling:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_changed_while_it_is_written_is_found_out_where_a_look_can_tell() {
    let bytes = noise(LENGTH);
    // What keeps the length is found by reading alone: of one stream nothing is read again.
    for meddling in [Meddling::Cut(7), Meddling::Extend, Meddling::Replace] {
        for spare in [Spare::default(), Spare::new(4).for_files_from(64 << 10)] {
            // Several streams write on behind a cut, which leaves zeros where the checks have been already.
            if spare.are_worth(LENGTH as u64) && matches!(meddling, Meddling::Cut(_)) {
                continue;
            }
            let mut bench = slow("a.dat", &bytes);
            let what = format!("{meddling:?}, {spare:?}");
            bench.assignment.spare = Arc::new(spare);
            let (meter, stop) = (Meter::default(), CancellationToken::new());
            let (end, ()) = tokio::join!(transfer(&bench.site, &bench.assignment, &meter, &stop), async {
                sent(&bench, 200_000).await;
                meddling.befall(&bench.parts().part);
            });
            match end {
                // What others appended may have been overwritten in time.
                End::Whole(whole) => publishes(&bench, whole, &bytes, &what),
                _ => comes_whole(&mut bench, &bytes, &what).await,
            }
        }
    }
}

#[test]
fn a_killed_process_leaves_a_part_that_is_known_as_far_as_its_last_note() {
    let bytes = noise(LENGTH);
    for meddling in Meddling::all(300_000) {
        let mut bench = slow("a.dat", &bytes);
        bench.assignment.spare = Arc::new(Spare::new(1));
        kill_at(&bench, 300_000);
        // The record was written early, and what came since is noted.
        let held = bench.held().unwrap().bytes();
        assert!(held > 200_000, "{held}");
        meddling.befall(&bench.parts().part);
        process().block_on(comes_whole(&mut bench, &bytes, &format!("{meddling:?}")));
    }
}

#[test]
fn a_part_with_holes_that_others_changed_is_found_out_at_the_end() {
    let bytes = noise(1 << 20);
    for meddling in Meddling::all(900_000) {
        for boot in ["boot-1", "boot-2"] {
            let mut bench = slow("a.dat", &bytes);
            let mut store = bench.store();
            let mut place = store.spread().unwrap();
            let mut written = Extents::default();
            for (from, end) in [(0, 400_000), (700_000, 900_000)] {
                place.seek(SeekFrom::Start(from as u64)).unwrap();
                place.write_all(&bytes[from..end]).unwrap();
                written.add(from as u64, end as u64, crc32fast::hash(&bytes[from..end]));
            }
            store.note_placed(written);
            store.pause(Pause::Stopped).unwrap();
            bench.assignment.boot = boot.into();
            assert!(bench.held().unwrap().written.have_holes());
            meddling.befall(&bench.parts().part);
            process().block_on(comes_whole(&mut bench, &bytes, &format!("{meddling:?} in {boot}")));
        }
    }
}
