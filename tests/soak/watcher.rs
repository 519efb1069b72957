//! Looks at every final path as often as it can, and at what lies there whenever it is new.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use skyhaul_tests::hex_sha256;

use crate::truth::Allowed;

/// A thread that watches an output root until it is told to stop.
#[derive(Debug)]
pub(crate) struct Watcher {
    stop: SyncSender<()>,
    watching: JoinHandle<Sightings>,
}

#[derive(Debug)]
struct Sightings {
    root: PathBuf,
    allowed: Allowed,
    /// Inode, length and time of what was last seen at a path.
    known: HashMap<String, (u64, u64, i64)>,
    wrong: Vec<String>,
}

impl Watcher {
    /// Starts to watch below `root`, where each path may hold what is allowed.
    pub(crate) fn start(root: PathBuf, allowed: Allowed) -> Self {
        const LOOK_AGAIN: Duration = Duration::from_millis(5);
        let (stop, stopped) = sync_channel(1);
        let mut sightings = Sightings { root, allowed, known: HashMap::new(), wrong: Vec::new() };
        let watching = std::thread::spawn(move || {
            loop {
                let last = stopped.recv_timeout(LOOK_AGAIN) != Err(RecvTimeoutError::Timeout);
                sightings.look("");
                if last {
                    return sightings;
                }
            }
        });
        Self { stop, watching }
    }

    /// Looks a last time; asserts that nothing wrong was ever seen, and tells at how many paths there was something.
    pub(crate) fn stop(self) -> usize {
        drop(self.stop);
        let sightings = self.watching.join().unwrap();
        assert_eq!(sightings.wrong, Vec::<String>::new(), "wrong bytes lay at final paths");
        sightings.known.len()
    }
}

impl Sightings {
    /// Looks at everything in a folder below the root, told with a slash at its end.
    fn look(&mut self, below: &str) {
        let Ok(entries) = fs::read_dir(self.root.join(below)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if below.is_empty() && name == ".skyhaul" {
                continue;
            }
            let path = format!("{below}{name}");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.look(&format!("{path}/")),
                _ => self.look_at(path, &entry.path()),
            }
        }
    }

    fn look_at(&mut self, path: String, lies_at: &Path) {
        // What is gone again was replaced or taken back, and is looked at when it is there.
        let Ok(metadata) = fs::symlink_metadata(lies_at) else { return };
        let identity = (metadata.ino(), metadata.len(), metadata.mtime_nsec());
        if self.known.get(&path) == Some(&identity) {
            return;
        }
        let Ok(bytes) = fs::read(lies_at) else { return };
        let digest = hex_sha256(&bytes);
        if !self.allowed.get(&path).is_some_and(|digests| digests.contains(&digest)) {
            self.wrong.push(format!("{path}: {} bytes, {digest}", bytes.len()));
        }
        self.known.insert(path, identity);
    }
}
