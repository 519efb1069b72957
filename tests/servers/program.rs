//! Where a server's program is: installed, or unpacked beside the build by `make setup`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, and the folder that stands for `/usr` where it came from.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    prefix: PathBuf,
}

impl Program {
    /// The first of these programs that is there.
    pub(crate) fn find(names: &[&str]) -> Option<Self> {
        let unpacked = unpacked().join("usr");
        let prefixes = [PathBuf::from("/usr"), PathBuf::from("/usr/local"), unpacked];
        let variable = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&variable).map(|folder| {
            let prefix = folder.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
            (folder, prefix)
        });
        let usual = prefixes
            .iter()
            .flat_map(|prefix| ["sbin", "bin"].map(|folder| (prefix.join(folder), prefix.clone())));
        let folders: Vec<_> = on_path.chain(usual).collect();
        let programs = names.iter().flat_map(|name| {
            folders
                .iter()
                .map(move |(folder, prefix)| Self { path: folder.join(name), prefix: prefix.clone() })
        });
        programs.into_iter().find(|program| program.path.is_file())
    }

    /// A command that runs it with the libraries it came with and nothing of ours.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("LD_LIBRARY_PATH", libraries(&self.prefix)).stdin(Stdio::null());
        command
    }

    /// The first of these folders, told from its `/usr`, that is there.
    pub(crate) fn folder(&self, names: &[&str]) -> Option<PathBuf> {
        names.iter().map(|name| self.prefix.join(name)).find(|folder| folder.is_dir())
    }
}

/// Where `tests/setup.sh` unpacks servers: `servers` in the build's folder.
fn unpacked() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // target/PROFILE/deps/TEST-HASH
    let target = test.ancestors().nth(3).expect("cargo puts tests into a deps folder");
    target.join("servers")
}

/// The folders of libraries below a prefix, as the loader wants them.
fn libraries(prefix: &Path) -> OsString {
    let entries = std::fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("-linux-"));
    std::env::join_paths(folders).unwrap_or_default()
}
