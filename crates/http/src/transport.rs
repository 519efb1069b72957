//! The home of the HTTP library: one request over one connection, and its body to a proven end.
//!
//! Promises: an honest user agent; no content coding is asked for and none is undone; no redirect is
//! followed; a body never ends well short of its Content-Length or without its final chunk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::Certificate;

use crate::classify::{body_error, head_error};
use crate::config::{HttpConfig, HttpSetupError};
use crate::counters::Tally;
use crate::origin::host_name;
use crate::{Body, BodySource, Fetch, FetchError, Request, Response};

/// What we call ourselves.
const AGENT: &str = concat!("skyhaul/", env!("CARGO_PKG_VERSION"), " (+https://github.com/skyhaul/skyhaul)");

/// Idle connections are closed after this: servers close theirs after a few seconds to a minute, and a
/// request that meets such a close is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How soon, and how often, an idle peer is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Makes requests, and nothing else.
#[derive(Debug)]
pub(crate) struct Transport {
    client: reqwest::Client,
    tally: Arc<Tally>,
}

impl Transport {
    pub(crate) fn new(config: &HttpConfig, tally: Arc<Tally>) -> Result<Self, HttpSetupError> {
        // Process-wide, and the first one stays: ours is as good as another's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = certificates(config)?;
        let all = builder(config).tls_certs_merge(certificates.iter().cloned()).build();
        let client = all.or_else(|error| {
            // A system without any trusted certificates must still reach plain http, and https by --cacert.
            let only = builder(config).tls_certs_only(certificates.iter().cloned()).build();
            only.inspect(|_| tracing::warn!(%error, "cannot use the system's certificates"))
                .map_err(|_| setup_error(config, error))
        })?;
        Ok(Self { client, tally })
    }
}

#[async_trait]
impl Fetch for Transport {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let host = host_name(&request.url);
        let url = request.url.clone();
        let method = request.method.clone();
        self.tally.request();
        let answer = self.client.execute(on_the_wire(request)).await;
        let mut answer = answer.map_err(|error| head_error(host.clone(), url.to_string(), error))?;
        if let Some(local) = local_address(&answer) {
            self.tally.answered_on(local);
        }
        let (status, version) = (answer.status(), answer.version());
        let headers = std::mem::take(answer.headers_mut());
        let framed = framing(&method, status, headers);
        let (headers, left) =
            framed.map_err(|why| FetchError::Protocol { host: host.clone(), source: why.into() })?;
        let body = TransportBody { answer, host, left, failed: false, tally: Arc::clone(&self.tally) };
        Ok(Response { status, headers, url, version, body: Body::new(body) })
    }
}

struct TransportBody {
    answer: reqwest::Response,
    host: String,
    /// Bytes that must still come, where that was promised.
    left: Option<u64>,
    failed: bool,
    tally: Arc<Tally>,
}

#[async_trait]
impl BodySource for TransportBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.failed {
            // The library would call the end of a broken body its end.
            let source = "its body was read on after it had failed".into();
            return Err(FetchError::Broken { host: self.host.clone(), source });
        }
        let chunk = self.answer.chunk().await.map_err(|error| body_error(self.host.clone(), error));
        let chunk = chunk.and_then(|chunk| self.accounted(chunk));
        self.failed = chunk.is_err();
        chunk
    }
}

impl TransportBody {
    /// Counts a piece, and holds the body to its promised length. The library does so too; it is too
    /// important to be left to one.
    fn accounted(&mut self, chunk: Option<Bytes>) -> Result<Option<Bytes>, FetchError> {
        let length = chunk.as_ref().map_or(0, Bytes::len);
        self.tally.received(length);
        let host = || self.host.clone();
        match (&mut self.left, &chunk) {
            (Some(left), Some(_)) => match left.checked_sub(length as u64) {
                Some(rest) => *left = rest,
                None => {
                    let source = "it sent more than its content-length".into();
                    return Err(FetchError::Protocol { host: host(), source });
                }
            },
            (Some(left), None) if *left > 0 => {
                let source = format!("{left} bytes are missing").into();
                return Err(FetchError::Truncated { host: host(), source });
            }
            _ => {}
        }
        Ok(chunk)
    }
}

fn builder(config: &HttpConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.connections.max(1) as usize)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_adaptive_window(true)
}

fn certificates(config: &HttpConfig) -> Result<Vec<Certificate>, HttpSetupError> {
    let Some(path) = &config.cacert else { return Ok(Vec::new()) };
    let pem = std::fs::read(path)
        .map_err(|source| HttpSetupError::CertificatesUnreadable { path: path.clone(), source })?;
    let invalid = |source| HttpSetupError::CertificatesInvalid { path: path.clone(), source };
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| invalid(Some(error.into())))?;
    if found.is_empty() { Err(invalid(None)) } else { Ok(found) }
}

/// Certificates are parsed only when a client is built, so that a bad one shows here.
fn setup_error(config: &HttpConfig, error: reqwest::Error) -> HttpSetupError {
    let source = Box::new(error);
    match &config.cacert {
        Some(path) => HttpSetupError::CertificatesInvalid { path: path.clone(), source: Some(source) },
        None => HttpSetupError::Client(source),
    }
}

fn on_the_wire(request: Request) -> reqwest::Request {
    let mut wire = reqwest::Request::new(request.method, request.url);
    let mut headers = request.headers;
    headers.extend(request.secret_headers);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    *wire.headers_mut() = headers;
    *wire.body_mut() = request.body.map(Into::into);
    wire
}

/// The headers that hold, and how long the body must be where that is told (RFC 9112 section 6).
fn framing(
    method: &Method,
    status: StatusCode,
    mut headers: HeaderMap,
) -> Result<(HeaderMap, Option<u64>), String> {
    if headers.contains_key(TRANSFER_ENCODING) {
        let codings = headers.get_all(TRANSFER_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
        let codings: Vec<&str> = codings.flat_map(|value| value.split(',')).map(str::trim).collect();
        // We asked for no other coding; undoing it is nobody's job, and its end proves nothing.
        if !matches!(codings.as_slice(), [only] if only.eq_ignore_ascii_case("chunked")) {
            return Err(format!("its transfer-encoding is '{}'", codings.join(", ")));
        }
        // Chunks win over a length beside them, which then means nothing (section 6.3).
        headers.remove(CONTENT_LENGTH);
        return Ok((headers, None));
    }
    let bodiless = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || status.is_informational();
    let length = headers.get(CONTENT_LENGTH).filter(|_| !bodiless);
    let length = length.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok((headers, length))
}

fn local_address(answer: &reqwest::Response) -> Option<SocketAddr> {
    answer.extensions().get::<HttpInfo>().map(HttpInfo::local_addr)
}
