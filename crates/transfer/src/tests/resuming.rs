//! Attempts that go on where earlier ones broke off, and never mix two versions (invariant I4).

use skyhaul_model::{Backoff, ErrorKind, NoResume};
use skyhaul_verify::Digest;

use super::site::Fault;
use super::{Bench, gz, names, noise, sha256};

#[tokio::test]
async fn a_cut_at_every_interesting_byte_is_gone_on_from() {
    let bytes = noise(3 << 20);
    let length = bytes.len();
    let batch = 256 << 10;
    for at in [1, 511, 512, 513, batch - 1, batch, batch + 1, 1 << 20, (1 << 20) + 1, length - 1] {
        let mut bench = Bench::new("a.dat", &bytes);
        bench.site.then(Fault::Cut(at));
        let failure = bench.failure().await;
        assert_eq!((failure.error.kind, failure.progressed), (ErrorKind::Connection, true), "{at}");
        assert_eq!(bench.part_length(), Some(at as u64));
        let whole = bench.publishes(&bytes).await;
        assert_eq!(whole.sealed.received, length as u64, "no byte came twice");
        assert_eq!(bench.site.log(), ["GET".to_owned(), format!("GET bytes={at}-")]);
    }
}

#[tokio::test]
async fn a_break_behind_the_last_byte_is_none() {
    let bytes = noise(70_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(bytes.len()));
    bench.publishes(&bytes).await;
}

#[tokio::test]
async fn a_checked_format_is_checked_over_the_join() {
    let bytes = gz(&noise(90_000));
    let mut bench = Bench::new("a.gz", &bytes);
    bench.site.then(Fault::Cut(40_000)).then(Fault::Cut(20_000));
    bench.failure().await;
    bench.failure().await;
    assert_eq!(bench.part_length(), Some(60_000));
    bench.publishes(&bytes).await;
}

#[tokio::test]
async fn rule_5_without_a_validator_it_starts_over() {
    let bytes = noise(50_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.without_validators();
    bench.site.then(Fault::Cut(30_000));
    let failure = bench.failure().await;
    assert!(!failure.progressed, "what cannot be gone on from is no progress");
    assert_eq!(bench.part_length(), None);
    let whole = bench.publishes(&bytes).await;
    assert_eq!(whole.sealed.received, 80_000);
    assert_eq!(bench.site.log(), ["GET", "GET"]);
}

#[tokio::test]
async fn rule_5_a_digest_stands_in_for_a_validator() {
    let bytes = noise(50_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.assignment.digests = vec![Digest::sha256(sha256(&bytes))];
    bench.site.without_validators();
    bench.site.then(Fault::Cut(30_000));
    assert!(bench.failure().await.progressed);
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=30000-"]);
    assert!(!bench.site.asked.lock().unwrap()[1].headers.contains_key("if-range"));
}

#[tokio::test]
async fn rule_35_a_server_that_knows_no_ranges_is_not_asked_for_one() {
    let bytes = noise(50_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.extra.lock().unwrap().push(("accept-ranges", "none"));
    bench.site.then(Fault::Cut(30_000));
    assert!(!bench.failure().await.progressed);
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET"]);
}

#[tokio::test]
async fn rule_32_another_version_is_never_mixed_with_the_first() {
    let (first, second) = (gz(&noise(80_000)), gz(&noise(81_000)[1_000..]));
    for at in [1, 40_000, 79_000] {
        let mut bench = Bench::new("a.gz", &first);
        bench.site.then(Fault::Cut(at));
        bench.failure().await;
        bench.site.change(&second, "\"v2\"");
        bench.publishes(&second).await;
        assert_eq!(bench.site.log()[1], format!("GET bytes={at}-"));
    }
}

#[tokio::test]
async fn rule_8_a_server_that_overlooks_if_range_is_found_out() {
    let (first, second) = (noise(80_000), noise(80_001)[1..].to_vec());
    let mut bench = Bench::new("a.dat", &first);
    bench.site.then(Fault::Cut(40_000));
    bench.failure().await;
    bench.site.change(&second, "\"v2\"");
    let part = second[40_000..].to_vec().leak();
    let headers =
        vec![("content-range", "bytes 40000-79999/80000".to_owned()), ("etag", "\"v2\"".to_owned())];
    bench.site.then(Fault::Says(206, headers, part));
    bench.publishes(&second).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=40000-", "GET"]);
}

#[tokio::test]
async fn rule_32_the_old_part_stays_until_the_new_one_is_longer() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(60_000));
    bench.failure().await;
    // The Range is overlooked, and the whole file breaks off before it has caught up.
    let headers = vec![("content-length", "100000".to_owned()), ("etag", "\"v1\"".to_owned())];
    bench.site.then(Fault::Says(200, headers, bytes[..50_000].to_vec().leak()));
    let failure = bench.failure().await;
    assert!(!failure.progressed);
    assert_eq!((failure.error.kind, bench.part_length()), (ErrorKind::Truncated, Some(60_000)));
    let whole = bench.publishes(&bytes).await;
    assert_eq!(whole.sealed.received, 60_000 + 50_000 + 40_000);
    assert_eq!(bench.site.log()[2], "GET bytes=60000-");
    let condition = bench.site.asked.lock().unwrap()[2].headers.get("if-match").cloned();
    assert_eq!(condition.unwrap(), "\"v1\"", "rule 7: If-Range is not tried a second time");
}

/// The file whole, under the tag that its first part had.
fn whole_anyway(bytes: &'static [u8], length: usize) -> Fault {
    let headers = vec![("content-length", length.to_string()), ("etag", "\"v1\"".to_owned())];
    Fault::Says(200, headers, bytes)
}

#[tokio::test]
async fn rule_34_restarts_are_no_progress_and_cost_nothing_that_is_held() {
    let bytes: &'static [u8] = noise(100_000).leak();
    let mut bench = Bench::new("a.dat", bytes);
    bench.site.then(Fault::Cut(60_000));
    bench.failure().await;
    for (comes, kept) in [(40_000, 60_000), (0, 60_000), (50_000, 60_000), (70_000, 70_000), (60_000, 70_000)]
    {
        bench.site.then(whole_anyway(&bytes[..comes], bytes.len()));
        let failure = bench.failure().await;
        assert_eq!((failure.progressed, failure.no_resume), (false, Some(NoResume::NoRanges)));
        assert_eq!(bench.part_lengths(), [kept]);
    }
    bench.publishes(bytes).await;
    assert!(names(&bench.parts().folder).is_empty());
}

#[tokio::test]
async fn rule_10_a_new_version_that_breaks_off_costs_the_old_one_nothing() {
    let (first, second) = (noise(100_000), noise(100_001)[1..].to_vec());
    for broken_at in [50_000, 95_000] {
        let mut bench = Bench::new("a.dat", &first);
        bench.site.then(Fault::Cut(90_000));
        bench.failure().await;
        bench.site.change(&second, "\"v2\"");
        bench.site.then(Fault::Cut(broken_at));
        let failure = bench.failure().await;
        assert_eq!((failure.progressed, failure.no_resume), (false, Some(NoResume::Changed)));
        assert_eq!(bench.part_lengths(), [90_000, broken_at as u64]);
        bench.site.change(&first, "\"v1\"");
        bench.publishes(&first).await;
        let log = ["GET", "GET bytes=90000-", &format!("GET bytes={broken_at}-"), "GET bytes=90000-"];
        assert_eq!(bench.site.log(), log);
        assert!(names(&bench.parts().folder).is_empty());
    }
}

#[tokio::test]
async fn rule_10_a_new_version_that_nothing_could_guard_costs_the_old_one_nothing() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(60_000));
    bench.failure().await;
    // Another length, and no validator: what comes of it is of use in this attempt alone.
    let headers = vec![("content-length", "90000".to_owned())];
    bench.site.then(Fault::Says(200, headers, noise(80_000).leak()));
    assert!(!bench.failure().await.progressed);
    assert_eq!(bench.part_lengths(), [60_000]);
    let whole = bench.publishes(&bytes).await;
    assert_eq!(whole.sealed.received, 180_000);
}

#[tokio::test]
async fn rule_10_a_new_version_that_stays_is_gone_on_from() {
    let (first, second) = (noise(100_000), noise(100_001)[1..].to_vec());
    let mut bench = Bench::new("a.dat", &first);
    bench.site.then(Fault::Cut(90_000));
    bench.failure().await;
    bench.site.change(&second, "\"v2\"");
    bench.site.then(Fault::Cut(30_000)).then(Fault::Cut(20_000));
    assert!(!bench.failure().await.progressed, "to begin another version is none");
    assert!(bench.failure().await.progressed);
    let whole = bench.publishes(&second).await;
    assert_eq!(whole.sealed.received, 190_000, "no byte of either version came twice");
    let log = ["GET", "GET bytes=90000-", "GET bytes=30000-", "GET bytes=50000-"];
    assert_eq!(bench.site.log(), log);
    assert!(names(&bench.parts().folder).is_empty());
}

#[tokio::test]
async fn rule_10_two_nodes_that_disagree_are_each_gone_on_with() {
    let (first, second) = (noise(100_000), noise(100_001)[1..].to_vec());
    let mut bench = Bench::new("a.dat", &first);
    for round in 0..3 {
        bench.site.change(&first, "\"v1\"").then(Fault::Cut(10_000));
        // The one that was asked for last is asked for first, and its node has gone.
        if round > 0 {
            bench.site.then(Fault::Cut(10_000));
        }
        bench.failure().await;
        bench.site.change(&second, "\"v2\"").then(Fault::Cut(10_000));
        if round > 0 {
            bench.site.then(Fault::Cut(10_000));
        }
        bench.failure().await;
    }
    assert_eq!(bench.part_lengths(), [30_000, 30_000]);
    bench.site.change(&first, "\"v1\"");
    bench.publishes(&first).await;
}

#[tokio::test]
async fn rule_10_with_a_digest_the_held_bytes_are_proven_instead_of_thrown_away() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.assignment.digests = vec![Digest::sha256(sha256(&bytes))];
    bench.site.then(Fault::Cut(60_000));
    bench.failure().await;
    bench.site.change(&bytes, "\"v2\"");
    bench.site.then(Fault::Cut(70_000));
    bench.failure().await;
    bench.site.change(&bytes, "\"v3\"");
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log()[2], "GET bytes=70000-", "whatever its tag is now");
}

#[tokio::test]
async fn rule_63_a_file_that_keeps_changing_is_given_up() {
    let versions: Vec<_> = (0..20).map(|n| noise(50_000 + n)[n..].to_vec()).collect();
    let mut bench = Bench::new("a.dat", &versions[0]);
    for (number, version) in versions.iter().enumerate() {
        bench.site.change(version, &format!("\"w{number}\"")).then(Fault::Cut(10_000));
        let failure = bench.failure().await;
        let kind = if number < 3 { ErrorKind::Connection } else { ErrorKind::Changed };
        assert_eq!((failure.error.kind, failure.progressed), (kind, number == 0), "{number}");
        assert!(bench.part_lengths().len() <= 2);
        if failure.backoff == Backoff::Never {
            assert_eq!((number, bench.part_lengths().len()), (16, 0));
            // Ordered again, it begins anew.
            bench.publishes(version).await;
            return;
        }
    }
    panic!("it is never given up");
}

#[tokio::test]
async fn rules_18_to_26_a_part_that_cannot_be_used_is_replaced_by_the_whole() {
    let bytes = noise(100_000);
    let says = |range: &str| vec![("content-range", range.to_owned()), ("etag", "\"v1\"".to_owned())];
    let table = [
        Fault::Says(206, says("bytes 0-99999/100000"), b"x"),
        Fault::Says(206, says("bytes 60000-99999/99999"), b"x"),
        Fault::Says(206, vec![], b"x"),
        Fault::Says(206, vec![("content-type", "multipart/byteranges".into())], b"x"),
        Fault::Says(416, vec![], b""),
        Fault::Says(416, says("bytes */50"), b""),
        Fault::WholeAnyway,
    ];
    for fault in table {
        let mut bench = Bench::new("a.dat", &bytes);
        bench.site.then(Fault::Cut(60_000)).then(fault);
        bench.failure().await;
        bench.publishes(&bytes).await;
    }
}

#[tokio::test]
async fn rule_19_a_server_that_gives_small_parts_is_asked_for_the_next() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(40_000)).then(Fault::Short(25_000)).then(Fault::Short(25_000));
    bench.failure().await;
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=40000-", "GET bytes=65000-", "GET bytes=90000-"]);
}

#[tokio::test]
async fn rule_20_a_break_behind_a_parts_last_byte_is_no_end_of_a_file_of_unknown_length() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(40_000)).then(Fault::Ragged(20_000));
    bench.failure().await;
    let mut meta = crate::meta::Meta::read(&bench.parts().meta).unwrap().unwrap();
    meta.total = None;
    meta.write(&bench.parts().meta).unwrap();
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=40000-", "GET bytes=60000-"]);
}

#[tokio::test]
async fn one_attempt_makes_a_bounded_number_of_requests() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(40_000));
    for _ in 0..100 {
        bench.site.then(Fault::Short(1));
    }
    bench.failure().await;
    let failure = bench.failure().await;
    assert_eq!((failure.error.kind, failure.progressed), (ErrorKind::Truncated, true));
    assert_eq!(bench.site.log().len(), 1 + 16);
}

#[tokio::test]
async fn rule_40_a_part_that_is_whole_is_settled_without_the_network() {
    let bytes = gz(&noise(30_000));
    let mut bench = Bench::new("a.gz", &bytes);
    bench.site.then(Fault::Cut(20_000));
    bench.failure().await;
    bench.lay_part(&bench.parts(), &bytes, |_| {});
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET"]);
}

#[tokio::test]
async fn rule_37_the_end_of_a_file_of_unknown_length_is_found() {
    let bytes = noise(30_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(10_000));
    bench.failure().await;
    bench.lay_part(&bench.parts(), &bytes, |meta| meta.total = None);
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["GET", "GET bytes=30000-"]);
}

#[tokio::test]
async fn rule_44_a_refusal_keeps_the_part_and_writes_no_byte_of_it() {
    let bytes = noise(100_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(40_000));
    bench.failure().await;
    for status in [403, 404, 500] {
        bench.site.then(Fault::Says(status, vec![], b"a body that is no part of the file"));
        assert!(!bench.failure().await.progressed);
        assert_eq!(bench.part_length(), Some(40_000));
    }
    bench.publishes(&bytes).await;
}
