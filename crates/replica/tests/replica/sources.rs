//! What is wrong, odd or told at the source: damaged files, twins, files exchanged behind a listing, digests,
//! sizes; and the files of every format, sound where no fault says otherwise.

use std::io::Read as _;

use serde_json::json;
use skyhaul_replica::{
    DigestHeaders, Faults, HeadAnswer, IndexSizes, IndexStyle, RunningReplica, Selection, When,
};

use crate::client::{FILE, api, get, get_range, request, start};

const FORMATS: &str =
    "urls?name=REPLICA_FORMATS&start=2022-01-01T06:00&end=2022-01-01T06:00&include_total_bytes=true";

fn only(text: &str) -> Option<Selection> {
    Some(Selection::Matching(vec![text.to_owned()]))
}

/// The targets of the files that a query lists.
async fn listed(replica: &RunningReplica, query: &str) -> Vec<String> {
    let listing = api(replica, query).await.json();
    let urls = listing["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap());
    urls.map(|url| url.strip_prefix(replica.base_url()).unwrap().to_owned()).collect()
}

/// What is wrong with a file by the rules of its format, as far as a few lines can tell.
fn complaint(target: &str, body: &[u8]) -> Option<&'static str> {
    let mut raw = Vec::new();
    let word = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
    match target.split_once('.').unwrap().1 {
        "pgm.gz" => flate2::read::GzDecoder::new(body).read_to_end(&mut raw).is_err().then_some("gzip"),
        "pgm.bz2" => bzip2::read::MultiBzDecoder::new(body).read_to_end(&mut raw).is_err().then_some("bzip2"),
        "pgm" => (!body.starts_with(b"P5\n#\"")).then_some("pgm"),
        "h5" => {
            let end = match body[8] {
                0 => word(40),
                2 => word(28),
                _ => 0,
            };
            (end.swap_bytes() != body.len() as u64).then_some("superblock")
        }
        "jpg" => (!body.ends_with(&[0xff, 0xd9])).then_some("end of image"),
        "png" => (!png_is_sound(body)).then_some("chunk"),
        "png.tar" => {
            let sum: u32 = body[..512].iter().map(|&byte| u32::from(byte)).sum::<u32>();
            let own: u32 = body[148..156].iter().map(|&byte| u32::from(byte)).sum();
            let told = u32::from_str_radix(std::str::from_utf8(&body[148..154]).unwrap(), 8).unwrap();
            (sum - own + 8 * 32 != told).then_some("header sum")
        }
        "sav" => {
            let mut at = 4;
            while body[at + 3] != 6 {
                let next = (word(at + 4) >> 32) as usize;
                if next <= at || next + 16 > body.len() {
                    return Some("record chain");
                }
                at = next;
            }
            (at + 16 != body.len()).then_some("end marker")
        }
        _ => (!body.is_ascii()).then_some("text"),
    }
}

fn png_is_sound(body: &[u8]) -> bool {
    let mut rest = &body[8..];
    while rest.len() >= 12 {
        let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let Some((chunk, after)) = rest.split_at_checked(len + 12) else { return false };
        if chunk[len + 8..] != crc32fast::hash(&chunk[4..len + 8]).to_be_bytes() {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

#[tokio::test]
async fn every_format_is_sound_unless_it_is_damaged_at_the_source() {
    let replica = start(Faults::default()).await;
    let targets = listed(&replica, FORMATS).await;
    assert_eq!(targets.len(), 90);
    assert!(targets.is_sorted());
    let (mut total, mut sound) = (0, Vec::new());
    for target in &targets {
        let file = get(&replica, target).await;
        assert_eq!((file.status, complaint(target, &file.body)), (200, None), "{target}");
        total += file.body.len();
        sound.push(file.body);
    }
    assert_eq!(api(&replica, FORMATS).await.json()["total_bytes"], json!(total));
    replica.set_faults(Faults { damaged: Some(Selection::All), ..Faults::default() });
    for (target, sound) in targets.iter().zip(&sound) {
        let bad = get(&replica, target).await.body;
        assert_eq!(bad, get(&replica, target).await.body, "the same wrong bytes each time");
        assert_eq!(bad.iter().zip(sound).filter(|(a, b)| a != b).count(), 1, "{target}");
        assert!(complaint(target, &bad).is_some() || target.ends_with(".txt"), "{target}");
        assert_eq!(replica.content(target).await.unwrap().unwrap(), sound);
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn the_packings_of_a_name_hold_the_same_images() {
    let replica = start(Faults::default()).await;
    let stem = "/sort_by_project/REPLICA/formats/2022/01/01/bulk_bulk-00/ut06/20220101_0600_bulk_bulk-00";
    let body = async |ending| get(&replica, &format!("{stem}.{ending}")).await.body;
    let (plain, gzip, bzip2) = (body("pgm").await, body("pgm.gz").await, body("pgm.bz2").await);
    let (mut from_gzip, mut from_bzip2) = (Vec::new(), Vec::new());
    flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut from_gzip).unwrap();
    bzip2::read::MultiBzDecoder::new(bzip2.as_slice()).read_to_end(&mut from_bzip2).unwrap();
    assert!(plain == from_gzip && plain == from_bzip2);
    replica.shutdown().await;
}

#[tokio::test]
async fn twins_are_listed_beside_their_packed_files() {
    let hour = "urls?name=THEMIS_ASI_RAW&start=2022-01-01T06:30&end=2022-01-01T06:31&site_uid=gill";
    let replica = start(Faults::default()).await;
    let twin = FILE.strip_suffix(".gz").unwrap();
    assert_eq!(get(&replica, twin).await.status, 404);
    replica.set_faults(Faults { twins: only("_0630_"), ..Faults::default() });
    let targets = listed(&replica, hour).await;
    assert_eq!((targets.len(), targets[0].as_str(), targets[1].as_str()), (3, twin, FILE));
    let mut raw = Vec::new();
    let packed = get(&replica, FILE).await.body;
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut raw).unwrap();
    assert!(get(&replica, twin).await.body == raw);
    let folder = &FILE[..=FILE.rfind('/').unwrap()];
    let page = String::from_utf8(get(&replica, folder).await.body).unwrap();
    assert!(page.contains(&format!(">{}</td>", raw.len())));
    replica.shutdown().await;
}

#[tokio::test]
async fn a_file_may_be_another_one_than_the_listing_meant() {
    let replica = start(Faults::default()).await;
    let target =
        "/sort_by_project/REPLICA/formats/2022/01/01/bulk_bulk-00/ut06/20220101_0600_bulk_bulk-00.h5";
    let folder = &target[..=target.rfind('/').unwrap()];
    let before = get(&replica, target).await.body;
    replica.set_faults(Faults { outdated: Some(Selection::All), ..Faults::default() });
    let page = String::from_utf8(get(&replica, folder).await.body).unwrap();
    assert!(page.contains(&format!(">{}</td>", before.len())));
    let now = get(&replica, target).await.body;
    assert_ne!(now.len(), before.len());
    assert_eq!(replica.content(target).await.unwrap().unwrap(), before);
    assert_eq!(replica.content_after(target, 1).await.unwrap().unwrap(), now);
    replica.shutdown().await;
}

#[tokio::test]
async fn digests_are_told_truly_or_not() {
    let replica = start(Faults { digest: DigestHeaders::All, ..Faults::default() }).await;
    let whole = get(&replica, FILE).await;
    let names = ["repr-digest", "content-digest", "digest", "content-md5", "x-amz-checksum-crc32"];
    for name in names {
        assert!(whole.header(name).is_some(), "{name}");
    }
    let part = get_range(&replica, FILE, "bytes=5-9").await;
    assert_eq!(part.header("repr-digest"), whole.header("repr-digest"));
    assert_ne!(part.header("content-digest"), whole.header("content-digest"));
    assert_eq!(part.header("content-md5"), None);
    let (digest, wrong_digest) = (DigestHeaders::Repr, Some(When::FirstAttempt));
    replica.set_faults(Faults { digest, wrong_digest, ..Faults::default() });
    assert_ne!(get(&replica, FILE).await.header("repr-digest"), whole.header("repr-digest"));
    let second = get(&replica, FILE).await;
    assert_eq!(second.header("repr-digest"), whole.header("repr-digest"));
    assert_eq!((second.header("digest"), &second.body), (None, &whole.body));
    replica.shutdown().await;
}

#[tokio::test]
async fn head_may_be_refused_or_tell_no_length() {
    let replica = start(Faults { head: HeadAnswer::Refused, ..Faults::default() }).await;
    assert_eq!(request(&replica, "HEAD", FILE, &[]).await.status, 405);
    replica.set_faults(Faults { head: HeadAnswer::NoLength, ..Faults::default() });
    let head = request(&replica, "HEAD", FILE, &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, None));
    assert!(get(&replica, FILE).await.is_complete());
    replica.shutdown().await;
}

#[tokio::test]
async fn folder_pages_come_in_the_styles_of_servers() {
    let replica = start(Faults::default()).await;
    let (folder, name) = FILE.rsplit_once('/').unwrap();
    let size = get(&replica, FILE).await.body.len().to_string();
    for index in [IndexStyle::Table, IndexStyle::Apache, IndexStyle::Nginx] {
        for (index_sizes, is_exact) in [(IndexSizes::Exact, true), (IndexSizes::Rounded, false)] {
            replica.set_faults(Faults { index, index_sizes, ..Faults::default() });
            let page = String::from_utf8(get(&replica, &format!("{folder}/")).await.body).unwrap();
            let line = page.lines().find(|line| line.contains(name)).unwrap();
            assert_eq!(line.contains(&size), is_exact, "{index:?}: {line}");
        }
    }
    replica.set_faults(Faults { index: IndexStyle::Off, ..Faults::default() });
    assert_eq!(get(&replica, &format!("{folder}/")).await.status, 403);
    replica.shutdown().await;
}

#[tokio::test]
async fn a_body_may_start_slowly() {
    let replica = start(Faults { slow_start: Some(100_000), ..Faults::default() }).await;
    let len = get(&replica, FILE).await.body.len() as f64;
    let taken = replica.requests_reach(1).await[0].elapsed_ms as f64;
    let due = (len / 100_000.0 + 1.0).log2() * 1000.0;
    assert!(taken + 1.0 >= due, "{taken} ms for {len} bytes, not {due}");
    replica.shutdown().await;
}
