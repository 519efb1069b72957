//! Files of the real archive, where they are at hand: a folder `shared` beside the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use super::{verdict, verdict_in};

/// Every file below a folder; none where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn real_files_pass_and_cut_ones_do_not() {
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if super::Container::of(&name).is_none() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert_eq!(verdict_in(&name, &bytes, 100_000), Ok(()), "{name}");
        assert!(verdict(&name, &bytes[..bytes.len() - 1]).is_err(), "{name} cut by a byte");
        assert!(verdict(&name, &bytes[..bytes.len() / 2]).is_err(), "{name} cut in half");
    }
}
