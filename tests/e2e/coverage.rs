//! `coverage`: what of a job is there and what is not, by dataset, site and day.

use serde_json::{Value, json};
use skyhaul_tests::{Replica, Sky};

/// Two sites over a midnight of UTC.
const TWO_DAYS: &str = "THEMIS_ASI_RAW --start 2022-01-01T23:55 --end 2022-01-02T00:04 --site gill,fsmi";

#[test]
fn rows_tell_what_is_held_missing_and_to_be_expected() {
    let replica = Replica::start("--small-files --missing 20220102_0003_gill*");
    let sky = Sky::new(&replica);
    let missing = "--small-files --missing *20220102_0003_gill_themis19_full.pgm.gz";
    let _replica = replica.restart(missing);
    sky.run(&format!("pull {TWO_DAYS} --out out")).exits(3);
    let rows = sky.ok("coverage 1 --json").json();
    let rows = rows.as_array().unwrap();
    let row = |site: &str, day: &str| -> Value {
        let mut found = rows.iter().filter(|row| row["site"] == site && row["day"] == day);
        found.next().cloned().unwrap_or_else(|| panic!("no row for {site} {day}: {rows:?}"))
    };
    let gill = row("gill", "2022-01-02");
    assert_eq!(gill["dataset"], "THEMIS_ASI_RAW");
    assert_eq!(
        (&gill["listed"], &gill["held"], &gill["missing"], &gill["bad"]),
        (&json!(5), &json!(4), &json!(1), &json!(0))
    );
    let (held, total) = (gill["bytes_held"].as_u64().unwrap(), gill["bytes_total"].as_u64().unwrap());
    assert!(0 < held && held <= total, "{gill}");
    assert_eq!(gill["minutes_expected"], 5, "five minutes of a winter night: {gill}");
    let fsmi = row("fsmi", "2022-01-02");
    assert_eq!((&fsmi["held"], &fsmi["bytes_held"]), (&fsmi["listed"], &fsmi["bytes_total"]));
    let sum: u64 = rows.iter().map(|row| row["listed"].as_u64().unwrap()).sum();
    assert_eq!(sum, sky.status("1")["files"]["total"].as_u64().unwrap());
}

#[test]
fn the_same_rows_come_as_a_table_as_csv_and_without_the_archive() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TWO_DAYS} --out out"));
    let csv = sky.ok("coverage 1 --format csv").stdout;
    let head = "dataset,site,day,listed,held,bad,missing,bytes_held,bytes_total,minutes_expected";
    assert_eq!(csv.lines().next(), Some(head));
    let table = sky.ok("coverage 1").stdout;
    assert_eq!(table.lines().count(), csv.lines().count());
    assert!(table.contains("gill  2022-01-02"), "{table}");
    drop(replica);
    let rows = sky.ok("coverage 1 --json").tells("not known").json();
    assert_eq!(rows[0]["minutes_expected"], Value::Null);
    let rows = sky.ok("coverage 1 --json --offline");
    assert_eq!(rows.stderr, "");
    sky.run("coverage 2").exits(5);
}

#[test]
fn a_list_is_covered_by_what_its_names_tell() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let base = format!("{}/sort_by_project/THEMIS/asi", replica.base());
    let name = "stream0/2022/01/01/gill_themis19/ut06/20220101_0600_gill_themis19_full.pgm.gz";
    sky.write("list.txt", format!("{base}/{name}\n"));
    sky.ok(&format!("pull --urls list.txt --base {base} --out out"));
    let rows = sky.ok("coverage 1 --json").json();
    assert_eq!((&rows[0]["dataset"], &rows[0]["site"]), (&json!("stream0"), &json!("gill")));
    assert_eq!((&rows[0]["day"], &rows[0]["held"]), (&json!("2022-01-01"), &json!(1)));
}
