//! One window's files, from the archive's answer to batches of file records, in bounded memory.

use std::sync::Arc;

use skyhaul_archive::{Archive, ArchiveError, Listing, ListingRequest, TotalBytes};
use skyhaul_model::{ErrorKind, FileSpec, NewWindow, WindowId, WindowTarget};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::PlanError;
use crate::expand::halves;
use crate::naming::Tree;
use crate::overlap::{Batch, Overlap, Taken};
use crate::seen::Seen;

/// Files handed over at once.
const BATCH_FILES: usize = 1_024;

/// What asking for a window led to.
pub enum Listed {
    /// Its files, to be read batch by batch.
    Files(FileStream),
    /// The archive wants smaller windows: these.
    Split(Vec<NewWindow>),
}

/// A window's files, de-duplicated and named.
pub struct FileStream {
    bytes: Option<u64>,
    taken: Taken,
    batches: mpsc::Receiver<Result<Batch, PlanError>>,
    reader: Option<JoinHandle<()>>,
}

/// Asks the archive for a window. `overlap` is that of the whole query, and `window` one number of the window
/// for every attempt at it, so that a file which several windows list is planned once.
///
/// # Errors
/// [`PlanError`] when the archive refused or could not be asked, or when the window is no listing.
pub async fn list_window(
    archive: &Archive,
    target: &WindowTarget,
    window: WindowId,
    overlap: &Arc<Overlap>,
) -> Result<Listed, PlanError> {
    let WindowTarget::Listing { dataset, site, device, start, end, .. } = target else {
        return Err(PlanError::refused(ErrorKind::Http, "a slice of a list is not asked of the archive"));
    };
    let request = ListingRequest {
        dataset: dataset.clone(),
        start: *start,
        end: *end,
        site: site.clone(),
        device: device.clone(),
        // The server looks at every file for it: asked only where a window is one site's.
        include_total_bytes: if site.is_some() { TotalBytes::Include } else { TotalBytes::Omit },
    };
    match archive.listing(&request).await {
        Ok(listing) => Ok(Listed::Files(stream(listing, target.clone(), window, overlap))),
        Err(error @ ArchiveError::SpanTooLong { .. }) => match halves(target) {
            Some(parts) => Ok(Listed::Split(parts.into())),
            None => Err(PlanError { backoff: skyhaul_model::Backoff::Never, ..PlanError::from(error) }),
        },
        Err(error) => Err(error.into()),
    }
}

impl FileStream {
    /// The next files, to be handed to [`FileStream::take`]; none at the end of the window.
    ///
    /// # Errors
    /// [`PlanError`] when the spooled answer could not be read back.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>, PlanError> {
        if let Some(batch) = self.batches.recv().await {
            return batch.map(Some);
        }
        let Some(reader) = self.reader.take() else { return Ok(None) };
        // The sender is gone without a word only if its task broke: an incomplete window must not pass for whole.
        match reader.await {
            Ok(()) => Ok(None),
            Err(_) => Err(PlanError::refused(ErrorKind::Disk, "reading the archive's answer broke off")),
        }
    }

    /// The files of a batch that no other window has. Those the job has already must be known by then, see
    /// [`Overlap::know`], where [`Batch::has_shared`].
    pub fn take(&mut self, batch: Batch) -> Vec<FileSpec> {
        self.taken.take(batch)
    }

    /// Behind the last batch: how many bytes the window's files have by the archive's own total, where it told
    /// one, and what is to be kept once they are the job's.
    pub fn end(self) -> (Option<u64>, Taken) {
        (self.bytes.map(|total| self.taken.share_of(total)), self.taken)
    }
}

fn stream(listing: Listing, target: WindowTarget, window: WindowId, overlap: &Arc<Overlap>) -> FileStream {
    let (bytes, taken, overlap) = (listing.total_bytes, overlap.begin(window), Arc::clone(overlap));
    let (sender, batches) = mpsc::channel(2);
    let reader = tokio::task::spawn_blocking(move || send_files(listing, &target, &overlap, &sender));
    FileStream { bytes, taken, batches, reader: Some(reader) }
}

/// Ends early when the receiver is gone: the window is then listed again.
fn send_files(
    listing: Listing,
    target: &WindowTarget,
    overlap: &Overlap,
    sender: &mpsc::Sender<Result<Batch, PlanError>>,
) {
    let WindowTarget::Listing { dataset, prefix, .. } = target else { return };
    // The answer's own prefix is newer than the one in the catalogue (archive fact: trees have moved).
    let prefix = if listing.path_prefix.is_empty() { prefix.clone() } else { listing.path_prefix.clone() };
    let tree = Tree::new(&prefix, dataset);
    let mut seen = Seen::new(target, overlap.calendar());
    let mut batch = Batch::default();
    let urls = match listing.urls.read() {
        Ok(urls) => urls,
        Err(error) => {
            let _receiver_gone = sender.blocking_send(Err(unreadable(&error)));
            return;
        }
    };
    for url in urls {
        match url {
            Ok(url) => batch.add(seen.admit(tree.file(&url))),
            Err(error) => {
                let _receiver_gone = sender.blocking_send(Err(unreadable(&error)));
                return;
            }
        }
        if batch.len() == BATCH_FILES {
            let full = std::mem::take(&mut batch);
            if sender.blocking_send(Ok(full)).is_err() {
                return;
            }
        }
    }
    let _receiver_gone = sender.blocking_send(Ok(batch));
}

fn unreadable(error: &std::io::Error) -> PlanError {
    PlanError::local("cannot read the archive's answer back", error)
}
