//! axe-core: what a machine can tell of how usable a page is for people who do not see it, or use no mouse.

use serde_json::Value;
use skyhaul_tests::skipped;

use crate::browser::Browser;
use crate::root;

/// Asserts that axe finds no violation; said to be skipped where axe is not installed.
pub(crate) fn assert_accessible(browser: &Browser, what: &str) {
    let path = target().join("axe/node_modules/axe-core/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(&path) else {
        return skipped("axe-core is not here: 'make setup' gets it where there is npm");
    };
    browser.run(&axe);
    let script = "const done = arguments[arguments.length - 1];
                  axe.run(document).then((found) => done(found), (error) => done({ error: String(error) }));";
    let found = browser.run_async(script);
    let told = |violation: &Value| {
        let nodes = violation["nodes"].as_array().into_iter().flatten();
        let nodes: Vec<_> =
            nodes.map(|node| format!("  {} – {}", node["html"], node["failureSummary"])).collect();
        format!("{}: {}\n{}", violation["id"], violation["help"], nodes.join("\n"))
    };
    let violations = found["violations"].as_array().unwrap_or_else(|| panic!("axe did not run: {found}"));
    let told: Vec<_> = violations.iter().map(told).collect();
    assert!(told.is_empty(), "{what}:\n{}", told.join("\n"));
    assert!(
        found["passes"].as_array().is_some_and(|passes| passes.len() > 10),
        "axe has looked at next to nothing"
    );
}

fn target() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}
