//! Files that lie at their places already: taken over, trusted or replaced.

use skyhaul_tests::{Replica, Request, Sky};

use crate::{TEN_MINUTES, TEN_MINUTES_TREE, landing, name};

/// What lies at the place of one of the ten files before the pull.
fn lay(sky: &Sky, minute: u32, bytes: &[u8]) {
    sky.write(&format!("out/{}", landing(minute)), bytes);
}

fn served(replica: &Replica, minute: u32) -> Vec<u8> {
    replica.fetch(&format!("{TEN_MINUTES_TREE}/{}", name(minute))).body
}

/// How often skyhaul was sent the content of a file.
fn contents_sent(requests: &[Request], minute: u32) -> usize {
    let of_skyhaul = requests.iter().filter(|request| request.user_agent.is_some() && request.is_fetch());
    of_skyhaul
        .filter(|request| request.path.ends_with(&name(minute)) && request.complete && request.sent > 0)
        .count()
}

#[test]
fn a_tree_that_another_tool_fetched_is_taken_over_without_fetching_it_again() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for minute in 0..10 {
        lay(&sky, minute, &served(&replica, minute));
    }
    let status = sky.ok(&format!("pull {TEN_MINUTES} --out out --json")).json();
    let bytes = &status["bytes"];
    assert_eq!((&status["files"]["done"], &bytes["adopted"]), (&10.into(), &bytes["done"]), "{status}");
    assert_eq!(bytes["received"], 0, "{status}");
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    assert!(sky.files("1").iter().all(|file| file["verified"] == "container"));
    let requests = replica.end();
    for minute in 0..10 {
        assert_eq!(contents_sent(&requests, minute), 0, "minute {minute} was fetched");
    }
}

/// How often the ten files were asked about one by one, when they lie there already and the replica has these
/// folder pages.
fn asked_one_by_one(switches: &str) -> usize {
    let replica = Replica::start(&format!("--small-files {switches}"));
    let sky = Sky::new(&replica);
    for minute in 0..10 {
        lay(&sky, minute, &served(&replica, minute));
    }
    let status = sky.ok(&format!("pull {TEN_MINUTES} --out out --json")).json();
    assert_eq!(status["bytes"]["adopted"], status["bytes"]["done"], "{status}");
    let asked = replica.end();
    let is_question = |request: &&Request| request.user_agent.is_some() && request.path.ends_with(".gz");
    asked.iter().filter(is_question).count()
}

#[test]
fn a_folders_page_answers_for_its_files_where_its_sizes_are_exact() {
    for style in ["table", "apache", "nginx"] {
        assert_eq!(asked_one_by_one(&format!("--index {style}")), 2, "{style}");
    }
    for useless in ["--index apache --index-sizes rounded", "--index off"] {
        assert_eq!(asked_one_by_one(useless), 10, "{useless}");
    }
}

#[test]
fn verify_keeps_only_what_has_the_right_length_and_passes_its_own_check() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let whole = served(&replica, 1);
    let mut damaged = whole.clone();
    damaged[5_000] ^= 1;
    lay(&sky, 1, &whole);
    lay(&sky, 2, &damaged);
    lay(&sky, 3, &whole);
    lay(&sky, 4, &whole[..9_000]);
    lay(&sky, 5, b"");
    lay(&sky, 6, b"<html>not here</html>");
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    let requests = replica.end();
    assert_eq!(contents_sent(&requests, 1), 0, "the good one was fetched again");
    for minute in [2, 4, 5, 6] {
        assert_eq!(contents_sent(&requests, minute), 1, "minute {minute}");
    }
    assert_eq!(sky.status("1")["bytes"]["adopted"], whole.len());
}

#[test]
fn trust_keeps_whatever_lies_there() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    lay(&sky, 2, b"a note of my own");
    let status = sky.ok(&format!("pull {TEN_MINUTES} --out out --on-existing trust --json")).json();
    assert_eq!((&status["files"]["done"], &status["bytes"]["adopted"]), (&10.into(), &16.into()), "{status}");
    assert_eq!(std::fs::read(sky.path("out").join(landing(2))).unwrap(), b"a note of my own");
    let requests = replica.end();
    assert!(!requests.iter().any(|request| request.path.ends_with(&name(2))), "it was asked for");
}

#[test]
fn replace_fetches_even_what_is_right() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let right = served(&replica, 2);
    lay(&sky, 2, &right);
    lay(&sky, 3, b"old");
    let status = sky.ok(&format!("pull {TEN_MINUTES} --out out --on-existing replace --json")).json();
    assert_eq!(
        (&status["bytes"]["adopted"], &status["bytes"]["received"]),
        (&0.into(), &status["bytes"]["done"])
    );
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    assert_eq!(contents_sent(&replica.end(), 2), 1);
}

#[test]
fn what_lies_there_stays_until_its_successor_is_whole() {
    let replica = Replica::start("--small-files --missing _0602_");
    let sky = Sky::new(&replica);
    lay(&sky, 2, b"the only copy there is");
    sky.run(&format!("pull {TEN_MINUTES} --out out --on-existing replace")).exits(3);
    assert_eq!(std::fs::read(sky.path("out").join(landing(2))).unwrap(), b"the only copy there is");
}

#[test]
fn a_file_with_no_check_of_its_own_is_fetched_again_or_kept_on_its_length() {
    let query = "pull NORSTAR_RIOMETER_K0_TXT --start 2018-05-01 --end 2018-05-01 --site chur";
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("{query} --out first"));
    let file = &sky.files("1")[0];
    let path = file["path"].as_str().unwrap();
    let forged = vec![b'x'; usize::try_from(file["size"].as_u64().unwrap()).unwrap()];
    sky.write(&format!("second/{path}"), &forged);
    sky.ok(&format!("{query} --out second"));
    assert_eq!(sky.assert_byte_true("2", "second", &replica), 1);
    sky.write(&format!("third/{path}"), &forged);
    let status = sky.ok(&format!("{query} --out third --verify length --json")).json();
    assert_eq!(
        (&status["bytes"]["adopted"], &status["bytes"]["received"]),
        (&forged.len().into(), &0.into())
    );
    sky.write(&format!("fourth/{path}"), &forged[1..]);
    sky.ok(&format!("{query} --out fourth --verify length"));
    assert_eq!(sky.assert_byte_true("4", "fourth", &replica), 1);
}
