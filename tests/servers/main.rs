//! Servers that nobody here wrote: what they really send is fetched, interrupted and resumed by the real binary.
//!
//! Each server runs as an ordinary process on a free port with a configuration and a folder of its own, and is gone
//! when its test ends. A server that is not installed is said to be skipped; `make setup` gets most of them.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod certificate;
mod exhibits;
mod kinds;
mod program;
mod server;

use std::time::Duration;

use exhibits::{Exhibits, LARGE, assert_same_tree};
use kinds::Kind;
use server::Server;
use skyhaul_tests::{Running, Sky};

/// What a server lets a client do with an interrupted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resuming {
    /// It honours `Range` and `If-Range`: the rest is fetched.
    Ranges,
    /// It always sends the whole file.
    Never,
}

#[test]
fn nginx() {
    interrupted_and_resumed(Kind::Nginx, Resuming::Ranges);
}

#[test]
fn nginx_over_tls_with_http_2() {
    interrupted_and_resumed(Kind::NginxTls, Resuming::Ranges);
}

#[test]
fn apache() {
    interrupted_and_resumed(Kind::Apache, Resuming::Ranges);
}

#[test]
fn lighttpd() {
    interrupted_and_resumed(Kind::Lighttpd, Resuming::Ranges);
}

#[test]
fn caddy() {
    interrupted_and_resumed(Kind::Caddy, Resuming::Ranges);
}

#[test]
fn python_http_server() {
    interrupted_and_resumed(Kind::Python, Resuming::Never);
}

/// Pulls files of all sizes, killed twice in the middle of the large one; then all are there, byte for byte, and
/// what a server lets be resumed was not fetched twice.
fn interrupted_and_resumed(kind: Kind, resuming: Resuming) {
    let exhibits = Exhibits::lay_out();
    let Some(server) = Server::start(kind, exhibits.folder()) else { return };
    let sky = Sky::at("http://127.0.0.1:9");
    let list: String = exhibits.names().map(|name| format!("{}/{name}\n", server.base())).collect();
    sky.write("urls", list);
    let mut line = format!("pull --urls urls --base {} --out out --json --no-progress", server.base());
    if let Some(authority) = server.authority() {
        line.push_str(&format!(" --cacert {}", authority.display()));
    }
    // Slow enough that each kill finds the large file in the middle.
    for share in [4, 2] {
        let pull = sky.spawn(&format!("{line} --limit-rate 40M"));
        wait_until_partly_here(&pull, &sky, LARGE / share);
        let ended = pull.kill();
        assert_eq!(ended.code, None, "it ended before it was killed: {}", ended.stderr);
    }
    let status = sky.ok(&line).json();
    assert_eq!(status["state"], "completed", "{status}");
    assert_same_tree(exhibits.folder(), &sky.path("out"));
    assert!(!sky.path("out/.skyhaul").exists(), "the bookkeeping is still there");
    let bytes = |key: &str| status["bytes"][key].as_u64().unwrap();
    assert_eq!(bytes("done"), exhibits.bytes(), "{status}");
    let waste = bytes("received") + bytes("adopted") - bytes("done");
    if resuming == Resuming::Ranges {
        assert!(waste * 20 <= bytes("done"), "{waste} bytes were fetched twice: {status}");
    }
    if kind == Kind::NginxTls {
        let log = server.log();
        assert!(log.lines().all(|line| line.contains("HTTP/2")), "not all was HTTP/2:\n{log}");
    }
}

/// Waits until a partial file of this many bytes lies below the output root.
fn wait_until_partly_here(pull: &Running, sky: &Sky, bytes: u64) {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let part = || exhibits::largest_below(&sky.path("out/.skyhaul"));
    while part() < bytes {
        assert!(!pull.ends_within(LOOK_AGAIN), "it ended before {bytes} bytes of a file were here");
    }
}
