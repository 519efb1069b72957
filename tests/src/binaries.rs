//! Where the programs under test lie: beside the folder of the running test.

use std::path::PathBuf;

/// The path of a program of the workspace, as cargo built it in the profile of this test.
///
/// # Panics
/// It was not built.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // target/PROFILE/deps/TEST-HASH: the programs are two folders up.
    let profile = test.parent().and_then(|deps| deps.parent()).expect("cargo puts tests into a deps folder");
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing: run 'cargo build --workspace --bins' first", path.display());
    path
}
