//! The dashboard and the metrics from outside: who is let in, over plain sockets; what a person sees and does, through
//! a browser; what Prometheus' own tool says.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod axe;
mod browser;
mod cost;
mod door;
mod hook;
mod http;
mod metrics;
mod screenshots;
mod story;

use skyhaul_tests::Sky;

/// A link that opens the dashboard of a corner's engine once; the engine is started if need be.
fn link(sky: &Sky) -> String {
    sky.ok("dashboard --print").stdout.trim().to_owned()
}

/// The root of the workspace.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of this name in the usual places.
fn program(name: &str) -> Option<std::path::PathBuf> {
    let places = std::env::var_os("PATH")?;
    std::env::split_paths(&places).map(|place| place.join(name)).find(|path| path.is_file())
}
