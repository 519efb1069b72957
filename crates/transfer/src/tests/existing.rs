//! Files that lie at the final path already: what is taken over, and on what terms.

use skyhaul_model::{ErrorKind, FileError, OnExisting, Proof, Query, Source, Verified, VerifyLevel};
use skyhaul_verify::Digest;

use super::site::Fault;
use super::{Bench, gz, names, noise, sha256};
use crate::Whole;

/// What lies there: the file, the beginning of it, or as many other bytes.
#[derive(Clone, Copy, Debug)]
enum Lies {
    Same,
    Short,
    Other,
}

struct Row {
    name: &'static str,
    lies: Lies,
    on_existing: OnExisting,
    verify: VerifyLevel,
    /// The word on which it is taken over; none when it is fetched.
    adopted: Option<Verified>,
    asked: &'static [&'static str],
}

fn served(name: &str) -> Vec<u8> {
    let bytes = noise(4_000);
    if name.ends_with(".gz") { gz(&bytes) } else { bytes }
}

fn lying(name: &str, lies: Lies) -> Vec<u8> {
    let mut bytes = served(name);
    match lies {
        Lies::Same => {}
        Lies::Short => bytes.truncate(1_000),
        Lies::Other => bytes[2_000] ^= 1,
    }
    bytes
}

#[tokio::test]
async fn what_is_taken_over() {
    use Lies::{Other, Same, Short};
    use OnExisting::{Replace, Trust, Verify};
    use VerifyLevel::{Auto, Length};
    let row = |name, lies, on_existing, verify, adopted, asked| Row {
        name,
        lies,
        on_existing,
        verify,
        adopted,
        asked,
    };
    let container = Some(Verified::Container);
    let table = [
        row("a.gz", Same, Verify, Auto, container, &["HEAD"]),
        row("a.gz", Short, Verify, Auto, None, &["GET"]),
        row("a.gz", Other, Verify, Auto, None, &["GET"]),
        row("a.gz", Same, Verify, Length, Some(Verified::Length), &["HEAD"]),
        row("a.gz", Short, Verify, Length, None, &["HEAD", "GET"]),
        row("a.gz", Other, Verify, Length, Some(Verified::Length), &["HEAD"]),
        row("a.dat", Same, Verify, Auto, None, &["GET"]),
        row("a.dat", Same, Verify, Length, Some(Verified::Length), &["HEAD"]),
        row("a.dat", Short, Verify, Length, None, &["HEAD", "GET"]),
        row("a.gz", Same, Trust, Auto, container, &[]),
        row("a.gz", Other, Trust, Auto, Some(Verified::None), &[]),
        row("a.dat", Short, Trust, Auto, Some(Verified::None), &[]),
        row("a.gz", Same, Replace, Auto, None, &["GET"]),
    ];
    for Row { name, lies, on_existing, verify, adopted, asked } in table {
        let what = format!("{name} {lies:?} {on_existing:?} {verify:?}");
        let bytes = served(name);
        let lie = lying(name, lies);
        let mut bench = Bench::new(name, &bytes);
        bench.lay(&lie);
        (bench.assignment.on_existing, bench.assignment.verify) = (on_existing, verify);
        let expected = if adopted.is_some() { &lie } else { &bytes };
        let whole = bench.publishes(expected).await;
        let proof = if adopted.is_some() { Proof::Adopted } else { Proof::Fetched };
        assert_eq!(whole.sealed.proof, proof, "{what}");
        assert!(adopted.is_none_or(|word| word == whole.sealed.verified), "{what}");
        let received = if adopted.is_some() { 0 } else { bytes.len() as u64 };
        assert_eq!(whole.sealed.received, received, "{what}");
        assert_eq!(bench.site.log(), asked, "{what}");
    }
}

#[tokio::test]
async fn a_demanded_digest_or_size_settles_it() {
    let bytes = noise(4_000);
    for on_existing in [OnExisting::Verify, OnExisting::Trust] {
        let mut bench = Bench::new("a.dat", &bytes);
        bench.lay(&bytes);
        bench.assignment.on_existing = on_existing;
        bench.assignment.digests = vec![Digest::sha256(sha256(&bytes))];
        let sealed = bench.publishes(&bytes).await.sealed;
        assert_eq!((sealed.proof, sealed.verified), (Proof::Adopted, Verified::Digest));
        assert!(bench.site.log().is_empty());
        let mut bench = Bench::new("a.dat", &bytes);
        bench.lay(&lying("a.dat", Lies::Other));
        bench.assignment.on_existing = on_existing;
        bench.assignment.digests = vec![Digest::sha256(sha256(&bytes))];
        assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Fetched);
        let mut bench = Bench::new("a.dat", &bytes);
        bench.lay(&bytes[1..]);
        bench.assignment.on_existing = on_existing;
        bench.assignment.size = Some(4_000);
        assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Fetched);
    }
}

#[tokio::test]
async fn rule_16_a_range_goes_with_get_alone() {
    let bytes = gz(&noise(4_000));
    let mut bench = Bench::new("a.gz", &bytes);
    bench.lay(&bytes[..3_000]);
    bench.assignment.verify = VerifyLevel::Length;
    bench.site.then(Fault::With("x", None)).then(Fault::Cut(2_000));
    bench.failure().await;
    bench.publishes(&bytes).await;
    assert_eq!(bench.site.log(), ["HEAD", "GET", "GET bytes=2000-"]);
}

#[tokio::test]
async fn rule_17_where_head_tells_nothing_get_does() {
    let says = |status| Fault::Says(status, vec![], b"");
    let page = Fault::Says(200, vec![("content-type", "text/html".into())], b"<html>");
    for fault in [says(405), says(501), says(403), says(404), Fault::With("content-length", None), page] {
        let bytes = gz(&noise(4_000));
        let mut bench = Bench::new("a.gz", &bytes);
        bench.lay(&bytes);
        bench.site.then(fault.clone());
        assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Adopted, "{fault:?}");
        assert_eq!(bench.site.log(), ["HEAD", "GET"]);
    }
}

#[tokio::test]
async fn a_server_that_cannot_answer_now_is_asked_again_later() {
    let bytes = gz(&noise(4_000));
    let later = || vec![("retry-after", "9".to_owned())];
    let mut bench = Bench::new("a.gz", &bytes);
    bench.lay(&bytes);
    bench.site.then(Fault::Says(503, later(), b"")).then(Fault::Away(true));
    assert_eq!(bench.failure().await.cost, crate::Cost::RetryAfter);
    assert_eq!(bench.failure().await.cost, crate::Cost::HostAway);
    assert_eq!(std::fs::read(bench.place()).unwrap(), bytes);
    // The archive has it no more: it stays, but is not called done.
    // Its folder's page, its head and its body are asked for.
    for _ in 0..3 {
        bench.site.then(Fault::Says(404, vec![], b""));
    }
    assert_eq!(bench.failure().await.error.kind, ErrorKind::NotFound);
    assert_eq!(std::fs::read(bench.place()).unwrap(), bytes);
    assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Adopted);
}

#[tokio::test]
async fn the_old_file_stays_until_the_new_one_is_whole() {
    let (old, new) = (gz(&noise(4_000)), gz(&noise(5_000)));
    let mut bench = Bench::new("a.gz", &new);
    bench.lay(&old);
    bench.site.then(Fault::With("x", None)).then(Fault::Cut(3_000));
    bench.failure().await;
    assert_eq!(std::fs::read(bench.place()).unwrap(), old);
    bench.publishes(&new).await;
    // With a part of a whole of another length in hand the old file is not looked at a second time.
    assert_eq!(bench.site.log(), ["HEAD", "GET", "GET bytes=3000-"]);
}

#[tokio::test]
async fn a_file_that_failed_is_not_trusted_again() {
    let bytes = noise(4_000);
    let mut bench = Bench::new("a.dat", &bytes);
    bench.lay(&lying("a.dat", Lies::Other));
    bench.assignment.on_existing = OnExisting::Trust;
    bench.assignment.last_error = Some(FileError::new(ErrorKind::Checksum, "found damaged"));
    assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Fetched);
}

#[tokio::test]
async fn the_servers_digest_is_heard() {
    /// SHA-256 of nothing (FIPS 180-4), in base64.
    const OF_NOTHING: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    let bytes = gz(&noise(4_000));
    let mut bench = Bench::new("a.gz", &bytes);
    bench.lay(&bytes);
    bench.site.then(Fault::With("repr-digest", Some(OF_NOTHING)));
    assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Fetched);
    let mut bench = Bench::new("empty.txt", b"");
    bench.assignment.verify = VerifyLevel::Length;
    bench.lay(b"");
    bench.site.then(Fault::With("repr-digest", Some(OF_NOTHING)));
    assert_eq!(bench.publishes(b"").await.sealed.verified, Verified::Digest);
    assert_eq!(bench.site.asked.lock().unwrap()[0].headers.get_all("want-repr-digest").iter().count(), 1);
}

#[tokio::test]
async fn a_file_that_was_found_wrong_is_not_taken_over_on_its_formats_word() {
    // JPEG has no checksum: its own check does not see the flipped bit.
    let [good, flipped] = [0x11, 0x13].map(|byte| [0xff, 0xd8, 0xff, 0xda, 0, 2, byte, 0xff, 0xd9]);
    let found = |kind| Some(FileError::new(kind, "what happened before"));
    let mut bench = Bench::new("a.jpg", &good);
    bench.lay(&flipped);
    assert_eq!(bench.whole().await.sealed.verified, Verified::Container, "nothing is known against it");
    bench.assignment.last_error = found(ErrorKind::Checksum);
    bench.site.then(Fault::Says(500, vec![], b""));
    bench.failure().await;
    // Another failure has taken the place of the one that told it.
    bench.assignment.last_error = found(ErrorKind::Http);
    assert_eq!(bench.publishes(&good).await.sealed.proof, Proof::Fetched);
    // The new one is believed again.
    assert_eq!(bench.publishes(&good).await.sealed.proof, Proof::Adopted);
    assert!(names(&bench.parts().folder).is_empty());
}

/// Two jobs hold a part of one file each; what the second does once the first has put the whole there.
async fn of_two_jobs(name: &str) -> (Bench, Whole) {
    let bytes = served(name);
    let mut bench = Bench::new(name, &bytes);
    bench.site.then(Fault::Cut(3_000)).then(Fault::Cut(2_000));
    bench.failure().await;
    let first = bench.assignment.clone();
    let source = Source::archive("https://b.example", &[], Vec::new(), &[], &[]);
    bench.assignment.key = Query { source, out: "x".into() }.key();
    bench.failure().await;
    let second = std::mem::replace(&mut bench.assignment, first);
    assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Fetched);
    bench.assignment = second;
    let whole = bench.publishes(&bytes).await;
    assert!(names(&bench.parts().folder).is_empty(), "the part is left behind");
    (bench, whole)
}

#[tokio::test]
async fn of_two_jobs_that_hold_parts_of_one_file_the_second_takes_the_firsts_over_or_goes_on_with_its_own() {
    let (bench, whole) = of_two_jobs("a.gz").await;
    assert_eq!((whole.sealed.proof, whole.sealed.verified), (Proof::Adopted, Verified::Container));
    assert_eq!(bench.site.log(), ["GET", "GET", "GET bytes=3000-", "HEAD"]);
    let (bench, whole) = of_two_jobs("a.dat").await;
    assert_eq!((whole.sealed.proof, whole.sealed.verified), (Proof::Fetched, Verified::Length));
    assert_eq!(bench.site.log(), ["GET", "GET", "GET bytes=3000-", "GET bytes=2000-"]);
}

#[tokio::test]
async fn what_was_kept_of_a_file_goes_when_another_is_taken_over() {
    let bytes = gz(&noise(4_000));
    let mut bench = Bench::new("a.gz", &bytes);
    std::fs::create_dir_all(bench.parts().folder).unwrap();
    for path in [bench.parts().part, bench.parts().bad(), bench.parts().other().part] {
        std::fs::write(path, "left behind").unwrap();
    }
    bench.lay(&bytes);
    assert_eq!(bench.publishes(&bytes).await.sealed.proof, Proof::Adopted);
    assert!(names(&bench.parts().folder).is_empty());
}
