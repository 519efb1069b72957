//! What a crash leaves, and what is believed of it (invariants I2 and I3).

use std::fs;

use skyhaul_http::{Fetch, FetchError, Request, Response};
use skyhaul_model::{Proof, Sealed, Verified};

use super::site::Fault;
use super::{Bench, gz, names, noise, sha256};
use crate::extents::Extents;
use crate::meta::Meta;
use crate::{Recovery, publish, recover};

const LENGTH: usize = 200_000;
const CUT: usize = 120_000;

/// A bench whose first attempt broke off.
async fn broken() -> (Bench, Vec<u8>) {
    let bytes = noise(LENGTH);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(CUT));
    bench.failure().await;
    (bench, bytes)
}

fn amend(bench: &Bench, change: impl FnOnce(&mut Meta)) {
    let path = bench.parts().meta;
    let mut meta = Meta::read(&path).unwrap().unwrap();
    change(&mut meta);
    meta.write(&path).unwrap();
}

/// The second request of the bench after its publishing.
async fn resumed_at(mut bench: Bench, bytes: &[u8]) -> String {
    bench.publishes(bytes).await;
    bench.site.log().pop().unwrap()
}

#[tokio::test]
async fn rules_64_65_how_much_of_a_part_is_believed() {
    struct Row {
        what: &'static str,
        boot: &'static str,
        synced: u64,
        part: Option<usize>,
        resumed: &'static str,
    }
    let row = |what, boot, synced, part, resumed| Row { what, boot, synced, part, resumed };
    let table = [
        row("the same boot: all that was written", "boot-1", 0, Some(CUT), "GET bytes=120000-"),
        row("the same boot: shorter than that", "boot-1", 110_000, Some(119_999), "GET bytes=110000-"),
        row("the same boot: shorter than what was synced", "boot-1", 110_000, Some(90_000), "GET"),
        row("the same boot: longer", "boot-1", 110_000, Some(CUT + 1), "GET bytes=120000-"),
        row("another boot: nothing was synced", "boot-0", 0, Some(CUT), "GET"),
        row("another boot: up to the cursor", "boot-0", 100_000, Some(CUT), "GET bytes=100000-"),
        row("another boot: shorter than the cursor", "boot-0", 100_000, Some(90_000), "GET"),
        row("another boot: the part is empty", "boot-0", 100_000, Some(0), "GET"),
        row("the part is gone", "boot-1", 100_000, None, "GET"),
        row("the part is longer than the file", "boot-1", 0, Some(LENGTH + 1), "GET bytes=120000-"),
    ];
    for Row { what, boot, synced, part, resumed } in table {
        let (bench, bytes) = broken().await;
        amend(&bench, |meta| {
            meta.boot = boot.to_owned();
            meta.synced = Extents::prefix_of(synced, crc32fast::hash(&bytes[..synced as usize]));
        });
        let path = bench.parts().part;
        let mut junk = bytes.clone();
        // What lies behind the cursor after a power cut may be anything.
        junk[synced as usize..].fill(if boot == "boot-1" { bytes[0] } else { 0 });
        let source = if boot == "boot-1" { [bytes.clone(), vec![0]].concat() } else { junk };
        match part {
            Some(length) => fs::write(&path, &source[..length]).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(resumed_at(bench, &bytes).await, resumed, "{what}");
    }
}

#[tokio::test]
async fn rule_1_a_part_without_a_believed_record_is_not_believed() {
    let (bench, bytes) = broken().await;
    fs::remove_file(bench.parts().meta).unwrap();
    assert_eq!(resumed_at(bench, &bytes).await, "GET");
    let (bench, bytes) = broken().await;
    let meta = fs::read(bench.parts().meta).unwrap();
    fs::write(bench.parts().meta, &meta[..meta.len() - 1]).unwrap();
    assert_eq!(resumed_at(bench, &bytes).await, "GET");
    let (bench, bytes) = broken().await;
    amend(&bench, |meta| meta.url = "https://a.example/another".into());
    assert_eq!(resumed_at(bench, &bytes).await, "GET");
    let (mut bench, bytes) = broken().await;
    bench.assignment.size = Some(LENGTH as u64);
    amend(&bench, |meta| meta.total = Some(LENGTH as u64 + 1));
    assert_eq!(resumed_at(bench, &bytes).await, "GET");
}

#[test]
fn a_crash_in_the_midst_of_a_long_body_loses_no_recorded_byte() {
    // A process that dies runs no code: dropping the attempt stands for it, and the end of its runtime for the
    // end of the process, which no batch on its way to the disk outlives.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bytes = noise((8 << 20) + 500_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Hang(bytes.len() - 1));
    runtime().block_on(async {
        let (meter, stop) = (crate::Meter::default(), tokio_util::sync::CancellationToken::new());
        let attempt = crate::transfer(&bench.site, &bench.assignment, &meter, &stop);
        let recorded = async {
            while Meta::read(&bench.parts().meta).unwrap().is_none_or(|meta| meta.synced.is_empty()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = attempt => panic!("it hangs"),
            () = recorded => {}
        }
    });
    let synced = Meta::read(&bench.parts().meta).unwrap().unwrap().synced.total();
    assert!(synced >= 8 << 20);
    bench.assignment.boot = "boot-2".into();
    runtime().block_on(bench.publishes(&bytes));
    assert_eq!(bench.site.log()[1], format!("GET bytes={synced}-"));
}

#[tokio::test]
async fn of_one_version_that_a_crash_left_twice_the_longer_part_is_kept() {
    for (second, resumed) in [(90_000, "GET bytes=120000-"), (150_000, "GET bytes=150000-")] {
        let (bench, bytes) = broken().await;
        let other = bench.parts().other();
        bench.lay_part(&other, &bytes[..second], |_| {});
        assert_eq!(resumed_at(bench, &bytes).await, resumed);
        assert!(!other.part.exists() && !other.meta.exists());
    }
}

#[tokio::test]
async fn a_crash_between_seal_and_done_is_recovered_from() {
    let bytes = noise(1_000);
    // Behind the seal: the part is there.
    let mut bench = Bench::new("a.dat", &bytes);
    let sealed = bench.whole().await.sealed;
    let Recovery::Part(whole) = recover(&bench.assignment, &sealed) else { panic!("no part") };
    assert_eq!(whole.sealed, sealed);
    publish(&[whole]).remove(0).unwrap();
    // Behind the rename: the file is there.
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Published));
    assert_eq!(fs::read(bench.place()).unwrap(), bytes);
    // Neither: another file of the same size, and none.
    fs::write(bench.place(), noise(1_001)[1..].as_ref()).unwrap();
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Gone));
    fs::remove_file(bench.place()).unwrap();
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Gone));
    fs::create_dir(bench.place()).unwrap();
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Gone));
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_gone() {
    let mut bench = Bench::new("a.dat", &noise(1_000));
    let sealed = bench.whole().await.sealed;
    let folder = bench.parts().folder;
    fs::rename(&folder, bench.dir.path().join("kept")).unwrap();
    // A link in circles stands for a disk that does not answer: it fails for the mightiest user too.
    std::os::unix::fs::symlink(&folder, &folder).unwrap();
    let Recovery::Unreadable(error) = recover(&bench.assignment, &sealed) else { panic!("taken for gone") };
    assert_eq!(error.kind, skyhaul_model::ErrorKind::Disk);
    fs::remove_file(&folder).unwrap();
    fs::rename(bench.dir.path().join("kept"), &folder).unwrap();
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Part(_)));
}

#[cfg(unix)]
#[test]
fn a_link_to_the_sealed_bytes_is_not_the_file() {
    let bench = Bench::new("a.dat", b"");
    let elsewhere = bench.dir.path().join("elsewhere");
    fs::write(&elsewhere, "bytes").unwrap();
    fs::create_dir_all(bench.place().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, bench.place()).unwrap();
    let (verified, proof) = (Verified::Length, Proof::Fetched);
    let sealed = Sealed { size: 5, sha256: sha256(b"bytes"), verified, proof, received: 5 };
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Gone));
}

#[tokio::test]
async fn a_batch_is_published_file_by_file() {
    let bytes = noise(1_000);
    let mut benches: Vec<_> = (0..3).map(|n| Bench::new(&format!("{n}.dat"), &bytes)).collect();
    let mut batch = Vec::new();
    for bench in &mut benches {
        batch.push(bench.whole().await);
    }
    fs::create_dir_all(benches[1].place().join("in the way")).unwrap();
    let results = publish(&batch);
    let kinds: Vec<_> = results.into_iter().map(|result| result.map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(skyhaul_model::ErrorKind::Path), Ok(())]);
    assert_eq!(fs::read(benches[2].place()).unwrap(), bytes);
    assert_eq!(benches[1].part_length(), Some(1_000));
}

#[tokio::test]
async fn a_crash_behind_the_rename_leaves_nothing_behind() {
    let mut damaged = gz(&noise(1_000));
    damaged[500] ^= 1;
    let good = gz(&noise(2_000));
    let mut bench = Bench::new("a.gz", &damaged);
    bench.failure().await;
    bench.failure().await;
    let corrupt = bench.dir.path().join(".skyhaul/corrupt");
    assert!(corrupt.exists());
    bench.site.change(&good, "\"v2\"");
    let sealed = bench.whole().await.sealed;
    bench.lay(&good);
    for paths in [bench.parts(), bench.parts().other()] {
        fs::write(&paths.part, "another version").unwrap();
        fs::write(&paths.meta, "and its record").unwrap();
    }
    assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Published));
    assert!(names(&bench.parts().folder).is_empty() && !corrupt.exists());
}

/// A site that cuts a part short before it answers.
struct Meddler<'a>(&'a Bench, u64);

#[async_trait::async_trait]
impl Fetch for Meddler<'_> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        fs::File::options().write(true).open(self.0.parts().part).unwrap().set_len(self.1).unwrap();
        self.0.site.fetch(request).await
    }
}

#[tokio::test]
async fn a_part_that_is_cut_short_while_its_rest_is_asked_for_is_not_joined() {
    let (mut bench, bytes) = broken().await;
    let (meter, stop) = (crate::Meter::default(), tokio_util::sync::CancellationToken::new());
    let end = crate::transfer(&Meddler(&bench, 100_000), &bench.assignment, &meter, &stop).await;
    let crate::End::Failed(failure) = end else { panic!("{end:?}") };
    assert_eq!(failure.error.kind, skyhaul_model::ErrorKind::Disk);
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log()[2], "GET");
}
