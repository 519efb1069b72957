//! Bodies that come as they should, and bodies that do not.

use std::fs;

use skyhaul_model::{Backoff, ErrorKind, Proof, Verified, VerifyLevel};
use skyhaul_verify::Digest;
use tokio_util::sync::CancellationToken;

use super::site::Fault;
use super::{Bench, gz, names, noise, sha256};
use crate::{Cost, End, Meter, transfer};

#[tokio::test]
async fn a_small_file_is_fetched_checked_and_published() {
    let bytes = gz(&noise(5_000));
    let mut bench = Bench::new("a.gz", &bytes);
    let whole = bench.publishes(&bytes).await;
    assert_eq!((whole.sealed.verified, whole.sealed.proof), (Verified::Container, Proof::Fetched));
    assert_eq!(whole.sealed.received, bytes.len() as u64);
    assert_eq!(bench.site.log(), ["GET"]);
    assert!(names(&bench.parts().folder).is_empty());
}

#[tokio::test]
async fn on_whose_word_a_file_is_good() {
    let bytes = noise(3_000);
    let mut bench = Bench::new("a.dat", &bytes);
    assert_eq!(bench.publishes(&bytes).await.sealed.verified, Verified::Length);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::With("content-length", None));
    assert_eq!(bench.publishes(&bytes).await.sealed.verified, Verified::None);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.assignment.digests = vec![Digest::sha256(sha256(&bytes))];
    assert_eq!(bench.publishes(&bytes).await.sealed.verified, Verified::Digest);
    let mut bench = Bench::new("not-really.gz", &bytes);
    bench.assignment.verify = VerifyLevel::Length;
    assert_eq!(bench.publishes(&bytes).await.sealed.verified, Verified::Length);
    let mut bench = Bench::new("empty.txt", b"");
    assert_eq!(bench.publishes(b"").await.sealed.verified, Verified::Length);
}

#[tokio::test]
async fn a_large_body_in_odd_pieces_arrives_whole() {
    let bytes = noise((9 << 20) + 17);
    for piece in [1 << 20, 70_001, 3 << 20] {
        let mut bench = Bench::new("a.dat", &bytes);
        *bench.site.piece.lock().unwrap() = piece;
        bench.publishes(&bytes).await;
        assert!(names(&bench.parts().folder).is_empty());
    }
}

#[tokio::test]
async fn more_than_promised_is_left_out_and_believed_only_on_proof() {
    let bytes = gz(&noise(2_000));
    let mut bench = Bench::new("a.gz", &bytes);
    bench.site.then(Fault::Surplus(50_000));
    let whole = bench.publishes(&bytes).await;
    assert!(whole.sealed.received > bytes.len() as u64);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Surplus(1));
    let failure = bench.failure().await;
    assert_eq!((failure.error.kind, failure.backoff), (ErrorKind::Http, Backoff::Doubtful));
    assert_eq!(bench.part_length(), None);
}

#[tokio::test]
async fn a_page_without_a_name_is_known_by_its_first_bytes() {
    let mut page = b"  <!DOCTYPE html><html>".to_vec();
    page.extend(vec![b'x'; 3 << 20]);
    let mut bench = Bench::new("a.dat", &page);
    let failure = bench.failure().await;
    assert_eq!((failure.error.kind, failure.backoff), (ErrorKind::WrongContent, Backoff::Doubtful));
    assert!(!failure.progressed);
    assert!(failure.received < page.len() as u64, "it is not read to its end");
    assert!(!bench.place().exists() && bench.part_length().is_none());
}

#[tokio::test]
async fn what_went_wrong_costs_what_it_should() {
    let says = |status, headers| Fault::Says(status, headers, b"no");
    let table = [
        (Fault::Away(true), ErrorKind::Connection, Cost::HostAway, Backoff::Transient),
        (Fault::Away(false), ErrorKind::Connection, Cost::Attempt, Backoff::Transient),
        (says(404, vec![]), ErrorKind::NotFound, Cost::Attempt, Backoff::Never),
        (says(403, vec![]), ErrorKind::Forbidden, Cost::Attempt, Backoff::Never),
        (says(500, vec![]), ErrorKind::Http, Cost::Attempt, Backoff::Transient),
        (says(429, vec![("retry-after", "3".into())]), ErrorKind::Http, Cost::RetryAfter, Backoff::Transient),
        (Fault::Cut(0), ErrorKind::Connection, Cost::Attempt, Backoff::Transient),
        (Fault::End(0), ErrorKind::Truncated, Cost::Attempt, Backoff::Transient),
    ];
    for (fault, kind, cost, backoff) in table {
        let mut bench = Bench::new("a.gz", &gz(b"x"));
        bench.site.then(fault.clone());
        let failure = bench.failure().await;
        assert_eq!((failure.error.kind, failure.cost, failure.backoff), (kind, cost, backoff), "{fault:?}");
        assert!(!failure.progressed && !bench.place().exists());
        bench.publishes(&gz(b"x")).await;
    }
}

#[tokio::test]
async fn an_unusable_url_fails_for_good() {
    let mut bench = Bench::new("a.gz", b"");
    bench.assignment.url = "no url".into();
    let failure = bench.failure().await;
    assert_eq!((failure.error.kind, failure.backoff), (ErrorKind::Http, Backoff::Never));
}

/// Runs one attempt until `here` bytes have come, then tells it to stop.
async fn stopped_at(bench: &mut Bench, here: u64) -> u64 {
    let (meter, stop) = (Meter::default(), CancellationToken::new());
    let watch = async {
        while meter.here() < here {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let attempt = transfer(&bench.site, &bench.assignment, &meter, &stop);
    match tokio::join!(attempt, watch).0 {
        End::Stopped { received } => received,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn told_to_stop_it_keeps_what_came() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Hang(60_000));
    assert_eq!(stopped_at(&mut bench, 60_000).await, 60_000);
    assert_eq!(bench.part_length(), Some(60_000));
    // All of it was synced, so that not even another boot loses it.
    bench.assignment.boot = "boot-2".into();
    bench.assignment.received = 60_000;
    let whole = bench.publishes(&bytes).await;
    assert_eq!(whole.sealed.received, 100_000);
    assert_eq!(bench.site.log(), ["GET", "GET bytes=60000-"]);
}

#[tokio::test]
async fn told_to_stop_before_it_began_it_asks_for_nothing() {
    let bench = Bench::new("a.dat", b"x");
    let stop = CancellationToken::new();
    stop.cancel();
    let end = transfer(&bench.site, &bench.assignment, &Meter::default(), &stop).await;
    assert!(matches!(end, End::Stopped { received: 0 }), "{end:?}");
    assert!(bench.site.log().is_empty());
}

#[tokio::test]
async fn secrets_go_out_as_secrets() {
    let mut bench = Bench::new("a.dat", b"x");
    bench.assignment.secret_headers.insert("authorization", "Bearer t".parse().unwrap());
    bench.publishes(b"x").await;
    let asked = bench.site.asked.lock().unwrap();
    assert!(!asked[0].headers.contains_key("authorization"));
    assert_eq!(asked[0].secret_headers["authorization"], "Bearer t");
    assert_eq!(asked[0].stall, bench.assignment.stall);
}

#[tokio::test]
async fn the_meter_counts_repeats_and_shows_the_part() {
    let bytes = noise(50_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(20_000));
    bench.failure().await;
    let meter = Meter::default();
    let end = transfer(&bench.site, &bench.assignment, &meter, &CancellationToken::new()).await;
    assert!(matches!(end, End::Whole(_)), "{end:?}");
    assert_eq!((meter.received(), meter.here(), meter.total()), (50_000, 50_000, Some(50_000)));
    // A ledger that knows less than lies here is corrected, and never above it.
    let mut bench = Bench::new("b.dat", &bytes);
    bench.site.then(Fault::Cut(20_000));
    bench.failure().await;
    bench.assignment.received = 7;
    assert_eq!(bench.whole().await.sealed.received, 50_000);
    assert!(fs::exists(bench.parts().part).unwrap());
}
