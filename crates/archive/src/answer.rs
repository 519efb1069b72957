//! From an HTTP answer to JSON, or to the reason why there is none. The judging is pure.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use skyhaul_http::{Body, FetchError, Response, retry_after};

use crate::ArchiveError;

/// More of an error page is not read.
const LONGEST_COMPLAINT: usize = 64 * 1024;

/// No catalogue is longer: today's is about 100 kB.
const LONGEST_DOCUMENT: usize = 32 * 1024 * 1024;

/// More of the archive's words is not repeated.
const LONGEST_DETAIL: usize = 500;

/// A successful answer whose body begins like JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What was read to see how it begins.
    pub(crate) first: Bytes,
    /// What follows.
    pub(crate) rest: Body,
}

impl Answer {
    /// Judges status and beginning. `asked` names what was asked for, as a dataset's name.
    pub(crate) async fn accept(mut response: Response, asked: &str) -> Result<Self, ArchiveError> {
        if response.status != StatusCode::OK {
            let text = read_up_to(&mut response.body, LONGEST_COMPLAINT).await.unwrap_or_default();
            return Err(complaint(response.status, &response.headers, &text, asked));
        }
        let first = beginning(&mut response.body).await?;
        if is_html(&response.headers, &first) {
            return Err(ArchiveError::Page);
        }
        Ok(Self { first, rest: response.body })
    }

    /// All of it, where it is known to be small.
    pub(crate) async fn json(mut self) -> Result<Value, ArchiveError> {
        let mut text = BytesMut::from(self.first);
        while let Some(piece) = self.rest.chunk().await? {
            if text.len() + piece.len() > LONGEST_DOCUMENT {
                let what = format!("it is longer than {LONGEST_DOCUMENT} bytes");
                return Err(ArchiveError::Answer { what });
            }
            text.extend_from_slice(&piece);
        }
        serde_json::from_slice(&text).map_err(|error| ArchiveError::Answer { what: error.to_string() })
    }
}

/// All of it, as a list whose members are told apart later.
pub(crate) fn list(document: Value) -> Result<Vec<Value>, ArchiveError> {
    match document {
        Value::Array(members) => Ok(members),
        _ => Err(ArchiveError::Answer { what: "a list was expected".to_owned() }),
    }
}

/// Pieces up to the first that holds more than white space.
async fn beginning(body: &mut Body) -> Result<Bytes, FetchError> {
    let mut begun = BytesMut::new();
    while begun.trim_ascii_start().is_empty() && begun.len() < LONGEST_COMPLAINT {
        match body.chunk().await? {
            Some(piece) => begun.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(begun.freeze())
}

async fn read_up_to(body: &mut Body, most: usize) -> Result<Bytes, FetchError> {
    let mut text = BytesMut::new();
    while text.len() < most {
        match body.chunk().await? {
            Some(piece) => text.extend_from_slice(&piece[..piece.len().min(most - text.len())]),
            None => break,
        }
    }
    Ok(text.freeze())
}

/// Whether a page for people came, by its type or by how it begins.
fn is_html(headers: &HeaderMap, text: &[u8]) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.to_ascii_lowercase().contains("html") || text.trim_ascii_start().starts_with(b"<")
}

/// What a status other than 200 means.
fn complaint(status: StatusCode, headers: &HeaderMap, text: &[u8], asked: &str) -> ArchiveError {
    let wait = retry_after(headers, Timestamp::now());
    let unavailable = |what: String| unavailable(status, what, wait);
    if is_html(headers, text) {
        return unavailable(format!("status {} with a web page", status.as_u16()));
    }
    let detail = detail(text);
    if !status.is_client_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        return unavailable(format!("status {}{}", status.as_u16(), after_colon(&detail)));
    }
    let folded = detail.to_ascii_lowercase();
    if folded.contains("limited to one day") || folded.contains("exceeds valid range") {
        return ArchiveError::SpanTooLong { detail };
    }
    if status == StatusCode::NOT_FOUND && folded.contains("dataset") {
        return ArchiveError::UnknownDataset { dataset: asked.to_owned() };
    }
    let detail = if detail.is_empty() { "without a reason".to_owned() } else { detail };
    ArchiveError::Refused { status: status.as_u16(), detail }
}

fn unavailable(status: StatusCode, what: String, wait: Option<Duration>) -> ArchiveError {
    // Only on these does Retry-After ask for patience (the HTTP client heeds it on no others either).
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    ArchiveError::Unavailable { status: Some(status.as_u16()), what, retry_after: wait.filter(|_| asks) }
}

fn after_colon(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// The archive's own words: FastAPI's `detail`, a sentence or a list of what is wrong with the request.
fn detail(text: &[u8]) -> String {
    let document: Option<Value> = serde_json::from_slice(text).ok();
    let words = match document.as_ref().and_then(|document| document.get("detail")) {
        Some(Value::String(sentence)) => sentence.clone(),
        Some(Value::Array(items)) => items.iter().map(violation).collect::<Vec<_>>().join("; "),
        Some(other) => other.to_string(),
        None => String::from_utf8_lossy(text).into_owned(),
    };
    shortened(&words)
}

/// One entry of a validation error: where (`loc`, without the leading "query") and what (`msg`).
fn violation(item: &Value) -> String {
    let message = item.get("msg").and_then(Value::as_str).map_or_else(|| item.to_string(), str::to_owned);
    let place = item.get("loc").and_then(Value::as_array).into_iter().flatten();
    let place: Vec<String> = place
        .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
        .filter(|part| part != "query" && part != "body")
        .collect();
    if place.is_empty() { message } else { format!("{}: {message}", place.join(".")) }
}

/// One line of bounded length.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(LONGEST_DETAIL) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::RETRY_AFTER;

    use super::*;

    fn judged(status: u16, content_type: &'static str, text: &str) -> ArchiveError {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        complaint(StatusCode::from_u16(status).unwrap(), &headers, text.as_bytes(), "X_RAW")
    }

    const JSON: &str = "application/json";

    #[test]
    fn a_span_that_is_too_long_is_known_by_its_words() {
        for words in [
            "Timeframe exceeds valid range; this dataset listing must be limited to one day",
            "this listing is LIMITED TO ONE DAY",
            "span Exceeds Valid Range",
        ] {
            let error = judged(400, JSON, &format!(r#"{{"detail":"{words}"}}"#));
            assert!(matches!(&error, ArchiveError::SpanTooLong { detail } if detail == words), "{error:?}");
        }
    }

    #[test]
    fn refusals_are_told_in_the_archives_words() {
        let table = [
            (400, r#"{"detail":"Start time is after the end time"}"#, "Start time is after the end time"),
            (404, r#"{"detail":"Not Found"}"#, "Not Found"),
            (
                422,
                r#"{"detail":[{"loc":["query","start"],"msg":"Field required","type":"missing"},
                    {"loc":["body","locations",0,"site_uid"],"msg":"too short","type":"x"}]}"#,
                "start: Field required; locations.0.site_uid: too short",
            ),
            (422, r#"{"detail":[{"type":"x"}]}"#, r#"{"type":"x"}"#),
            (403, r#"{"detail":{"code":7}}"#, r#"{"code":7}"#),
            (418, "I am\n a teapot", "I am a teapot"),
            (410, "", "without a reason"),
        ];
        for (status, text, words) in table {
            match judged(status, JSON, text) {
                ArchiveError::Refused { status: told, detail } => {
                    assert_eq!((told, &*detail), (status, words));
                }
                other => panic!("{status} {text}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_unknown_dataset_is_named() {
        let error = judged(404, JSON, r#"{"detail":"Dataset name does not exist"}"#);
        assert_eq!(error.to_string(), "the archive has no dataset X_RAW");
    }

    #[test]
    fn gateways_and_overload_may_pass() {
        let page = "<html><body>502 Bad Gateway</body></html>";
        let table = [
            (500, JSON, r#"{"detail":"Data retrieval error"}"#, None),
            (502, "text/html", page, None),
            (504, "text/plain", page, None),
            (404, "text/html; charset=utf-8", "gone", None),
            (429, JSON, r#"{"detail":"slow down"}"#, Some(7)),
            (503, JSON, "", Some(7)),
            (302, JSON, "", None),
        ];
        for (status, kind, text, wait) in table {
            match judged(status, kind, text) {
                ArchiveError::Unavailable { status: told, retry_after, .. } => {
                    assert_eq!(
                        (told, retry_after),
                        (Some(status), wait.map(Duration::from_secs)),
                        "{status}"
                    );
                }
                other => panic!("{status} {text}: {other:?}"),
            }
        }
        let error = judged(500, JSON, r#"{"detail":"Data retrieval error"}"#);
        assert_eq!(error.to_string(), "the archive is unavailable: status 500: Data retrieval error");
    }

    #[test]
    fn long_complaints_are_shortened() {
        let ArchiveError::Refused { detail, .. } = judged(400, JSON, &"ä ".repeat(9_999)) else { panic!() };
        assert_eq!(detail.chars().count(), LONGEST_DETAIL + 1);
    }
}
