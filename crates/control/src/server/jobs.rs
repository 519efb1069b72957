//! Jobs: listed, shown, made, changed, put back.

use std::path::Path;
use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use skyhaul_model::{JobId, JobRecord};

use super::answer::{Caller, Desk, not_by_a_page};
use super::body::{Reply, json, nothing};
use super::routes::Subject;
use crate::wire::{
    AddedBody, ChecksumsBody, CreatedBody, ErrorBody, ErrorCode, HoldBody, RelistRequest, RequeuedBody,
    SubmitRequest, UpdateRequest, WindowsRequest,
};

pub(crate) async fn list(desk: &Desk) -> Reply {
    let progress = Arc::clone(&desk.engine.progress.borrow());
    let jobs: Vec<_> = desk.queue.jobs().await?.into_iter().map(|job| progress.shown(job)).collect();
    json(StatusCode::OK, &jobs)
}

pub(crate) async fn show(desk: &Desk, id: JobId) -> Reply {
    json(StatusCode::OK, &shown(desk, existing(desk, id).await?))
}

pub(crate) async fn find(desk: &Desk, subject: &Subject) -> Reply {
    let found = match &subject.key {
        Some(key) => desk.queue.job_by_key(key).await?,
        None => None,
    };
    match found {
        Some(job) => json(StatusCode::OK, &shown(desk, job)),
        None => Err(ErrorBody::new(ErrorCode::NoSuchJob, "no job has this query")),
    }
}

pub(crate) async fn submit(desk: &Desk, request: SubmitRequest) -> Reply {
    check_priority(Some(request.priority))?;
    let input = request.input.as_ref().map(|input| input.path.as_path());
    check_absolute(input, "the input's path must be absolute")?;
    // A job that was removed a moment ago and comes again must not lose partial files it has just begun.
    drop(desk.steering.lock().await);
    let created = desk.queue.create_job(request.into(), Timestamp::now()).await?;
    let status = if created.created { StatusCode::CREATED } else { StatusCode::OK };
    json(status, &CreatedBody::from(created))
}

pub(crate) async fn update(desk: &Desk, caller: Caller, id: JobId, request: UpdateRequest) -> Reply {
    // A policy can name a command that is run: whoever has got hold of a page's session must not run programs.
    if caller == Caller::Page && request.policy.is_some() {
        return Err(not_by_a_page());
    }
    check_priority(request.priority)?;
    desk.queue.update_job(id, request.into()).await?;
    nothing()
}

pub(crate) async fn set_hold(desk: &Desk, id: JobId, request: HoldBody) -> Reply {
    desk.queue.set_hold(id, request.reason).await?;
    nothing()
}

pub(crate) async fn retry(desk: &Desk, id: JobId) -> Reply {
    let requeued = desk.queue.requeue_failed(id).await?;
    json(StatusCode::OK, &RequeuedBody::from(requeued))
}

pub(crate) async fn relist(desk: &Desk, id: JobId, request: RelistRequest) -> Reply {
    let requeued = desk.queue.relist(id, request.span, request.files).await?;
    json(StatusCode::OK, &RequeuedBody::from(requeued))
}

pub(crate) async fn add_windows(desk: &Desk, id: JobId, request: WindowsRequest) -> Reply {
    let added = desk.queue.add_windows(id, request.windows, Timestamp::now()).await?;
    json(StatusCode::OK, &AddedBody { added })
}

pub(crate) async fn troubles(desk: &Desk, id: JobId) -> Reply {
    json(StatusCode::OK, &desk.queue.troubles(id).await?)
}

pub(crate) async fn set_checksums(desk: &Desk, id: JobId, request: ChecksumsBody) -> Reply {
    check_absolute(request.path.as_deref(), "the list's path must be absolute")?;
    desk.queue.set_checksums(id, request.path).await?;
    nothing()
}

/// The job with what only the engine knows of it.
fn shown(desk: &Desk, job: JobRecord) -> JobRecord {
    desk.engine.progress.borrow().shown(job)
}

/// The job, or the failure to tell.
pub(crate) async fn existing(desk: &Desk, id: JobId) -> Result<JobRecord, ErrorBody> {
    desk.queue.job(id).await?.ok_or_else(|| ErrorBody::no_such_job(id))
}

fn check_absolute(path: Option<&Path>, otherwise: &str) -> Result<(), ErrorBody> {
    match path {
        Some(path) if !path.is_absolute() => Err(ErrorBody::new(ErrorCode::BadRequest, otherwise)),
        _ => Ok(()),
    }
}

fn check_priority(priority: Option<i8>) -> Result<(), ErrorBody> {
    match priority {
        Some(priority) if !(-100..=100).contains(&priority) => {
            let message = format!("the priority {priority} is not within -100 and 100");
            Err(ErrorBody::new(ErrorCode::BadRequest, message))
        }
        _ => Ok(()),
    }
}
