//! `--on-complete-url`: somebody is told that a job has ended, and again when they were not well at first.

use std::sync::atomic::{AtomicUsize, Ordering};

use skyhaul_tests::{Page, Replica, Shelf, Sky};

#[test]
fn a_url_is_told_of_the_end_until_it_says_yes() {
    let asked = AtomicUsize::new(0);
    let receiver = Shelf::open(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Page::status(503),
        _ => Page::ok("thanks"),
    });
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let query = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:01 --site gill --out out";
    let ended = sky.ok(&format!("pull {query} --on-complete-url {}/hook?key=s3cret -v", receiver.base()));
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    let asked = receiver.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for question in &asked {
        assert_eq!((question.method.as_str(), question.target.as_str()), ("POST", "/hook?key=s3cret"));
        assert_eq!(question.header("content-type"), Some("application/json"));
    }
}
