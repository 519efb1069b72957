//! Random sequences of operations on a queue.

use std::fmt::Debug;
use std::ops::Range;

use proptest::prelude::*;
use skyhaul_model::Intent;

/// One step. Jobs, windows and files are picked by numbers that are taken modulo what is there.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create {
        tag: u8,
        priority: i8,
        name: Option<u8>,
        header: Option<u8>,
    },
    Update {
        job: u8,
        name: Option<u8>,
        priority: Option<i8>,
    },
    SetIntent {
        job: u8,
        intent: Intent,
    },
    Hold {
        job: u8,
        held: bool,
    },
    Plan {
        job: u8,
        windows: Option<u8>,
    },
    ClaimWindows {
        limit: u8,
        owner: u8,
    },
    Stage {
        pick: u8,
        count: u16,
        odd: u8,
    },
    /// Stages files of which every listing of the same window brings the first ones.
    StageAgain {
        pick: u8,
        count: u16,
        odd: u8,
    },
    /// Has windows listed again, perhaps only those of some hours.
    Relist {
        job: u8,
        hours: Option<(u8, u8)>,
        done: bool,
    },
    /// Adds windows of some hours.
    Extend {
        job: u8,
        hours: (u8, u8),
    },
    Settle {
        pick: u8,
        outcome: Outcome,
    },
    ClaimFiles {
        limit: u8,
        only: Option<u8>,
        owner: u8,
    },
    Renew {
        owner: u8,
    },
    Checkpoint {
        pick: Vec<Pick>,
        bytes: u16,
    },
    Release {
        pick: Vec<Pick>,
        bytes: u16,
        seal_lost: bool,
    },
    Seal {
        pick: Vec<Pick>,
        size: u16,
        adopted: bool,
    },
    /// Seals and completes.
    Finish {
        pick: Vec<Pick>,
        size: u16,
    },
    Complete {
        pick: Vec<Pick>,
    },
    Fail {
        pick: Vec<Pick>,
        bytes: u16,
        again: Option<u8>,
    },
    Invalidate {
        pick: Vec<Pick>,
    },
    Requeue {
        job: u8,
    },
    Remove {
        job: u8,
    },
    Tick {
        seconds: u8,
    },
}

/// How a window's claim ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Listed(Option<u16>),
    Split(u8),
    Released,
    Retry(u8),
    Failed,
}

/// One of the files that were claimed, or any of a job's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    Claimed(u8),
    Any(u8, u16),
}

/// Sequences of operations; checkpoints may be left out, since a crash may lose them.
pub(crate) fn ops(length: Range<usize>, with_checkpoints: bool) -> impl Strategy<Value = Vec<Op>> {
    let op = op(with_checkpoints);
    // The first steps make sure that there is something to work on.
    let start = [
        Op::Create { tag: 0, priority: 0, name: None, header: Some(1) },
        Op::Plan { job: 0, windows: Some(3) },
        Op::ClaimWindows { limit: 2, owner: 0 },
        Op::Stage { pick: 0, count: 300, odd: 50 },
        Op::Settle { pick: 0, outcome: Outcome::Listed(None) },
        Op::ClaimFiles { limit: 5, only: None, owner: 0 },
    ];
    prop::collection::vec(op, length).prop_map(move |rest| start.iter().cloned().chain(rest).collect())
}

fn op(with_checkpoints: bool) -> impl Strategy<Value = Op> {
    let files = || prop::collection::vec(pick(), 1..4);
    let most = prop_oneof![
        6 => (files(), any::<u16>()).prop_map(|(pick, size)| Op::Finish { pick, size }),
        6 => (any::<u8>(), option(0..4u8), any::<u8>())
            .prop_map(|(limit, only, owner)| Op::ClaimFiles { limit: limit % 12, only, owner: owner % 2 }),
        4 => (files(), any::<u16>(), any::<bool>())
            .prop_map(|(pick, size, adopted)| Op::Seal { pick, size, adopted }),
        4 => files().prop_map(|pick| Op::Complete { pick }),
        4 => (files(), any::<u16>(), option(any::<u8>()))
            .prop_map(|(pick, bytes, again)| Op::Fail { pick, bytes, again }),
        2 => (files(), any::<u16>(), any::<bool>())
            .prop_map(|(pick, bytes, seal_lost)| Op::Release { pick, bytes, seal_lost }),
        2 => files().prop_map(|pick| Op::Invalidate { pick }),
        1 => any::<u8>().prop_map(|seconds| Op::Tick { seconds: seconds % 40 }),
        1 => (0..2u8).prop_map(|owner| Op::Renew { owner }),
        4 => planning(),
        2 => steering(),
    ];
    let checkpoints = (files(), any::<u16>()).prop_map(|(pick, bytes)| Op::Checkpoint { pick, bytes });
    if with_checkpoints { prop_oneof![12 => most, 2 => checkpoints].boxed() } else { most.boxed() }
}

fn planning() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        4 => option(any::<u16>()).prop_map(Outcome::Listed),
        1 => (0..4u8).prop_map(Outcome::Split),
        1 => Just(Outcome::Released),
        1 => (0..40u8).prop_map(Outcome::Retry),
        1 => Just(Outcome::Failed),
    ];
    prop_oneof![
        1 => (any::<u8>(), option(0..5u8)).prop_map(|(job, windows)| Op::Plan { job, windows }),
        2 => (1..4u8, 0..2u8).prop_map(|(limit, owner)| Op::ClaimWindows { limit, owner }),
        2 => (any::<u8>(), 0..600u16, any::<u8>()).prop_map(|(pick, count, odd)| Op::Stage { pick, count, odd }),
        3 => (any::<u8>(), 0..90u16, any::<u8>())
            .prop_map(|(pick, count, odd)| Op::StageAgain { pick, count, odd }),
        3 => (any::<u8>(), outcome).prop_map(|(pick, outcome)| Op::Settle { pick, outcome }),
    ]
}

fn steering() -> impl Strategy<Value = Op> {
    let intent =
        prop::sample::select(vec![Intent::Run, Intent::Run, Intent::Run, Intent::Paused, Intent::Cancelled]);
    prop_oneof![
        2 => (0..4u8, -2..3i8, option(0..2u8), option(any::<u8>()))
            .prop_map(|(tag, priority, name, header)| Op::Create { tag, priority, name, header }),
        1 => (any::<u8>(), option(0..2u8), option(-2..3i8))
            .prop_map(|(job, name, priority)| Op::Update { job, name, priority }),
        2 => (any::<u8>(), intent).prop_map(|(job, intent)| Op::SetIntent { job, intent }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(job, held)| Op::Hold { job, held }),
        2 => any::<u8>().prop_map(|job| Op::Requeue { job }),
        3 => (any::<u8>(), option((0..5u8, 0..5u8)), any::<bool>())
            .prop_map(|(job, hours, done)| Op::Relist { job, hours, done }),
        1 => (any::<u8>(), (0..4u8, 0..9u8)).prop_map(|(job, hours)| Op::Extend { job, hours }),
        1 => any::<u8>().prop_map(|job| Op::Remove { job: job.saturating_mul(8) }),
    ]
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        6 => any::<u8>().prop_map(Pick::Claimed),
        1 => (any::<u8>(), any::<u16>()).prop_map(|(job, place)| Pick::Any(job, place)),
    ]
}

fn option<T: Debug + Clone>(some: impl Strategy<Value = T> + Clone + 'static) -> BoxedStrategy<Option<T>> {
    prop::option::of(some).boxed()
}
