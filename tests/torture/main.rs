//! Torture of the queue from outside: processes killed at any moment, the power cut at any moment, bytes flipped and
//! files cut. What was acknowledged is never lost, what was not done is never called done, and opening never panics.
//!
//! Each test runs a few rounds here and many where `SKYHAUL_TORTURE` is set (`make torture`).

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod damage;
mod defects;
mod disk;
mod driver;
mod folder;
mod kills;
mod oracle;
mod power;
mod product;
mod recording;
mod script;

/// How many rounds a test runs: a few in the ordinary suite, many when the torture is asked for.
fn rounds(few: u64, many: u64) -> u64 {
    if std::env::var_os("SKYHAUL_TORTURE").is_some() { many } else { few }
}

/// Where the random numbers begin; another place is tried by setting `SKYHAUL_TORTURE_SEED`.
fn seed() -> u64 {
    std::env::var("SKYHAUL_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}
