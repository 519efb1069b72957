//! What the dashboard answers beside data: its files, the way in, refusals that a person reads; and the headers
//! that keep other pages out.

use bytes::Bytes;
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::assets::Asset;
use crate::server::body::{Body, respond};

/// Our own files and our own answers alone; no inline script, no frame, no form that leads away.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Adds what every answer of the dashboard bears.
pub(crate) fn harden(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CORP, "same-origin"),
        (COOP, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A file of the page.
pub(crate) fn asset(asset: &'static Asset) -> Response<Body> {
    let body = Full::new(Bytes::from_static(asset.content.as_bytes())).boxed_unsync();
    respond(StatusCode::OK, asset.content_type, body)
}

/// The answer to a good link: the cookie, and the way on. The page goes on by itself and is not sent on, since
/// a browser that followed the link from a page elsewhere would bring no strict cookie along.
pub(crate) fn entered(cookie: &str) -> Response<Body> {
    let onward = "<meta http-equiv=\"refresh\" content=\"0;url=/\">";
    let mut response = page(StatusCode::OK, onward, "<p><a href=\"/\">The dashboard</a> opens.</p>");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// A link that opens nothing (any more).
pub(crate) fn spent() -> Response<Body> {
    let words = "<h1>This link is used up</h1><p>A link opens the dashboard once, within five minutes. \
                 <code>skyhaul dashboard</code> opens it again.</p>";
    page(StatusCode::UNAUTHORIZED, "", words)
}

/// Somebody came without a session.
pub(crate) fn stranger(status: StatusCode) -> Response<Body> {
    let words = "<h1>The door is shut</h1><p>This page is for the user who runs this engine, and opens with \
                 <code>skyhaul dashboard</code>.</p>";
    page(status, "", words)
}

fn page(status: StatusCode, head: &str, body: &str) -> Response<Body> {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>skyhaul</title>{head}</head>\
         <body><main>{body}</main></body></html>"
    );
    respond(status, "text/html; charset=utf-8", Full::new(text.into()).boxed_unsync())
}
