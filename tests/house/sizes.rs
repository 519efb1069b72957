//! Files and functions stay small; every file says what it is for.

use crate::{root, sources};

/// Lines of a source file without its inline tests.
const LONGEST_FILE: usize = 400;

#[test]
fn files_stay_small_and_open_with_their_purpose() {
    for path in sources(&root().join("crates")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        assert!(is_test || lines <= LONGEST_FILE, "{} has {lines} lines without its tests", path.display());
        assert!(text.starts_with("//! "), "{} does not open with a module doc", path.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TO", "DO"].concat();
    for path in sources(&root().join("crates")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for mark in [marks.as_str(), "FIXME", "todo!(", "unimplemented!("] {
            assert!(!text.contains(mark), "{} has a {mark}", path.display());
        }
    }
}

#[test]
fn tests_do_not_sleep() {
    for folder in ["tests/e2e", "tests/servers", "tests/soak", "crates"] {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("thread::sleep"), "{} sleeps", path.display());
        }
    }
}
