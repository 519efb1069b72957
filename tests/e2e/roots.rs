//! Nothing outside the output root is ever written, whatever a link, a redirect or an answer says.

use std::os::unix::fs::symlink;

use serde_json::json;
use skyhaul_tests::{Asked, Page, Replica, Shelf, Sky, files_below};

use crate::{TEN_MINUTES, TEN_MINUTES_FOLDER, landing};

#[test]
fn a_link_where_a_file_must_land_is_replaced_and_never_followed() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let outside = sky.write("outside/precious", "do not touch");
    std::fs::create_dir_all(sky.path("out").join(TEN_MINUTES_FOLDER)).unwrap();
    symlink(&outside, sky.path("out").join(landing(2))).unwrap();
    symlink(sky.path("outside/not-there"), sky.path("out").join(landing(3))).unwrap();
    symlink(sky.path("outside"), sky.path("out").join(landing(4))).unwrap();
    for policy in ["trust", "verify"] {
        sky.ok(&format!("pull {TEN_MINUTES} --out out --on-existing {policy}"));
        assert_eq!(std::fs::read(&outside).unwrap(), b"do not touch");
    }
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    for minute in [2, 3, 4] {
        let kind = std::fs::symlink_metadata(sky.path("out").join(landing(minute))).unwrap().file_type();
        assert!(kind.is_file(), "minute {minute} is no regular file: {kind:?}");
    }
    assert_eq!(files_below(&sky.path("outside")).len(), 1, "something was written outside");
}

#[test]
fn a_link_in_the_place_of_a_folder_is_refused() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    std::fs::create_dir_all(sky.path("outside")).unwrap();
    std::fs::create_dir_all(sky.path("out/THEMIS_ASI_RAW/2022/01")).unwrap();
    symlink(sky.path("outside"), sky.path("out/THEMIS_ASI_RAW/2022/01/01")).unwrap();
    sky.run(&format!("pull {TEN_MINUTES} --out out")).exits(3);
    assert!(
        sky.files("1").iter().all(|file| file["error"]["kind"] == "path"),
        "{:?}",
        sky.file("1", "_0603_")
    );
    assert_eq!(std::fs::read_dir(sky.path("outside")).unwrap().count(), 0, "something was written outside");
}

#[test]
fn bookkeeping_is_not_led_outside_by_a_link_either() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    std::fs::create_dir_all(sky.path("outside")).unwrap();
    std::fs::create_dir_all(sky.path("out")).unwrap();
    symlink(sky.path("outside"), sky.path("out/.skyhaul")).unwrap();
    // Refused or replaced: either way nothing goes through the link.
    let ended = sky.run(&format!("pull {TEN_MINUTES} --out out"));
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(sky.path("outside")).unwrap().count(), 0, "something was written outside");
}

/// An archive whose listing names all sorts of places.
fn lying_archive(asked: &Asked) -> Page {
    let host = asked.header("host").unwrap_or("");
    let prefix = format!("http://{host}/tree");
    let dataset = json!({"name": "LIES", "short_description": "", "long_description": "", "level": "L0",
        "data_tree_url": prefix, "file_listing_supported": true, "file_time_resolution": "1min",
        "supported_libraries": []});
    if asked.path().ends_with("/datasets") {
        return Page::ok(json!([dataset]).to_string());
    }
    if !asked.path().ends_with("/urls") {
        return Page::ok("content");
    }
    let urls = [
        format!("{prefix}/2022/good.bin"),
        format!("http://{host}/elsewhere/moved.bin"),
        format!("{prefix}/../../../escape.bin"),
        format!("{prefix}/%2e%2e/%2e%2e/escape.bin"),
        format!("{prefix}/.."),
        "http://127.0.0.1:9/tree/other-host.bin".to_owned(),
        "ftp://127.0.0.1/tree/no-http.bin".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "../../up.bin".to_owned(),
        format!("{prefix}/2022/good.bin"),
    ];
    let listing = json!({"urls": urls, "path_prefix": prefix, "count": urls.len(), "total_bytes": null, "dataset": dataset});
    Page::ok(listing.to_string())
}

#[test]
fn listing_entries_that_lead_elsewhere_fail_and_moved_ones_land_below_the_dataset() {
    let archive = Shelf::open(lying_archive);
    let sky = Sky::at(archive.base());
    sky.run("pull LIES --start 2022-01-01 --end 2022-01-01 --out deep/down/out").exits(3);
    let found: Vec<_> = files_below(&sky.path("deep")).into_keys().collect();
    assert_eq!(found, ["down/out/LIES/2022/good.bin", "down/out/LIES/elsewhere/moved.bin"]);
    let failed = sky.ok("files 1 --state failed --json").json_lines();
    assert_eq!(failed.len(), 8, "{failed:?}");
    assert!(failed.iter().all(|file| file["error"]["kind"] == "path"), "{failed:?}");
}

#[test]
fn an_answer_cannot_choose_the_name_of_its_file() {
    let host = |asked: &Asked| asked.header("host").unwrap_or("").to_owned();
    let shelf = Shelf::open(move |asked| match asked.path() {
        "/named.bin" => {
            Page::ok("named").with("Content-Disposition", "attachment; filename=\"../../../evil.bin\"")
        }
        "/moved.bin" => {
            Page::status(302).with("Location", &format!("http://{}/a/%2e%2e/../target.bin", host(asked)))
        }
        _ => Page::ok("target"),
    });
    let sky = Sky::at(shelf.base());
    sky.write("list.txt", format!("{0}/named.bin\n{0}/moved.bin\n", shelf.base()));
    sky.ok(&format!("pull --urls list.txt --base {} --out deep/out", shelf.base()));
    let found: Vec<_> = files_below(&sky.path("deep")).into_iter().collect();
    let expected = [("out/moved.bin", "target"), ("out/named.bin", "named")];
    assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())));
}

#[test]
fn redirects_that_lead_nowhere_have_their_kind() {
    let shelf = Shelf::open(|asked| match asked.path() {
        "/loop.bin" => Page::status(302).with("Location", "/loop.bin"),
        "/nowhere.bin" => Page::status(301),
        "/file.bin" => Page::status(302).with("Location", "file:///etc/passwd"),
        "/ftp.bin" => Page::status(307).with("Location", "ftp://127.0.0.1/x.bin"),
        _ => Page::status(404),
    });
    let sky = Sky::at(shelf.base());
    let lines: Vec<_> = ["loop", "nowhere", "file", "ftp"]
        .iter()
        .map(|name| format!("{}/{name}.bin", shelf.base()))
        .collect();
    sky.write("list.txt", lines.join("\n"));
    sky.run("pull --urls list.txt --out out --retries 1").exits(3);
    let files = sky.files("1");
    assert_eq!(files.len(), 4);
    assert!(files.iter().all(|file| file["error"]["kind"] == "redirect"), "{files:?}");
}
