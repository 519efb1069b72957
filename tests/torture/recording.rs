//! What a program did to the files below a folder, call by call: it runs with `recorder.c` preloaded, and the log is
//! read here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use skyhaul_tests::{files_below, skipped};

use crate::disk::{Disk, Survival};

/// The recorder's source; its head describes the log.
const SOURCE: &str = include_str!("recorder.c");

/// One call, with paths relative to the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create { inode: u64, path: String },
    MakeFolder { inode: u64, path: String },
    Write { inode: u64, offset: u64, bytes: Vec<u8> },
    SetLength { inode: u64, length: u64 },
    Sync { inode: u64 },
    SyncAll,
    Rename { from: String, to: String },
    Link { path: String, further: String },
    Remove { path: String },
    Say { bytes: Vec<u8> },
}

/// A folder as it was, and all that was done to it since.
pub(crate) struct Recording {
    pub(crate) before: Disk,
    pub(crate) calls: Vec<Call>,
}

/// A recording that goes on.
pub(crate) struct Recorder {
    root: PathBuf,
    log: tempfile::NamedTempFile,
    before: Disk,
}

impl Recorder {
    /// Has the command recorded that is about to be started; none, and it says so, where that cannot be.
    pub(crate) fn attach(command: &mut Command, root: &Path) -> Option<Self> {
        let library = library()?;
        let log = tempfile::NamedTempFile::new().unwrap();
        command.env("LD_PRELOAD", library).env("RECORDER_ROOT", root).env("RECORDER_LOG", log.path());
        Some(Self { root: root.to_owned(), log, before: Disk::of(root) })
    }

    /// The recording of a command that has ended.
    ///
    /// # Panics
    /// The recorder missed something: what it saw does not make what lies there.
    pub(crate) fn finish(self) -> Recording {
        let log = std::fs::read(self.log.path()).unwrap();
        let calls = read_log(&log, self.root.to_str().unwrap());
        let mut replayed = self.before.clone();
        calls.iter().for_each(|call| replayed.apply(call));
        let found = files_below(&self.root);
        let made = replayed.image(Survival::ALL, &mut fastrand::Rng::with_seed(0)).files;
        for path in found.keys().chain(made.keys()) {
            let lengths = [&found, &made].map(|files| files.get(path).map(Vec::len));
            assert!(
                found.get(path) == made.get(path),
                "{path} lies there otherwise than recorded: {lengths:?}"
            );
        }
        Recording { before: self.before, calls }
    }
}

impl Recording {
    /// Moments to cut at, ascending: as many calls had been made by then. Half of them are just behind something that
    /// was said, a quarter just behind a change of names; these are the moments at which most can be broken.
    pub(crate) fn moments(&self, count: u64, random: &mut fastrand::Rng) -> Vec<usize> {
        let behind = |wanted: fn(&Call) -> bool| -> Vec<usize> {
            (0..self.calls.len()).filter(|&at| wanted(&self.calls[at])).map(|at| at + 1).collect()
        };
        let said = behind(|call| matches!(call, Call::Say { .. }));
        let renamed =
            behind(|call| matches!(call, Call::Rename { .. } | Call::Create { .. } | Call::Remove { .. }));
        let mut moments: Vec<usize> = (0..count)
            .map(|number| match number % 4 {
                0 | 1 if !said.is_empty() => said[random.usize(..said.len())],
                2 if !renamed.is_empty() => renamed[random.usize(..renamed.len())],
                _ => random.usize(..=self.calls.len()),
            })
            .collect();
        moments.sort_unstable();
        moments
    }

    /// All that was said in the first calls.
    pub(crate) fn said(&self, calls: usize) -> String {
        let said = self.calls[..calls].iter().filter_map(|call| match call {
            Call::Say { bytes } => Some(bytes.as_slice()),
            _ => None,
        });
        String::from_utf8_lossy(&said.collect::<Vec<_>>().concat()).into_owned()
    }
}

/// The recorder, compiled once a process; none where there is no way to.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    LIBRARY.get_or_init(compile).as_deref()
}

fn compile() -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        skipped("calls can be recorded on Linux with glibc alone");
        return None;
    }
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let unique = std::process::id();
    let (source, fresh) =
        (folder.join(format!("recorder-{unique}.c")), folder.join(format!("recorder-{unique}.so")));
    std::fs::write(&source, SOURCE).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-U_FORTIFY_SOURCE", "-o"])
        .arg(&fresh)
        .arg(&source);
    let compiled = cc.output();
    std::fs::remove_file(&source).unwrap();
    let Ok(compiled) = compiled else {
        skipped("there is no C compiler to build the recorder with");
        return None;
    };
    let told = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "the recorder does not compile:\n{told}");
    let library = folder.join("skyhaul-recorder.so");
    std::fs::rename(fresh, &library).unwrap();
    Some(library)
}

/// The calls of a log. A record that a kill cut short is none.
fn read_log(mut log: &[u8], root: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    while let Some((call, rest)) = read_record(log, root) {
        calls.push(call);
        log = rest;
    }
    calls
}

fn read_record<'a>(log: &'a [u8], root: &str) -> Option<(Call, &'a [u8])> {
    let (kind, log) = log.split_first()?;
    let (inode, log) = log.split_first_chunk()?;
    let (number, log) = log.split_first_chunk()?;
    let (first, log) = log.split_first_chunk()?;
    let (second, log) = log.split_first_chunk()?;
    let (first, log) = log.split_at_checked(u32::from_ne_bytes(*first) as usize)?;
    let (second, log) = log.split_at_checked(u32::from_ne_bytes(*second) as usize)?;
    let (inode, number) = (u64::from_ne_bytes(*inode), u64::from_ne_bytes(*number));
    let path = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap();
        text.strip_prefix(root).unwrap().trim_start_matches('/').to_owned()
    };
    let call = match kind {
        b'C' => Call::Create { inode, path: path(first) },
        b'M' => Call::MakeFolder { inode, path: path(first) },
        b'W' => Call::Write { inode, offset: number, bytes: first.to_vec() },
        b'T' => Call::SetLength { inode, length: number },
        b'S' => Call::Sync { inode },
        b'F' => Call::SyncAll,
        b'R' => Call::Rename { from: path(first), to: path(second) },
        b'L' => Call::Link { path: path(first), further: path(second) },
        b'U' => Call::Remove { path: path(first) },
        b'A' => Call::Say { bytes: first.to_vec() },
        other => panic!("a record of kind {other}"),
    };
    Some((call, log))
}
