//! A program that runs: its output as it comes, signals to it, and how it ended.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::DEADLINE;
#[cfg(unix)]
use crate::Terminal;

/// A signal that a person or a supervisor sends.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What service managers send.
    Terminate,
    /// Stands still until `Continue`.
    Stop,
    /// Goes on.
    Continue,
    /// Ends at once, with no chance to tidy up.
    Kill,
}

impl Signal {
    /// Sends it to a process.
    ///
    /// # Panics
    /// There is no such process.
    #[cfg(unix)]
    pub fn send(self, pid: u32) {
        let name = match self {
            Self::Interrupt => "-INT",
            Self::Terminate => "-TERM",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
            Self::Kill => "-KILL",
        };
        let sent = Command::new("kill").arg(name).arg(pid.to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name} to process {pid}");
    }
}

/// A program that runs; it is killed when this goes.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// How a program ended, and all it said.
#[derive(Debug)]
pub struct Ended {
    line: String,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Running {
    /// Starts `command` with both outputs caught.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        Self::begin(command, |child| Stream::follow(child.stderr.take().expect("stderr is piped")))
    }

    /// Starts `command` with stdout caught and a terminal as its stderr.
    ///
    /// # Panics
    /// It cannot be started.
    #[cfg(unix)]
    pub fn spawn_at(terminal: &Terminal, mut command: Command) -> Self {
        command.stderr(terminal.end());
        Self::begin(command, |_| Stream::follow(terminal.screen()))
    }

    fn begin(mut command: Command, stderr: impl FnOnce(&mut Child) -> Stream) -> Self {
        let line = format!("{command:?}");
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        let stdout = Stream::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = stderr(&mut child);
        Self { line, child, stdout, stderr }
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until stdout, as far as it came, is as wanted.
    ///
    /// # Panics
    /// It never was.
    pub fn wait_stdout(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let seen = self.stdout.wait(DEADLINE, |text| wanted(text));
        assert!(
            seen,
            "{}\nnever said {what}; stdout:\n{}\nstderr:\n{}",
            self.line,
            self.stdout.text(),
            self.stderr.text()
        );
    }

    /// Waits until stderr, as far as it came, is as wanted.
    ///
    /// # Panics
    /// It never was.
    pub fn wait_stderr(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let seen = self.stderr.wait(DEADLINE, |text| wanted(text));
        assert!(seen, "{}\nnever said {what} on stderr:\n{}", self.line, self.stderr.text());
    }

    /// Waits for the end, at most this long; tells whether it has ended.
    pub fn ends_within(&self, limit: Duration) -> bool {
        self.stderr.ends_within(limit)
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// The program has ended already.
    #[cfg(unix)]
    pub fn send(&self, signal: Signal) {
        signal.send(self.pid());
    }

    /// Kills it with no chance to tidy up (`kill -9`), and waits until it is gone.
    pub fn kill(mut self) -> Ended {
        // A program that has ended by itself cannot be killed, which is fine.
        let _ = self.child.kill();
        self.finish()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn finish(mut self) -> Ended {
        let until = Instant::now() + DEADLINE;
        let left = || until.saturating_duration_since(Instant::now());
        if !(self.stdout.ends_within(left()) && self.stderr.ends_within(left())) {
            let _ = self.child.kill();
            panic!(
                "{}\ndid not end; stdout:\n{}\nstderr:\n{}",
                self.line,
                self.stdout.text(),
                self.stderr.text()
            );
        }
        let status = self.child.wait().expect("a child can be waited for");
        Ended {
            line: std::mem::take(&mut self.line),
            code: code_of(status),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts the exit code.
    ///
    /// # Panics
    /// It is another one; or the program panicked, which it never may.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(!self.stderr.contains("panicked at"), "{}\npanicked:\n{}", self.line, self.stderr);
        assert_eq!(
            self.code,
            Some(code),
            "exit code of {}\nstdout:\n{}\nstderr:\n{}",
            self.line,
            self.shown(&self.stdout),
            self.shown(&self.stderr)
        );
        self
    }

    /// Stdout as one JSON document and nothing else.
    ///
    /// # Panics
    /// It is anything else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}\nno JSON document ({error}):\n{}", self.line, self.stdout))
    }

    /// Stdout as one JSON object a line.
    ///
    /// # Panics
    /// It is anything else.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{}\nno JSON line ({error}): {line}", self.line))
        };
        self.stdout.lines().map(read).collect()
    }

    /// Asserts that a text stands on stderr, in whatever case.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn tells(self, text: &str) -> Self {
        let found = self.stderr.to_lowercase().contains(&text.to_lowercase());
        assert!(found, "{}\ndoes not tell '{text}':\n{}", self.line, self.stderr);
        self
    }

    fn shown<'a>(&self, text: &'a str) -> &'a str {
        const MOST: usize = 4_000;
        text.char_indices().nth(MOST).map_or(text, |(cut, _)| &text[..cut])
    }
}

fn code_of(status: ExitStatus) -> Option<i32> {
    status.code()
}

/// One output of a child, read by a thread as it comes.
#[derive(Debug)]
struct Stream {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn follow(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                writer.lock().bytes.extend_from_slice(&buffer[..count]);
                writer.changed.notify_all();
            }
            writer.lock().ended = true;
            writer.changed.notify_all();
        });
        Self { shared, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().bytes).into_owned()
    }

    /// Waits until the text is as wanted; false when it ended, or time ran out, before.
    fn wait(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> bool {
        let is_wanted = |state: &State| wanted(&String::from_utf8_lossy(&state.bytes));
        let waits = |state: &mut State| !state.ended && !is_wanted(state);
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, waits)
            .unwrap_or_else(PoisonError::into_inner);
        is_wanted(&state)
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A pipe that a grandchild holds open would keep the reader for ever: only an ended one is joined.
        if self.ends_within(Duration::from_secs(5))
            && let Some(reader) = self.reader.take()
        {
            let _ = reader.join();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        Running::spawn(command)
    }

    #[test]
    fn both_outputs_and_the_exit_code_are_caught() {
        let ended = shell("echo out; echo err >&2; exit 3").finish().exits(3).tells("ERR");
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_program_can_be_waited_for_and_signalled_or_killed() {
        let talker = "trap 'exit 130' INT; echo ready >&2; while :; do read -r line || :; done";
        let running = shell(talker);
        running.wait_stderr("that it is ready", |text| text.contains("ready"));
        assert!(!running.ends_within(Duration::from_millis(1)));
        running.send(Signal::Interrupt);
        running.finish().exits(130);
        let running = shell(talker);
        running.wait_stderr("that it is ready", |text| text.contains("ready"));
        assert_eq!(running.kill().code, None);
    }
}
