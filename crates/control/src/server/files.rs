//! Files and windows in pages, and files that were found bad.

use std::str::FromStr;

use http::StatusCode;
use skyhaul_model::{FileSeq, FileState, JobId, WindowId};
use skyhaul_queue::{FileQuery, FileRef, WindowQuery};

use super::answer::Desk;
use super::body::{Reply, json, nothing};
use crate::wire::{ErrorBody, ErrorCode, FilePageBody, InvalidateRequest, WindowPageBody};

/// The most records in a page, and how many there are when nothing is said.
pub(crate) const PAGE_MAX: usize = 1000;

pub(crate) async fn page(desk: &Desk, id: JobId, query: &str) -> Reply {
    let mut wanted = FileQuery { state: None, after: None, limit: PAGE_MAX };
    for (name, value) in parameters(query) {
        match name {
            "state" => wanted.state = Some(state(value)?),
            "after" => wanted.after = Some(FileSeq(number(name, value)?)),
            "limit" => wanted.limit = number::<usize>(name, value)?.min(PAGE_MAX),
            _ => return Err(unknown(name)),
        }
    }
    let page = desk.queue.files(id, wanted).await?;
    json(StatusCode::OK, &FilePageBody::from(page))
}

pub(crate) async fn windows(desk: &Desk, id: JobId, query: &str) -> Reply {
    let mut wanted = WindowQuery { after: None, limit: PAGE_MAX };
    for (name, value) in parameters(query) {
        match name {
            "after" => wanted.after = Some(WindowId(number(name, value)?)),
            "limit" => wanted.limit = number::<usize>(name, value)?.min(PAGE_MAX),
            _ => return Err(unknown(name)),
        }
    }
    let page = desk.queue.windows(id, wanted).await?;
    json(StatusCode::OK, &WindowPageBody::from(page))
}

pub(crate) async fn invalidate(desk: &Desk, job: JobId, request: InvalidateRequest) -> Reply {
    let files = request.files.into_iter().map(|bad| (FileRef { job, seq: bad.file }, bad.error));
    desk.queue.invalidate(files.collect()).await?;
    nothing()
}

/// The parameters of a query. Ours are numbers and words, so nothing needs decoding.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A parameter's number.
pub(crate) fn number<T: FromStr>(name: &str, value: &str) -> Result<T, ErrorBody> {
    let wrong = |_| ErrorBody::new(ErrorCode::BadRequest, format!("'{name}' must be a number"));
    value.parse().map_err(wrong)
}

/// A parameter that there is not.
pub(crate) fn unknown(name: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::BadRequest, format!("there is no parameter '{name}' here"))
}

fn state(value: &str) -> Result<FileState, ErrorBody> {
    let states = [FileState::Pending, FileState::Active, FileState::Done, FileState::Failed];
    let found = states.into_iter().find(|state| state.as_str() == value);
    found.ok_or_else(|| {
        ErrorBody::new(ErrorCode::BadRequest, "'state' must be pending, active, done or failed")
    })
}
