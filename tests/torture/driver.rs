//! The process that is tortured: it opens the queue, runs a script on it, and says each step that it was
//! acknowledged.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use skyhaul_queue_sled::{BootId, SledQueue};
use skyhaul_tests::Ended;
use tokio::task::JoinSet;

use crate::oracle::{Acks, Round};
use crate::script::{Kind, Lane, write_lists};

/// Jobs whose lives go on at the same time.
pub(crate) const LANES: usize = 3;

/// What a driver is told: by a variable, for its arguments are the test runner's.
const ORDER: &str = "SKYHAUL_TORTURE_ORDER";

/// What a driver does when its script has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It closes the queue and ends.
    Close,
    /// It waits to be killed.
    Wait,
}

/// A state directory, lists that its jobs are given, and the boot of the machine that it believes in.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lists")).unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        write_lists(&folder.path().join("lists"));
        Self { folder }
    }

    /// The folder that a recorder watches.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("disk")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.disk().join("state")
    }

    pub(crate) fn lists(&self) -> PathBuf {
        self.folder.path().join("lists")
    }

    /// A driver that runs this round, not yet started.
    pub(crate) fn driver(&self, boot: &str, round: Round, then: Then) -> Command {
        let order = serde_json::json!({
            "state": self.state(), "lists": self.lists(), "boot": boot, "seed": round.seed, "length": round.length,
            "planning": round.kind == Kind::Planning, "close": then == Then::Close,
        });
        own_test("driver::driver", ORDER, &order.to_string())
    }
}

/// A command that runs an ignored test of this program.
pub(crate) fn own_test(test: &str, variable: &str, value: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(variable, value).stdin(Stdio::null());
    command
}

/// How many steps of each lane were acknowledged. A line that was cut short counts for nothing.
pub(crate) fn acks(said: &str) -> Acks {
    let mut acks = [0; LANES];
    for line in said.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let numbers = line.trim_end().strip_prefix("ack ").and_then(|rest| rest.split_once(' '));
        if let Some((lane, steps)) = numbers {
            acks[lane.parse::<usize>().unwrap()] = steps.parse().unwrap();
        }
    }
    acks
}

/// Asserts that a driver was killed or ended well, and did not end by itself for want of an answer.
#[track_caller]
pub(crate) fn assert_unharmed(ended: &Ended) {
    assert!(matches!(ended.code, None | Some(0)), "the driver failed:\n{}\n{}", ended.stdout, ended.stderr);
}

/// Says a line in one write, so that it is there whole or not at all.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout();
    stdout.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| stdout.flush()).unwrap();
}

/// Not a test: the process that others torture.
#[tokio::test]
#[ignore = "other tests run it, and kill it"]
async fn driver() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    let text = |key: &str| order[key].as_str().unwrap();
    let kind = if order["planning"] == true { Kind::Planning } else { Kind::Mixed };
    let length = usize::try_from(order["length"].as_u64().unwrap()).unwrap();
    let round = Round { seed: order["seed"].as_u64().unwrap(), kind, length };
    say("opening");
    let opened = SledQueue::open(Path::new(text("state")), BootId::named(text("boot"))).await.unwrap();
    say("open");
    let queue = Arc::new(opened.queue);
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(run_lane(Arc::clone(&queue), lane, PathBuf::from(text("lists")), round));
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    if order["close"] == true {
        queue.close().await.unwrap();
        say("closed");
    } else {
        say("finished");
        std::future::pending::<()>().await;
    }
}

async fn run_lane(queue: Arc<SledQueue>, number: usize, lists: PathBuf, round: Round) {
    let mut lane = Lane::resume(&*queue, number, &lists).await;
    for (step, done) in round.steps(number).iter().zip(1..) {
        lane.step(&*queue, step).await;
        say(&format!("ack {number} {done}"));
    }
}
