//! Takes a list job's files into the queue at once, so that a command that only submits can say how many
//! there are. It is the engine's own work, done before there is an engine.

use std::time::Duration;

use jiff::Timestamp;
use skyhaul_model::{FileSpec, JobId, WindowId, WindowTarget};
use skyhaul_planner::slice_files;
use skyhaul_queue::{ClaimFilter, ClaimRequest, LeaseOwner, Queue, WindowOutcome};

use crate::EngineError;

/// How long a claimed slice may take.
const LEASE: Duration = Duration::from_secs(60);

/// Lists every slice of a job that brought its own list; asks nobody. Slices that make no sense are left
/// to the engine, which says so. In bounded memory: one slice is read while the one before it is taken in.
///
/// # Errors
/// The queue failed.
pub async fn list_slices(queue: &dyn Queue, job: JobId, owner: LeaseOwner) -> Result<(), EngineError> {
    let mut slice = read_next(queue, job, owner).await?;
    while let Some((window, files)) = slice {
        let Some(files) = files else {
            return Ok(queue.settle_window(job, window, WindowOutcome::Released, Timestamp::now()).await?);
        };
        let (taken, next) = tokio::join!(take_in(queue, job, window, files), read_next(queue, job, owner));
        taken?;
        slice = next?;
    }
    Ok(())
}

/// Claims the next slice and reads it; without files if it makes no sense.
async fn read_next(
    queue: &dyn Queue,
    job: JobId,
    owner: LeaseOwner,
) -> Result<Option<(WindowId, Option<Vec<FileSpec>>)>, EngineError> {
    let now = Timestamp::now();
    let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
    let filter = ClaimFilter::Jobs(vec![job]);
    // However long the one before it takes, a clock that jumps included: it is not to be dealt anew.
    queue.renew(owner, until).await?;
    let request = ClaimRequest { filter, limit: 1, owner, now, until };
    let Some(claim) = queue.claim_windows(request).await?.pop() else { return Ok(None) };
    let files = match claim.window.target {
        WindowTarget::Slice { offset, length, .. } => {
            slice_files(&queue.read_input(job, offset, length).await?).ok()
        }
        WindowTarget::Listing { .. } => None,
    };
    Ok(Some((claim.window.id, files)))
}

async fn take_in(
    queue: &dyn Queue,
    job: JobId,
    window: WindowId,
    files: Vec<FileSpec>,
) -> Result<(), EngineError> {
    queue.stage_files(job, window, files).await?;
    let listed = WindowOutcome::Listed { bytes: None };
    Ok(queue.settle_window(job, window, listed, Timestamp::now()).await?)
}
