//! Every input of the corpus, through its target.
#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails as a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use skyhaul_fuzz::TARGETS;

fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders: Vec<_> =
        entries(&corpus()).into_iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(folders, TARGETS.map(|(name, _)| name));
    for (name, _) in TARGETS {
        assert!(entries(&corpus().join(name)).len() >= 3, "{name} has hardly any inputs");
    }
}

#[test]
fn the_corpus_holds() {
    for (name, target) in TARGETS {
        for path in entries(&corpus().join(name)) {
            let input = fs::read(&path).unwrap();
            assert!(
                std::panic::catch_unwind(|| target(&input)).is_ok(),
                "{name} fails on {}",
                path.display()
            );
        }
    }
}
