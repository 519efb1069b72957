//! What a job's list of checksums (`--checksums`) says of a file: a few reads of the queue for each.

use skyhaul_model::{JobId, RelPath};
use skyhaul_queue::{Queue, QueueError};
use skyhaul_verify::{Digest, Search};

/// The digests that the list demands of the file; none where the job has no list, or the list does not name it.
pub(crate) async fn listed_digests(
    queue: &dyn Queue,
    job: JobId,
    path: &RelPath,
) -> Result<Vec<Digest>, QueueError> {
    let Some(length) = queue.checksums_len(job).await? else { return Ok(Vec::new()) };
    let mut search = Search::new(length, path);
    while let Some(range) = search.wants() {
        let bytes = queue.read_checksums(job, range.start, range.end - range.start).await?;
        search.take(&bytes);
    }
    Ok(search.found().digests())
}
