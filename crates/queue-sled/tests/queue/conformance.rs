//! The conformance suite on the embedded queue.

use skyhaul_queue_sled::{BootId, SledQueue};
use tempfile::TempDir;

async fn make() -> (SledQueue, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let opened = SledQueue::open(dir.path(), BootId::named("test")).await.unwrap();
    assert_eq!(opened.notes, Vec::<String>::new(), "a new queue has nothing to tell");
    (opened.queue, dir)
}

skyhaul_queue::conformance_tests!(make);
