//! Where files land: names from URLs, and what cannot be a name.

use std::collections::BTreeMap;

use serde_json::json;
use skyhaul_tests::{Page, Shelf, Sky, files_below};

/// A server that has every path, with itself as content, and a corner that asks it.
fn shelf_of_everything() -> (Shelf, Sky) {
    let shelf = Shelf::open(|asked| Page::ok(asked.target.clone()));
    let sky = Sky::at(shelf.base());
    (shelf, sky)
}

/// Pulls lines and gives what landed: the path, and the target that was asked for.
fn landed(sky: &Sky, lines: &[String], flags: &str, exit: i32) -> BTreeMap<String, String> {
    sky.write("list.txt", lines.join("\n"));
    sky.run(&format!("pull --urls list.txt --out out {flags}")).exits(exit);
    let files = files_below(&sky.path("out")).into_iter();
    files.map(|(path, bytes)| (path, String::from_utf8_lossy(&bytes).into_owned())).collect()
}

fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(path, target)| ((*path).to_owned(), (*target).to_owned())).collect()
}

#[test]
fn below_a_base_files_land_at_their_path_from_there_and_elsewhere_at_host_and_path() {
    let (shelf, sky) = shelf_of_everything();
    let host = shelf.host();
    let targets = ["/data/a/b.bin", "/data/c.bin?version=2", "/database/d.bin", "/e.bin"];
    let lines: Vec<_> = targets.iter().map(|target| format!("http://{host}{target}")).collect();
    let folder = host.replace(':', "_");
    let found = landed(&sky, &lines, &format!("--base http://{host}/data/"), 0);
    let (database, e) = (format!("{folder}/database/d.bin"), format!("{folder}/e.bin"));
    let rows = [
        ("a/b.bin", "/data/a/b.bin"),
        ("c.bin", "/data/c.bin?version=2"),
        (database.as_str(), "/database/d.bin"),
        (e.as_str(), "/e.bin"),
    ];
    assert_eq!(found, expected(&rows));
}

#[test]
fn without_a_base_files_land_at_host_port_and_path() {
    let (shelf, sky) = shelf_of_everything();
    let lines = ["/a/b.bin", "//c//d.bin"].map(|target| format!("{}{target}", shelf.base()));
    let folder = shelf.host().replace(':', "_");
    let found = landed(&sky, &lines, "", 0);
    let paths: Vec<_> = found.keys().cloned().collect();
    assert_eq!(paths, [format!("{folder}/a/b.bin"), format!("{folder}/c/d.bin")]);
}

#[test]
fn a_line_may_give_its_own_path_after_a_tab() {
    let (shelf, sky) = shelf_of_everything();
    let base = shelf.base();
    let lines = [
        format!("{base}/x\tmy own/name ä.bin"),
        format!("{base}/y\t100%25.bin"),
        format!("  {base}/z\tz.bin  "),
    ];
    let found = landed(&sky, &lines, &format!("--base {base}"), 0);
    // An own path is a path as it stands, not a piece of a URL.
    let rows = [("my own/name ä.bin", "/x"), ("100%25.bin", "/y"), ("z.bin", "/z")];
    assert_eq!(found, expected(&rows));
}

#[test]
fn components_are_decoded_once() {
    let (shelf, sky) = shelf_of_everything();
    let rows = [
        ("a b/c.bin", "/a%20b/c.bin"),
        ("ä.bin", "/%C3%A4.bin"),
        ("100%25.bin", "/100%2525.bin"),
        ("a+b.bin", "/a+b.bin"),
        ("c+d.bin", "/c%2Bd.bin"),
        ("x%2Fy.bin", "/x%2Fy.bin"),
        ("x%5Cz.bin", "/x%5Cz.bin"),
        ("new%0Aline.bin", "/new%0Aline.bin"),
        ("%FF.bin", "/%FF.bin"),
        ("%zz.bin", "/%zz.bin"),
        ("50%.bin", "/50%.bin"),
    ];
    let lines: Vec<_> = rows.iter().map(|(_, target)| format!("{}{target}", shelf.base())).collect();
    let found = landed(&sky, &lines, &format!("--base {}", shelf.base()), 0);
    assert_eq!(found, expected(&rows));
}

#[test]
fn what_cannot_be_a_name_is_a_failed_file_of_kind_path_and_the_rest_goes_on() {
    let (shelf, sky) = shelf_of_everything();
    let base = shelf.base();
    let refused = [
        format!("{base}/a/../../escape.bin"),
        format!("{base}/a/%2e%2E/escape.bin"),
        format!("{base}/.%2e/escape.bin"),
        format!("{base}/a/./dot.bin"),
        format!("{base}/a/%2E/dot.bin"),
        format!("{base}/a/"),
        format!("{base}/"),
        base.to_owned(),
        format!("{base}/nul"),
        format!("{base}/COM1.txt"),
        format!("{base}/C:/x.bin"),
        format!("{base}/a%3Ab.bin"),
        format!("{base}/what%3F.bin"),
        format!("{base}/trailing."),
        format!("{base}/trailing%20"),
        format!("{base}/a\t../up.bin"),
        format!("{base}/a\t/absolute.bin"),
        format!("{base}/a\tx/../../up.bin"),
        format!("{base}/a\tC:\\x.bin"),
        format!("{base}/a\tx\\y.bin"),
        format!("{base}/a\t.skyhaul/x.bin"),
        format!("{base}/a\t"),
        format!("{base}/{}", "n".repeat(300)),
        "ftp://example.org/a.bin".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "nonsense".to_owned(),
        "http://".to_owned(),
        "http:///a.bin".to_owned(),
        format!("{base}/{}", "long/".repeat(5_000)),
    ];
    let mut lines = vec![format!("{base}/first.bin")];
    lines.extend(refused.iter().cloned());
    lines.push(format!("{base}/last.bin"));
    let found = landed(&sky, &lines, &format!("--base {base}"), 3);
    assert_eq!(found, expected(&[("first.bin", "/first.bin"), ("last.bin", "/last.bin")]));
    let failed = sky.ok("files 1 --state failed --json").json_lines();
    assert!(failed.iter().all(|file| file["error"]["kind"] == "path"), "{failed:?}");
    let told: Vec<_> = failed.iter().map(|file| file["url"].as_str().unwrap()).collect();
    for (line, told) in refused.iter().zip(&told) {
        let url = line.split('\t').next().unwrap();
        // A line of 25 kB is told by its beginning.
        assert!(url.starts_with(told.trim_end_matches('…')), "{url} is told as {told}");
    }
    assert_eq!(told.len(), refused.len());
    assert!(shelf.asked().iter().all(|asked| ["/first.bin", "/last.bin"].contains(&asked.target.as_str())));
}

#[test]
fn two_urls_for_one_path_are_the_first_and_a_failure_and_the_same_url_twice_is_one_file() {
    let (shelf, sky) = shelf_of_everything();
    let base = shelf.base();
    let lines = [
        format!("{base}/a.bin"),
        format!("{base}/b.bin"),
        format!("{base}/a.bin"),
        format!("{base}/a.bin?other=1"),
        format!("{base}/%61.bin"),
        format!("{base}/c.bin\tb.bin"),
    ];
    let found = landed(&sky, &lines, &format!("--base {base}"), 3);
    assert_eq!(found, expected(&[("a.bin", "/a.bin"), ("b.bin", "/b.bin")]));
    let status = sky.status("1");
    assert_eq!(status["files"], json!({"total": 5, "pending": 0, "active": 0, "done": 2, "failed": 3}));
    let failed = sky.ok("files 1 --state failed --json").json_lines();
    assert!(failed.iter().all(|file| file["error"]["kind"] == "path"), "{failed:?}");
}

#[test]
fn a_file_where_a_folder_must_be_and_the_other_way_round_are_of_kind_path() {
    let (shelf, sky) = shelf_of_everything();
    let base = shelf.base();
    sky.write("out/taken", "a file");
    sky.write("out/folder/x", "in a folder");
    let lines = ["/taken/a.bin", "/folder", "/fine.bin"].map(|target| format!("{base}{target}"));
    let found = landed(&sky, &lines, &format!("--base {base}"), 3);
    let rows = [("taken", "a file"), ("folder/x", "in a folder"), ("fine.bin", "/fine.bin")];
    assert_eq!(found.get("taken").map(String::as_str), Some("a file"));
    let visible: BTreeMap<_, _> =
        found.into_iter().filter(|(path, _)| !path.starts_with(".skyhaul")).collect();
    assert_eq!(visible, expected(&rows));
    for file in sky.ok("files 1 --state failed --json").json_lines() {
        assert_eq!(file["error"]["kind"], "path", "{file}");
    }
    assert_eq!(sky.status("1")["files"]["failed"], 2);
}

#[test]
fn within_one_list_a_path_cannot_be_both_a_file_and_a_folder() {
    let (shelf, sky) = shelf_of_everything();
    let base = shelf.base();
    let lines = [format!("{base}/a"), format!("{base}/a/b.bin"), format!("{base}/c.bin")];
    sky.write("list.txt", lines.join("\n"));
    sky.run(&format!("pull --urls list.txt --out out --base {base} --connections 1")).exits(3);
    let failed = sky.ok("files 1 --state failed --json").json_lines();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["error"]["kind"], "path");
    assert_eq!(sky.status("1")["files"]["done"], 2);
}

#[test]
fn names_that_differ_by_case_or_unicode_form_alone_never_take_each_others_place() {
    let (shelf, sky) = shelf_of_everything();
    let targets = ["/Gill.bin", "/gill.bin", "/%C3%A9.bin", "/e%CC%81.bin", "/Ut06/x.bin", "/ut06/x.bin"];
    let lines = targets.map(|target| format!("{}{target}", shelf.base()));
    sky.write("list.txt", lines.join("\n"));
    let ended = sky.run(&format!("pull --urls list.txt --out out --base {}", shelf.base()));
    let keeps_apart = !sky.path("out/GILL.BIN").exists() && cfg!(not(target_vendor = "apple"));
    ended.exits(if keeps_apart { 0 } else { 3 });
    for file in sky.ok("files 1 --json").json_lines() {
        let (url, path) = (file["url"].as_str().unwrap(), file["path"].as_str().unwrap());
        if file["state"] == "done" {
            let lies = std::fs::read_to_string(sky.path("out").join(path)).unwrap();
            assert_eq!(format!("{}{lies}", shelf.base()), url);
        } else {
            assert!(!keeps_apart, "{file}");
            assert_eq!(file["error"]["kind"], "path");
        }
    }
}

#[test]
fn two_jobs_with_one_destination_take_turns() {
    let body = |target: &str| target.repeat(100_000);
    let shelf = Shelf::open(move |asked| Page::ok(body(&asked.target)));
    let sky = Sky::at(shelf.base());
    for name in ["one", "two"] {
        sky.write(&format!("{name}.txt"), format!("{}/{name}\tx/y.bin", shelf.base()));
        sky.ok(&format!("submit --urls {name}.txt --out out --no-start"));
    }
    sky.ok("engine run --until-idle");
    for job in ["1", "2"] {
        assert_eq!(sky.status(job)["state"], "completed");
    }
    let lies = std::fs::read_to_string(sky.path("out/x/y.bin")).unwrap();
    assert!([body("/one"), body("/two")].contains(&lies), "a mixture of {} bytes", lies.len());
    assert!(!sky.path("out/.skyhaul").exists());
}
