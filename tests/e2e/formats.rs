//! Every format of the archive: its own check passes good files and finds what is damaged at the source.

use std::collections::BTreeMap;

use skyhaul_tests::{Replica, Sky};

/// A minute of every format at one site.
const EVERY_FORMAT: &str =
    "pull REPLICA_FORMATS --start 2022-01-01T06:00 --end 2022-01-01T06:00 --device bulk-00 --out out";

/// What is said of each file, by its extension: on whose word it is good, or the kind of its error.
fn said(sky: &Sky) -> BTreeMap<String, String> {
    let said = |file: &serde_json::Value| {
        let name = file["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let extension = name.split_once('.').unwrap().1.to_owned();
        let word = file["verified"].as_str().or(file["error"]["kind"].as_str());
        (extension, word.unwrap_or("nothing").to_owned())
    };
    sky.files("1").iter().map(said).collect()
}

fn expected(checked: &str) -> BTreeMap<String, String> {
    let formats = ["h5", "jpg", "pgm", "pgm.bz2", "pgm.gz", "png", "png.tar", "sav"];
    let mut all: BTreeMap<_, _> = formats.map(|format| (format.to_owned(), checked.to_owned())).into();
    all.insert("txt".to_owned(), "length".to_owned());
    all
}

#[test]
fn good_files_of_every_format_pass_their_own_check() {
    let replica = Replica::start("");
    let sky = Sky::new(&replica);
    sky.ok(EVERY_FORMAT);
    assert_eq!(said(&sky), expected("container"));
}

#[test]
fn damage_at_the_source_is_found_in_every_format() {
    for fault in ["--damaged", "--truncated"] {
        let replica = Replica::start(&format!("{fault} bulk-00"));
        let sky = Sky::new(&replica);
        sky.run(EVERY_FORMAT).exits(3);
        assert_eq!(said(&sky), expected("corrupt_at_source"), "{fault}");
    }
}
