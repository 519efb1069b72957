//! What a person does with the page, from the first job to its end.

use skyhaul_tests::{Replica, Sky};

use crate::axe::assert_accessible;
use crate::browser::Browser;
use crate::link;

const HOUR: &str = "THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:29 --site gill --out out";

#[test]
fn a_job_is_seen_paused_resumed_explained_and_brought_to_its_end() {
    let Some(browser) = Browser::start() else { return };
    // So slow that the job is under way for as long as anybody needs to find the button.
    let replica = Replica::start("--small-files --rate 8k --missing _0603_");
    let sky = Sky::new(&replica);
    browser.go(&link(&sky));
    browser.wait_text("#no-jobs", "No jobs yet");
    assert_accessible(&browser, "the empty page");

    sky.ok(&format!("submit {HOUR} --name aurora"));
    browser.wait_text("[role=option]", "aurora");
    browser.click("[role=option]");
    browser.wait_text("#detail .state", "running");
    browser.wait_text("#detail .flight", "pgm.gz");
    assert_accessible(&browser, "a running job");
    browser.click("[data-act=pause]");
    browser.wait_text("#detail .state", "paused");
    assert_eq!(sky.status("1")["state"], "paused");

    let replica = replica.restart("--small-files --missing _0603_");
    browser.click("[data-act=resume]");
    browser.wait_text("#detail .state", "failed");
    browser.wait_text(".trouble", "not found · 127.0.0.1");
    browser.wait_text(".trouble .then", "skyhaul retry 1");
    browser.click("#detail summary");
    browser.wait_text(".given-up", "_0603_");
    for scheme in ["light", "dark"] {
        browser.look_as(scheme, 1280, 900);
        assert_accessible(&browser, scheme);
    }

    let _replica = replica.restart("--small-files");
    browser.click("[data-act=retry]");
    browser.wait_text("#detail .state", "completed");
    assert_eq!(sky.status("1")["files"]["done"], 30);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_job_is_made_changed_and_removed_on_the_page() {
    let Some(browser) = Browser::start() else { return };
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    browser.go(&link(&sky));
    browser.wait_text("#link", "live");
    browser.look_as("dark", 400, 800);
    browser.click("#open-order");
    assert_accessible(&browser, "the form");
    browser.click("#confirm");
    browser.wait_text("#complaint", "dataset");
    let out = sky.path("from the page");
    let words = [
        ("datasets", "themis_asi_raw"),
        ("start", "2022-01-01T06:00"),
        ("end", "2022-01-01T06:04"),
        ("sites", "gill"),
        ("out", &out.display().to_string()),
        ("name", "clicked"),
    ];
    for (name, text) in words {
        browser.write(&format!("[name={name}]"), text);
    }
    browser.click("#confirm");
    browser.wait_text("#detail .state", "completed");
    assert_eq!(sky.status("clicked")["files"]["done"], 5);

    browser.click("[data-act=change]");
    browser.run("document.querySelector('[name=priority]').value = ''");
    browser.write("[name=priority]", "7");
    browser.click("#confirm");
    browser.wait_text("#detail .facts", "7");
    assert_eq!(sky.status("clicked")["priority"], 7);

    browser.click("[data-act=remove]");
    browser.wait_text("#dialog-title", "Remove clicked?");
    browser.click("#confirm");
    browser.wait_text("#no-jobs", "No jobs yet");
    assert!(out.join("THEMIS_ASI_RAW").is_dir(), "finished files are kept");
    let complaints = browser.complaints();
    let is_refusal = |complaint: &String| complaint.contains("/v1/orders");
    assert!(
        !complaints.is_empty() && complaints.iter().all(is_refusal),
        "not the form's alone: {complaints:?}"
    );
}

#[test]
fn the_list_is_walked_with_the_keyboard_and_the_end_of_the_engine_is_said() {
    let Some(browser) = Browser::start() else { return };
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    for number in 0..60 {
        sky.ok(&format!(
            "submit THEMIS_ASI_RAW --start 2022 --end 2022 --out o{number} --name n{number} --no-start"
        ));
    }
    sky.ok("pause --all");
    browser.go(&link(&sky));
    browser.wait("document.querySelectorAll('[role=option]').length >= 20");
    browser.write("#jobs", "\u{E010}");
    browser.wait_text("[aria-selected=true]", "n59");
    browser.wait("document.querySelector('#jobs').getAttribute('aria-activedescendant') === 'job-60'");
    browser.write("#jobs", "\u{E013}");
    browser.wait_text("#detail-title", "n58");
    browser.write("#find", "n7");
    browser.wait("document.querySelectorAll('[role=option]').length === 1");
    browser.wait_text("[role=option]", "n7");
    sky.ok("engine stop");
    browser.wait_text("#link", "skyhaul dashboard");
}
