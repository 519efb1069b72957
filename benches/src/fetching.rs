//! Files that are fetched from a server in this process, one after the other.

use std::sync::Arc;

use skyhaul_http::Fetch;
use skyhaul_model::{Query, RelPath, Source};
use skyhaul_transfer::{Assignment, End, Meter, OutputRoot, transfer};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What is to be fetched, into a folder that goes with it.
pub struct Fetching {
    assignments: Vec<Assignment>,
    _folder: TempDir,
}

impl Fetching {
    /// So many compressed images.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Arc::new(OutputRoot::open(folder.path()).unwrap());
        let source = Source::Urls { digest: "0".into(), base: None };
        let key = Query { source, out: folder.path().display().to_string() }.key();
        let assignment = |number| {
            let path = RelPath::parse(&format!("a/{number}.pgm.gz")).unwrap();
            let url = format!("https://data.example/{path}");
            Assignment::new(url, path, key.clone(), Arc::clone(&root))
        };
        Self { assignments: (0..count).map(assignment).collect(), _folder: folder }
    }

    /// Fetches them.
    ///
    /// # Panics
    /// One did not come whole.
    pub async fn run(&self, server: &dyn Fetch) {
        let stop = CancellationToken::new();
        for assignment in &self.assignments {
            let end = transfer(server, assignment, &Meter::default(), &stop).await;
            assert!(matches!(end, End::Whole(_)), "{end:?}");
        }
    }
}
