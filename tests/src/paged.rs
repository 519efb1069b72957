//! A program whose stdout is read as slowly as a test likes, as by a pager.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A program that runs, held up by its own output; it is killed when this goes.
#[derive(Debug)]
pub struct Paged {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Paged {
    /// Starts `command`.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lines = child.stdout.take().map(BufReader::new);
        Self { child, lines }
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads up to this many lines; tells how many there were.
    ///
    /// # Panics
    /// The output cannot be read.
    pub fn read_lines(&mut self, most: usize) -> usize {
        let Some(lines) = &mut self.lines else { return 0 };
        let mut line = Vec::new();
        for count in 0..most {
            line.clear();
            if lines.read_until(b'\n', &mut line).expect("a pipe can be read") == 0 {
                return count;
            }
        }
        most
    }

    /// Closes the reading end, as `head` does, and waits for the end: the exit code (none for a signal) and what
    /// was said on stderr.
    ///
    /// # Panics
    /// The child cannot be waited for.
    pub fn close(mut self) -> (Option<i32>, String) {
        drop(self.lines.take());
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr is piped");
        stderr.read_to_string(&mut said).expect("stderr is text");
        let status = self.child.wait().expect("a child can be waited for");
        (status.code(), said)
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
