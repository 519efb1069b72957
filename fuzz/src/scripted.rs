//! A site whose answers stand in the input, written much as they are on the wire.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use skyhaul_http::{Body, BodySource, Fetch, FetchError, Request, Response};

/// Stands between two answers.
const BETWEEN: &[u8] = b"\n~~~\n";

/// A site that gives its answers in order, and is away when there are no more.
pub(crate) struct Site {
    answers: Mutex<VecDeque<(StatusCode, HeaderMap, Bytes)>>,
}

impl Site {
    /// Reads answers: a line of the status, lines of headers, an empty line, and the body.
    pub(crate) fn parse(input: &[u8]) -> Self {
        Self { answers: Mutex::new(split(input, BETWEEN).into_iter().map(answer).collect()) }
    }

    /// A site that gives one answer.
    pub(crate) fn saying(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        Self { answers: Mutex::new([(status, headers, Bytes::copy_from_slice(body))].into()) }
    }

    /// How many answers are left.
    pub(crate) fn left(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

#[async_trait]
impl Fetch for Site {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let answer = self.answers.lock().unwrap().pop_front();
        let Some((status, headers, body)) = answer else {
            let (host, source) = ("a.example".into(), "away".into());
            return Err(FetchError::Connect { host, answered_before: true, source });
        };
        Ok(Response {
            status,
            headers,
            url: request.url,
            version: Version::HTTP_11,
            body: Body::new(Once(body)),
        })
    }
}

/// The status and headers of an answer, as far as they can be sent at all.
pub(crate) fn head(lines: &[u8]) -> (StatusCode, HeaderMap) {
    let mut lines = lines.split(|&byte| byte == b'\n');
    let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok()).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (status, headers)
}

fn answer(text: &[u8]) -> (StatusCode, HeaderMap, Bytes) {
    let end = text.windows(2).position(|pair| pair == b"\n\n").unwrap_or(text.len());
    let (status, headers) = head(&text[..end]);
    (status, headers, Bytes::copy_from_slice(text.get(end + 2..).unwrap_or_default()))
}

fn split<'a>(mut text: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(mark.len()).position(|window| window == mark) {
        parts.push(&text[..at]);
        text = &text[at + mark.len()..];
    }
    parts.push(text);
    parts
}

/// A body in two pieces, which breaks off when it ends in `\`.
struct Once(Bytes);

#[async_trait]
impl BodySource for Once {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        match &self.0[..] {
            [] => Ok(None),
            [b'\\'] => Err(FetchError::Broken { host: "a.example".into(), source: "reset".into() }),
            [.., b'\\'] => Ok(Some(self.0.split_to(self.0.len() - 1))),
            bytes => Ok(Some(self.0.split_to(bytes.len().div_ceil(2)))),
        }
    }
}
