//! Bodies: requests read within bounds, answers written.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::{ErrorBody, ErrorCode};

/// The most bytes of a request's body: room for the windows of a list of tens of millions of lines.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 20;

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer, or the failure to tell.
pub(crate) type Reply = Result<Response<Body>, ErrorBody>;

/// Reads a request's body.
pub(crate) async fn read<T: DeserializeOwned>(head: &Parts, body: Incoming) -> Result<T, ErrorBody> {
    let declared =
        head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > REQUEST_BYTES_MAX) {
        return Err(too_large());
    }
    let reading = Limited::new(body, REQUEST_BYTES_MAX).collect();
    let read = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(read)) => read.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(error)) => {
            return Err(ErrorBody::new(ErrorCode::BadRequest, format!("the body broke off: {error}")));
        }
        Err(_) => return Err(ErrorBody::new(ErrorCode::TooSlow, "the body did not come in time")),
    };
    serde_json::from_slice(&read).map_err(|error| {
        ErrorBody::new(ErrorCode::BadRequest, format!("the body is not understood: {error}"))
    })
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let content = serde_json::to_vec(value).map_err(|error| {
        ErrorBody::new(ErrorCode::Internal, format!("the answer cannot be written: {error}"))
    })?;
    Ok(respond(status, "application/json", Full::new(content.into()).boxed_unsync()))
}

/// An answer without a body.
pub(crate) fn nothing() -> Reply {
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// A failure.
pub(crate) fn failure(error: &ErrorBody) -> Response<Body> {
    json(error.status(), error).unwrap_or_else(|_| {
        respond(StatusCode::INTERNAL_SERVER_ERROR, "application/json", Full::new("{}".into()).boxed_unsync())
    })
}

/// Names the methods that a route has.
pub(crate) fn allow(response: &mut Response<Body>, methods: &[http::Method]) {
    let methods: Vec<_> = methods.iter().map(http::Method::as_str).collect();
    if let Ok(value) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(ALLOW, value);
    }
}

/// An answer with a body. What it tells is true for a moment and not for a cache.
pub(crate) fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn too_large() -> ErrorBody {
    let message = format!("the body is larger than {REQUEST_BYTES_MAX} bytes");
    ErrorBody::new(ErrorCode::TooLarge, message)
}
