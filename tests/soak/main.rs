//! Thousands of small files through a random mix of everything that can go wrong, killed at random moments: no final
//! path holds a wrong byte at any moment, and in the end every file that can be had is there and every other one has
//! failed for the right reason.
//!
//! One seed runs in the ordinary suite. `make soak` runs new seeds for some minutes (`SKYHAUL_SOAK_MINUTES`), or one
//! again that failed (`SKYHAUL_SOAK_SEED`).

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod profile;
mod truth;
mod watcher;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use fastrand::Rng;
use profile::Profile;
use skyhaul_tests::{Replica, Sky};
use truth::Truth;
use watcher::Watcher;

/// How much one soak does.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Minutes of every format at ten stations: 90 files each.
    minutes: usize,
    kills: u32,
}

#[test]
fn a_soak_of_one_seed() {
    // This one draws nearly all faults at once.
    soak(169, Extent { minutes: 10, kills: 4 });
}

#[test]
#[ignore = "takes minutes: make soak"]
fn soaks_of_many_seeds() {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let extent = Extent { minutes: 40, kills: 10 };
    if let Some(seed) = number("SKYHAUL_SOAK_SEED") {
        return soak(seed, extent);
    }
    let until = Instant::now() + Duration::from_secs(60 * number("SKYHAUL_SOAK_MINUTES").unwrap_or(4));
    let mut seed = 1;
    while seed == 1 || Instant::now() < until {
        soak(seed, extent);
        seed += 1;
    }
}

fn soak(seed: u64, extent: Extent) {
    let begun = Instant::now();
    let say = |what: &str| {
        // There is nowhere left to tell that stderr is gone.
        let _ = writeln!(std::io::stderr(), "soak: seed {seed}, {:?}: {what}", begun.elapsed());
    };
    let mut random = Rng::with_seed(seed);
    let profile = Profile::draw(&mut random, extent.minutes);
    say(&profile.to_string());
    let truth = Truth::learn(&profile);
    say("the truth is known");
    let replica = Replica::start(&format!("{} {}", profile.source(), profile.line()));
    let sky = Sky::new(&replica);
    let watcher = Watcher::start(sky.path("out"), truth.allowed());
    let pull = format!("pull {} --out out --no-progress {}", profile.query(), profile.flags());
    for _ in 0..extent.kills {
        let running = sky.spawn(&pull);
        running.ends_within(Duration::from_millis(random.u64(100..2000)));
        running.kill();
    }
    say("killed often enough");
    let mut unmet = pull_and_compare(&sky, &pull, &truth);
    for _ in 1..ROUNDS {
        say(&format!("{} files are not as they must be", unmet.len()));
        if unmet.is_empty() {
            break;
        }
        let still = pull_and_compare(&sky, &pull, &truth);
        unmet.retain(|path, _| still.contains_key(path));
    }
    let checked = watcher.stop();
    assert_eq!(unmet, BTreeMap::new(), "seed {seed}: {profile}");
    assert!(checked >= truth.least_held(), "seed {seed}: the watcher saw {checked} files only");
}

/// How often it is pulled at most. A few tries are enough for what rarely passes (a page in the place of a file, say),
/// so now and then a file fails that could be had, or for a reason that was chance: then a person pulls again, and so
/// does this, until each file has been as it must be once. What is done stays done, and the watcher never sleeps.
const ROUNDS: u32 = 16;

/// How often a pull is killed because it takes too long.
const KILLS_MORE: u32 = 4;

/// Pulls to the end; in what the job then is not as it must be, by path.
fn pull_and_compare(sky: &Sky, pull: &str, truth: &Truth) -> BTreeMap<String, String> {
    /// Where every second request fails, skyhaul asks kindly and one by one; one kill more does no harm.
    const PATIENCE: Duration = Duration::from_secs(120);
    let mut running = sky.spawn(pull);
    for _ in 0..KILLS_MORE {
        if running.ends_within(PATIENCE) {
            break;
        }
        running.kill();
        running = sky.spawn(pull);
    }
    let ended = running.finish();
    assert!(!ended.stderr.contains("panicked at"), "{}", ended.stderr);
    assert!(matches!(ended.code, Some(0 | 3 | 4)), "{:?}: {}", ended.code, ended.stderr);
    truth.unmet(sky)
}
