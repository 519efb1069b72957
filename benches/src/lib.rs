//! What the benchmarks work on: lists, listings and queues of a given size.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]

pub mod answers;
mod fetching;
pub mod image;
pub mod night;
pub mod usage;

pub use self::fetching::Fetching;

use std::fmt::Write as _;

use jiff::Timestamp;
use skyhaul_model::{
    FileSpec, JobPolicy, NewWindow, Proof, Query, RelPath, Sealed, Source, Verified, WindowTarget,
};
use skyhaul_queue::{
    ClaimFilter, ClaimRequest, JobQueue, LeaseOwner, NewJob, PlanOutcome, PlanQueue, WindowOutcome, WorkQueue,
};
use skyhaul_queue_sled::{BootId, SledQueue};

/// The tree that every file of a benchmark lies in.
const TREE: &str = "https://data.example/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19";

/// A URL list of `count` lines.
#[must_use]
pub fn url_list(count: usize) -> String {
    let mut list = String::with_capacity(count * 128);
    for number in 0..count {
        writeln!(list, "{TREE}/ut06/20220101_{number:08}_gill_themis19_full.pgm.gz").unwrap();
    }
    list
}

/// The files of a listing of `count` URLs.
#[must_use]
pub fn files(count: usize) -> Vec<FileSpec> {
    let file = |number| {
        let name = format!("ut06/20220101_{number:08}_gill_themis19_full.pgm.gz");
        let path = RelPath::parse(&format!("THEMIS_ASI_RAW/2022/01/01/gill_themis19/{name}")).unwrap();
        FileSpec { url: format!("{TREE}/{name}"), path: Ok(path), size: None, sha256: None }
    };
    (0..count).map(file).collect()
}

/// An open queue with one job whose one window is claimed, in a folder that goes with it.
pub struct Bench {
    /// The queue.
    pub queue: SledQueue,
    job: skyhaul_model::JobId,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// A fresh queue.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = SledQueue::open(&folder.path().join("state"), BootId::current()).await.unwrap();
        let queue = opened.queue;
        let source = Source::Urls { digest: "0".into(), base: None };
        let new = NewJob {
            query: Query { source, out: folder.path().display().to_string() },
            policy: JobPolicy::default(),
            name: None,
            priority: 0,
            headers: Vec::new(),
            input: None,
        };
        let job = queue.create_job(new, Timestamp::now()).await.unwrap().id;
        let target = WindowTarget::Slice { offset: 0, length: 1, first_line: 1 };
        let windows = PlanOutcome::Windows(vec![NewWindow { target }]);
        queue.settle_plan(job, windows, Timestamp::now()).await.unwrap();
        Self { queue, job, _folder: folder }
    }

    /// Takes a listing in: staged in batches, settled at the end.
    pub async fn ingest(&self, files: &[FileSpec]) {
        let window = self.queue.claim_windows(self.request(1)).await.unwrap().remove(0).window.id;
        for batch in files.chunks(1_024) {
            self.queue.stage_files(self.job, window, batch.to_vec()).await.unwrap();
        }
        let listed = WindowOutcome::Listed { bytes: None };
        self.queue.settle_window(self.job, window, listed, Timestamp::now()).await.unwrap();
    }

    /// Claims, seals and completes files in batches until none is left; gives their number.
    pub async fn work_off(&self) -> usize {
        let mut done = 0;
        loop {
            let claims = self.queue.claim_files(self.request(256)).await.unwrap();
            if claims.is_empty() {
                return done;
            }
            let refs: Vec<_> = claims.iter().map(|claim| claim.file).collect();
            let sealed = Sealed {
                size: 2_138_488,
                sha256: [7; 32],
                verified: Verified::Container,
                proof: Proof::Fetched,
                received: 2_138_488,
            };
            self.queue.seal(refs.iter().map(|&file| (file, sealed.clone())).collect()).await.unwrap();
            done += refs.len();
            self.queue.complete(refs, Timestamp::now()).await.unwrap();
        }
    }

    fn request(&self, limit: usize) -> ClaimRequest {
        let filter = ClaimFilter::Jobs(vec![self.job]);
        ClaimRequest { filter, limit, owner: LeaseOwner(1), now: Timestamp::now(), until: Timestamp::MAX }
    }
}
