//! Large files by several streams at once: what comes is one version, whole, and little of it comes twice.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use skyhaul_model::{ErrorKind, Verified};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::site::Fault;
use super::{Bench, gz, names, noise};
use crate::{End, Meter, Spare, transfer};

/// One stream brings 1 MB/s.
const PIECE_BYTES: usize = 4 << 10;
const PAUSE: Duration = Duration::from_millis(4);

/// A file that takes one stream three seconds: enough for the number of streams to be decided several times.
const LENGTH: usize = 3_123_456;

/// A site whose streams are slow, and a file there that is worth several.
pub(super) fn slow(name: &str, bytes: &[u8]) -> Bench {
    let mut bench = Bench::new(name, bytes);
    bench.assignment.spare = Arc::new(Spare::new(8).for_files_from(256 << 10));
    *bench.site.piece.lock().unwrap() = PIECE_BYTES;
    *bench.site.pause.lock().unwrap() = Some(PAUSE);
    bench
}

/// Makes attempts until the file is whole and published; its bytes.
async fn bytes_when_whole(bench: &mut Bench) -> Vec<u8> {
    for _ in 1..40 {
        match bench.attempt().await {
            End::Whole(whole) => {
                crate::publish(std::slice::from_ref(&whole)).remove(0).unwrap();
                return std::fs::read(bench.place()).unwrap();
            }
            End::Failed(_) | End::Stopped { .. } => {}
            End::Unchanged => panic!("nothing was published"),
        }
    }
    panic!("it does not come to an end");
}

/// A process of its own, as it were: when it goes, what it had begun on the disk comes to its end.
pub(super) fn process() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Ends an attempt, without a chance to tidy up, when so many bytes have been sent in all.
pub(super) fn kill_at(bench: &Bench, bytes: u64) {
    process().block_on(async {
        let (meter, stop) = (Meter::default(), CancellationToken::new());
        tokio::select! {
            _ = transfer(&bench.site, &bench.assignment, &meter, &stop) => {}
            () = sent(bench, bytes) => {}
        }
    });
}

/// Waits until so many bytes have been sent in all.
pub(super) async fn sent(bench: &Bench, bytes: u64) {
    while bench.site.sent() < bytes {
        tokio::time::sleep(PAUSE).await;
    }
}

/// What several streams bring twice is less than a piece for each that gave some of its work away.
fn assert_once(received: u64, bytes: &[u8]) {
    let twice = received.checked_sub(bytes.len() as u64);
    assert!(twice.is_some_and(|twice| twice <= bytes.len() as u64 / 100), "{received} of {}", bytes.len());
}

fn segments(bench: &Bench) -> usize {
    bench.site.log().iter().filter(|asked| !asked.ends_with('-') && asked.contains("bytes=")).count()
}

#[tokio::test(start_paused = true)]
async fn a_large_file_is_fetched_by_several_streams_each_byte_once() {
    let bytes = gz(&noise(LENGTH));
    let mut bench = slow("a.gz", &bytes);
    let whole = bench.publishes(&bytes).await;
    assert_eq!(whole.sealed.verified, Verified::Container);
    assert_once(whole.sealed.received, &bytes);
    assert!(segments(&bench) > 2, "{:?}", bench.site.log());
    assert_eq!(bench.site.log()[0], "GET");
    assert!(bench.site.asked.lock().unwrap()[1..].iter().all(|asked| asked.headers["if-range"] == "\"v1\""));
    assert!(names(&bench.parts().folder).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_file_of_any_size_is_helped_by_idle_connections_of_which_many_were_allowed() {
    let bytes = gz(&noise(LENGTH));
    for (allowed, is_helped) in [(16, false), (17, true)] {
        let mut bench = slow("a.gz", &bytes);
        bench.assignment.spare = Arc::new(Spare::new(allowed));
        *bench.site.pause.lock().unwrap() = Some(2 * PAUSE);
        let whole = bench.publishes(&bytes).await;
        assert_eq!(whole.sealed.verified, Verified::Container);
        assert_once(whole.sealed.received, &bytes);
        assert_eq!(segments(&bench) > 0, is_helped, "{:?}", bench.site.log());
    }
}

#[tokio::test(start_paused = true)]
async fn without_spare_connections_or_a_strong_tag_or_ranges_there_is_one_stream() {
    let bytes = noise(LENGTH / 2);
    let mut alone = slow("a.dat", &bytes);
    alone.assignment.spare = Arc::new(Spare::new(1).for_files_from(256 << 10));
    alone.publishes(&bytes).await;
    assert_eq!(alone.site.log(), ["GET"]);
    let mut weak = slow("b.dat", &bytes);
    *weak.site.etag.lock().unwrap() = Some("W/\"v1\"".to_owned());
    weak.publishes(&bytes).await;
    assert_eq!(weak.site.log(), ["GET"]);
    let mut rangeless = slow("c.dat", &bytes);
    rangeless.site.extra.lock().unwrap().push(("accept-ranges", "none"));
    rangeless.publishes(&bytes).await;
    assert_eq!(rangeless.site.log(), ["GET"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_brings_something_else_ends_and_the_first_one_brings_the_rest() {
    let bytes = noise(LENGTH / 3);
    let faults = [
        Fault::WholeAnyway,
        // Regression: the first gave its body up for a part that was never given, at each attempt.
        Fault::WholeAnywayLate,
        Fault::Silence,
        Fault::With("etag", Some("\"v2\"")),
        Fault::With("etag", None),
        Fault::With("content-range", Some("bytes 7-8/9")),
        Fault::With("content-range", None),
        Fault::With("content-length", Some("1")),
        Fault::Says(404, Vec::new(), b"gone"),
        Fault::Says(416, Vec::new(), b""),
        Fault::Says(503, vec![("retry-after", "1".to_owned())], b"busy"),
        Fault::Says(200, vec![("content-type", "text/html".to_owned())], b"<html>"),
        Fault::Away(true),
    ];
    for fault in faults {
        let mut bench = slow("a.dat", &bytes);
        bench.site.script.lock().unwrap().push_back(None);
        bench.site.then(fault.clone());
        let whole = bench.publishes(&bytes).await;
        assert_eq!(whole.sealed.received, bytes.len() as u64, "{fault:?}");
        assert_eq!(bench.site.log().len(), 2, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_not_given_up_for_parts_that_never_come() {
    let bytes = noise(LENGTH / 3);
    for fault in [Fault::WholeAnywayLate, Fault::Silence] {
        let mut bench = slow("a.dat", &bytes);
        bench.assignment.spare = Arc::new(Spare::new(17));
        *bench.site.pause.lock().unwrap() = Some(2 * PAUSE);
        bench.site.script.lock().unwrap().push_back(None);
        bench.site.then(fault.clone()).then(fault.clone()).then(fault.clone());
        let whole = bench.publishes(&bytes).await;
        assert_eq!(whole.sealed.received, bytes.len() as u64, "{fault:?}");
        assert!(segments(&bench) > 0, "{:?}", bench.site.log());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_that_breaks_leaves_undone_is_brought_by_another() {
    let bytes = noise(LENGTH);
    let faults = [Fault::Cut(50_000), Fault::End(50_000), Fault::Short(50_000), Fault::Cut(0)];
    for fault in faults {
        for broken in 0..3 {
            let mut bench = slow("a.dat", &bytes);
            bench.site.script.lock().unwrap().extend((0..broken).map(|_| None));
            bench.site.then(fault.clone());
            if broken == 0 && !matches!(fault, Fault::Short(_)) {
                let failure = bench.failure().await;
                let is_usual = matches!(failure.error.kind, ErrorKind::Connection | ErrorKind::Truncated);
                assert!(is_usual, "{failure:?}");
            }
            let whole = bench.publishes(&bytes).await;
            assert_once(whole.sealed.received, &bytes);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_keeps_every_byte_of_every_stream() {
    let bytes = noise(LENGTH);
    let mut bench = slow("a.dat", &bytes);
    let (meter, stop) = (Meter::default(), CancellationToken::new());
    let (end, ()) = tokio::join!(transfer(&bench.site, &bench.assignment, &meter, &stop), async {
        sent(&bench, 2 * LENGTH as u64 / 3).await;
        stop.cancel();
    });
    assert!(matches!(end, End::Stopped { received } if received == meter.received()), "{end:?}");
    assert!(segments(&bench) > 1, "{:?}", bench.site.log());
    // All of it was synced, so that not even another boot loses it.
    bench.assignment.boot = "boot-2".into();
    bench.assignment.received = meter.received();
    let whole = bench.publishes(&bytes).await;
    assert_once(whole.sealed.received, &bytes);
}

#[test]
fn a_kill_costs_what_was_not_recorded_and_a_reboot_what_was_not_synced() {
    let bytes = noise(4 * LENGTH);
    for (boot, most) in [("boot-1", 1 << 20), ("boot-2", 4 << 20)] {
        let mut bench = slow("a.dat", &bytes);
        *bench.site.piece.lock().unwrap() = 4 * PIECE_BYTES;
        kill_at(&bench, 11 << 20);
        assert!(segments(&bench) > 2, "{:?}", bench.site.log());
        bench.assignment.boot = boot.into();
        let whole = process().block_on(bench.publishes(&bytes));
        let twice = bench.site.sent() - bytes.len() as u64;
        assert!(twice <= most, "{boot}: {twice} bytes came twice");
        assert!(whole.sealed.received <= bench.site.sent());
    }
}

#[test]
fn a_version_that_comes_in_between_is_never_mixed_in() {
    let (old, new) = (noise(LENGTH), noise(LENGTH + 1)[1..].to_vec());
    let mut bench = slow("a.dat", &old);
    kill_at(&bench, LENGTH as u64 / 2);
    bench.site.change(&new, "\"v2\"");
    assert!(process().block_on(bytes_when_whole(&mut bench)) == new, "the bytes differ");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever breaks, in whatever order, with kills and reboots between: the file comes out as one version.
    #[test]
    fn the_file_is_always_one_version(
        faults in prop::collection::vec((0..5usize, 0..500_000usize), 0..12),
        kills in prop::collection::vec((1..1_500_000u64, any::<bool>()), 0..3),
        changes in any::<bool>(),
    ) {
        let (old, new) = (noise(LENGTH / 2), noise(LENGTH / 2 + 1)[1..].to_vec());
        let mut bench = slow("a.dat", &old);
        for (kind, at) in faults {
            bench.site.then(match kind {
                0 => Fault::Cut(at),
                1 => Fault::End(at),
                2 => Fault::WholeAnyway,
                3 => Fault::Short(at as u64 + 1),
                _ => Fault::With("accept-ranges", Some("bytes")),
            });
        }
        for (count, (more, reboots)) in kills.into_iter().enumerate() {
            kill_at(&bench, bench.site.sent() + more);
            if reboots {
                bench.assignment.boot = format!("boot-{}", count + 2);
            }
        }
        if changes {
            bench.site.change(&new, "\"v2\"");
        }
        let bytes = process().block_on(bytes_when_whole(&mut bench));
        // What had come whole before the change is not asked about again.
        prop_assert!(bytes == if changes && bytes != old { new } else { old }, "the bytes differ");
    }
}
