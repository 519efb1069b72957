//! Bytes that came whole and are wrong.

use std::fs;

use skyhaul_model::{Backoff, ErrorKind, Verified};
use skyhaul_verify::Digest;

use super::site::Fault;
use super::{Bench, gz, names, noise, sha256};

fn damaged() -> Vec<u8> {
    let mut bytes = gz(&noise(5_000));
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    bytes
}

#[tokio::test]
async fn the_same_damage_twice_is_the_archives_own() {
    let bytes = damaged();
    let mut bench = Bench::new("a.gz", &bytes);
    let first = bench.failure().await;
    assert_eq!((first.error.kind, first.backoff), (ErrorKind::Checksum, Backoff::Transient));
    assert!(!first.progressed);
    let second = bench.failure().await;
    assert_eq!((second.error.kind, second.backoff), (ErrorKind::CorruptAtSource, Backoff::Never));
    assert_eq!(second.received, 2 * bytes.len() as u64);
    let aside = bench.dir.path().join(".skyhaul/corrupt").join(bench.assignment.path.as_str());
    assert_eq!(fs::read(&aside).unwrap(), bytes);
    assert!(second.error.message.contains(aside.to_str().unwrap()), "{}", second.error.message);
    let report = fs::read(aside.with_added_extension("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["url"], &report["path"]), (&json(&bench.assignment.url), &json("D/2020/a.gz")));
    assert_eq!(report["size"], bytes.len());
    let fetched = report["fetched"].as_array().unwrap();
    assert_eq!(fetched.len(), 2, "{report}");
    assert!(fetched.iter().all(|answer| answer["etag"] == "\"v1\"" && answer["at"].is_string()), "{report}");
    assert!(second.error.message.contains(report["problem"].as_str().unwrap()), "{report}");
    assert!(!bench.place().exists() && bench.part_length().is_none());
    assert_eq!(bench.site.log(), ["GET", "GET"], "the second is fetched from its first byte");
}

#[tokio::test]
async fn it_is_put_in_place_where_that_is_wanted() {
    let bytes = damaged();
    let mut bench = Bench::new("a.gz", &bytes);
    bench.assignment.accept_corrupt = true;
    bench.failure().await;
    assert_eq!(bench.publishes(&bytes).await.sealed.verified, Verified::None);
    assert!(names(&bench.parts().folder).is_empty());
}

fn json(text: &str) -> serde_json::Value {
    text.into()
}

#[tokio::test]
async fn what_was_kept_for_a_report_goes_when_the_file_comes_whole() {
    let mut bench = Bench::new("a.gz", &damaged());
    bench.failure().await;
    assert_eq!(bench.failure().await.error.kind, ErrorKind::CorruptAtSource);
    let good = gz(&noise(6_000));
    bench.site.change(&good, "\"v2\"");
    bench.publishes(&good).await;
    assert!(!bench.dir.path().join(".skyhaul/corrupt").exists());
}

#[tokio::test]
async fn other_damage_each_time_is_the_networks() {
    let good = gz(&noise(5_000));
    let mut bench = Bench::new("a.gz", &damaged());
    assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
    let mut other = damaged();
    other[2_000] ^= 1;
    bench.site.change(&other, "\"v1\"");
    assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
    bench.site.change(&good, "\"v1\"");
    bench.publishes(&good).await;
    assert!(names(&bench.parts().folder).is_empty());
}

#[tokio::test]
async fn a_file_that_is_cut_short_or_empty_at_its_source() {
    let whole = gz(&noise(5_000));
    for bytes in [&whole[..whole.len() - 100], b""] {
        let mut bench = Bench::new("a.gz", bytes);
        assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
        assert_eq!(bench.failure().await.error.kind, ErrorKind::CorruptAtSource);
    }
}

#[tokio::test]
async fn rule_71_a_wrong_digest_is_fetched_from_the_start_and_twice_the_same_is_final() {
    let bytes = noise(5_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.assignment.digests = vec![Digest::sha256(sha256(b"another"))];
    let first = bench.failure().await;
    assert_eq!((first.error.kind, first.backoff), (ErrorKind::Checksum, Backoff::Doubtful));
    assert_eq!(bench.part_length(), None);
    let second = bench.failure().await;
    assert_eq!((second.error.kind, second.backoff), (ErrorKind::Checksum, Backoff::Never));
    assert!(!bench.place().exists());
    assert_eq!(bench.site.log(), ["GET", "GET"]);
}

#[tokio::test]
async fn rule_13_a_rewrite_under_one_tag_is_found_by_the_digest() {
    let (first, second) = (noise(80_000), noise(80_001)[1..].to_vec());
    let mut bench = Bench::new("a.dat", &first);
    bench.assignment.digests = vec![Digest::sha256(sha256(&second))];
    bench.site.then(Fault::Cut(40_000));
    bench.failure().await;
    bench.site.change(&second, "\"v1\"");
    assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
    bench.publishes(&second).await;
}

#[tokio::test]
async fn a_whole_new_version_that_is_wrong_leaves_the_old_part() {
    let bytes = noise(80_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.then(Fault::Cut(40_000));
    bench.failure().await;
    let page = vec![("etag", "\"v2\"".to_owned())];
    bench.site.then(Fault::Says(200, page, b"<html><body>maintenance</body></html>"));
    assert_eq!(bench.failure().await.error.kind, ErrorKind::WrongContent);
    assert_eq!(bench.part_length(), Some(40_000));
    bench.publishes(&bytes).await;
}
