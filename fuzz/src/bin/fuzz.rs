//! One target (`FUZZ_TARGET`) under LLVM's libFuzzer, which takes over from here.
#![no_main]

use std::sync::LazyLock;

use skyhaul_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    found
        .map(|(_, target)| *target)
        .unwrap_or_else(|| panic!("FUZZ_TARGET is '{wanted}', none of {TARGETS:?}"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
