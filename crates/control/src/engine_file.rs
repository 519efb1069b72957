//! `engine.json` in the state directory: which engine has the queue, and how it is reached.
//!
//! It is put in place by a rename, 0600. It need not survive a power cut, and is not synced: no engine
//! does either. Whatever cannot be understood, half-written or damaged, reads as "no engine".

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Result, io_error};
use crate::private;
use crate::process::ProcessMark;
use crate::token::Token;

/// The file's name.
const NAME: &str = "engine.json";

/// The format that is written; of another one nothing is believed.
const FORMAT: u32 = 1;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EngineFile {
    format: u32,
    #[serde(flatten)]
    pub(crate) process: ProcessMark,
    /// The engine's skyhaul.
    pub(crate) version: String,
    pub(crate) started_at: Timestamp,
    #[serde(flatten)]
    pub(crate) address: Address,
    pub(crate) token: Token,
}

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Address {
    /// At a socket.
    Socket(PathBuf),
    /// At a loopback port.
    Tcp(SocketAddr),
}

impl Address {
    /// The Host that requests to it name.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Socket(_) => "skyhaul".to_owned(),
            Self::Tcp(address) => address.to_string(),
        }
    }
}

impl EngineFile {
    /// What this process says of itself.
    pub(crate) fn of_this_process(address: Address, token: Token, started_at: Timestamp) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, process: ProcessMark::current(), version, started_at, address, token }
    }

    /// Puts it in place. Blocking.
    pub(crate) fn write(&self, state_dir: &Path) -> Result<()> {
        let (path, fresh) = (state_dir.join(NAME), state_dir.join("engine.json.new"));
        private::remove(&fresh)?;
        let content = serde_json::to_vec(self).map_err(io::Error::from);
        let mut file = private::create_file(&fresh)?;
        content.and_then(|content| file.write_all(&content)).map_err(io_error("cannot write", &fresh))?;
        std::fs::rename(&fresh, &path).map_err(io_error("cannot rename", &fresh))
    }

    /// Reads what is there; none when nothing is, or nothing that can be believed. Blocking.
    ///
    /// # Errors
    /// There is a file and it cannot be read.
    pub(crate) fn read(state_dir: &Path) -> Result<Option<Self>> {
        let path = state_dir.join(NAME);
        match std::fs::read(&path) {
            Ok(content) => Ok(Self::parse(&content)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(io_error("cannot read", &path)(error)),
        }
    }

    /// Removes it unless a later engine has put its own there. Blocking.
    pub(crate) fn remove(&self, state_dir: &Path) -> Result<()> {
        match Self::read(state_dir)? {
            Some(found) if found.token == self.token => private::remove(&state_dir.join(NAME)),
            _ => Ok(()),
        }
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let file: Self = serde_json::from_slice(content).ok()?;
        let is_near = match &file.address {
            Address::Socket(path) => path.is_absolute(),
            // The token is for this machine's ears alone.
            Address::Tcp(address) => address.ip().is_loopback(),
        };
        (file.format == FORMAT && is_near).then_some(file)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(address: Address) -> EngineFile {
        EngineFile::of_this_process(address, Token::make().unwrap(), Timestamp::UNIX_EPOCH)
    }

    fn socket() -> EngineFile {
        sample(Address::Socket("/run/user/7/skyhaul/0.sock".into()))
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(EngineFile::read(dir.path()).unwrap(), None);
        for file in [socket(), sample(Address::Tcp(([127, 0, 0, 1], 4711).into()))] {
            file.write(dir.path()).unwrap();
            assert_eq!(EngineFile::read(dir.path()).unwrap(), Some(file));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_crash_before_the_rename_does_not_hinder_the_next_engine() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("engine.json.new"), "{\"form").unwrap();
        assert_eq!(EngineFile::read(dir.path()).unwrap(), None);
        socket().write(dir.path()).unwrap();
        assert!(EngineFile::read(dir.path()).unwrap().is_some());
    }

    #[test]
    fn another_engines_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (socket(), socket());
        theirs.write(dir.path()).unwrap();
        ours.remove(dir.path()).unwrap();
        assert_eq!(EngineFile::read(dir.path()).unwrap(), Some(theirs.clone()));
        theirs.remove(dir.path()).unwrap();
        theirs.remove(dir.path()).unwrap();
        assert_eq!(EngineFile::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn what_is_far_away_or_of_another_format_is_no_engine() {
        let text = |file: &EngineFile| serde_json::to_string(file).unwrap();
        let far = sample(Address::Tcp(([192, 0, 2, 1], 80).into()));
        assert_eq!(EngineFile::parse(text(&far).as_bytes()), None);
        let newer = text(&socket()).replace("\"format\":1", "\"format\":2");
        assert_eq!(EngineFile::parse(newer.as_bytes()), None);
        assert!(EngineFile::parse(text(&socket()).as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn no_part_of_it_is_believed(keep in 0_usize..1000) {
            let content = serde_json::to_vec(&socket()).unwrap();
            prop_assert_eq!(EngineFile::parse(&content[..keep % content.len()]), None);
        }
    }
}
