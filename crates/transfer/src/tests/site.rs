//! A site of one file, whose answers go wrong as scripted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use skyhaul_http::{Body, BodySource, Fetch, FetchError, Request, Response};

/// How one answer goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The body breaks off after so many bytes.
    Cut(usize),
    /// The body ends cleanly after so many bytes, whatever its head promised.
    End(usize),
    /// The body says nothing more after so many bytes.
    Hang(usize),
    /// So many bytes come beyond what was promised.
    Surplus(usize),
    /// No connection; whether the host had answered before.
    Away(bool),
    /// The Range is overlooked.
    WholeAnyway,
    /// So is this one, so late that a body in flight has come to its end.
    WholeAnywayLate,
    /// There is never an answer.
    Silence,
    /// A 206 brings so many bytes at most.
    Short(u64),
    /// A 206 brings so many bytes at most, does not tell the total, and breaks off behind them.
    Ragged(u64),
    /// This status and these headers, with a body.
    Says(u16, Vec<(&'static str, String)>, &'static [u8]),
    /// The usual answer, with a header changed or, where there is no value, removed.
    With(&'static str, Option<&'static str>),
}

pub(super) struct Site {
    pub(super) bytes: Mutex<Vec<u8>>,
    pub(super) etag: Mutex<Option<String>>,
    /// How many bytes come at a time.
    pub(super) piece: Mutex<usize>,
    /// How long each piece of any body takes.
    pub(super) pause: Mutex<Option<Duration>>,
    /// Headers that every answer has besides.
    pub(super) extra: Mutex<Vec<(&'static str, &'static str)>>,
    pub(super) script: Mutex<VecDeque<Option<Fault>>>,
    pub(super) asked: Mutex<Vec<Request>>,
    sent: Arc<AtomicU64>,
}

impl Site {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: Mutex::new(bytes.to_vec()),
            etag: Mutex::new(Some("\"v1\"".into())),
            piece: Mutex::new(16 << 10),
            pause: Mutex::default(),
            extra: Mutex::default(),
            script: Mutex::default(),
            asked: Mutex::default(),
            sent: Arc::default(),
        }
    }

    /// Lets the next answer, after those that were scripted before, go wrong.
    pub(super) fn then(&self, fault: Fault) -> &Self {
        self.script.lock().unwrap().push_back(Some(fault));
        self
    }

    /// Another version of the file.
    pub(super) fn change(&self, bytes: &[u8], etag: &str) -> &Self {
        *self.bytes.lock().unwrap() = bytes.to_vec();
        *self.etag.lock().unwrap() = Some(etag.to_owned());
        self
    }

    pub(super) fn without_validators(&self) {
        *self.etag.lock().unwrap() = None;
    }

    /// The methods and ranges that were asked for so far.
    pub(super) fn log(&self) -> Vec<String> {
        let shown = |request: &Request| {
            let range = request.headers.get("range").map(|range| format!(" {}", range.to_str().unwrap()));
            format!("{}{}", request.method, range.unwrap_or_default())
        };
        self.asked.lock().unwrap().iter().map(shown).collect()
    }

    /// Body bytes that were taken so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn answer(&self, request: &Request, fault: &Option<Fault>) -> (u16, HeaderMap, Vec<u8>) {
        if let Some(Fault::Says(status, pairs, body)) = fault {
            let pairs = pairs.iter().map(|(name, value)| header(name, value));
            return (*status, pairs.collect(), body.to_vec());
        }
        let all = self.bytes.lock().unwrap().clone();
        let etag = self.etag.lock().unwrap().clone();
        let mut headers: HeaderMap = etag.iter().map(|etag| header("etag", etag)).collect();
        let from = self.wanted(request, etag.as_deref(), fault);
        let (status, body) = match from {
            Some(from) if from >= all.len() => {
                headers.extend([header("content-range", &format!("bytes */{}", all.len()))]);
                (416, Vec::new())
            }
            Some(from) => {
                let until = self.wanted_until(request).unwrap_or(usize::MAX);
                let (most, total) = match fault {
                    Some(Fault::Short(most)) => (*most as usize, all.len().to_string()),
                    Some(Fault::Ragged(most)) => (*most as usize, "*".to_owned()),
                    _ => (usize::MAX, all.len().to_string()),
                };
                let end = all.len().min(from.saturating_add(most)).min(until);
                let range = format!("bytes {from}-{}/{total}", end - 1);
                headers.extend([header("content-range", &range)]);
                (206, all[from..end].to_vec())
            }
            None => (200, all),
        };
        headers.extend([header("content-length", &body.len().to_string())]);
        headers.extend(self.extra.lock().unwrap().iter().map(|(name, value)| header(name, value)));
        if let Some(Fault::With(name, value)) = fault {
            headers.remove(*name);
            headers.extend(value.map(|value| header(name, value)));
        }
        let body = if request.method == Method::HEAD { Vec::new() } else { body };
        (status, headers, body)
    }

    /// The first byte wanted, where the Range counts.
    fn wanted(&self, request: &Request, etag: Option<&str>, fault: &Option<Fault>) -> Option<usize> {
        let text = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let range =
            text("range").filter(|_| !matches!(fault, Some(Fault::WholeAnyway | Fault::WholeAnywayLate)))?;
        let condition = text("if-range");
        if condition.is_some() && condition.as_deref() != etag {
            return None;
        }
        range.strip_prefix("bytes=")?.split_once('-')?.0.parse().ok()
    }

    /// The offset behind the last byte wanted, where the Range names one.
    fn wanted_until(&self, request: &Request) -> Option<usize> {
        let last: usize = request.headers.get("range")?.to_str().ok()?.split_once('-')?.1.parse().ok()?;
        Some(last + 1)
    }
}

fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    (name.parse().unwrap(), value.parse().unwrap())
}

#[async_trait]
impl Fetch for Site {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.asked.lock().unwrap().push(request.clone());
        let fault = self.script.lock().unwrap().pop_front().flatten();
        if let Some(Fault::Away(answered_before)) = fault {
            let (host, source) = ("a.example".into(), "refused".into());
            return Err(FetchError::Connect { host, answered_before, source });
        }
        match fault {
            Some(Fault::WholeAnywayLate) => tokio::time::sleep(Duration::from_secs(60)).await,
            Some(Fault::Silence) => std::future::pending().await,
            _ => {}
        }
        let (status, headers, mut body) = self.answer(&request, &fault);
        let mut last = Last::End;
        match fault {
            Some(Fault::Cut(at)) => (body, last) = (cut(body, at), Last::Break),
            Some(Fault::End(at)) => body = cut(body, at),
            Some(Fault::Ragged(_)) => last = Last::Break,
            Some(Fault::Hang(at)) => (body, last) = (cut(body, at), Last::Hang),
            Some(Fault::Surplus(more)) => body.extend(vec![0xee; more]),
            _ => {}
        }
        let piece = *self.piece.lock().unwrap();
        let pause = *self.pause.lock().unwrap();
        let body = Body::new(Pieces { left: body.into(), piece, pause, last, sent: Arc::clone(&self.sent) });
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Response { status, headers, url: request.url, version: Version::HTTP_11, body })
    }
}

fn cut(mut body: Vec<u8>, at: usize) -> Vec<u8> {
    body.truncate(at);
    body
}

#[derive(Clone, Copy)]
enum Last {
    End,
    Break,
    Hang,
}

struct Pieces {
    left: Bytes,
    piece: usize,
    pause: Option<Duration>,
    last: Last,
    sent: Arc<AtomicU64>,
}

#[async_trait]
impl BodySource for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if let Some(pause) = self.pause.filter(|_| !self.left.is_empty()) {
            tokio::time::sleep(pause).await;
        }
        if !self.left.is_empty() {
            let piece = self.left.split_to(self.piece.min(self.left.len()));
            self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            return Ok(Some(piece));
        }
        match self.last {
            Last::End => Ok(None),
            Last::Break => Err(FetchError::Broken { host: "a.example".into(), source: "reset".into() }),
            Last::Hang => std::future::pending().await,
        }
    }
}
