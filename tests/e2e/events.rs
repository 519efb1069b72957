//! `--events`: windows around the rows of a table.

use std::collections::BTreeSet;

use skyhaul_tests::{Replica, Sky, files_below};

fn minutes(sky: &Sky, out: &str) -> BTreeSet<String> {
    let files = files_below(&sky.path(out)).into_keys();
    // 20220101_0558_gill_themis19_full.pgm.gz: site and minute.
    files
        .filter_map(|path| path.rsplit('/').next().map(|name| format!("{} {}", &name[14..18], &name[9..13])))
        .collect()
}

#[test]
fn rows_become_windows_with_a_margin_and_overlapping_rows_are_one() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let rows = "start,end,site\n\
                2022-01-01T06:00:00,2022-01-01T06:02:00,gill\n\
                2022-01-01T06:03:00Z,2022-01-01T06:04:00Z,gill\n\
                2022-01-01T09:00:00,2022-01-01T09:00:00,fsmi\n";
    sky.write("events.csv", rows);
    sky.ok("pull THEMIS_ASI_RAW --events events.csv --margin 2 --out out");
    let expected: BTreeSet<String> = ["0558", "0559", "0600", "0601", "0602", "0603", "0604", "0605", "0606"]
        .iter()
        .map(|minute| format!("gill {minute}"))
        .chain(["0858", "0859", "0900", "0901", "0902"].iter().map(|minute| format!("fsmi {minute}")))
        .collect();
    assert_eq!(minutes(&sky, "out"), expected);
    let listings = replica.requests().iter().filter(|request| request.is_listing()).count();
    assert_eq!(listings, 2, "two rows of one site overlap by their margins");
}

#[test]
fn a_table_needs_no_header_and_rows_need_no_site() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("events.csv", "2022-01-01T06:00:00,2022-01-01T06:01:00\n\n2022-01-01T07:00,2022-01-01T07:00\n");
    sky.ok("pull THEMIS_ASI_RAW --site gill --events events.csv --out out");
    let expected = ["gill 0600", "gill 0601", "gill 0700"].map(str::to_owned);
    assert_eq!(minutes(&sky, "out"), BTreeSet::from(expected));
}

#[test]
fn a_wrong_row_is_told_by_its_line() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let table = [
        "2022-01-01,2022-01-02\nyesterday,today\n",
        "2022-01-01,2022-01-02\n2022-01-05,2022-01-02\n",
        "2022-01-01,2022-01-02\n2022-01-03\n",
    ];
    for rows in table {
        sky.write("events.csv", rows);
        sky.run("pull THEMIS_ASI_RAW --events events.csv --out out").exits(2).tells("events.csv").tells("2");
    }
    sky.run("pull THEMIS_ASI_RAW --events missing.csv --out out").exits(2).tells("missing.csv");
}
