//! Any cuts, any changes, any crashes: the file at the final path is always one version, whole.

use proptest::prelude::*;

use super::meddling::Meddling;
use super::site::Fault;
use super::{Bench, gz, names, noise};
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
    /// The file is the one that it was before.
    ComeBack,
    /// The process has died, and the machine perhaps with it.
    Reboot,
    LostRecord,
    /// Another program has had the part in hand.
    Meddled(Meddling),
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => (0..400_000_usize).prop_map(Luck::Cut),
        1 => (0..400_000_usize).prop_map(Luck::End),
        1 => Just(Luck::WholeAnyway),
        1 => (1..200_000_u64).prop_map(Luck::Short),
        2 => Just(Luck::Change),
        1 => Just(Luck::ComeBack),
        1 => Just(Luck::Reboot),
        1 => Just(Luck::LostRecord),
        2 => meddling().prop_map(Luck::Meddled),
    ]
}

fn meddling() -> impl Strategy<Value = Meddling> {
    prop_oneof![
        any::<u64>().prop_map(Meddling::Cut),
        any::<u64>().prop_map(Meddling::Overwrite),
        Just(Meddling::Extend),
        Just(Meddling::Empty),
        Just(Meddling::Replace),
    ]
}

fn version(number: usize, length: usize, name: &str) -> Vec<u8> {
    let bytes = noise(length + number)[number..].to_vec();
    if name.ends_with(".gz") { gz(&bytes) } else { bytes }
}

/// A site whose file changes and comes back.
struct Play {
    bench: Bench,
    /// All versions that there have been, and the one that is served.
    versions: Vec<Vec<u8>>,
    now: usize,
    name: &'static str,
    length: usize,
}

impl Play {
    fn new(name: &'static str, length: usize) -> Self {
        let first = version(0, length, name);
        let bench = Bench::new(name, &first);
        bench.site.change(&first, "\"w0\"");
        Self { bench, versions: vec![first], now: 0, name, length }
    }

    fn befall(&mut self, luck: Luck) {
        let site = &self.bench.site;
        match luck {
            Luck::Cut(at) => drop(site.then(Fault::Cut(at))),
            Luck::End(at) => drop(site.then(Fault::End(at))),
            Luck::WholeAnyway => drop(site.then(Fault::WholeAnyway)),
            Luck::Short(most) => drop(site.then(Fault::Short(most))),
            Luck::Change => {
                self.versions.push(version(self.versions.len(), self.length, self.name));
                self.serve(self.versions.len() - 1);
            }
            Luck::ComeBack => self.serve(self.now.saturating_sub(1)),
            Luck::Reboot => self.bench.assignment.boot.push('+'),
            Luck::LostRecord => drop(std::fs::remove_file(self.bench.parts().meta)),
            Luck::Meddled(meddling) => meddling.befall(&self.bench.parts().part),
        }
    }

    fn serve(&mut self, number: usize) {
        self.now = number;
        self.bench.site.change(&self.versions[number], &format!("\"w{number}\""));
    }

    /// The bytes of all parts that lie there: what may have to come again.
    fn held(&self) -> u64 {
        self.bench.part_lengths().iter().sum()
    }

    /// Plays it to its end; how many bytes may have come twice.
    async fn play(&mut self, lucks: &[Luck]) -> Result<u64, TestCaseError> {
        let mut waste = 0;
        for &luck in lucks {
            let (held, before) = (self.held(), self.bench.assignment.received);
            self.befall(luck);
            let end = self.bench.attempt().await;
            let came = self.bench.assignment.received - before;
            let most = 2 * self.versions[self.now].len() as u64;
            prop_assert!(came <= most, "an attempt fetches the file once, or falls back once");
            if !matches!(luck, Luck::Cut(_) | Luck::Short(_)) {
                waste += held + came;
            }
            if let End::Whole(whole) = end {
                return self.publish(whole).map(|()| waste);
            }
        }
        self.bench.site.script.lock().unwrap().clear();
        for _ in 0..4 {
            waste += if self.versions.len() > 1 { self.held() } else { 0 };
            if let End::Whole(whole) = self.bench.attempt().await {
                return self.publish(whole).map(|()| waste);
            }
        }
        Err(TestCaseError::fail("a site in good order did not give the file"))
    }

    fn publish(&self, whole: crate::Whole) -> Result<(), TestCaseError> {
        publish(&[whole]).remove(0).unwrap();
        let bytes = std::fs::read(self.bench.place()).unwrap();
        prop_assert!(self.versions.contains(&bytes), "the file is none of the versions");
        prop_assert!(names(&self.bench.parts().folder).is_empty(), "something is left behind");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_file_is_always_one_version(
        checked in any::<bool>(),
        length in 1..350_000_usize,
        lucks in proptest::collection::vec(luck(), 0..8),
    ) {
        let name = if checked { "a.gz" } else { "a.dat" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut play = Play::new(name, length);
        let allowed = runtime.block_on(play.play(&lucks))?;
        let length = std::fs::metadata(play.bench.place()).unwrap().len();
        let received = play.bench.assignment.received;
        prop_assert!(received >= length);
        let waste = received - length;
        // Bytes on their way into a broken batch are the only others that may come twice.
        prop_assert!(waste <= allowed, "{waste} bytes came twice, {allowed} may");
    }
}
