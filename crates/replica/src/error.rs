//! Why a replica did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can go wrong with a replica as a program; what it does wrong on purpose is in [`crate::Faults`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The folder of real files cannot be read.
    #[error("cannot read the data folder {} (it must contain sort_by_project)", folder.display())]
    Data {
        /// The folder asked for.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The log file cannot be opened.
    #[error("cannot open the log file {}", path.display())]
    Log {
        /// The file asked for.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read a file")]
    Content(#[source] io::Error),
    /// A built-in table is not well-formed.
    #[error("a built-in table is not well-formed")]
    Table(#[source] serde_json::Error),
}

/// The result of starting a replica or reading from it.
pub type Result<T> = std::result::Result<T, Error>;
