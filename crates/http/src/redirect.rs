//! Redirects of GET and HEAD, followed by us so that secrets stay with their origin (RFC 9110 section 15.4).
//!
//! At most ten, same-URL ones counted too; never from https to http, never to anything but http(s).
//! A redirect to another scheme, host or port drops the secret headers for good.

use async_trait::async_trait;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::credentials::{hide_credentials, strip_credentials};
use crate::origin::same_origin;
use crate::{Fetch, FetchError, Request, Response};

/// More are a loop, or as good as one.
const MOST_REDIRECTS: u32 = 10;

/// Follows redirects.
#[derive(Debug)]
pub(crate) struct Redirects<F>(F);

impl<F> Redirects<F> {
    pub(crate) fn new(inner: F) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Redirects<F> {
    async fn fetch(&self, mut request: Request) -> Result<Response, FetchError> {
        hide_credentials(&mut request);
        if !is_web(&request.url) {
            let why = format!("'{}' is neither http nor https", request.url.scheme());
            return Err(FetchError::Request { url: request.url.to_string(), why });
        }
        let mut followed = 0;
        loop {
            let response = self.0.fetch(request.clone()).await?;
            if !is_followed(&request.method, response.status) {
                return Ok(response);
            }
            let refuse = |why: String| FetchError::Redirect { url: request.url.to_string(), why };
            if followed == MOST_REDIRECTS {
                return Err(refuse(format!("once more after {MOST_REDIRECTS} redirects")));
            }
            let target = target(&request.url, &response.headers).map_err(refuse)?;
            // The rest of the redirect's own body is of no use; dropping it frees the place at its host.
            drop(response);
            if !same_origin(&request.url, &target) {
                request.secret_headers.clear();
            }
            tracing::debug!(from = %request.url, to = %target, "redirected");
            request.url = target;
            followed += 1;
        }
    }
}

fn is_followed(method: &Method, status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && matches!(*method, Method::GET | Method::HEAD)
}

/// Where a redirect leads, or why it must not be followed, as a fragment after "URL redirects".
fn target(from: &Url, headers: &HeaderMap) -> Result<Url, String> {
    let location = headers.get(LOCATION).map(HeaderValue::as_bytes);
    let location = location.ok_or("without saying where to")?;
    let text = std::str::from_utf8(location).map_err(|_| "to a place whose name is not UTF-8")?;
    let mut to = from.join(text.trim()).map_err(|error| format!("to '{}': {error}", shortened(text)))?;
    if !is_web(&to) {
        return Err(format!("to {}, which is neither http nor https", shortened(to.as_str())));
    }
    strip_credentials(&mut to);
    to.set_fragment(None);
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(format!("to {}, which is not encrypted", shortened(to.as_str())));
    }
    Ok(to)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// A server may send kilobytes; a message should not.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::Version;
    use http::header::{AUTHORIZATION, RANGE};

    use super::*;
    use crate::Body;

    /// A URL, its status and where it redirects to.
    type Row = (&'static str, u16, Option<&'static [u8]>);

    /// Redirects as its table says, and keeps what it was asked.
    struct Site {
        table: Vec<Row>,
        asked: Mutex<Vec<Request>>,
    }

    struct Empty;

    #[async_trait]
    impl crate::BodySource for Empty {
        async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, FetchError> {
            Ok(None)
        }
    }

    #[async_trait]
    impl Fetch for Site {
        async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
            let row = self.table.iter().find(|row| row.0 == request.url.as_str());
            let (status, location) = row.map_or((200, None), |row| (row.1, row.2));
            let mut headers = HeaderMap::new();
            if let Some(location) = location {
                headers.insert(LOCATION, HeaderValue::from_bytes(location).unwrap());
            }
            let url = request.url.clone();
            self.asked.lock().unwrap().push(request);
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Response { status, headers, url, version: Version::HTTP_11, body: Body::new(Empty) })
        }
    }

    async fn follow(
        method: Method,
        url: &str,
        table: &[Row],
    ) -> (Result<Response, FetchError>, Vec<Request>) {
        let site = Redirects::new(Site { table: table.to_vec(), asked: Mutex::default() });
        let mut request = Request { method, ..Request::get(url.parse().unwrap()) };
        request.headers.insert(RANGE, HeaderValue::from_static("bytes=5-"));
        request.secret_headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        let answer = site.fetch(request).await;
        (answer, site.0.asked.into_inner().unwrap())
    }

    async fn refused(url: &str, location: Option<&'static [u8]>) -> String {
        let table = [("https://a.example/x", 302, location), ("http://a.example/x", 302, location)];
        let (answer, asked) = follow(Method::GET, url, &table).await;
        assert_eq!(asked.len(), 1);
        match answer.unwrap_err() {
            FetchError::Redirect { url: from, why } => {
                assert_eq!(from, url);
                why
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_redirect_status_is_followed_with_the_same_method_and_headers() {
        for status in [301, 302, 303, 307, 308] {
            for method in [Method::GET, Method::HEAD] {
                let table = [("https://a.example/d/x", status, Some("../y?z#f".as_bytes()))];
                let (answer, asked) = follow(method.clone(), "https://a.example/d/x", &table).await;
                assert_eq!(answer.unwrap().url.as_str(), "https://a.example/y?z");
                assert_eq!(asked[1].method, method);
                assert_eq!(asked[1].headers[RANGE], "bytes=5-");
                assert_eq!(asked[1].secret_headers[AUTHORIZATION], "Bearer t");
            }
        }
    }

    #[tokio::test]
    async fn other_statuses_and_other_methods_are_answers() {
        for status in [200, 300, 304, 305, 404] {
            let table = [("https://a.example/x", status, Some("/y".as_bytes()))];
            let (answer, _) = follow(Method::GET, "https://a.example/x", &table).await;
            assert_eq!(answer.unwrap().status.as_u16(), status);
        }
        let table = [("https://a.example/x", 302, Some("/y".as_bytes()))];
        let (answer, _) = follow(Method::POST, "https://a.example/x", &table).await;
        assert_eq!(answer.unwrap().status.as_u16(), 302);
    }

    #[tokio::test]
    async fn secrets_do_not_leave_their_origin_and_do_not_come_back() {
        for elsewhere in ["https://b.example/y", "https://a.example:8443/y", "https://u:p@b.example/y"] {
            let bare = elsewhere.replace("u:p@", "").leak();
            let table = [
                ("https://a.example/x", 302, Some(elsewhere.as_bytes())),
                (bare, 302, Some("https://a.example/z".as_bytes())),
            ];
            let (answer, asked) = follow(Method::GET, "https://a.example/x", &table).await;
            assert_eq!(answer.unwrap().url.as_str(), "https://a.example/z");
            assert!(!asked[0].secret_headers.is_empty());
            assert!(asked[1].secret_headers.is_empty() && asked[2].secret_headers.is_empty());
            assert_eq!(asked[1].url.as_str(), bare);
        }
    }

    #[tokio::test]
    async fn ten_are_followed_and_the_eleventh_is_not() {
        let urls: Vec<&'static str> = (0..12).map(|n| &*format!("https://a.example/{n}").leak()).collect();
        let row = |n: usize| (urls[n], 302, Some(urls[n + 1].as_bytes()));
        let ten: Vec<Row> = (0..10).map(row).collect();
        let (answer, _) = follow(Method::GET, urls[0], &ten).await;
        assert_eq!(answer.unwrap().url.as_str(), urls[10]);
        let eleven: Vec<Row> = (0..11).map(row).collect();
        let (answer, asked) = follow(Method::GET, urls[0], &eleven).await;
        assert_eq!(asked.len(), 11);
        let message = answer.unwrap_err().to_string();
        assert_eq!(message, "https://a.example/10 redirects once more after 10 redirects");
        let to_itself = [("https://a.example/x", 302, Some("/x".as_bytes()))];
        assert!(follow(Method::GET, "https://a.example/x", &to_itself).await.0.is_err());
    }

    #[tokio::test]
    async fn bad_targets_are_refused() {
        let table: [(Option<&[u8]>, &str); 6] = [
            (None, "without saying where to"),
            (Some(b"http://a.example/y"), "to http://a.example/y, which is not encrypted"),
            (Some(b"ftp://a.example/y"), "to ftp://a.example/y, which is neither http nor https"),
            (Some(b"file:///etc/passwd"), "to file:///etc/passwd, which is neither http nor https"),
            (Some(b"https://[bad/y"), "to 'https://[bad/y': invalid IPv6 address"),
            (Some(b"/\xff"), "to a place whose name is not UTF-8"),
        ];
        for (location, expected) in table {
            assert_eq!(refused("https://a.example/x", location).await, expected);
        }
        assert!(refused("http://a.example/x", Some(b"data:,x")).await.contains("neither"));
    }

    #[tokio::test]
    async fn only_the_web_is_asked() {
        let (answer, asked) = follow(Method::GET, "ftp://a.example/x", &[]).await;
        assert!(asked.is_empty());
        assert!(matches!(answer, Err(FetchError::Request { .. })));
    }
}
