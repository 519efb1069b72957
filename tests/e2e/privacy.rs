//! Secrets go to the files' own host and nowhere else; files of the state directory are their owner's alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use skyhaul_tests::{Page, Replica, Running, Shelf, Signal, Sky, files_below};

use crate::{TEN_MINUTES, landing};

const SECRET: &str = "open-sesame-4711";

/// Asserts that the secret stands in no file below a folder but those called `headers`.
fn assert_not_in_files(folder: &Path) {
    for (path, bytes) in files_below(folder) {
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found || path.ends_with("/headers"), "the secret stands in {path}");
    }
}

#[test]
fn a_header_reaches_the_files_host_and_stands_nowhere_else() {
    let shelf = Shelf::open(|asked| Page::ok(asked.target.clone()));
    let sky = Sky::at(shelf.base());
    sky.write("list.txt", format!("{0}/a.bin\n{0}/b.bin\n", shelf.base()));
    let header = format!("X-Secret: {SECRET}");
    let submit = ["submit", "--urls", "list.txt", "--out", "out", "--no-start", "--header", &header, "-vv"];
    let submitted = sky.run_words(&submit).exits(0);
    let ran = sky.ok("engine run --until-idle -vv");
    assert!(
        shelf.asked().iter().all(|asked| asked.header("x-secret") == Some(SECRET)),
        "{:?}",
        shelf.asked()
    );
    assert_eq!(shelf.asked().len(), 2);
    assert_not_in_files(&sky.path("state"));
    assert_not_in_files(&sky.path("out"));
    let mut told = vec![submitted, ran];
    for line in [
        "status 1",
        "status 1 --json",
        "jobs --json",
        "files 1 --json",
        "manifest 1 --format json",
        "status 1 -vv",
    ] {
        told.push(sky.ok(line));
    }
    for ended in told {
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
    }
}

#[test]
fn a_secret_is_kept_over_an_interruption_without_being_shown() {
    let replica = Replica::start("--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let header = format!("Authorization: Bearer {SECRET}");
    let mut words: Vec<&str> = vec!["pull"];
    words.extend(TEN_MINUTES.split_whitespace());
    words.extend(["--out", "out", "--connections", "2", "-vv", "--header", &header]);
    let pull = Running::spawn(sky.command(&words));
    replica.wait_fetches(2);
    pull.send(Signal::Interrupt);
    let ended = pull.finish().exits(130);
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    assert_not_in_files(&sky.path("state"));
    assert_not_in_files(&sky.path("out"));
}

#[test]
fn a_redirect_to_another_origin_takes_no_secret_along() {
    let other = Shelf::open(|_| Page::ok("content"));
    let place: Arc<OnceLock<String>> = Arc::default();
    place.set(format!("{}/moved.bin", other.base())).unwrap();
    let shelf = Shelf::open(move |asked| match asked.path() {
        "/away.bin" => Page::status(302).with("Location", place.get().unwrap()),
        "/near.bin" => Page::status(302).with("Location", "/stays.bin"),
        _ => Page::ok("content"),
    });
    let sky = Sky::at(shelf.base());
    sky.write("list.txt", format!("{0}/away.bin\n{0}/near.bin\n", shelf.base()));
    let header = format!("X-Secret: {SECRET}");
    sky.run_words(&["pull", "--urls", "list.txt", "--out", "out", "--header", &header]).exits(0);
    assert!(shelf.asked().iter().all(|asked| asked.header("x-secret") == Some(SECRET)));
    assert!(shelf.asked().iter().any(|asked| asked.path() == "/stays.bin"));
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("x-secret"), None, "the secret went to another origin");
}

#[test]
fn a_wrong_header_is_refused_without_being_shown() {
    let sky = Sky::at("http://127.0.0.1:9");
    for header in [
        SECRET.to_owned(),
        format!("two words: {SECRET}"),
        format!(": {SECRET}"),
        format!("X: {SECRET}\r\nY: 1"),
    ] {
        let mut words: Vec<&str> = vec!["pull"];
        words.extend(TEN_MINUTES.split_whitespace());
        words.extend(["--out", "out", "--header", &header]);
        let ended = sky.run_words(&words).exits(2);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o777
}

fn assert_private(folder: &Path) {
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_private(&path);
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn the_state_directory_is_private_whatever_the_umask_and_data_files_follow_it() {
    for (umask, file, folder) in [("000", 0o666, 0o777), ("022", 0o644, 0o755), ("077", 0o600, 0o700)] {
        let replica = Replica::start("--small-files");
        let sky = Sky::new(&replica);
        let line = format!("pull {TEN_MINUTES} --out out --header X-Secret:{SECRET}");
        Running::spawn(sky.command_with_umask(umask, &line)).finish().exits(0);
        assert_private(&sky.path("state"));
        Running::spawn(sky.command_with_umask(umask, "datasets")).finish().exits(0);
        assert_private(&sky.path("state"));
        let landed = sky.path("out").join(landing(3));
        assert_eq!(mode(&landed), file, "umask {umask}");
        assert_eq!(mode(landed.parent().unwrap()), folder, "umask {umask}");
    }
}

#[test]
fn the_state_directory_is_private_in_the_middle_of_the_work_too() {
    let replica = Replica::start("--small-files --rate 60k");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out --connections 2 --header X-Secret:{SECRET}");
    let pull = Running::spawn(sky.command_with_umask("000", &line));
    replica.wait_fetches(2);
    pull.kill();
    assert_private(&sky.path("state"));
    assert_not_in_files(&sky.path("state"));
}
