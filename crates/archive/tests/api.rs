//! The API client against a scripted archive: every endpoint, every kind of answer.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use skyhaul_archive::{Archive, ArchiveError, Listing, ListingRequest, Resolution, TotalBytes};
use skyhaul_http::{Body, BodySource, Fetch, FetchError, Request, Response};

/// How a body ends.
#[derive(Clone, Copy)]
enum End {
    Proven,
    Broken,
}

/// Gives the same answer to everything, in small pieces, and keeps what it was asked.
struct Scripted {
    status: u16,
    content_type: &'static str,
    text: String,
    piece: usize,
    end: End,
    asked: Mutex<Vec<Request>>,
}

struct Pieces {
    text: Bytes,
    piece: usize,
    end: End,
}

fn broken() -> FetchError {
    FetchError::Truncated { host: "api.example".to_owned(), source: "cut".into() }
}

#[async_trait]
impl BodySource for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.text.is_empty() {
            return match self.end {
                End::Proven => Ok(None),
                End::Broken => Err(broken()),
            };
        }
        Ok(Some(self.text.split_to(self.piece.min(self.text.len()))))
    }
}

fn response(url: url::Url, status: u16, content_type: &'static str, body: Body) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Response { status: StatusCode::from_u16(status).unwrap(), headers, url, version: Version::HTTP_11, body }
}

#[async_trait]
impl Fetch for Scripted {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let text = Bytes::copy_from_slice(self.text.as_bytes());
        let body = Body::new(Pieces { text, piece: self.piece, end: self.end });
        let url = request.url.clone();
        self.asked.lock().unwrap().push(request);
        Ok(response(url, self.status, self.content_type, body))
    }
}

fn scripted(status: u16, text: &str) -> Scripted {
    Scripted {
        status,
        content_type: "application/json",
        text: text.to_owned(),
        piece: 7,
        end: End::Proven,
        asked: Mutex::default(),
    }
}

fn archive(script: Scripted) -> (Archive, Arc<Scripted>) {
    let script = Arc::new(script);
    let fetch: Arc<dyn Fetch> = Arc::<Scripted>::clone(&script);
    (Archive::new(fetch, "https://api.example/base/").unwrap(), script)
}

fn gill() -> ListingRequest {
    ListingRequest {
        dataset: "THEMIS_ASI_RAW".to_owned(),
        start: "2022-01-01T06:00:00Z".parse().unwrap(),
        end: "2022-01-01T06:59:59.9Z".parse().unwrap(),
        site: Some("gill".to_owned()),
        device: None,
        include_total_bytes: TotalBytes::Omit,
    }
}

async fn listed(script: Scripted) -> Result<Listing, ArchiveError> {
    archive(script).0.listing(&gill()).await
}

fn all(listing: Listing) -> Vec<String> {
    listing.urls.read().unwrap().collect::<io::Result<_>>().unwrap()
}

const TWO: &str = r#"{"urls":["https://d.example/t/a","https://d.example/t/b"],"path_prefix":"https://d.example/t/",
    "count":2,"total_bytes":null,"dataset":{"name":"THEMIS_ASI_RAW","doi":null}}"#;

#[tokio::test]
async fn a_listing_is_asked_for_in_utc_seconds() {
    let (archive, script) = archive(scripted(200, TWO));
    let listing = archive.listing(&gill()).await.unwrap();
    assert_eq!(listing.path_prefix, "https://d.example/t");
    assert_eq!((listing.count, listing.total_bytes, listing.urls.len()), (Some(2), None, 2));
    assert_eq!(all(listing), ["https://d.example/t/a", "https://d.example/t/b"]);
    let asked = script.asked.lock().unwrap();
    assert_eq!(
        asked[0].url.as_str(),
        "https://api.example/base/api/v1/data_distribution/urls?name=THEMIS_ASI_RAW\
         &start=2022-01-01T06%3A00%3A00&end=2022-01-01T06%3A59%3A59&site_uid=gill"
    );
    assert_eq!(
        (&asked[0].method, &asked[0].headers["accept"]),
        (&Method::GET, &HeaderValue::from_static("application/json"))
    );
}

#[tokio::test]
async fn everything_that_can_be_asked_of_a_listing_is_sent() {
    let (archive, script) = archive(scripted(200, TWO));
    let device = Some("themis19".to_owned());
    let request = ListingRequest { site: None, device, include_total_bytes: TotalBytes::Include, ..gill() };
    archive.listing(&request).await.unwrap();
    let query = script.asked.lock().unwrap()[0].url.query().unwrap().to_owned();
    assert!(
        query.ends_with("&device_uid=themis19&include_total_bytes=true") && !query.contains("site_uid"),
        "{query}"
    );
}

#[tokio::test]
async fn nothing_found_is_an_empty_listing() {
    let listing =
        listed(scripted(200, r#"{"urls":[],"path_prefix":"p","count":0,"total_bytes":0}"#)).await.unwrap();
    assert!(listing.urls.is_empty());
    assert_eq!(listing.total_bytes, Some(0));
    assert_eq!(all(listing), [""; 0]);
}

/// A status, its body, and what they mean.
type Row = (u16, &'static str, fn(&ArchiveError) -> bool);

#[tokio::test]
async fn the_archives_complaints_are_told_apart() {
    let day =
        r#"{"detail":"Timeframe exceeds valid range; this dataset listing must be limited to one day"}"#;
    let table: [Row; 7] = [
        (400, day, |e| matches!(e, ArchiveError::SpanTooLong { .. })),
        (
            400,
            r#"{"detail":"Start time is after the end time"}"#,
            |e| matches!(e, ArchiveError::Refused { status: 400, detail } if detail == "Start time is after the end time"),
        ),
        (
            404,
            r#"{"detail":"Dataset name does not exist"}"#,
            |e| matches!(e, ArchiveError::UnknownDataset { dataset } if dataset == "THEMIS_ASI_RAW"),
        ),
        (
            422,
            r#"{"detail":[{"loc":["query","start"],"msg":"Field required","type":"missing"}]}"#,
            |e| matches!(e, ArchiveError::Refused { status: 422, detail } if detail == "start: Field required"),
        ),
        (500, r#"{"detail":"Data retrieval error"}"#, |e| {
            matches!(e, ArchiveError::Unavailable { status: Some(500), .. })
        }),
        (502, "<html>Bad Gateway</html>", |e| {
            matches!(e, ArchiveError::Unavailable { status: Some(502), .. })
        }),
        (429, "", |e| matches!(e, ArchiveError::Unavailable { status: Some(429), .. })),
    ];
    for (status, text, expected) in table {
        let error = listed(scripted(status, text)).await.unwrap_err();
        assert!(expected(&error), "{status} {text}: {error:?}");
    }
}

#[tokio::test]
async fn a_page_where_data_should_be_is_no_answer() {
    let page = "\r\n \u{20}\u{20}\u{20}\u{20} <!DOCTYPE html><title>Welcome</title>";
    for script in [scripted(200, page), Scripted { content_type: "text/html", ..scripted(200, TWO) }] {
        let error = listed(script).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Page) && error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn a_cut_body_is_an_error_never_a_short_list() {
    for cut in [0, 1, 30, TWO.len() - 1] {
        let error = listed(scripted(200, &TWO[..cut])).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Answer { .. }), "{cut}: {error:?}");
        assert!(error.is_transient());
    }
    // Even where all of the document came: without a proven end it may be the beginning of another.
    for cut in [0, 30, TWO.len()] {
        let script = Scripted { end: End::Broken, ..scripted(200, &TWO[..cut]) };
        let error = listed(script).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Fetch(FetchError::Truncated { .. })), "{cut}: {error:?}");
    }
}

#[tokio::test]
async fn a_listing_may_lack_its_place() {
    for text in [r#"{"urls":[]}"#, r#"{"urls":[],"path_prefix":null}"#, r#"{"urls":[],"path_prefix":"/"}"#] {
        assert_eq!(listed(scripted(200, text)).await.unwrap().path_prefix, "");
    }
}

/// Makes a listing of many URLs as it is read, so that it never stands in memory.
struct Flood {
    next: u64,
    count: u64,
}

#[async_trait]
impl BodySource for Flood {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.next > self.count {
            return Ok(None);
        }
        let mut piece = if self.next == 0 { r#"{"urls":["#.to_owned() } else { String::new() };
        let end = (self.next + 100).min(self.count);
        for number in self.next..end {
            let comma = if number == 0 { "" } else { "," };
            piece +=
                &format!("{comma}\"https://d.example/t/2022/01/01/gill_themis19/ut06/{number:07}.pgm.gz\"");
        }
        self.next = end;
        if end == self.count {
            piece += r#"],"count":1,"path_prefix":"https://d.example/t"}"#;
            self.next += 1;
        }
        Ok(Some(piece.into()))
    }
}

struct Flooding(u64);

#[async_trait]
impl Fetch for Flooding {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let body = Body::new(Flood { next: 0, count: self.0 });
        Ok(response(request.url, 200, "application/json", body))
    }
}

#[tokio::test]
async fn two_hundred_thousand_urls_come_whole_and_in_order() {
    let archive = Archive::new(Arc::new(Flooding(200_000)), "https://api.example").unwrap();
    let listing = archive.listing(&gill()).await.unwrap();
    assert_eq!(listing.urls.len(), 200_000);
    let mut expected = 0;
    for url in listing.urls.read().unwrap() {
        assert!(url.unwrap().ends_with(&format!("/{expected:07}.pgm.gz")));
        expected += 1;
    }
    assert_eq!(expected, 200_000);
}

const CATALOGUE: &str = r#"[
    {"name":"REGO_RAW","file_time_resolution":"1min","level":"L0","new":1},
    {"name":"REGO_RAW_WIDE","level":"L0","doi":null},
    {"nameless":true}, null]"#;

#[tokio::test]
async fn datasets_of_every_shape_are_read() {
    let (archive, script) = archive(scripted(200, CATALOGUE));
    let datasets = archive.datasets(None).await.unwrap();
    let told: Vec<_> = datasets.iter().map(|d| (d.name.as_str(), d.file_time_resolution)).collect();
    assert_eq!(told, [("REGO_RAW", Resolution::Minute), ("REGO_RAW_WIDE", Resolution::Unknown)]);
    assert_eq!(datasets[0].raw["new"], 1);
    assert_eq!(script.asked.lock().unwrap()[0].url.query(), None);
}

#[tokio::test]
async fn a_dataset_is_found_by_its_whole_name_in_any_case() {
    let (archive, script) = archive(scripted(200, CATALOGUE));
    assert_eq!(archive.dataset(" rego_raw ").await.unwrap().unwrap().name, "REGO_RAW");
    assert_eq!(archive.dataset("REGO").await.unwrap(), None);
    assert_eq!(script.asked.lock().unwrap()[0].url.query(), Some("name=rego_raw"));
}

#[tokio::test]
async fn observatories_are_asked_for_by_array_and_uid() {
    let (archive, script) =
        archive(scripted(200, r#"[{"uid":"fsmi","full_name":"Fort Smith","geodetic_latitude":60.03}]"#));
    let sites = archive.observatories("REGO", Some("fs")).await.unwrap();
    assert_eq!((sites[0].uid.as_str(), sites[0].geodetic_latitude), ("fsmi", Some(60.03)));
    assert_eq!(script.asked.lock().unwrap()[0].url.query(), Some("instrument_array=rego&uid=fs"));
}

#[tokio::test]
async fn imaging_timeframes_are_posted() {
    let (archive, script) =
        archive(scripted(200, r#"[{"site_uid":"gill","imaging_start":"2022-01-01T00:10:00Z"}]"#));
    let frames = archive.imaging_timeframes(gill().start, &["gill"], 102.0).await.unwrap();
    assert_eq!(frames[0].imaging_start, Some("2022-01-01T00:10:00Z".parse().unwrap()));
    let asked = script.asked.lock().unwrap();
    assert_eq!(
        (&asked[0].method, &asked[0].headers[CONTENT_TYPE]),
        (&Method::POST, &HeaderValue::from_static("application/json"))
    );
    let body: serde_json::Value = serde_json::from_slice(asked[0].body.as_ref().unwrap()).unwrap();
    let expected = serde_json::json!({
        "timestamp": "2022-01-01T06:00:00", "locations": [{"site_uid": "gill"}], "threshold": 102.0
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_catalogue_that_is_no_list_is_no_answer() {
    for text in ["{}", "7", "", r#"[{"name":"X"}"#] {
        let (archive, _) = archive(scripted(200, text));
        let error = archive.datasets(None).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Answer { .. }), "{text}: {error:?}");
    }
}

#[test]
fn a_base_that_is_no_web_address_is_refused() {
    for api in ["", "api.phys.ucalgary.ca", "ftp://a.example", "file:///x", "localhost:8080"] {
        let error = Archive::new(Arc::new(scripted(200, "")), api).unwrap_err();
        assert!(matches!(error, ArchiveError::Api { .. }), "{api}: {error:?}");
    }
}
