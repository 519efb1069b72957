//! What a replica is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::ValueEnum;

use crate::faults::Faults;

/// The settings of a replica.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A folder of real files, the one that contains `sort_by_project`.
    pub data_dir: Option<PathBuf>,
    /// A file that gets a JSON line per request.
    pub log_path: Option<PathBuf>,
    /// How many requests are remembered in memory; older ones are forgotten.
    pub log_entries_max: usize,
    /// Body bytes per second of the whole server; unlimited if none.
    pub rate_bytes_per_s: Option<u64>,
    /// How large synthetic files are.
    pub file_scale: FileScale,
    /// How many files the dataset `REPLICA_BULK_RAW` has.
    pub listing_size: u64,
    /// How many bytes of file contents are kept for the next range of the same file.
    pub cache_bytes_max: u64,
    /// The faults at the start.
    pub faults: Faults,
}

/// How large synthetic files are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum FileScale {
    /// As large as the archive's.
    #[default]
    Real,
    /// About 20 kB each, with the same structure.
    Small,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: None,
            log_path: None,
            log_entries_max: 100_000,
            rate_bytes_per_s: None,
            file_scale: FileScale::Real,
            listing_size: 1000,
            cache_bytes_max: 256 << 20,
            faults: Faults::default(),
        }
    }
}
