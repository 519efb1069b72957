//! Published files that the server is asked about once more.

use std::fs;
use std::time::{Duration, SystemTime};

use skyhaul_model::{ErrorKind, Sealed};

use super::site::Fault;
use super::{Bench, noise, sha256};
use crate::{End, Recovery, recover};

const NOON: &str = "Tue, 15 Nov 1994 12:00:00 GMT";
const LATER: &str = "Tue, 15 Nov 1994 12:00:01 GMT";

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_900_800)
}

/// A bench whose file is published, and dated, and is to be asked about.
async fn published(bytes: &[u8]) -> (Bench, Sealed) {
    let mut bench = Bench::new("a.dat", bytes);
    bench.site.extra.lock().unwrap().push(("last-modified", NOON));
    let sealed = bench.publishes(bytes).await.sealed;
    bench.assignment.recheck = Some(sealed.clone());
    bench.assignment.received = 0;
    bench.site.asked.lock().unwrap().clear();
    (bench, sealed)
}

fn condition(bench: &Bench) -> Option<String> {
    let asked = bench.site.asked.lock().unwrap();
    asked[0].headers.get("if-modified-since").map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_published_file_bears_the_servers_date() {
    let bytes = noise(4_000);
    let (bench, _) = published(&bytes).await;
    assert_eq!(fs::metadata(bench.place()).unwrap().modified().unwrap(), noon());
}

#[tokio::test]
async fn what_is_still_the_same_is_left_alone() {
    let bytes = noise(4_000);
    let table = [
        Fault::Says(304, vec![], b""),
        Fault::Says(304, vec![("last-modified", NOON.to_owned())], b""),
        // A server that knows no such condition sends the file, but its head says enough.
        Fault::With("x", None),
    ];
    for fault in table {
        let (mut bench, _) = published(&bytes).await;
        bench.site.then(fault.clone());
        assert!(matches!(bench.attempt().await, End::Unchanged), "{fault:?}");
        assert_eq!((bench.site.log(), condition(&bench).as_deref()), (vec!["GET".to_owned()], Some(NOON)));
        assert_eq!(bench.assignment.received, 0, "no body is read: {fault:?}");
        assert_eq!(fs::read(bench.place()).unwrap(), bytes);
    }
}

#[tokio::test]
async fn another_file_is_fetched_and_takes_the_old_ones_place_when_it_is_whole() {
    let (old, new) = (noise(4_000), noise(4_001)[1..].to_vec());
    let (mut bench, _) = published(&old).await;
    bench.site.change(&new, "\"v2\"");
    bench.site.extra.lock().unwrap()[0] = ("last-modified", LATER);
    bench.site.then(Fault::Cut(1_000));
    bench.failure().await;
    assert_eq!(fs::read(bench.place()).unwrap(), old);
    bench.publishes(&new).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=1000-"], "what had come is gone on from");
}

#[tokio::test]
async fn a_date_that_is_not_the_servers_proves_nothing() {
    let bytes = noise(4_000);
    let (mut bench, _) = published(&bytes).await;
    // Touched, it would look younger than any change before.
    let file = fs::File::options().write(true).open(bench.place()).unwrap();
    file.set_modified(noon() + Duration::from_secs(3_600)).unwrap();
    bench.site.then(Fault::Says(304, vec![("last-modified", NOON.to_owned())], b""));
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET"]);
    assert_eq!(fs::metadata(bench.place()).unwrap().modified().unwrap(), noon());
}

#[tokio::test]
async fn a_file_that_is_gone_or_cut_here_is_fetched_again() {
    let bytes = noise(4_000);
    for left in [None, Some(&bytes[..1_000])] {
        let (mut bench, sealed) = published(&bytes).await;
        fs::remove_file(bench.place()).unwrap();
        left.into_iter().for_each(|left| bench.lay(left));
        bench.publishes(&bytes).await;
        assert_eq!(condition(&bench), None);
        assert!(matches!(recover(&bench.assignment, &sealed), Recovery::Published));
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_file_where_it_lies() {
    let bytes = noise(4_000);
    for (status, kind) in [(404, ErrorKind::NotFound), (403, ErrorKind::Forbidden), (500, ErrorKind::Http)] {
        let (mut bench, sealed) = published(&bytes).await;
        bench.site.then(Fault::Says(status, vec![], b"no"));
        assert_eq!(bench.failure().await.error.kind, kind);
        assert_eq!(sha256(&fs::read(bench.place()).unwrap()), sealed.sha256);
    }
}
