//! kill -9: lives of a queue whose process is killed again and again, at work and while it opens, plans and rebuilds.

use std::time::{Duration, Instant};

use skyhaul_tests::Running;

use crate::driver::{LANES, Place, Then, acks, assert_unharmed};
use crate::folder::copy_tree;
use crate::oracle::{History, Round};
use crate::script::Kind;
use crate::{rounds, seed};

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// While it works.
    Working,
    /// While it lists windows.
    Planning,
    /// While it opens what a kill left.
    Opening,
    /// While it opens in another boot of the machine, and so rebuilds the index.
    Rebuilding,
}

/// When the processes of a life are killed, each of which finds what the one before left.
const MOMENTS: [Moment; 8] = [
    Moment::Working,
    Moment::Working,
    Moment::Planning,
    Moment::Working,
    Moment::Opening,
    Moment::Working,
    Moment::Rebuilding,
    Moment::Working,
];

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    for life in 0..rounds(1, 25) {
        live(seed() * 1_000 + life).await;
    }
}

async fn live(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut history = History::new(&place.lists());
    let mut boot = 0;
    // How long the last opening took that was let be.
    let mut opening = Duration::ZERO;
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let kind = if moment == Moment::Planning { Kind::Planning } else { Kind::Mixed };
        let round = Round { seed: seed * 100 + number as u64, kind, length: random.usize(5..60) };
        boot += u32::from(moment == Moment::Rebuilding);
        let boot = format!("boot {boot}");
        let driver = Running::spawn(place.driver(&boot, round, Then::Wait));
        driver.wait_stdout("that it opens", |said| said.contains("\nopening\n"));
        let begun = Instant::now();
        match moment {
            Moment::Working | Moment::Planning => {
                driver.wait_stdout("that it is open", |said| said.contains("\nopen\n"));
                opening = begun.elapsed();
                let enough = random.usize(..LANES * round.length);
                driver.wait_stdout("enough", |said| acks(said).iter().sum::<usize>() >= enough);
                driver.ends_within(Duration::from_micros(random.u64(..3_000)));
            }
            Moment::Opening => drop(driver.ends_within(opening.mul_f64(random.f64()))),
            // Rebuilding takes longer.
            Moment::Rebuilding => drop(driver.ends_within(opening.mul_f64(3.0 * random.f64()))),
        }
        let ended = driver.kill();
        assert_unharmed(&ended);
        // What lies there is opened in a copy, so that the next process finds what this one left.
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&place.state(), copy.path());
        let compared = history.compare(copy.path(), &boot, round, acks(&ended.stdout)).await;
        let what = format!("seed {seed}, round {number}, killed while {moment:?}");
        history = compared.unwrap_or_else(|lost| panic!("{what}: {lost}"));
    }
}
