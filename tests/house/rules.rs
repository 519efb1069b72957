//! `docs/transfer.md` names a test for every rule of fetching: each rule stands there once, each test exists.

use std::path::{Path, PathBuf};

use crate::root;

/// The rules are numbered from 1 to this.
const RULES: u32 = 72;

/// A row of the table of rules.
struct Row {
    number: u32,
    outcome: String,
    tests: Vec<String>,
}

#[test]
fn every_rule_has_its_row_and_a_test_that_exists() {
    let rows = rows();
    let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=RULES).collect::<Vec<_>>(), "each rule once, in order");
    for row in &rows {
        assert!(
            !row.tests.is_empty() || row.outcome.starts_with("left out: "),
            "rule {} has no test and no reason to be left out",
            row.number
        );
        for test in &row.tests {
            let found = find(test).unwrap_or_else(|why| panic!("rule {}: `{test}` {why}", row.number));
            assert!(found, "rule {}: there is no test `{test}`", row.number);
        }
    }
}

/// The rows of the page's table: `| number | rule | outcome | tests |`.
fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("docs/transfer.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ").collect();
        let [number, _, outcome, tests] = cells.as_slice() else { return None };
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Row { number: number.parse().ok()?, outcome: (*outcome).to_owned(), tests })
    });
    rows.collect()
}

/// Whether the test that is named as `crate/path/to/file::name` exists.
fn find(test: &str) -> Result<bool, String> {
    let (file, name) = test.split_once("::").ok_or("is not named as file::test")?;
    let (home, file) = file.split_once('/').ok_or("does not say in which crate it is")?;
    let folders: Vec<PathBuf> = match home {
        "e2e" => vec![root().join("tests/e2e")],
        home => ["src", "tests"].map(|folder| root().join("crates").join(home).join(folder)).into(),
    };
    let path = folders.iter().map(|folder| folder.join(format!("{file}.rs"))).find(|path| path.exists());
    let path = path.ok_or_else(|| format!("is in a file that does not exist below {folders:?}"))?;
    Ok(has_test(&path, name))
}

fn has_test(path: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let signature = line.trim_start_matches("async ").strip_prefix("fn ");
        signature.is_some_and(|rest| rest.starts_with(&format!("{name}(")))
    };
    // A helper of that name would be no test.
    lines.iter().enumerate().any(|(number, line)| {
        let above = lines[..number].iter().rev().take_while(|line| line.starts_with("#["));
        is_it(line) && above.clone().any(|line| line.contains("test"))
    })
}
