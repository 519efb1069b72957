//! What a worker is told to do.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use skyhaul_model::{FileError, JobKey, OnExisting, RelPath, Sealed, VerifyLevel};
use skyhaul_verify::Digest;

use crate::{OutputRoot, Spare};

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
    /// The digests that the user demands, all of them: from a manifest or a list.
    pub digests: Vec<Digest>,
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
    /// What was sealed of the file that is published, when the server is to be asked whether it has another one
    /// by now.
    pub recheck: Option<Sealed>,
    /// The connections that no file needs for itself.
    pub spare: Arc<Spare>,
    /// The failure before this attempt, where there was one.
    pub last_error: Option<FileError>,
}

impl Assignment {
    /// A file that nothing is known of yet, with the checks that apply and nothing asked for beside them.
    #[must_use]
    pub fn new(url: String, path: RelPath, key: JobKey, root: Arc<OutputRoot>) -> Self {
        Self {
            url,
            path,
            key,
            root,
            size: None,
            digests: Vec::new(),
            verify: VerifyLevel::Auto,
            on_existing: OnExisting::Verify,
            accept_corrupt: false,
            stall: Duration::from_secs(60),
            secret_headers: HeaderMap::new(),
            received: 0,
            boot: String::new(),
            recheck: None,
            spare: Arc::default(),
            last_error: None,
        }
    }
}
