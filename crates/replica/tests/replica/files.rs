//! Files without faults: the same bytes always, in whole and in part, with sound contents and an exact log.

use std::io::Read as _;

use skyhaul_replica::{Config, Faults, FileScale, Replica};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{FILE, OTHER, api, get, get_range, parse, request, send, start};

#[tokio::test]
async fn a_url_always_has_the_same_bytes() {
    let (one, two) = (start(Faults::default()).await, start(Faults::default()).await);
    let body = get(&one, FILE).await.body;
    assert_eq!(body, get(&one, FILE).await.body);
    assert_eq!(body, get(&two, FILE).await.body);
    assert_eq!(body, one.content(&format!("{}{FILE}", one.base_url())).await.unwrap().unwrap());
    assert_ne!(body, get(&one, OTHER).await.body);
    let mut pieces = Vec::new();
    for start in (0..body.len()).step_by(7000) {
        let piece = get_range(&one, FILE, &format!("bytes={start}-{}", start + 6999)).await;
        assert_eq!(piece.status, 206);
        pieces.extend(piece.body);
    }
    assert_eq!(body, pieces);
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test]
async fn a_file_that_has_not_changed_since_is_not_sent_again() {
    let replica = start(Faults::default()).await;
    let date = get(&replica, FILE).await.header("last-modified").unwrap().to_owned();
    let answer = request(&replica, "GET", FILE, &[("if-modified-since", &date)]).await;
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    assert_eq!(answer.header("last-modified"), Some(date.as_str()));
    let long_ago = "Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(request(&replica, "GET", FILE, &[("if-modified-since", long_ago)]).await.status, 200);
    replica.shutdown().await;
}

#[tokio::test]
async fn a_gzipped_file_holds_its_frames() {
    let replica = Replica::start(Config::default()).await.unwrap();
    let cases = [
        ("THEMIS_ASI_RAW", 1_830_000..2_170_000, 20),
        ("REGO_RAW", 5_000_000..6_500_000, 20),
        ("TREX_NIR_RAW", 700_000..890_000, 10),
        ("TREX_BLUE_RAW", 2_500_000..2_700_000, 10),
        ("TREX_SPECT_RAW", 1_100_000..1_300_000, 4),
    ];
    for (name, sizes, frames) in cases {
        let listing =
            api(&replica, &format!("urls?name={name}&start=2022-01-01T06:00&end=2022-01-01T06:00")).await;
        let url = listing.json()["urls"][0].as_str().unwrap().to_owned();
        let file = get(&replica, url.strip_prefix(replica.base_url()).unwrap()).await;
        assert!(sizes.contains(&file.body.len()), "{name} {}", file.body.len());
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(file.body.as_slice()).read_to_end(&mut raw).unwrap();
        let heads = raw.windows(6).filter(|window| window == b"P5\n#\"S" || window == b"P5\n#\"P").count();
        assert_eq!(heads, frames, "{name}");
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn every_dataset_serves_what_it_lists() {
    let replica = start(Faults::default()).await;
    let datasets = api(&replica, "datasets").await.json();
    for dataset in datasets.as_array().unwrap() {
        let name = dataset["name"].as_str().unwrap();
        let (start, end) = match dataset["file_time_resolution"].as_str().unwrap() {
            "not_applicable" => ("2000-01-01", "2030-01-01"),
            _ => ("2025-03-15T08:00", "2025-03-15T08:01"),
        };
        let listing = api(&replica, &format!("urls?name={name}&start={start}&end={end}")).await.json();
        let target =
            listing["urls"][0].as_str().unwrap().strip_prefix(replica.base_url()).unwrap().to_owned();
        let head = request(&replica, "HEAD", &target, &[]).await;
        let file = get(&replica, &target).await;
        assert_eq!((head.status, file.status), (200, 200), "{target}");
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-length"), file.header("content-length"));
        assert!(file.is_complete(), "{target}");
        let signature: &[u8] = match target.rsplit('.').next().unwrap() {
            "gz" => &[0x1f, 0x8b, 8],
            "h5" => b"\x89HDF\r\n\x1a\n",
            "jpg" => &[0xff, 0xd8],
            "png" => b"\x89PNG",
            "sav" => b"SR",
            "tar" => b"frame_",
            _ => b"00:00:00",
        };
        assert!(file.body.starts_with(signature), "{target}");
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn ranges_carry_what_identifies_the_file() {
    let replica = start(Faults::default()).await;
    let whole = get(&replica, FILE).await;
    let etag = whole.header("etag").unwrap();
    let part = request(&replica, "GET", FILE, &[("range", "bytes=5-9"), ("if-range", etag)]).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[5..10]));
    let total = whole.body.len();
    assert_eq!(part.header("content-range"), Some(format!("bytes 5-9/{total}").as_str()));
    for name in ["etag", "last-modified", "content-type", "accept-ranges"] {
        assert_eq!(part.header(name), whole.header(name), "{name}");
    }
    assert_eq!(whole.header("content-type"), Some("application/x-gzip"));
    let other = request(&replica, "GET", FILE, &[("range", "bytes=5-9"), ("if-range", "\"no\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, total));
    let beyond = get_range(&replica, FILE, &format!("bytes={total}-")).await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some(format!("bytes */{total}").as_str()))
    );
    replica.shutdown().await;
}

#[tokio::test]
async fn folders_show_exact_sizes() {
    let replica = start(Faults::default()).await;
    let (folder, name) = FILE.rsplit_once('/').unwrap();
    let page = String::from_utf8(get(&replica, &format!("{folder}/")).await.body).unwrap();
    let size = get(&replica, FILE).await.body.len();
    assert!(page.contains(&format!("<a href=\"{name}\">")));
    assert!(page.contains(&format!(">{size}</td>")));
    for (parent, child) in [
        ("/sort_by_project/", "THEMIS/"),
        ("/sort_by_project/THEMIS/asi/stream0/", "2022/"),
        ("/sort_by_project/THEMIS/asi/stream0/2022/02/", "28/"),
        ("/sort_by_project/THEMIS/asi/stream0/2022/01/01/", "gill_themis19/"),
        ("/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19/", "ut13/"),
        ("/sort_by_project/THEMIS/asi/skymaps/gill/", "gill_20210308/"),
    ] {
        let page = String::from_utf8(get(&replica, parent).await.body).unwrap();
        assert!(page.contains(&format!("<a href=\"{child}\">")), "{parent}");
    }
    assert_eq!(get(&replica, folder).await.status, 301);
    assert_eq!(get(&replica, "/sort_by_project/nothing/").await.status, 404);
    assert_eq!(get(&replica, "/").await.status, 200);
    replica.shutdown().await;
}

#[tokio::test]
async fn the_log_tells_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let log_path = folder.path().join("requests.jsonl");
    let config =
        Config { log_path: Some(log_path.clone()), file_scale: FileScale::Small, ..Config::default() };
    let replica = Replica::start(config).await.unwrap();
    let headers = [("range", "bytes=10-19"), ("if-range", "\"x\""), ("user-agent", "test/1")];
    let answer = request(&replica, "GET", &format!("{FILE}?a=b"), &headers).await;
    let head = request(&replica, "HEAD", FILE, &[("range", "bytes=1-2")]).await;
    assert_eq!(head.status, 200, "a range is for GET alone");
    let records = replica.requests_reach(2).await;
    assert_eq!(records[0].sent, answer.body.len() as u64);
    assert!(records[0].complete);
    assert_eq!((records[1].sent, records[1].complete, records[1].conn), (0, true, 2));
    replica.shutdown().await;
    let text = std::fs::read_to_string(log_path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let expected = [
        ("method", "GET"),
        ("path", FILE),
        ("query", "a=b"),
        ("range", "bytes=10-19"),
        ("if_range", "\"x\""),
        ("user_agent", "test/1"),
    ];
    for (key, value) in expected {
        assert_eq!(line[key], value);
    }
    assert_eq!((line["status"].as_u64(), line["complete"].as_bool()), (Some(200), Some(true)));
    assert_eq!(text.lines().count(), 2);
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_is_counted_once() {
    let replica = start(Faults::default()).await;
    let address = replica.base_url().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let whole = get(&replica, FILE).await.body;
    for range in ["bytes=0-9", "bytes=10-19", "bytes=20-29"] {
        let text = format!("GET {FILE} HTTP/1.1\r\nhost: {address}\r\nrange: {range}\r\n\r\n");
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while parse(&bytes).body.len() < 10 || parse(&bytes).status == 0 {
            socket.read_buf(&mut bytes).await.unwrap();
        }
        let first: usize = range["bytes=".len()..].split('-').next().unwrap().parse().unwrap();
        assert_eq!(parse(&bytes).body, whole[first..first + 10]);
    }
    let records = replica.requests_reach(4).await;
    let of_socket: Vec<_> = records.iter().filter(|record| record.range.is_some()).collect();
    assert!(of_socket.iter().all(|record| record.conn == of_socket[0].conn && record.sent == 10));
    assert_eq!(of_socket.len(), 3);
    replica.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_logged() {
    let config = Config { rate_bytes_per_s: Some(2_000_000), ..Config::default() };
    let replica = Replica::start(config).await.unwrap();
    let mut socket = send(&replica, "GET", FILE, &[], "").await;
    let mut some = [0; 20_000];
    socket.read_exact(&mut some).await.unwrap();
    drop(socket);
    let record = replica.requests_reach(1).await.remove(0);
    assert_eq!((record.status, record.complete), (200, false));
    assert!((19_000..record.promised).contains(&record.sent), "{}", record.sent);
    replica.shutdown().await;
}

#[tokio::test]
async fn the_rate_is_kept() {
    let config =
        Config { file_scale: FileScale::Small, rate_bytes_per_s: Some(200_000), ..Config::default() };
    let replica = Replica::start(config).await.unwrap();
    let bytes = tokio::join!(get(&replica, FILE), get(&replica, OTHER));
    let len = bytes.0.body.len() + bytes.1.body.len();
    let records = replica.requests_reach(2).await;
    let taken = records.iter().map(|record| record.elapsed_ms).max().unwrap();
    let fair = len as u64 * 1000 / 200_000;
    assert!(taken + 20 >= fair, "{taken} ms for {len} bytes");
    replica.shutdown().await;
}

#[tokio::test]
async fn a_replaced_file_is_another_one() {
    let replica = start(Faults::default()).await;
    let before = get(&replica, FILE).await;
    replica.replace(FILE);
    let after = get(&replica, FILE).await;
    assert_ne!(before.body, after.body);
    assert_eq!(before.body.len(), after.body.len(), "the hard case: the same length");
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_ne!(before.header("last-modified"), after.header("last-modified"));
    assert_eq!(after.body, replica.content(FILE).await.unwrap().unwrap());
    replica.shutdown().await;
}
