//! What a worker is told to do.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use skyhaul_model::{FileError, JobKey, OnExisting, RelPath, VerifyLevel};

use crate::OutputRoot;

/// One file to be brought to its final path.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Where it is fetched from.
    pub url: String,
    /// Where it lands below the output root.
    pub path: RelPath,
    /// The job, which names the folder of its partial files.
    pub key: JobKey,
    /// The output root, held by this process.
    pub root: Arc<OutputRoot>,
    /// Its size in bytes where a manifest told it.
    pub size: Option<u64>,
    /// The SHA-256 that the user demands.
    pub sha256: Option<[u8; 32]>,
    /// How much is checked beyond digests that were given.
    pub verify: VerifyLevel,
    /// What to do with a file that lies at the final path already.
    pub on_existing: OnExisting,
    /// Whether a file that is damaged at its source is put in place, marked `none`.
    pub accept_corrupt: bool,
    /// How long the server may be slower than 100 bytes/s.
    pub stall: Duration,
    /// Headers for the origin of `url` alone; never logged.
    pub secret_headers: HeaderMap,
    /// Body bytes received for this file over earlier attempts.
    pub received: u64,
    /// Names this boot of the machine: what the page cache held is believed within one boot only.
    pub boot: String,
    /// The failure before this attempt, where there was one.
    pub last_error: Option<FileError>,
}
