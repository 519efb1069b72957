//! `skyhaul` as a user runs it: a home, a state directory and an output folder of its own, nothing inherited.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::binary;
use crate::{Ended, Replica, Running};

/// A user's corner: commands run in its folder, with `state` for the state directory there. Output folders are
/// given by the tests, relative to it.
#[derive(Debug)]
pub struct Sky {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Sky {
    /// A corner that asks `replica` unless told otherwise.
    pub fn new(replica: &Replica) -> Self {
        Self::at(replica.base())
    }

    /// A corner that asks the API at `api` unless told otherwise.
    ///
    /// # Panics
    /// There is no room for temporary files.
    pub fn at(api: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a folder can be made in a temporary folder");
        let state = folder.path().join("state");
        let variables = vec![
            ("HOME".to_owned(), home.display().to_string()),
            ("SKYHAUL_STATE_DIR".to_owned(), state.display().to_string()),
            ("SKYHAUL_API".to_owned(), api.to_owned()),
        ];
        Self { folder, variables }
    }

    /// The same corner with another variable set, or one taken away by an empty value.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.variables.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The process of the engine that has its queue.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn engine(&self) -> u32 {
        let pid = self.ok("engine status --json").json()["pid"].as_u64();
        pid.and_then(|pid| u32::try_from(pid).ok()).expect("an engine that is up has a process")
    }

    /// A path in its folder; `out` and `state` are the usual ones.
    pub fn path(&self, name: &str) -> PathBuf {
        // The real path: some systems keep temporary folders behind a link.
        self.folder.path().canonicalize().unwrap_or_else(|_| self.folder.path().to_owned()).join(name)
    }

    /// Writes a file in its folder, folders above it included.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// The command with these words, not yet started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary("skyhaul"));
        command.args(words).current_dir(self.folder.path()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// The command line started through a shell whose umask is `umask`.
    #[cfg(unix)]
    pub fn command_with_umask(&self, umask: &str, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
        command.arg(binary("skyhaul")).args(line.split_whitespace()).current_dir(self.folder.path());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Starts a command line (words separated by spaces).
    pub fn spawn(&self, line: &str) -> Running {
        let words: Vec<_> = line.split_whitespace().collect();
        Running::spawn(self.command(&words))
    }

    /// Runs a command line (words separated by spaces) to its end.
    pub fn run(&self, line: &str) -> Ended {
        self.spawn(line).finish()
    }

    /// Runs a command whose words may hold spaces.
    pub fn run_words(&self, words: &[&str]) -> Ended {
        Running::spawn(self.command(words)).finish()
    }

    /// Runs a command line that must succeed.
    ///
    /// # Panics
    /// It does not exit with 0.
    #[track_caller]
    pub fn ok(&self, line: &str) -> Ended {
        self.run(line).exits(0)
    }

    /// The status object of a job.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn status(&self, job: &str) -> Value {
        self.ok(&format!("status {job} --json")).json()
    }

    /// The file objects of a job.
    ///
    /// # Panics
    /// There is no such job.
    #[track_caller]
    pub fn files(&self, job: &str) -> Vec<Value> {
        self.ok(&format!("files {job} --json")).json_lines()
    }

    /// The file object of the one file of a job whose path contains `part`.
    ///
    /// # Panics
    /// There is none, or several.
    #[track_caller]
    pub fn file(&self, job: &str, part: &str) -> Value {
        let mut files = self.files(job);
        files.retain(|file| file["path"].as_str().is_some_and(|path| path.contains(part)));
        assert_eq!(files.len(), 1, "files of job {job} with {part} in their path: {files:?}");
        files.swap_remove(0)
    }

    /// Asserts that every file of a job is done and that its bytes are those that `replica` serves; gives the
    /// number of files.
    ///
    /// # Panics
    /// A file is not there, or holds something else.
    #[track_caller]
    pub fn assert_byte_true(&self, job: &str, out: &str, replica: &Replica) -> usize {
        let files = self.files(job);
        for file in &files {
            let (path, url) = (file["path"].as_str().unwrap_or(""), file["url"].as_str().unwrap_or(""));
            assert_eq!(file["state"], "done", "{file}");
            let lies = std::fs::read(self.path(out).join(path));
            let lies = lies.unwrap_or_else(|error| panic!("{path} is done but cannot be read: {error}"));
            let served = replica.fetch(url);
            assert_eq!(served.status, 200, "{url}");
            assert!(lies == served.body, "{path} differs from what is served");
            assert_eq!(file["sha256"], crate::hex_sha256(&served.body), "{path}");
        }
        files.len()
    }
}

impl Drop for Sky {
    /// No engine outlives its corner.
    fn drop(&mut self) {
        if self.path("state/engine.json").exists() {
            // It fails only when the engine is gone already, or does not answer a test that has failed.
            let _ = self.command(&["engine", "stop", "-q"]).status();
        }
    }
}
