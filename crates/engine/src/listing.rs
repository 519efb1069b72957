//! Lists one window and stages its files; they become visible when its outcome is settled.

use std::sync::Arc;

use skyhaul_model::{Interval, JobId, WindowTarget};
use skyhaul_planner::{FileStream, Listed, Overlap, PlanError, Taken, list_window, slice_files};
use skyhaul_queue::{ClaimedWindow, FileQuery, Queue, QueueError, WindowOutcome};
use tokio::sync::OnceCell;

use crate::jobs::PlanningNeeds;

/// Files of the job that are read at once.
const PAGE_FILES: usize = 4_096;

/// What an attempt to list a window led to.
pub(crate) enum WindowEnd {
    /// To this, with what is to be kept once it is settled.
    Outcome(WindowOutcome, Option<Taken>),
    Failed(PlanError),
}

/// The files that several windows of a job list.
pub(crate) struct Shared {
    overlap: Arc<Overlap>,
    /// Whether the overlap knows what the job had when its first window was listed here.
    known: OnceCell<()>,
}

impl Shared {
    /// Of a job with these intervals.
    pub(crate) fn new(intervals: &[Interval]) -> Self {
        Self { overlap: Overlap::new(intervals), known: OnceCell::new() }
    }

    /// Whether a window is being listed, or was and is not settled yet.
    pub(crate) fn is_in_use(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || Arc::strong_count(&self.overlap) > 1
    }

    /// Tells the overlap, once, which files the job has. One pass over all of them, that only a job needs with
    /// files that several windows may list.
    async fn know(&self, queue: &dyn Queue, job: JobId) -> Result<(), QueueError> {
        let read = async || {
            let mut query = FileQuery { state: None, after: None, limit: PAGE_FILES };
            loop {
                let page = queue.files(job, query).await?;
                self.overlap.know(page.files.iter().map(|file| &file.spec));
                if page.next.is_none() {
                    return Ok(());
                }
                query.after = page.next;
            }
        };
        self.known.get_or_try_init(read).await.map(drop)
    }
}

/// Lists a claimed window. A job's listings need what they share.
pub(crate) async fn list(
    queue: &dyn Queue,
    claim: &ClaimedWindow,
    needs: Option<(PlanningNeeds, Arc<Shared>)>,
) -> Result<WindowEnd, QueueError> {
    match (&claim.window.target, needs) {
        (WindowTarget::Slice { offset, length, .. }, _) => {
            let lines = queue.read_input(claim.job, *offset, *length).await?;
            match slice_files(&lines) {
                Ok(files) => queue.stage_files(claim.job, claim.window.id, files).await?,
                Err(error) => return Ok(WindowEnd::Failed(error)),
            }
            Ok(WindowEnd::Outcome(WindowOutcome::Listed { bytes: None }, None))
        }
        (target @ WindowTarget::Listing { .. }, Some((needs, shared))) => {
            match list_window(&needs.archive, target, claim.window.id, &shared.overlap).await {
                Ok(Listed::Files(files)) => stage(queue, claim, files, &shared).await,
                Ok(Listed::Split(parts)) => Ok(WindowEnd::Outcome(WindowOutcome::Split(parts), None)),
                Err(error) => Ok(WindowEnd::Failed(error)),
            }
        }
        (WindowTarget::Listing { .. }, None) => Ok(WindowEnd::Outcome(WindowOutcome::Released, None)),
    }
}

async fn stage(
    queue: &dyn Queue,
    claim: &ClaimedWindow,
    mut files: FileStream,
    shared: &Shared,
) -> Result<WindowEnd, QueueError> {
    loop {
        match files.next_batch().await {
            Ok(Some(batch)) => {
                if batch.has_shared() {
                    shared.know(queue, claim.job).await?;
                }
                queue.stage_files(claim.job, claim.window.id, files.take(batch)).await?;
            }
            Ok(None) => {
                let (bytes, taken) = files.end();
                return Ok(WindowEnd::Outcome(WindowOutcome::Listed { bytes }, Some(taken)));
            }
            Err(error) => return Ok(WindowEnd::Failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;
    use jiff::Timestamp;
    use skyhaul_archive::Archive;
    use skyhaul_http::{Body, BodySource, Fetch, FetchError, Request, Response};
    use skyhaul_model::NewWindow;
    use skyhaul_queue::{ClaimRequest, JobQueue, MemoryQueue, PlanOutcome, PlanQueue};

    use super::*;
    use crate::nowhere::{idle, job_of_list, settings};

    /// Lists the same files, whatever is asked.
    struct SameFiles(String);

    struct Whole(Bytes);

    #[async_trait]
    impl BodySource for Whole {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            let all = std::mem::take(&mut self.0);
            Ok((!all.is_empty()).then_some(all))
        }
    }

    #[async_trait]
    impl Fetch for SameFiles {
        async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
            Ok(Response {
                status: http::StatusCode::OK,
                headers: http::HeaderMap::new(),
                url: request.url,
                version: http::Version::HTTP_11,
                body: Body::new(Whole(self.0.clone().into())),
            })
        }
    }

    fn needs(files: usize) -> PlanningNeeds {
        let urls: Vec<String> = (0..files).map(|number| format!("\"https://h/p/{number}\"")).collect();
        let answer = format!("{{\"path_prefix\":\"https://h/p\",\"urls\":[{}]}}", urls.join(","));
        let archive = Archive::new(Arc::new(SameFiles(answer)), "https://h").unwrap();
        PlanningNeeds { archive: Arc::new(archive), intervals: [].into() }
    }

    fn window(hour: i64) -> NewWindow {
        let at = |second| Timestamp::from_second(hour * 3600 + second).unwrap();
        let (dataset, prefix) = ("D".to_owned(), "https://h/p".to_owned());
        let (start, end) = (at(0), at(3599));
        NewWindow { target: WindowTarget::Listing { dataset, prefix, site: None, device: None, start, end } }
    }

    /// Lists a window as the engine does, among those that share these files.
    async fn list_next(queue: &MemoryQueue, request: ClaimRequest, files: usize, shared: &Arc<Shared>) {
        let claim = queue.claim_windows(request).await.unwrap().pop().unwrap();
        let listed = list(queue, &claim, Some((needs(files), Arc::clone(shared)))).await.unwrap();
        let WindowEnd::Outcome(outcome, Some(taken)) = listed else { panic!("it was not listed") };
        assert!(shared.is_in_use());
        queue.settle_window(claim.job, claim.window.id, outcome, Timestamp::UNIX_EPOCH).await.unwrap();
        taken.keep();
        assert!(!shared.is_in_use());
    }

    #[tokio::test]
    async fn a_job_that_goes_on_knows_each_page_of_the_files_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, queue) = idle(settings());
        let id = queue.create_job(job_of_list("d", dir.path()), Timestamp::UNIX_EPOCH).await.unwrap().id;
        let windows = PlanOutcome::Windows([0, 5, 9].map(window).into());
        queue.settle_plan(id, windows, Timestamp::UNIX_EPOCH).await.unwrap();
        let files = async || queue.job(id).await.unwrap().unwrap().files.total;

        list_next(&queue, engine.claim_request(1), PAGE_FILES + 9, &Arc::new(Shared::new(&[]))).await;
        assert_eq!(files().await, PAGE_FILES as u64 + 9);
        let after_a_restart = Arc::new(Shared::new(&[]));
        list_next(&queue, engine.claim_request(1), PAGE_FILES + 10, &after_a_restart).await;
        list_next(&queue, engine.claim_request(1), PAGE_FILES + 11, &after_a_restart).await;
        assert_eq!(files().await, PAGE_FILES as u64 + 11);
    }
}
