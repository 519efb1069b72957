//! Power cuts: what was not synced is lost, whole or in part, in any order. A process that runs a script is recorded
//! once and cut at many moments.

use skyhaul_tests::Running;

use crate::disk::{Image, Survival};
use crate::driver::{Place, Then, acks, assert_unharmed};
use crate::folder::empty;
use crate::oracle::{History, Round};
use crate::recording::{Call, Recorder, Recording};
use crate::script::Kind;
use crate::{rounds, seed};

/// What ends a process at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// The power goes, and with it what was not synced.
    PowerCut,
    /// The process dies, in the middle of a write if need be, and the system keeps what it was given.
    Death,
}

#[tokio::test]
async fn a_power_cut_costs_nothing_that_was_acknowledged() {
    for life in 0..rounds(1, 7) {
        live(seed() * 1_000 + life, Blow::PowerCut).await;
    }
}

#[tokio::test]
async fn a_death_at_any_call_costs_nothing_that_was_acknowledged() {
    for life in 0..rounds(1, 7) {
        live(seed() * 1_000 + 500 + life, Blow::Death).await;
    }
}

/// Processes one after the other, each cut at several moments; the next one finds what one of these left.
async fn live(seed: u64, blow: Blow) {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut history = History::new(&place.lists());
    let mut boot = 0;
    for number in 0..3 {
        let kind = if random.u8(..4) == 0 { Kind::Planning } else { Kind::Mixed };
        let round = Round { seed: seed * 100 + number, kind, length: random.usize(10..50) };
        let then = if random.bool() { Then::Wait } else { Then::Close };
        let Some(recording) = record(&place, &format!("boot {boot}"), round, then) else { return };
        // The machine comes up in another boot, or the next process is started in the same; or the machine was halted
        // in order in between.
        boot += u32::from(blow == Blow::PowerCut || random.u8(..4) == 0);
        let cuts = images(&recording, blow, rounds(4, 10), random.fork());
        let goes_on = random.usize(..cuts.len());
        let before = history.clone();
        for (cut, (moment, image)) in cuts.into_iter().enumerate() {
            let lies = tempfile::tempdir().unwrap();
            image.write_to(lies.path());
            let acks = acks(&recording.said(moment));
            let state = lies.path().join("state");
            let found = before.compare(&state, &format!("boot {boot}"), round, acks).await;
            let what = format!("seed {seed}, process {number}, {blow:?} at call {moment}");
            let found = found.unwrap_or_else(|lost| panic!("{what}: {lost}"));
            if cut == goes_on {
                history = found;
                empty(&place.disk());
                image.write_to(&place.disk());
            }
        }
    }
}

/// Runs a round to its end.
pub(crate) fn record(place: &Place, boot: &str, round: Round, then: Then) -> Option<Recording> {
    let mut command = place.driver(boot, round, then);
    let recorder = Recorder::attach(&mut command, &place.disk())?;
    let driver = Running::spawn(command);
    let ended = match then {
        Then::Close => driver.finish(),
        Then::Wait => {
            driver.wait_stdout("that it has finished", |said| said.contains("\nfinished\n"));
            driver.kill()
        }
    };
    assert_unharmed(&ended);
    Some(recorder.finish())
}

/// What may lie on the disk after a blow at some moments.
fn images(recording: &Recording, blow: Blow, count: u64, mut random: fastrand::Rng) -> Vec<(usize, Image)> {
    let mut disk = recording.before.clone();
    let mut done = 0;
    let mut images = Vec::new();
    for moment in recording.moments(count, &mut random) {
        recording.calls[done..moment].iter().for_each(|call| disk.apply(call));
        done = moment;
        let image = match (blow, recording.calls.get(moment)) {
            (Blow::PowerCut, _) => disk.image(Survival::of_power_cut(&mut random), &mut random),
            (Blow::Death, Some(Call::Write { inode, offset, bytes })) => {
                let mut torn = disk.clone();
                let bytes = bytes[..random.usize(..bytes.len())].to_vec();
                torn.apply(&Call::Write { inode: *inode, offset: *offset, bytes });
                torn.image(Survival::ALL, &mut random)
            }
            (Blow::Death, _) => disk.image(Survival::ALL, &mut random),
        };
        images.push((moment, image));
    }
    images
}
