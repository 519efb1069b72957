//! All jobs of the queue, as they were told last: an idle engine of ten thousand jobs does not ask for them every second.

use std::sync::Arc;

use skyhaul_model::JobRecord;
use skyhaul_queue::{Queue, QueueError, Revision};

/// The jobs as they were at some revision.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    revision: Revision,
    jobs: Option<Arc<[JobRecord]>>,
}

impl Roster {
    /// All jobs by number, read anew if something has changed.
    pub(crate) async fn jobs(&mut self, queue: &dyn Queue) -> Result<Arc<[JobRecord]>, QueueError> {
        let changed = tokio::select! {
            biased;
            revision = queue.changed_since(self.revision) => Some(revision?),
            // A change is looked for, not waited for.
            () = std::future::ready(()) => None,
        };
        match (changed, &self.jobs) {
            (None, Some(jobs)) => Ok(Arc::clone(jobs)),
            (changed, _) => {
                let jobs: Arc<[JobRecord]> = queue.jobs().await?.into();
                self.jobs = Some(Arc::clone(&jobs));
                // The one before the reading: what changes from now on is seen the next time.
                self.revision = changed.unwrap_or(self.revision);
                Ok(jobs)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;
    use skyhaul_model::Intent;
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;
    use crate::nowhere::job_of_list;

    #[tokio::test]
    async fn the_jobs_are_read_again_only_when_something_has_changed() {
        let (queue, mut roster) = (MemoryQueue::new(), Roster::default());
        assert!(roster.jobs(&queue).await.unwrap().is_empty());
        let new = job_of_list("", Path::new("/o"));
        let id = queue.create_job(new, Timestamp::UNIX_EPOCH).await.unwrap().id;
        let first = roster.jobs(&queue).await.unwrap();
        assert_eq!(first.len(), 1);
        for _ in 0..60 {
            assert!(Arc::ptr_eq(&first, &roster.jobs(&queue).await.unwrap()), "nothing has changed");
        }
        queue.set_intent(id, Intent::Paused, Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(roster.jobs(&queue).await.unwrap()[0].intent, Intent::Paused);
    }
}
