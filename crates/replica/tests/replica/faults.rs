//! Each fault, seen from outside.

use std::io::Read as _;
use std::time::Duration;

use skyhaul_replica::{
    ContentEncoding, Cut, CutStyle, DetailShape, EtagKind, Faults, LastModifiedKind, MissingAnswer,
    PlusSpelling, Ranges, Refusal, Selection, Stall, TotalBytes, When,
};
use tokio::io::AsyncReadExt as _;

use crate::client::{FILE, OTHER, api, get, get_range, request, send, start};

fn only(text: &str) -> Option<Selection> {
    Some(Selection::Matching(vec![text.to_owned()]))
}

const HOUR: &str = "urls?name=THEMIS_ASI_RAW&start=2022-01-01T06:00&end=2022-01-01T06:59&site_uid=gill";

#[tokio::test]
async fn a_cut_comes_after_exactly_so_many_bytes() {
    let replica = start(Faults::default()).await;
    let whole = get(&replica, FILE).await.body;
    for after in [0, 1, 5000, 17_000] {
        let cut = Cut { after: Some(after), when: When::FirstAttempt };
        replica.set_faults(Faults { cut: Some(cut), ..Faults::default() });
        replica.clear_requests();
        let broken = get(&replica, FILE).await;
        assert_eq!((broken.status, broken.is_complete()), (200, false));
        assert_eq!(broken.body, whole[..broken.body.len()]);
        assert_eq!(broken.body.len() as u64, after);
        let record = replica.requests_reach(1).await.remove(0);
        assert_eq!((record.sent, record.complete), (after, false));
        assert_eq!(get(&replica, FILE).await.body, whole, "the second attempt");
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn random_cuts_repeat_with_their_seed_and_resets_break_the_connection() {
    let replica = start(Faults::default()).await;
    let cut = Some(Cut { after: None, when: When::Probability(1.0) });
    let mut lengths = Vec::new();
    for seed in [1, 1, 2] {
        replica.set_faults(Faults { cut, seed, ..Faults::default() });
        let broken = get(&replica, FILE).await;
        assert!(!broken.is_complete());
        lengths.push(broken.body.len());
    }
    assert_eq!(lengths[0], lengths[1]);
    assert_ne!(lengths[0], lengths[2]);
    replica.set_faults(Faults { cut, cut_style: CutStyle::Reset, ..Faults::default() });
    let mut socket = send(&replica, "GET", FILE, &[], "").await;
    let error = socket.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    replica.shutdown().await;
}

#[tokio::test]
async fn a_stall_holds_the_connection_until_the_client_leaves() {
    let stall = Stall { after: 5000, when: When::Always };
    let replica = start(Faults { stall: Some(stall), ..Faults::default() }).await;
    let mut socket = send(&replica, "GET", FILE, &[], "").await;
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        socket.read_buf(&mut bytes).await.unwrap();
    }
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    while bytes.len() < head + 5000 {
        socket.read_buf(&mut bytes).await.unwrap();
    }
    let more = tokio::time::timeout(Duration::from_millis(50), socket.read_u8()).await;
    assert!(more.is_err(), "nothing more comes, and no end either");
    drop(socket);
    let record = replica.requests_reach(1).await.remove(0);
    assert_eq!((record.sent, record.complete), (5000, false));
    replica.shutdown().await;
}

#[tokio::test]
async fn refusals_come_for_as_long_as_told() {
    let refusal = |status, retry_after_s| Refusal { status, retry_after_s, when: When::FirstRequests(2) };
    let faults = Faults {
        refuse_files: Some(refusal(503, Some(7))),
        refuse_api: Some(refusal(502, None)),
        ..Faults::default()
    };
    let replica = start(faults).await;
    for _ in 0..2 {
        let file = get(&replica, FILE).await;
        assert_eq!((file.status, file.header("retry-after")), (503, Some("7")));
        let listing = api(&replica, HOUR).await;
        assert_eq!((listing.status, listing.header("retry-after")), (502, None));
        assert!(listing.is_html());
    }
    assert_eq!(get(&replica, FILE).await.status, 200);
    assert_eq!(api(&replica, HOUR).await.status, 200);
    replica.shutdown().await;
}

#[tokio::test]
async fn missing_files_are_listed_and_answered_in_every_way() {
    let replica = start(Faults::default()).await;
    let cases = [
        (MissingAnswer::NotFound, 404),
        (MissingAnswer::Redirect, 302),
        (MissingAnswer::Moved, 301),
        (MissingAnswer::HtmlPage, 200),
    ];
    for (missing_answer, status) in cases {
        replica.set_faults(Faults { missing: only("_0630_"), missing_answer, ..Faults::default() });
        assert_eq!(api(&replica, HOUR).await.json()["count"], 60);
        let answer = get(&replica, FILE).await;
        assert_eq!((answer.status, answer.is_html()), (status, true));
        if let Some(location) = answer.header("location") {
            let home = get(&replica, location.strip_prefix(replica.base_url()).unwrap()).await;
            assert_eq!((home.status, home.is_html()), (200, true));
        }
        assert_eq!(get(&replica, "/sort_by_project/no/such.file").await.status, status);
        assert_eq!(get(&replica, OTHER).await.status, 200);
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn late_and_unlisted_files() {
    let replica = start(Faults { late: only("_065"), ..Faults::default() }).await;
    assert_eq!(api(&replica, HOUR).await.json()["count"], 50);
    assert_eq!(api(&replica, HOUR).await.json()["count"], 60);
    replica.set_faults(Faults { unlisted: only("_0630_"), ..Faults::default() });
    assert_eq!(api(&replica, HOUR).await.json()["count"], 59);
    assert_eq!(get(&replica, FILE).await.status, 200);
    replica.shutdown().await;
}

#[tokio::test]
async fn pages_and_flipped_bytes_come_once() {
    let replica = start(Faults::default()).await;
    let whole = get(&replica, FILE).await.body;
    replica.set_faults(Faults { html_page: Some(When::FirstAttempt), ..Faults::default() });
    let page = get(&replica, FILE).await;
    assert_eq!((page.status, page.is_html()), (200, true));
    assert_eq!(get(&replica, FILE).await.body, whole);
    replica.set_faults(Faults { html_inside: Some(When::FirstAttempt), ..Faults::default() });
    let mixed = get(&replica, FILE).await.body;
    assert!(mixed.windows(6).any(|window| window == b"<html ") && mixed.len() == whole.len());
    assert_eq!(get(&replica, FILE).await.body, whole);
    replica.set_faults(Faults { flip: Some(When::FirstAttempt), ..Faults::default() });
    let flipped = get(&replica, FILE).await.body;
    assert_eq!(flipped.iter().zip(&whole).filter(|(a, b)| a != b).count(), 1);
    assert_eq!(get(&replica, FILE).await.body, whole);
    replica.shutdown().await;
}

#[tokio::test]
async fn files_can_be_bad_at_the_source() {
    let replica = start(Faults::default()).await;
    let whole = get(&replica, FILE).await.body;
    replica.set_faults(Faults { empty: only("_0630_"), truncated: only("_0631_"), ..Faults::default() });
    let empty = get(&replica, FILE).await;
    assert_eq!((empty.status, empty.body.len(), empty.is_complete()), (200, 0, true));
    assert_eq!(get_range(&replica, FILE, "bytes=0-").await.status, 416);
    let short = get(&replica, OTHER).await;
    assert!(short.is_complete());
    assert!(flate2::read::GzDecoder::new(short.body.as_slice()).read_to_end(&mut Vec::new()).is_err());
    replica.set_faults(Faults { replaced: only("_0630_"), ..Faults::default() });
    assert_eq!(get(&replica, FILE).await.body, whole, "before the first GET it is the old one");
    assert_ne!(get(&replica, FILE).await.body, whole);
    replica.shutdown().await;
}

#[tokio::test]
async fn ranges_go_wrong() {
    let replica = start(Faults::default()).await;
    let total = get(&replica, FILE).await.body.len();
    let cases = [
        (Ranges::Off, 200, "none", None, total),
        (Ranges::Ignored, 200, "bytes", None, total),
        (Ranges::WrongTotal, 206, "bytes", Some(format!("bytes 5-9/{}", total + 1000)), 5),
        (Ranges::WrongStart, 206, "bytes", Some(format!("bytes 6-9/{total}")), 4),
    ];
    for (ranges, status, accepted, content_range, len) in cases {
        replica.set_faults(Faults { ranges, ..Faults::default() });
        let answer = get_range(&replica, FILE, "bytes=5-9").await;
        assert_eq!((answer.status, answer.body.len()), (status, len), "{ranges:?}");
        assert_eq!(answer.header("accept-ranges"), Some(accepted));
        assert_eq!(answer.header("content-range"), content_range.as_deref());
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn validators_come_in_all_kinds() {
    let replica = start(Faults::default()).await;
    let strong = get(&replica, FILE).await.header("etag").unwrap().to_owned();
    replica.set_faults(Faults { etag: EtagKind::Weak, ..Faults::default() });
    assert_eq!(get(&replica, FILE).await.header("etag"), Some(format!("W/{strong}").as_str()));
    replica.set_faults(Faults { etag: EtagKind::Changing, ..Faults::default() });
    let first = get(&replica, FILE).await;
    let headers = [("range", "bytes=5-"), ("if-range", first.header("etag").unwrap())];
    assert_eq!(request(&replica, "GET", FILE, &headers).await.status, 200);
    let off = Faults { etag: EtagKind::Off, last_modified: LastModifiedKind::Off, ..Faults::default() };
    replica.set_faults(off);
    let bare = get(&replica, FILE).await;
    assert_eq!((bare.header("etag"), bare.header("last-modified")), (None, None));
    let recent = LastModifiedKind::Recent;
    replica.set_faults(Faults { last_modified: recent, clock_skew_s: -86_400, ..Faults::default() });
    let young = get(&replica, FILE).await;
    let headers = [("range", "bytes=5-"), ("if-range", young.header("last-modified").unwrap())];
    assert_eq!(request(&replica, "GET", FILE, &headers).await.status, 200);
    replica.shutdown().await;
}

#[tokio::test]
async fn the_api_has_its_own_oddities() {
    let faults = Faults {
        detail: DetailShape::List,
        total_bytes: TotalBytes::Null,
        plus: PlusSpelling::Escaped,
        latency_api: Duration::from_millis(5),
        ..Faults::default()
    };
    let replica = start(faults).await;
    let error = api(&replica, "urls?name=no&start=2022-01-01&end=2022-01-01").await;
    assert_eq!(error.status, 404);
    assert_eq!(error.json()["detail"][0]["msg"], "Dataset name does not exist");
    let query = "urls?name=THEMIS_ASI_SKYMAP_IDLSAV&start=2020-01-01&end=2022-01-01&include_total_bytes=true";
    let listing = api(&replica, query).await;
    assert!(listing.is_complete());
    let listing = listing.json();
    assert!(listing["total_bytes"].is_null());
    let url = listing["urls"][0].as_str().unwrap();
    assert!(url.contains("-%2B_v02.sav"));
    let target = url.strip_prefix(replica.base_url()).unwrap();
    assert_eq!(get(&replica, target).await.status, 200);
    assert_eq!(get(&replica, &target.replace("%2B", "+")).await.status, 200);
    replica.shutdown().await;
}

#[tokio::test]
async fn encodings_and_slowness() {
    let faults = Faults {
        content_encoding: ContentEncoding::Gzip,
        latency_files: Duration::from_millis(30),
        ..Faults::default()
    };
    let replica = start(faults).await;
    let file = get(&replica, FILE).await;
    assert_eq!(file.header("content-encoding"), Some("gzip"));
    assert_eq!(file.header("content-type"), Some("image/x-portable-graymap"));
    assert!(replica.requests_reach(1).await[0].elapsed_ms >= 30);
    replica.shutdown().await;
}

#[tokio::test]
async fn a_client_may_have_too_many_connections() {
    let stall = Some(Stall { after: 10, when: When::FirstRequests(2) });
    let replica = start(Faults { stall, connections_per_client_max: Some(2), ..Faults::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = send(&replica, "GET", FILE, &[], "").await;
        socket.read_u8().await.unwrap();
        held.push(socket);
    }
    let address = replica.base_url().strip_prefix("http://").unwrap().to_owned();
    let mut third = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(third.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
    assert_eq!(replica.refused_connections(), 1);
    replica.shutdown().await;
}
