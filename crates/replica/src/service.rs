//! One request: what it asks for, who answers it, and what the answer looks like on the wire.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{
    ALLOW, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE, SERVER,
};
use http::header::{IF_RANGE, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::body::{Body, Pace, Reply, nothing, paced};
use crate::desk::Purpose;
use crate::faults::HeadAnswer;
use crate::log::RequestRecord;
use crate::meter::Connection;
use crate::server::Shared;
use crate::{api, dates, files, folders, index, pages};

/// The largest request body that is read; the one endpoint that takes one needs a few hundred bytes.
const REQUEST_BODY_MAX: usize = 1 << 20;

/// Answers one request on a connection.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    connection.begin(record(&request, connection.number));
    let (head, body) = request.into_parts();
    let path = percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
    let query = head.uri.query().unwrap_or("");
    let reply = if path.starts_with("/api/") {
        let body = Limited::new(body, REQUEST_BODY_MAX).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        api::serve(&shared, &head.method, &path, query, &head.headers, &body).await
    } else {
        page_or_file(&shared, &head.method, &path, &head.headers).await
    };
    Ok(respond(&shared, connection, reply, &head.method))
}

async fn page_or_file(shared: &Shared, method: &Method, path: &str, headers: &HeaderMap) -> Reply {
    let purpose = match *method {
        Method::GET => Purpose::Take,
        Method::HEAD if shared.desk.faults().head != HeadAnswer::Refused => Purpose::Look,
        _ => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Reply::html(status, pages::error(status, "Only GET and HEAD are allowed."))
                .with(ALLOW, "GET, HEAD");
        }
    };
    if path == "/" {
        return Reply::html(StatusCode::OK, pages::HOME);
    }
    if let Some(reply) = files::serve(shared, path, headers, purpose).await {
        return reply;
    }
    if path.ends_with('/') {
        if let Some(entries) = folders::entries(shared, path) {
            return folder_page(shared, path, &entries);
        }
    } else if !last_part(path).contains('.') && folders::entries(shared, &format!("{path}/")).is_some() {
        let status = StatusCode::MOVED_PERMANENTLY;
        let page = pages::error(status, "The document has moved.");
        return Reply::html(status, page).with(LOCATION, &format!("{}{path}/", shared.base_url));
    }
    files::missing(&shared.desk.faults(), &shared.base_url)
}

fn folder_page(shared: &Shared, path: &str, entries: &folders::Entries) -> Reply {
    let faults = shared.desk.faults();
    match index::page(path, entries, faults.index, faults.index_sizes) {
        Some(page) => Reply::html(StatusCode::OK, page),
        None => {
            let status = StatusCode::FORBIDDEN;
            Reply::html(status, pages::error(status, "You don't have permission to access this resource."))
        }
    }
}

/// The part after the last slash; folders have no dot in it.
fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn respond(shared: &Shared, connection: Arc<Connection>, reply: Reply, method: &Method) -> Response<Body> {
    let len = reply.content.len();
    let mut headers = reply.headers;
    headers.insert(SERVER, HeaderValue::from_static("skyhaul-replica"));
    let faults = shared.desk.faults();
    let now = dates::now().as_second() + faults.clock_skew_s;
    if let Ok(date) = HeaderValue::from_str(&dates::http(now)) {
        headers.insert(DATE, date);
    }
    let is_bodiless = method == Method::HEAD || reply.status == StatusCode::NOT_MODIFIED;
    let hides_length = method == Method::HEAD && faults.head == HeadAnswer::NoLength;
    if reply.status != StatusCode::NOT_MODIFIED && !hides_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    connection.answer(reply.status.as_u16(), if is_bodiless { 0 } else { len });
    let body = if is_bodiless {
        nothing()
    } else {
        let pace = Pace { throttle: Arc::clone(&shared.throttle), slow_start: faults.slow_start };
        paced(reply.content, reply.ending, pace, connection)
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = headers;
    response
}

fn record(request: &Request<Incoming>, connection: u64) -> RequestRecord {
    let text = |name: HeaderName| {
        request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    RequestRecord {
        t: dates::precise(dates::now()),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        range: text(RANGE),
        if_range: text(IF_RANGE),
        user_agent: text(USER_AGENT),
        status: 0,
        sent: 0,
        promised: 0,
        complete: false,
        conn: connection,
        elapsed_ms: 0,
    }
}
