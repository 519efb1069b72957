//! A running `skyhaul-replica`: its address and its request log, which is followed as it is written.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::binaries::binary;
use crate::wire::get;
use crate::{Answer, DEADLINE};

/// Requests of ours that mark a place in the log.
const MARK: &str = "/a-mark-of-the-tests/";

/// A replica; it ends when this goes.
#[derive(Debug)]
pub struct Replica {
    base: String,
    child: Child,
    /// Closing it ends the replica.
    stdin: Option<ChildStdin>,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    marks: AtomicU64,
}

/// One request as the replica logged it when its answer had ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it came, in milliseconds of the day (UTC).
    pub came_ms: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// The `If-Range` header.
    pub if_range: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The status of the answer.
    pub status: u64,
    /// Bytes of the body that were sent.
    pub sent: u64,
    /// Whether the whole answer was sent.
    pub complete: bool,
    /// How long the answer took, in milliseconds.
    pub elapsed_ms: u64,
    /// The number of its connection.
    pub connection: u64,
}

#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    requests: Vec<Request>,
    ended: bool,
}

impl Request {
    /// Whether it asked the API.
    pub fn is_api(&self) -> bool {
        self.path.starts_with("/api/")
    }

    /// Whether it asked the API for a listing.
    pub fn is_listing(&self) -> bool {
        self.path.ends_with("/data_distribution/urls")
    }

    /// Whether it asked for the content of a file.
    pub fn is_fetch(&self) -> bool {
        self.method == "GET" && self.path.starts_with("/sort_by_project/")
    }

    /// A parameter of its query, as it was sent but for `%3A`.
    pub fn param(&self, name: &str) -> Option<String> {
        let (_, value) =
            self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
        Some(value.replace("%3A", ":").replace("%3a", ":"))
    }

    fn read(line: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let number = |key: &str| record[key].as_u64().unwrap_or(0);
        Some(Self {
            came_ms: milliseconds_of_day(&text("t")?)?,
            method: text("method")?,
            path: text("path")?,
            query: text("query").unwrap_or_default(),
            range: text("range"),
            if_range: text("if_range"),
            user_agent: text("user_agent"),
            status: number("status"),
            sent: number("sent"),
            complete: record["complete"].as_bool()?,
            elapsed_ms: number("elapsed_ms"),
            connection: number("conn"),
        })
    }
}

impl Replica {
    /// Starts a replica with these switches (words separated by spaces) on a free port.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(switches: &str) -> Self {
        Self::start_at("127.0.0.1:0", switches)
    }

    /// Ends it and starts another one with other switches at the same address.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(self, switches: &str) -> Self {
        let address = self.host().to_owned();
        drop(self);
        Self::start_at(&address, switches)
    }

    /// Starts a replica at an address, as `127.0.0.1:8000`.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_at(address: &str, switches: &str) -> Self {
        let mut command = Command::new(binary("skyhaul-replica"));
        command.args(["--listen", address, "--until-stdin-closes", "--log", "/dev/stderr"]);
        command.args(switches.split_whitespace()).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start the replica: {error}"));
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || log.follow(stderr)
        });
        let mut base = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut base).expect("the replica's first line is text");
        assert!(base.starts_with("http://"), "the replica with '{switches}' did not start: '{base}'");
        let stdin = child.stdin.take();
        let base = base.trim().to_owned();
        Self { base, child, stdin, log, reader: Some(reader), marks: AtomicU64::new(0) }
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its host and port.
    pub fn host(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Fetches a URL or a path straight from it, past skyhaul.
    ///
    /// # Panics
    /// It does not answer.
    pub fn fetch(&self, url_or_path: &str) -> Answer {
        let path = match url_or_path.strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => url_or_path,
        };
        get(&format!("{}{path}", self.base))
    }

    /// The URLs that its API lists.
    ///
    /// # Panics
    /// It refuses.
    pub fn listing(&self, query: &str) -> Vec<String> {
        let answer = self.fetch(&format!("/api/v1/data_distribution/urls?{query}"));
        let json: Value = serde_json::from_slice(&answer.body).expect("the API answers in JSON");
        let urls = json["urls"].as_array().unwrap_or_else(|| panic!("no listing: {json}"));
        urls.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The requests whose answers have ended so far. An answer that a client broke off may come later;
    /// [`Self::end`] gives them all.
    ///
    /// # Panics
    /// The replica is gone.
    pub fn requests(&self) -> Vec<Request> {
        // Answers end in the log before the client has their last byte: what came before the mark stands before it.
        self.moment();
        self.log.without_marks()
    }

    /// Now, by the replica's clock, in milliseconds of the day: what comes later has come after all that was done
    /// before.
    ///
    /// # Panics
    /// The replica is gone.
    pub fn moment(&self) -> u64 {
        let mark = format!("{MARK}{}", self.marks.fetch_add(1, Ordering::Relaxed));
        self.fetch(&mark);
        let came =
            |requests: &[Request]| requests.iter().find(|request| request.path == mark).map(|r| r.came_ms);
        self.log.wait("its mark", |requests| came(requests).is_some());
        came(&self.log.lock().requests).unwrap_or(0)
    }

    /// Waits until the requests so far are as wanted.
    ///
    /// # Panics
    /// They never were.
    pub fn wait(&self, what: &str, wanted: impl Fn(&[Request]) -> bool) {
        self.log.wait(what, wanted);
    }

    /// Waits until this many fetches of files have ended with all their bytes.
    ///
    /// # Panics
    /// They never do.
    pub fn wait_fetches(&self, count: usize) {
        let whole = |request: &&Request| request.is_fetch() && request.complete && request.status < 300;
        self.wait(&format!("{count} fetches"), |requests| requests.iter().filter(whole).count() >= count);
    }

    /// Ends it; all requests, those that were broken off included.
    ///
    /// # Panics
    /// It does not end by itself.
    pub fn end(mut self) -> Vec<Request> {
        drop(self.stdin.take());
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "the replica ended with {status}");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of the log does not panic");
        }
        self.log.without_marks()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // All fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            match Request::read(&line) {
                Some(request) => self.lock().requests.push(request),
                // What is no record is the replica's own complaint: shown beside the test's.
                None => drop(writeln!(std::io::stderr(), "replica: {line}")),
            }
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, wanted: impl Fn(&[Request]) -> bool) {
        let waits = |state: &mut LogState| !state.ended && !wanted(&state.requests);
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), DEADLINE, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let count = state.requests.len();
        assert!(wanted(&state.requests), "the replica never saw {what} ({count} requests)");
    }

    fn without_marks(&self) -> Vec<Request> {
        self.lock().requests.iter().filter(|request| !request.path.starts_with(MARK)).cloned().collect()
    }
}

/// `…T06:00:01.250Z` in milliseconds since midnight: no test runs into another day without noticing little of it.
fn milliseconds_of_day(time: &str) -> Option<u64> {
    let (_, clock) = time.split_once('T')?;
    let (seconds, fraction) = clock.trim_end_matches('Z').split_once('.')?;
    let mut units = seconds.split(':').map(str::parse::<u64>);
    let (hours, minutes, seconds) = (units.next()?.ok()?, units.next()?.ok()?, units.next()?.ok()?);
    let milliseconds: u64 = fraction.get(..3)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_seen_when_their_answers_have_ended() {
        let replica = Replica::start("--small-files");
        let urls =
            replica.listing("name=THEMIS_ASI_RAW&start=2022-01-01T06:00&end=2022-01-01T06:01&site_uid=gill");
        assert_eq!(urls.len(), 2);
        let body = replica.fetch(&urls[0]).body;
        let seen = replica.requests();
        assert_eq!(seen.len(), 2);
        assert!(seen[0].is_listing() && seen[1].is_fetch() && seen[1].complete);
        assert_eq!(seen[1].sent, body.len() as u64);
        assert_eq!(seen[0].param("start").as_deref(), Some("2022-01-01T06:00"));
        assert_eq!(replica.end(), seen);
    }

    #[test]
    fn another_replica_takes_the_address_over() {
        let replica = Replica::start("--small-files");
        let base = replica.base().to_owned();
        let replica = replica.restart("--small-files --refuse-files 503");
        assert_eq!(replica.base(), base);
        let path = "/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19/ut06/20220101_0600_gill_themis19_full.pgm.gz";
        assert_eq!(replica.fetch(path).status, 503);
    }

    #[test]
    fn times_of_day_are_counted_in_milliseconds() {
        assert_eq!(milliseconds_of_day("2026-01-01T01:02:03.045Z"), Some(3_723_045));
        assert_eq!(milliseconds_of_day("2026-01-01"), None);
    }
}
