//! Limits, as the server sees them: `make bench-limits` prints what was asked for and what was seen, and fails where
//! that is out of bounds. Real programs, real time; nothing else should run meanwhile.
//!
//! The replica notes when each request came. Files are so small that there are some fifty in a second: what the
//! sockets' buffers hold, and the limits do not see, is a part of them.

// Tests fail by panicking, and say why.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod rates;
mod requests;

use std::io::Write as _;
use std::time::Duration;

use skyhaul_tests::{Replica, Request, Sky};

/// Over what limits must hold, in milliseconds.
const STRETCH_MS: u64 = 10_000;

/// How long a pull works before it is measured, in milliseconds: what a new connection and its buffers take at once
/// is over by then.
const BEFORE_MS: u64 = 3_000;

/// A server of noise and a user of it.
struct Stage {
    sky: Sky,
    replica: Replica,
}

impl Stage {
    /// Files of `size` bytes, as many as wanted in each of the folders, and a list of each folder, `FOLDER.txt`.
    fn with_files(folders: &[(&str, u64)], size: u64) -> Self {
        let sky = Sky::at("http://127.0.0.1:9").with("TZ", "UTC");
        let mut random = fastrand::Rng::with_seed(7);
        let noise = sky.write("noise", (0..size).map(|_| random.u8(..)).collect::<Vec<_>>());
        let path = |folder, number| format!("sort_by_project/{folder}/{number:05}.bin");
        for &(folder, count) in folders {
            std::fs::create_dir_all(sky.path(&format!("data/sort_by_project/{folder}"))).unwrap();
            for number in 0..count {
                std::fs::hard_link(&noise, sky.path("data").join(path(folder, number))).unwrap();
            }
        }
        let replica = Replica::start(&format!("--data {}", sky.path("data").display()));
        for &(folder, count) in folders {
            let urls = (0..count).map(|number| format!("{}/{}\n", replica.base(), path(folder, number)));
            sky.write(&format!("{folder}.txt"), urls.collect::<String>());
        }
        Self { sky, replica }
    }

    /// Waits until files come evenly; gives when that is, in milliseconds of the server's day.
    fn under_way(&self) -> u64 {
        self.replica.wait("a fetch", |requests| !requests.is_empty());
        self.replica.moment() + BEFORE_MS
    }

    /// What came to the server in the stretch that begins then, once it is over.
    fn stretch(&self, from: u64) -> Vec<Request> {
        // Answers that began at the stretch's end are noted a moment later.
        let over = from + STRETCH_MS + 500;
        std::thread::sleep(Duration::from_millis(over.saturating_sub(self.replica.moment())));
        let mut requests = self.replica.requests();
        requests.retain(|request| (from..from + STRETCH_MS).contains(&request.came_ms));
        requests
    }
}

/// Bytes of a folder's files.
fn bytes(requests: &[Request], folder: &str) -> u64 {
    let of_folder = |request: &&Request| request.path.contains(&format!("/{folder}/"));
    requests.iter().filter(of_folder).map(|request| request.sent).sum()
}

/// Prints a line of the table.
fn row(what: &str, asked: &str, seen: &str) {
    std::io::stdout().write_all(format!("| {what} | {asked} | {seen} |\n").as_bytes()).unwrap();
}
