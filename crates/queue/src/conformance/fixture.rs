//! What the cases share: jobs, windows, files and the short ways to them. Times are seconds of 1970.

use std::ops::Range;

use jiff::Timestamp;
use skyhaul_model::{
    ErrorKind, FileError, FileRecord, FileSpec, FileState, JobId, JobPolicy, JobRecord, NewWindow, Proof,
    Query, RelPath, Sealed, Source, Verified, WindowTarget,
};

use crate::{
    AttemptEnd, Claim, ClaimFilter, ClaimRequest, ClaimedWindow, FailedAttempt, FileQuery, FileRef,
    LeaseOwner, NewJob, PlanOutcome, Queue, Received, WindowOutcome,
};

/// Claims made by [`claim`] and [`claim_windows`] last this many seconds.
pub const LEASE_SECONDS: i64 = 60;

/// A time.
#[must_use]
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A failure of some kind.
#[must_use]
pub fn error(message: &str) -> FileError {
    FileError::new(ErrorKind::Http, message)
}

/// A job of the archive; another `tag` is another query.
#[must_use]
pub fn new_job(tag: &str) -> NewJob {
    let source = Source::archive("https://archive.example", &[tag.to_owned()], vec![], &[], &[]);
    NewJob {
        query: Query { source, out: "/data".to_owned() },
        policy: JobPolicy::default(),
        name: None,
        priority: 0,
        headers: vec![],
        input: None,
    }
}

/// A window; another number is another hour.
#[must_use]
pub fn window(hour: i64) -> NewWindow {
    let target = WindowTarget::Listing {
        dataset: "THEMIS_ASI_RAW".to_owned(),
        prefix: "https://data.example/themis".to_owned(),
        site: Some("gill".to_owned()),
        device: None,
        start: at(hour * 3600),
        end: at(hour * 3600 + 3599),
    };
    NewWindow { target }
}

/// A file as a listing brings it.
#[must_use]
pub fn spec(number: u64) -> FileSpec {
    let name = format!("2022/01/01/gill_themis19/ut06/20220101_{number:06}_gill_full.pgm.gz");
    FileSpec {
        url: format!("https://data.example/themis/{name}"),
        path: Ok(RelPath::parse(&format!("THEMIS_ASI_RAW/{name}")).unwrap()),
        size: None,
        sha256: None,
    }
}

/// A file that cannot land anywhere.
#[must_use]
pub fn lost_spec(number: u64) -> FileSpec {
    let path = Err(FileError::new(ErrorKind::Path, format!("'{number}/..' has a '..' component")));
    FileSpec { path, ..spec(number) }
}

/// What is known of a fetched file of this size, all of which was received in one go.
#[must_use]
pub fn sealed(size: u64) -> Sealed {
    let mut sha256 = [0x5a; 32];
    sha256[..8].copy_from_slice(&size.to_le_bytes());
    Sealed { size, sha256, verified: Verified::Container, proof: Proof::Fetched, received: size }
}

/// Something received for a file.
#[must_use]
pub fn received(file: FileRef, received: u64) -> Received {
    Received { file, received, seal_lost: false }
}

/// A first failure in a row, nothing received.
#[must_use]
pub fn failed(file: FileRef, end: AttemptEnd) -> FailedAttempt {
    FailedAttempt { file, error: error("status 500"), failures: 1, received: 0, no_resume: None, end }
}

/// A wish for up to `limit` claims on anything.
#[must_use]
pub fn request(limit: usize, now: i64) -> ClaimRequest {
    ClaimRequest {
        filter: ClaimFilter::All,
        limit,
        owner: LeaseOwner(1),
        now: at(now),
        until: at(now + LEASE_SECONDS),
    }
}

/// Claims up to `limit` files.
pub async fn claim(queue: &dyn Queue, limit: usize, now: i64) -> Vec<Claim> {
    queue.claim_files(request(limit, now)).await.unwrap()
}

/// Claims up to `limit` windows.
pub async fn claim_windows(queue: &dyn Queue, limit: usize, now: i64) -> Vec<ClaimedWindow> {
    queue.claim_windows(request(limit, now)).await.unwrap()
}

/// A job with these windows, none of them listed.
pub async fn planned(queue: &dyn Queue, job: NewJob, hours: Range<i64>) -> JobId {
    let id = queue.create_job(job, at(0)).await.unwrap().id;
    let windows = PlanOutcome::Windows(hours.map(window).collect());
    queue.settle_plan(id, windows, at(0)).await.unwrap();
    id
}

/// A job of one window that brought these files.
pub async fn listed(queue: &dyn Queue, tag: &str, files: Range<u64>) -> JobId {
    listed_job(queue, new_job(tag), files.map(spec).collect()).await
}

/// A job of one window that brought these files; no other job may have windows to claim.
pub async fn listed_job(queue: &dyn Queue, job: NewJob, files: Vec<FileSpec>) -> JobId {
    let id = planned(queue, job, 0..1).await;
    list_next(queue, id, files, None).await;
    id
}

/// Lists the job's next window with these files.
pub async fn list_next(queue: &dyn Queue, id: JobId, files: Vec<FileSpec>, bytes: Option<u64>) {
    let wish = ClaimRequest { filter: ClaimFilter::Jobs(vec![id]), ..request(1, 0) };
    let claimed = queue.claim_windows(wish).await.unwrap().remove(0);
    queue.stage_files(id, claimed.window.id, files).await.unwrap();
    queue.settle_window(id, claimed.window.id, WindowOutcome::Listed { bytes }, at(0)).await.unwrap();
}

/// Seals and completes a claimed file.
pub async fn finish(queue: &dyn Queue, file: FileRef, size: u64, now: i64) {
    queue.seal(vec![(file, sealed(size))]).await.unwrap();
    queue.complete(vec![file], at(now)).await.unwrap();
}

/// The job's record.
pub async fn job(queue: &dyn Queue, id: JobId) -> JobRecord {
    queue.job(id).await.unwrap().unwrap()
}

/// All the job's files in this state, read in pages of `limit`.
pub async fn all_files(
    queue: &dyn Queue,
    id: JobId,
    state: Option<FileState>,
    limit: usize,
) -> Vec<FileRecord> {
    let mut files = Vec::new();
    let mut after = None;
    loop {
        let page = queue.files(id, FileQuery { state, after, limit }).await.unwrap();
        assert!(page.files.len() <= limit, "a page of {} for a limit of {limit}", page.files.len());
        files.extend(page.files);
        if page.next.is_none() {
            return files;
        }
        assert!(page.next > after, "pages go forward");
        after = page.next;
    }
}
