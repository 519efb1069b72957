//! Whole attempts through the real client, against raw sockets that say what they like, a few bytes at a time.
//!
//! Whatever a server does, nothing wrong comes to the final path.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod hostile;
mod redirects;
mod sample;
mod server;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use skyhaul_http::{Client, HttpConfig};
use skyhaul_model::{Query, RelPath, Source};
use skyhaul_transfer::{Assignment, End, Meter, OutputRoot, publish, transfer};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use server::Server;

/// A client and an output folder of its own.
struct Desk {
    client: Client,
    folder: TempDir,
    root: Arc<OutputRoot>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Arc::new(OutputRoot::open(folder.path()).unwrap());
        Self { client: Client::new(HttpConfig::default()).unwrap(), folder, root }
    }

    /// The order to fetch `path` from the server to the same path below the output folder.
    fn order(&self, server: &Server, path: &str) -> Assignment {
        let source = Source::archive("https://a.example", &[], Vec::new(), &[], &[]);
        let (url, key) =
            (format!("http://{}/{path}", server.address()), Query { source, out: "x".into() }.key());
        let order = Assignment::new(url, RelPath::parse(path).unwrap(), key, Arc::clone(&self.root));
        Assignment { boot: "boot".into(), ..order }
    }

    /// Makes an attempt, and publishes what came whole.
    async fn attempt(&self, order: &mut Assignment) -> End {
        let (meter, stop) = (Meter::default(), CancellationToken::new());
        let end = transfer(&self.client, order, &meter, &stop).await;
        order.received = meter.received();
        if let End::Whole(whole) = &end {
            publish(std::slice::from_ref(whole)).remove(0).unwrap();
        }
        end
    }

    fn place(&self, order: &Assignment) -> PathBuf {
        self.folder.path().join(order.path.as_str())
    }

    /// What lies at the final path.
    fn lies(&self, order: &Assignment) -> Option<Vec<u8>> {
        fs::read(self.place(order)).ok()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes that do not repeat, other ones for each seed.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
