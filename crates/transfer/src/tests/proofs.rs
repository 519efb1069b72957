//! Digests by every algorithm, the user's and the server's, over whole attempts.

use skyhaul_model::{Backoff, ErrorKind, Verified};
use skyhaul_verify::{Algorithm, Digest};

use super::site::Fault;
use super::{Bench, noise};

/// Digests of `hello` as `md5sum`, `b2sum` and `sha512sum` give them.
const MD5: &str = "5d41402abc4b2a76b9719d911017c592";
const BLAKE2B: &str = "e4cfa39a3d37be31c59609e807970799caa68a19bfaa15135f165085e01d41a65ba1e1b146aeb6bd0092b49eac214c103ccfa3a365954bbbe52f74a2b3620c94";
const SHA512: &str = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";

fn claim(algorithm: Algorithm, hex: &str) -> Digest {
    Digest::from_hex(algorithm, hex).unwrap()
}

#[tokio::test]
async fn the_users_digest_may_be_by_any_algorithm() {
    for digest in [
        claim(Algorithm::Md5, MD5),
        claim(Algorithm::Sha512OrBlake2b, BLAKE2B),
        claim(Algorithm::Sha512OrBlake2b, SHA512),
        claim(Algorithm::Blake2b512, BLAKE2B),
    ] {
        let wrong = Digest::new(digest.algorithm(), vec![7; digest.bytes().len()]).unwrap();
        // The name promises gzip: what the user demands is right all the same.
        let mut bench = Bench::new("a.gz", b"hello");
        bench.assignment.digests = vec![digest.clone()];
        assert_eq!(bench.publishes(b"hello").await.sealed.verified, Verified::Digest, "{digest}");
        let mut bench = Bench::new("a.dat", b"hello");
        bench.assignment.digests = vec![digest, wrong];
        assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
        let twice = bench.failure().await;
        assert_eq!((twice.error.kind, twice.backoff), (ErrorKind::Checksum, Backoff::Never));
    }
}

#[tokio::test]
async fn rule_69_the_servers_digest_in_each_of_its_headers() {
    for (header, value) in [
        ("repr-digest", "md5=:XUFAKrxLKna5cZ2REBfFkg==:"),
        ("digest", "SHA=qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-goog-hash", "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg=="),
    ] {
        let mut bench = Bench::new("a.dat", b"hello");
        bench.site.extra.lock().unwrap().push((header, value));
        assert_eq!(bench.publishes(b"hello").await.sealed.verified, Verified::Digest, "{header}");
        let mut bench = Bench::new("a.dat", b"hullo");
        bench.site.extra.lock().unwrap().push((header, value));
        assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum, "{header}");
    }
}

#[tokio::test]
async fn rule_69_a_digest_that_was_told_once_is_kept_with_the_part() {
    let bytes = noise(80_000);
    let wrong =
        "sha-512=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==:";
    let mut bench = Bench::new("a.dat", &bytes);
    bench.site.extra.lock().unwrap().push(("repr-digest", wrong));
    bench.site.then(Fault::Cut(40_000));
    bench.failure().await;
    bench.site.extra.lock().unwrap().clear();
    assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
    assert_eq!(bench.site.log(), ["GET", "GET bytes=40000-"]);
}

#[tokio::test]
async fn rule_5_only_a_strong_digest_stands_in_for_a_validator() {
    for (algorithm, log) in
        [(Algorithm::Sha512, ["GET", "GET bytes=40000-"]), (Algorithm::Md5, ["GET", "GET"])]
    {
        let bytes = noise(80_000);
        let mut bench = Bench::new("a.dat", &bytes);
        bench.site.without_validators();
        bench.assignment.digests = vec![Digest::new(algorithm, vec![0; algorithm.length()]).unwrap()];
        bench.site.then(Fault::Cut(40_000));
        bench.failure().await;
        assert_eq!(bench.failure().await.error.kind, ErrorKind::Checksum);
        assert_eq!(bench.site.log(), log, "{algorithm}");
    }
}

#[tokio::test]
async fn what_the_user_demands_may_look_like_a_page() {
    let mut page = b"<!DOCTYPE html><html>".to_vec();
    page.extend(vec![b'x'; 1 << 20]);
    let mut bench = Bench::new("a.dat", &page);
    bench.assignment.digests = vec![Digest::sha256(super::sha256(&page))];
    assert_eq!(bench.publishes(&page).await.sealed.verified, Verified::Digest);
    // Where it is not what was demanded, the page says why.
    let mut bench = Bench::new("a.dat", &page);
    bench.assignment.digests = vec![Digest::sha256([7; 32])];
    assert_eq!(bench.failure().await.error.kind, ErrorKind::WrongContent);
}
