//! Who is let in: over plain sockets, without a browser's own caution in between.

use std::os::unix::fs::PermissionsExt;

use skyhaul_tests::{Replica, Sky};

use crate::http::{Answer, Question};
use crate::{link, program};

/// A dashboard's port, and the cookie that a link was changed for.
pub(crate) struct Session {
    port: u16,
    cookie: String,
}

impl Session {
    pub(crate) fn open(sky: &Sky) -> Self {
        let link = link(sky);
        let (port, path) = parts(&link);
        let entered = Question::get(port, path).ask();
        assert_eq!(entered.status, 200, "{entered:?}");
        let cookie = entered.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        Self { port, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    pub(crate) fn get<'a>(&self, path: &'a str) -> Question<'a> {
        Question::get(self.port, path).with("Cookie", self.cookie.clone())
    }
}

/// The port and the path of a link.
fn parts(link: &str) -> (u16, &str) {
    let rest = link.strip_prefix("http://127.0.0.1:").unwrap_or_else(|| panic!("no link: {link}"));
    let slash = rest.find('/').unwrap();
    (rest[..slash].parse().unwrap(), &rest[slash..])
}

fn corner() -> (Replica, Sky) {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    (replica, sky)
}

/// The way to the engine's own socket is no port; for many orders a session does as well.
pub(crate) fn orderer(sky: &Sky) -> impl Fn(&serde_json::Value) -> Answer {
    let session = Session::open(sky);
    let own = format!("http://127.0.0.1:{}", session.port);
    move |order| {
        session.get("/v1/orders").sent_as("POST", &order.to_string()).with("Origin", own.clone()).ask()
    }
}

/// Nothing of the engine is told with a refusal.
fn assert_refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(!answer.body.contains("\"jobs\"") && !answer.body.contains("<script"), "{answer:?}");
    assert!(answer.header("set-cookie").is_none(), "{answer:?}");
}

#[test]
fn without_the_link_there_is_nothing() {
    let (_replica, sky) = corner();
    let link = link(&sky);
    let (port, _) = parts(&link);
    for path in
        ["/", "/app.js", "/v1/engine", "/v1/jobs", "/v1/board", "/v1/board/events", "/metrics", "/nowhere"]
    {
        assert_refused(&Question::get(port, path).ask(), 401);
    }
    let engine: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sky.path("state/engine.json")).unwrap()).unwrap();
    let token = format!("Bearer {}", engine["token"].as_str().unwrap());
    assert_refused(&Question::get(port, "/v1/jobs").with("Authorization", token).ask(), 401);
    for query in ["", "?key=", "?key=0", &format!("?key={}", "0".repeat(64))] {
        assert_refused(&Question::get(port, &format!("/enter{query}")).ask(), 401);
    }
}

#[test]
fn a_link_opens_once() {
    let (_replica, sky) = corner();
    let link = link(&sky);
    let (port, path) = parts(&link);
    assert_eq!(Question::get(port, path).ask().status, 200);
    assert_refused(&Question::get(port, path).ask(), 401);
}

#[test]
fn the_page_comes_with_a_strict_policy_and_asks_nobody_else() {
    let (_replica, sky) = corner();
    let session = Session::open(&sky);
    for path in ["/", "/app.js", "/style.css", "/v1/engine", "/metrics", "/nowhere"] {
        let answer = session.get(path).ask();
        assert_eq!(answer.status, if path == "/nowhere" { 404 } else { 200 }, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let fixed = [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ];
        for (name, value) in fixed {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(answer.header("access-control-allow-origin").is_none(), "{path}");
    }
}

#[test]
fn foreign_hosts_and_foreign_pages_are_refused() {
    let (_replica, sky) = corner();
    let session = Session::open(&sky);
    let own = format!("http://127.0.0.1:{}", session.port);
    let get = || session.get("/v1/jobs");
    assert_eq!(get().ask().status, 200);
    for host in ["rebound.example", &format!("rebound.example:{}", session.port), "127.0.0.1", "localhost:1"]
    {
        assert_refused(&get().with("Host", host).ask(), 403);
    }
    for origin in [
        "http://rebound.example",
        "null",
        "http://127.0.0.1:1",
        &format!("https://127.0.0.1:{}", session.port),
    ] {
        assert_refused(&get().with("Origin", origin).ask(), 403);
    }
    assert_refused(&get().with("Sec-Fetch-Site", "cross-site").ask(), 403);
    let put = || {
        session.get("/v1/limits").sent_as(
            "PUT",
            "{\"connections\":1,\"in_flight\":1,\"requests_per_second\":null,\"limit_rate\":\"off\"}",
        )
    };
    assert_refused(&put().ask(), 403);
    assert_refused(&put().with("Origin", "http://rebound.example").ask(), 403);
    assert_eq!(put().with("Origin", own.clone()).ask().status, 204);
    assert_eq!(get().ask().status, 200, "the session has outlived it all");
    let files = session.get("/v1/jobs").sent_as("POST", "{}").with("Origin", own);
    assert_refused(&files.ask(), 403);
}

/// A policy can name a command that is run at a job's end.
#[test]
fn a_page_may_rename_a_job_but_not_make_it_run_programs() {
    let (_replica, sky) = corner();
    sky.ok("submit THEMIS_ASI_RAW --start 2022-01-01 --end 2022-01-01 --site gill --out out --no-start");
    sky.ok("pause 1");
    let session = Session::open(&sky);
    let patch = |change: &str| {
        let own = format!("http://127.0.0.1:{}", session.port);
        session.get("/v1/jobs/1").sent_as("PATCH", change).with("Origin", own).ask()
    };
    let policy = session.get("/v1/jobs/1").ask().json()["policy"].clone();
    assert_eq!(policy["retries"], 10, "{policy}");
    assert_refused(&patch(&format!("{{\"policy\":{policy}}}")), 403);
    assert_eq!(patch("{\"name\":\"night\",\"priority\":3}").status, 204);
    assert_eq!(sky.status("night")["priority"], 3);
}

#[test]
fn another_engines_cookie_is_worth_nothing() {
    let (replica, sky) = corner();
    let other = Sky::new(&replica);
    let (ours, theirs) = (Session::open(&sky), Session::open(&other));
    let crossed = Question::get(ours.port, "/v1/jobs").with("Cookie", theirs.cookie.clone());
    assert_refused(&crossed.ask(), 401);
    let secret = theirs.cookie.split_once('=').unwrap().1;
    let (name, _) = ours.cookie.split_once('=').unwrap();
    assert_refused(
        &Question::get(ours.port, "/v1/jobs").with("Cookie", format!("{name}={secret}")).ask(),
        401,
    );

    sky.ok("engine stop");
    let again = Session::open(&sky);
    let old = Question::get(again.port, "/v1/jobs")
        .with("Cookie", format!("skyhaul-{}={}", again.port, ours.cookie.split_once('=').unwrap().1));
    assert_refused(&old.ask(), 401);
    assert_eq!(again.get("/v1/jobs").ask().status, 200);
}

#[test]
fn the_browser_is_opened_with_the_link_and_a_lack_of_one_is_said() {
    let (_replica, sky) = corner();
    let told = sky.ok("dashboard");
    assert!(told.stdout.starts_with("http://127.0.0.1:"), "{told:?}");
    if program("sh").is_none() {
        return skyhaul_tests::skipped("there is no shell to play the browser");
    }
    let opened = sky.path("opened");
    let opener = sky.write("bin/xdg-open", format!("#!/bin/sh\necho \"$1\" >'{}'\n", opened.display()));
    std::fs::set_permissions(&opener, PermissionsExt::from_mode(0o755)).unwrap();
    let folder = opener.parent().unwrap().display().to_string();
    let sky = sky.with("PATH", &folder);
    let told = sky.ok("dashboard");
    assert!(told.stdout.is_empty() && told.stderr.contains("browser"), "{told:?}");
    let link = std::fs::read_to_string(opened).unwrap();
    let (port, path) = parts(link.trim());
    assert_eq!(Question::get(port, path).ask().status, 200);
}

#[test]
fn a_port_that_is_named_is_open_from_the_start_and_the_metrics_have_their_own_token() {
    let (_replica, sky) = corner();
    let engine = sky.spawn("engine run --dashboard-port 0 -v");
    engine.wait_stderr("the dashboard", |told| told.contains("the dashboard is open"));
    let link = link(&sky);
    let (port, _) = parts(&link);
    let token = std::fs::read_to_string(sky.path("state/metrics.token")).unwrap();
    let with_token = |path| Question::get(port, path).with("Authorization", format!("Bearer {token}")).ask();
    let metrics = with_token("/metrics");
    assert_eq!(
        (metrics.status, metrics.body.contains("skyhaul_jobs{state=\"running\"} 0\n")),
        (200, true),
        "{metrics:?}"
    );
    assert_refused(&with_token("/v1/jobs"), 401);
    let mode = std::fs::metadata(sky.path("state/metrics.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    sky.ok("engine stop");
    engine.finish().exits(0);
}
