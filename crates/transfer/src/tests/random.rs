//! Any cuts, any changes, any crashes: the file at the final path is always one version, whole.

use proptest::prelude::*;

use super::site::Fault;
use super::{Bench, gz, noise};
use crate::{End, publish};

/// What happens to one attempt.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Cut(usize),
    End(usize),
    WholeAnyway,
    Short(u64),
    /// The file is another one from now on.
    Change,
    /// The process has died, and the machine perhaps with it.
    Reboot,
    LostRecord,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => (0..400_000_usize).prop_map(Luck::Cut),
        1 => (0..400_000_usize).prop_map(Luck::End),
        1 => Just(Luck::WholeAnyway),
        1 => (1..200_000_u64).prop_map(Luck::Short),
        1 => Just(Luck::Change),
        1 => Just(Luck::Reboot),
        1 => Just(Luck::LostRecord),
    ]
}

fn version(number: usize, length: usize, name: &str) -> Vec<u8> {
    let bytes = noise(length + number)[number..].to_vec();
    if name.ends_with(".gz") { gz(&bytes) } else { bytes }
}

/// Lets it happen; what the site serves afterwards.
fn befall(bench: &mut Bench, luck: Luck, number: &mut usize, length: usize, name: &str) {
    match luck {
        Luck::Cut(at) => drop(bench.site.then(Fault::Cut(at))),
        Luck::End(at) => drop(bench.site.then(Fault::End(at))),
        Luck::WholeAnyway => drop(bench.site.then(Fault::WholeAnyway)),
        Luck::Short(most) => drop(bench.site.then(Fault::Short(most))),
        Luck::Change => {
            *number += 1;
            bench.site.change(&version(*number, length, name), &format!("\"w{number}\""));
        }
        Luck::Reboot => bench.assignment.boot.push('+'),
        Luck::LostRecord => drop(std::fs::remove_file(bench.parts().meta)),
    }
}

async fn play(name: &str, length: usize, lucks: &[Luck]) -> Result<(), TestCaseError> {
    let mut number = 0;
    let mut bench = Bench::new(name, &version(0, length, name));
    let mut versions = vec![version(0, length, name)];
    let (mut waste_allowed, mut before) = (0, 0);
    for &luck in lucks {
        befall(&mut bench, luck, &mut number, length, name);
        versions.truncate(number);
        versions.resize_with(number + 1, || version(number, length, name));
        let held = bench.part_length().unwrap_or(0);
        let end = bench.attempt().await;
        let came = bench.assignment.received - before;
        before = bench.assignment.received;
        prop_assert!(
            came <= 2 * versions[number].len() as u64,
            "an attempt fetches the file once, or falls back once"
        );
        if matches!(luck, Luck::Change | Luck::Reboot | Luck::LostRecord | Luck::WholeAnyway | Luck::End(_)) {
            waste_allowed += held + came;
        }
        if let End::Whole(whole) = end {
            return judge(&bench, &[whole], &versions, waste_allowed);
        }
    }
    bench.site.script.lock().unwrap().clear();
    for _ in 0..4 {
        let held = bench.part_length().unwrap_or(0);
        if let End::Whole(whole) = bench.attempt().await {
            return judge(&bench, &[whole], &versions, waste_allowed + held * u64::from(number > 0));
        }
    }
    Err(TestCaseError::fail("a site in good order did not give the file"))
}

fn judge(
    bench: &Bench,
    batch: &[crate::Whole],
    versions: &[Vec<u8>],
    waste_allowed: u64,
) -> Result<(), TestCaseError> {
    publish(batch).remove(0).unwrap();
    let bytes = std::fs::read(bench.place()).unwrap();
    prop_assert!(versions.contains(&bytes), "the file is none of the versions");
    let waste = bench.assignment.received.saturating_sub(bytes.len() as u64);
    // Bytes on their way into a broken batch are the only others that may come twice.
    prop_assert!(waste <= waste_allowed, "{waste} bytes came twice, {waste_allowed} may");
    prop_assert!(bench.assignment.received >= bytes.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_file_is_always_one_version(
        checked in any::<bool>(),
        length in 1..350_000_usize,
        lucks in proptest::collection::vec(luck(), 0..8),
    ) {
        let name = if checked { "a.gz" } else { "a.h5" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(play(name, length, &lucks))?;
    }
}
