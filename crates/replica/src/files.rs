//! Serving files: the answer of an honest file server, and the faults laid over it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, LOCATION,
    RANGE, RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};

use crate::body::{Content, Ending, Reply};
use crate::chance::Ticket;
use crate::dates;
use crate::desk::Purpose;
use crate::digests::{self, Extent};
use crate::faults::{
    ContentEncoding, DigestHeaders, EtagKind, Faults, LastModifiedKind, MissingAnswer, Ranges, Refusal,
};
use crate::pages;
use crate::ranges::{Part, Validators, part};
use crate::server::Shared;
use crate::store::{Item, Sight};

/// Answers a GET (a take) or HEAD (a look) of the file at a path (unescaped); none if the path leads to no file.
pub(crate) async fn serve(
    shared: &Shared,
    path: &str,
    headers: &HeaderMap,
    purpose: Purpose,
) -> Option<Reply> {
    let found = shared.store.archive.find(path)?;
    let (faults, ticket) = shared.desk.file_request(path, purpose);
    pause(faults.latency_files).await;
    if let Some(refusal) = faults.refuse_files.filter(|refusal| ticket.strikes(refusal.when, "refuse-files"))
    {
        return Some(refuse(refusal));
    }
    if faults.html_page.is_some_and(|when| ticket.strikes(when, "html-page")) {
        return Some(Reply::html(StatusCode::OK, pages::HOME));
    }
    let Some(item) = shared.store.found_item(path, found, &faults, Sight::Served(ticket.attempt - 1)) else {
        return Some(missing(&faults, &shared.base_url));
    };
    let mut headers = headers.clone();
    if purpose == Purpose::Look {
        // Ranges are for GET alone.
        headers.remove(RANGE);
    }
    let reply = match shared.store.content(&item).await {
        Ok(content) => whole_or_part(&item, &content, &headers, &faults, ticket),
        Err(error) => {
            let text = pages::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
            Reply::html(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    };
    Some(spoil(reply, &faults, ticket))
}

/// Waits, for a fault that makes answers slow.
pub(crate) async fn pause(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

/// The page of a server that is busy or broken.
pub(crate) fn refuse(refusal: Refusal) -> Reply {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let reply = Reply::html(status, pages::error(status, "The server is unable to serve this request now."));
    match refusal.retry_after_s {
        Some(seconds) => reply.with(RETRY_AFTER, &seconds.to_string()),
        None => reply,
    }
}

/// The answer for what is not there.
pub(crate) fn missing(faults: &Faults, base_url: &str) -> Reply {
    let home = |status| {
        Reply::html(status, pages::error(status, "See the home page."))
            .with(LOCATION, &format!("{base_url}/"))
    };
    match faults.missing_answer {
        MissingAnswer::NotFound => {
            let text = pages::error(StatusCode::NOT_FOUND, "The requested URL was not found on this server.");
            Reply::html(StatusCode::NOT_FOUND, text)
        }
        MissingAnswer::Redirect => home(StatusCode::FOUND),
        MissingAnswer::Moved => home(StatusCode::MOVED_PERMANENTLY),
        MissingAnswer::HtmlPage => Reply::html(StatusCode::OK, pages::HOME),
    }
}

fn whole_or_part(
    item: &Item,
    content: &Bytes,
    headers: &HeaderMap,
    faults: &Faults,
    ticket: Ticket,
) -> Reply {
    let validators = validators(item, faults, ticket);
    let len = content.len() as u64;
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(content.len());
    let bare = |status, bytes: Bytes| {
        let content = Content::Bytes(bytes);
        Reply { status, headers: HeaderMap::new(), content, ending: Ending::Whole }
    };
    let digested = |mut reply: Reply, sent: &Bytes, extent| {
        if faults.digest != DigestHeaders::Off {
            let is_wrong = faults.wrong_digest.is_some_and(|when| ticket.strikes(when, "wrong-digest"));
            let whole = if is_wrong { Bytes::from_static(b"something else") } else { content.clone() };
            digests::add(&mut reply.headers, &whole, (sent, extent), faults.digest);
        }
        reply
    };
    let reply = match part(headers, len, &validators, faults.ranges) {
        Part::Whole => digested(bare(StatusCode::OK, content.clone()), content, Extent::Whole),
        Part::Range { first, last, total } => {
            let bytes = content.slice(at(first)..at(last + 1));
            let reply = bare(StatusCode::PARTIAL_CONTENT, bytes.clone())
                .with(CONTENT_RANGE, &format!("bytes {first}-{last}/{total}"));
            digested(reply, &bytes, Extent::Part)
        }
        Part::Unsatisfiable => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let text = pages::error(status, "None of the range-specifier values overlap the file.");
            return Reply::html(status, text).with(CONTENT_RANGE, &format!("bytes */{len}"));
        }
        Part::PreconditionFailed => {
            let status = StatusCode::PRECONDITION_FAILED;
            return Reply::html(status, pages::error(status, "The file is another one than expected."));
        }
        Part::NotModified => bare(StatusCode::NOT_MODIFIED, Bytes::new()),
    };
    describe(reply, item, &validators, faults)
}

/// Adds the headers that tell about the file.
fn describe(mut reply: Reply, item: &Item, validators: &Validators, faults: &Faults) -> Reply {
    let ranges = if faults.ranges == Ranges::Off { "none" } else { "bytes" };
    reply.headers.insert(ACCEPT_RANGES, HeaderValue::from_static(ranges));
    if let Some(etag) = &validators.etag {
        reply = reply.with(ETAG, etag);
    }
    if let Some(date) = &validators.last_modified {
        reply = reply.with(LAST_MODIFIED, date);
    }
    let trapped = faults.content_encoding == ContentEncoding::Gzip && item.path.ends_with(".gz");
    if trapped {
        reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let name = if trapped { item.path.trim_end_matches(".gz") } else { &item.path };
    if let Some(kind) = content_type(name) {
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    reply
}

/// What a plain Apache installation says of a name; nothing for endings it does not know.
fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "gz" => "application/x-gzip",
        "bz2" => "application/x-bzip2",
        "tar" => "application/x-tar",
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "pgm" => "image/x-portable-graymap",
        "txt" => "text/plain",
        _ => return None,
    })
}

fn validators(item: &Item, faults: &Faults, ticket: Ticket) -> Validators {
    // The form of Apache: the length and a number for the state, in hexadecimal.
    let tag = format!("{:x}-{:x}", item.len, item.state);
    let etag = match faults.etag {
        EtagKind::Strong => Some(format!("\"{tag}\"")),
        EtagKind::Weak => Some(format!("W/\"{tag}\"")),
        EtagKind::Off => None,
        EtagKind::Changing => Some(format!("\"{tag}-{:x}\"", ticket.ordinal)),
    };
    let now = dates::now().as_second() + faults.clock_skew_s;
    let (last_modified, date_is_strong) = match faults.last_modified {
        LastModifiedKind::On => (Some(dates::http(item.modified)), item.modified < now),
        LastModifiedKind::Off => (None, false),
        LastModifiedKind::Recent => (Some(dates::http(now)), false),
    };
    Validators { etag, last_modified, date_is_strong }
}

/// Lays the faults of bodies over an answer that carries file bytes.
fn spoil(mut reply: Reply, faults: &Faults, ticket: Ticket) -> Reply {
    if !reply.status.is_success() {
        return reply;
    }
    let len = reply.content.len();
    if let Content::Bytes(bytes) = &mut reply.content {
        if faults.html_inside.is_some_and(|when| ticket.strikes(when, "html-inside")) {
            *bytes = overwritten(bytes);
        }
        if faults.flip.is_some_and(|when| ticket.strikes(when, "flip")) {
            *bytes = flipped(bytes, ticket);
        }
    }
    if let Some(stall) = faults.stall.filter(|stall| stall.after < len && ticket.strikes(stall.when, "stall"))
    {
        reply.ending = Ending::Stall(stall.after);
    }
    if let Some(cut) = faults.cut.filter(|cut| ticket.strikes(cut.when, "cut")) {
        let after = cut.after.unwrap_or_else(|| ticket.dice("cut-place").below(len));
        if after < len {
            reply.ending = Ending::Cut(after, faults.cut_style);
        }
    }
    reply
}

fn overwritten(bytes: &Bytes) -> Bytes {
    let mut changed = bytes.to_vec();
    let middle = changed.len() / 2;
    for (place, byte) in changed[middle..].iter_mut().zip(pages::HOME.bytes()) {
        *place = byte;
    }
    Bytes::from(changed)
}

fn flipped(bytes: &Bytes, ticket: Ticket) -> Bytes {
    let mut changed = bytes.to_vec();
    let place = ticket.dice("flip-place").below(changed.len() as u64);
    if let Some(byte) = usize::try_from(place).ok().and_then(|place| changed.get_mut(place)) {
        *byte ^= 0x10;
    }
    Bytes::from(changed)
}
