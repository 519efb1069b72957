//! Which crate may use which: the table of `docs/architecture.md`.

use std::collections::BTreeSet;

use crate::{crates, root};

/// Crate, and the crates of ours that it may use. What is not here may not be.
const ARROWS: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("http", &["model"]),
    ("archive", &["model", "http"]),
    ("planner", &["model", "archive"]),
    ("queue", &["model"]),
    ("queue-sled", &["model", "queue"]),
    ("verify", &["model"]),
    ("transfer", &["model", "http", "verify"]),
    ("engine", &["model", "archive", "planner", "queue", "transfer", "http", "verify"]),
    (
        "cli",
        &[
            "model",
            "archive",
            "planner",
            "queue",
            "queue-sled",
            "transfer",
            "http",
            "engine",
            "control",
            "verify",
        ],
    ),
    ("replica", &[]),
    ("control", &["model", "http", "queue", "engine"]),
];

/// Foreign crate, and the crates of ours that may name it.
const HOMES: [(&str, &[&str]); 8] = [
    ("sled", &["queue-sled"]),
    ("bincode", &["queue-sled"]),
    ("reqwest", &["http"]),
    ("rustls", &["http"]),
    ("governor", &["http"]),
    ("clap", &["cli", "replica"]),
    ("indicatif", &["cli"]),
    ("hyper", &["http", "replica", "control"]),
];

fn dependencies(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let names = |table: &str| {
        let table = manifest.get(table).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        table.keys().cloned().collect::<Vec<_>>()
    };
    names("dependencies").into_iter().chain(names("build-dependencies")).collect()
}

#[test]
fn every_arrow_between_crates_is_in_the_table() {
    for name in crates() {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("crate {name} is not in the table of arrows"));
        for dependency in dependencies(&name) {
            let Some(ours) = dependency.strip_prefix("skyhaul-") else { continue };
            assert!(allowed.contains(&ours), "{name} must not use {ours}");
        }
    }
}

#[test]
fn every_foreign_name_stays_in_its_home() {
    for name in crates() {
        for dependency in dependencies(&name) {
            let Some((foreign, homes)) = HOMES.iter().find(|(foreign, _)| *foreign == dependency) else {
                continue;
            };
            assert!(homes.contains(&name.as_str()), "{name} must not use {foreign}: its home is {homes:?}");
        }
    }
}

#[test]
fn the_table_of_arrows_stands_in_the_architecture_page() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for name in crates() {
        let (_, allowed) = ARROWS.iter().find(|(known, _)| *known == name).unwrap();
        let arrows = if allowed.is_empty() { "–".to_owned() } else { allowed.join(", ") };
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/architecture.md has no row for {name}"));
        assert!(row.ends_with(&format!("| {arrows} |")), "the row of {name} should end with: {arrows}");
    }
}

#[test]
fn every_foreign_crate_is_justified() {
    let page = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    for name in crates() {
        for dependency in dependencies(&name).iter().filter(|name| !name.starts_with("skyhaul-")) {
            assert!(
                page.contains(&format!("| `{dependency}` |")),
                "docs/dependencies.md does not justify {dependency}"
            );
        }
    }
}
