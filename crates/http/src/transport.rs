//! The home of the HTTP library: one request over one connection, and its body to a proven end.
//!
//! Promises: an honest user agent; no content coding is asked for and none is undone; no redirect is
//! followed; a body never ends well short of its Content-Length or without its final chunk.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, USER_AGENT};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::connect::HttpInfo;

use crate::brake::seated;
use crate::classify::{body_error, connection_of, found_none_idle, head_error, is_lost, is_refused};
use crate::clients::Clients;
use crate::config::{HttpConfig, HttpSetupError};
use crate::controller::Speech;
use crate::counters::{HostTally, Tally};
use crate::lanes::{Choice, Lanes, Place, Seat};
use crate::origin::host_name;
use crate::{Body, BodySource, Fetch, FetchError, Request, Response};

/// What we call ourselves.
const AGENT: &str = concat!("skyhaul/", env!("CARGO_PKG_VERSION"), " (+https://github.com/skyhaul/skyhaul)");

/// How often a request is sent again that nobody has looked at.
const MOST_REPLAYS: u32 = 3;

/// Makes requests, and nothing else.
#[derive(Debug)]
pub(crate) struct Transport {
    clients: Clients,
    lanes: Arc<Lanes>,
    tally: Arc<Tally>,
}

impl Transport {
    pub(crate) fn new(
        config: &HttpConfig,
        lanes: Arc<Lanes>,
        tally: Arc<Tally>,
    ) -> Result<Self, HttpSetupError> {
        Ok(Self { clients: Clients::new(config)?, lanes, tally })
    }

    fn place(&self, request: &Request, host: &str) -> Place {
        // HTTP/2 is offered within TLS alone.
        let streams = request.url.scheme() == "https" && request.treatment.speech == Speech::Offered;
        self.lanes.place(host, if streams { Choice::Lane } else { Choice::Pool })
    }

    /// Sends a request, and again if nobody has looked at it.
    async fn send(
        &self,
        client: &reqwest::Client,
        place: &Place,
        wire: reqwest::Request,
        tally: &HostTally,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let mut replays = 0;
        loop {
            self.tally.request(tally);
            match execute(client, place.seat(), &wire).await {
                Err(error) if replays < MOST_REPLAYS && self.may_be_replayed(&wire, &error) => {
                    tracing::debug!(error = %error.without_url(), "sent again");
                    self.tally.replay(tally);
                    replays += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Whether a request that failed may be sent again at once: the server said that it has not looked at
    /// it, or it met the end of a connection that had served before. Servers close idle connections, and
    /// busy ones after a thousand requests, without asking; what changes nothing may then be sent again
    /// (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
    fn may_be_replayed(&self, request: &reqwest::Request, error: &reqwest::Error) -> bool {
        let had_served = || address_of_failed(error).is_some_and(|local| self.tally.has_answered_on(local));
        is_refused(error) || request.method().is_safe() && is_lost(error) && had_served()
    }
}

#[async_trait]
impl Fetch for Transport {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let host = host_name(&request.url);
        let (url, method) = (request.url.clone(), request.method.clone());
        let tally = self.tally.host(&host);
        let place = self.place(&request, &host);
        let client = self.clients.numbered(url.scheme(), place.seat().client()).await;
        let client = client.map_err(|error| FetchError::Tls { host: host.clone(), source: error.into() })?;
        let answer = self.send(client, &place, on_the_wire(request), &tally).await;
        let mut answer = answer.map_err(|error| head_error(host.clone(), url.to_string(), error))?;
        self.tally.answered_on(&tally, local_address(answer.extensions()));
        let (status, version) = (answer.status(), answer.version());
        place.heard(version);
        let headers = std::mem::take(answer.headers_mut());
        let last = is_last(version, &headers);
        let framed = framing(&method, status, headers);
        let (headers, left) =
            framed.map_err(|why| FetchError::Protocol { host: host.clone(), source: why.into() })?;
        let count = (Arc::clone(&self.tally), tally);
        let place = Some(place);
        let (content, trailers) = (http::Response::from(answer).into_body(), HeaderMap::new());
        let body = TransportBody { content, trailers, host, left, failed: false, count, place, last };
        Ok(Response { status, headers, url, version, body: Body::new(body) })
    }
}

struct TransportBody {
    content: reqwest::Body,
    trailers: HeaderMap,
    host: String,
    /// Bytes that must still come, where that was promised.
    left: Option<u64>,
    failed: bool,
    count: (Arc<Tally>, Arc<HostTally>),
    /// Given back at the end already, so that the next request finds it free.
    place: Option<Place>,
    /// Whether the connection ends with it.
    last: bool,
}

#[async_trait]
impl BodySource for TransportBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.failed {
            // The library would call the end of a broken body its end.
            let source = "its body was read on after it had failed".into();
            return Err(FetchError::Broken { host: self.host.clone(), source });
        }
        let chunk = self.piece().await.and_then(|chunk| self.accounted(chunk));
        self.failed = chunk.is_err();
        if !matches!(chunk, Ok(Some(_)))
            && let Some(place) = self.place.take()
            && (self.failed || self.last)
        {
            place.seat().closed();
        }
        chunk
    }

    fn take_trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }
}

impl TransportBody {
    /// The next piece of content; trailers, which are none, are put by.
    async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        while let Some(frame) = self.content.frame().await {
            let frame = frame.map_err(|error| body_error(self.host.clone(), error))?;
            match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(frame) => self.trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        Ok(None)
    }

    /// Counts a piece, and holds the body to its promised length. The library does so too; it is too
    /// important to be left to one.
    fn accounted(&mut self, chunk: Option<Bytes>) -> Result<Option<Bytes>, FetchError> {
        let length = chunk.as_ref().map_or(0, Bytes::len);
        self.count.0.received(&self.count.1, length);
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

/// Sends a request once, when there is a connection for it.
async fn execute(
    client: &reqwest::Client,
    seat: &Seat,
    wire: &reqwest::Request,
) -> Result<reqwest::Response, reqwest::Error> {
    loop {
        match seated(seat.clone(), client.execute(copy_of(wire))).await {
            Err(error) if found_none_idle(&error) => seat.none_is_idle(),
            Err(error) if connection_of(&error).is_some() => {
                seat.closed();
                return Err(error);
            }
            outcome => return outcome,
        }
    }
}

/// A body is bytes in memory, which can always be copied.
fn copy_of(wire: &reqwest::Request) -> reqwest::Request {
    let mut copy = reqwest::Request::new(wire.method().clone(), wire.url().clone());
    *copy.headers_mut() = wire.headers().clone();
    *copy.body_mut() = wire.body().and_then(reqwest::Body::as_bytes).map(|bytes| bytes.to_vec().into());
    copy
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

/// Whether the server says that it takes no further request on the connection (RFC 9112 section 9.6).
fn is_last(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| {
        let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case(word))
    };
    match version {
        Version::HTTP_09 | Version::HTTP_10 => !says("keep-alive"),
        Version::HTTP_11 => says("close"),
        _ => false,
    }
}

fn local_address(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<HttpInfo>().map(HttpInfo::local_addr)
}

/// The local address of the connection on which a request failed.
fn address_of_failed(error: &reqwest::Error) -> Option<SocketAddr> {
    let mut extensions = Extensions::new();
    connection_of(error)?.get_extras(&mut extensions);
    local_address(&extensions)
}
