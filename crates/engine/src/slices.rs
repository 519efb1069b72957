//! Takes a list job's files into the queue at once, so that a command that only submits can say how many
//! there are. It is the engine's own work, done before there is an engine.

use std::time::Duration;

use jiff::Timestamp;
use skyhaul_model::{JobId, WindowTarget};
use skyhaul_planner::slice_files;
use skyhaul_queue::{ClaimFilter, ClaimRequest, LeaseOwner, Queue, WindowOutcome};

use crate::EngineError;

/// How long a claimed slice may take.
const LEASE: Duration = Duration::from_secs(60);

/// Lists every slice of a job that brought its own list; asks nobody. Slices that make no sense are left
/// to the engine, which says so. In bounded memory: one slice at a time.
///
/// # Errors
/// The queue failed.
pub async fn list_slices(queue: &dyn Queue, job: JobId, owner: LeaseOwner) -> Result<(), EngineError> {
    loop {
        let now = Timestamp::now();
        let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        let filter = ClaimFilter::Jobs(vec![job]);
        let request = ClaimRequest { filter, limit: 1, owner, now, until };
        let Some(claim) = queue.claim_windows(request).await?.pop() else { return Ok(()) };
        let window = claim.window.id;
        let files = match claim.window.target {
            WindowTarget::Slice { offset, length, .. } => {
                slice_files(&queue.read_input(job, offset, length).await?).ok()
            }
            WindowTarget::Listing { .. } => None,
        };
        let Some(files) = files else {
            return Ok(queue.settle_window(job, window, WindowOutcome::Released, now).await?);
        };
        queue.stage_files(job, window, files).await?;
        queue.settle_window(job, window, WindowOutcome::Listed { bytes: None }, now).await?;
    }
}
