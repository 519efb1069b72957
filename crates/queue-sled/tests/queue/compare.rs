//! The embedded queue against the queue in memory: after every step both answer and show the same, also
//! when the embedded one is closed and opened again in between, with and without its index.

use std::path::Path;

use proptest::prelude::*;
use skyhaul_queue::MemoryQueue;
use skyhaul_queue::conformance::check_counters;
use skyhaul_queue_sled::{BootId, SledQueue};

use crate::operation::{Op, ops};
use crate::scenario::{Run, shown};

/// How the queue is opened again.
#[derive(Clone, Copy, Debug)]
enum Reopen {
    Closed,
    Dropped,
    OtherBoot,
    WithoutIndex,
    AsKilled,
}

fn reopen() -> impl Strategy<Value = Reopen> {
    use Reopen as R;
    prop::sample::select(vec![R::Closed, R::Dropped, R::OtherBoot, R::WithoutIndex, R::AsKilled])
}

async fn open(dir: &Path, boot: &str) -> SledQueue {
    SledQueue::open(dir, BootId::named(boot)).await.unwrap().queue
}

/// Closes and opens again. What a kill leaves is a state file that says "open": cleanly closed files under
/// it are what they would be had every write just before the kill reached the system.
async fn again(queue: SledQueue, dir: &Path, how: Reopen) -> SledQueue {
    if let Reopen::Dropped = how {
        drop(queue);
    } else {
        queue.close().await.unwrap();
    }
    let state = dir.join("index.state");
    match how {
        Reopen::Closed | Reopen::Dropped => open(dir, "one").await,
        Reopen::OtherBoot => {
            std::fs::write(state, "skyhaul-index 2\nopen\nboot another\n").unwrap();
            open(dir, "one").await
        }
        Reopen::WithoutIndex => {
            std::fs::remove_dir_all(dir.join("index")).unwrap();
            open(dir, "one").await
        }
        Reopen::AsKilled => {
            std::fs::write(state, "skyhaul-index 2\nopen\nboot one\n").unwrap();
            open(dir, "one").await
        }
    }
}

async fn compare(ops: Vec<Op>, reopens: Vec<(usize, Reopen)>) {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(dir.path(), "one").await;
    let oracle = MemoryQueue::new();
    let (mut ours, mut theirs) = (Run::new(), Run::new());
    for (number, op) in ops.iter().enumerate() {
        let answer = ours.step(&queue, op).await;
        assert_eq!(answer, theirs.step(&oracle, op).await, "answer to step {number}: {op:?}");
        let records = skyhaul_queue::JobQueue::jobs(&queue).await.unwrap();
        assert_eq!(
            records,
            skyhaul_queue::JobQueue::jobs(&oracle).await.unwrap(),
            "after step {number}: {op:?}"
        );
        for (_, how) in reopens.iter().filter(|(at, _)| *at == number) {
            queue = again(queue, dir.path(), *how).await;
            oracle.forget_claims();
            assert_eq!(shown(&queue).await, shown(&oracle).await, "opened again {how:?} after step {number}");
        }
    }
    assert_eq!(shown(&queue).await, shown(&oracle).await);
    check_counters(&queue).await;
}

/// Few unless more are asked for: each is a queue on disk.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn both_queues_do_the_same(
        ops in ops(0..60, true), reopens in prop::collection::vec((5..65usize, reopen()), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(ops, reopens));
    }
}
