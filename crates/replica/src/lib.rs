//! A local archive, byte-true and fault-injecting, for demos, tests and benchmarks.
//!
//! [`Replica::start`] gives a server with the listing API and the file tree of the all-sky-imager archive. Its
//! files are made up as they are asked for, always the same bytes for the same URL; real files can be laid over
//! them. [`Faults`] is what it does wrong on purpose, and can be changed while it runs. It shares no code with the
//! engine that it tests, so that each checks the other.
//!
//! What exists: every one-minute dataset has files from 00:00 to 13:33 UTC of each day at each station that ran in
//! that year (814 a day, no gaps; burst data lacks every fourth minute), summaries follow the same hours, and
//! skymaps and calibrations have a few fixed dates. `REPLICA_BULK_RAW` has as many tiny files as
//! [`Config::listing_size`] says, `REPLICA_BULK_1MIN` has 144,000 a day, and `REPLICA_FORMATS` has a small file of
//! every format of the archive for each minute at each of ten stations.
//!
//! ```
//! # async fn example() -> Result<(), skyhaul_replica::Error> {
//! use skyhaul_replica::{Config, Cut, Faults, Replica, When};
//!
//! let cut = Cut { after: Some(100_000), when: When::FirstAttempt };
//! let faults = Faults { cut: Some(cut), ..Faults::default() };
//! let replica = Replica::start(Config { faults, ..Config::default() }).await?;
//! let api = replica.base_url().to_owned();
//! // … let a client fetch from `api` …
//! assert!(replica.requests().iter().all(|request| request.status == 200));
//! replica.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod archive;
mod body;
mod cache;
mod catalogue;
mod chance;
mod config;
mod dates;
mod desk;
mod digests;
mod error;
mod faults;
mod files;
mod folders;
mod index;
mod log;
mod meter;
mod names;
mod overlay;
mod pages;
mod ranges;
mod seed;
mod server;
mod service;
mod sites;
mod store;
mod synth;
mod throttle;

pub use chance::{BadSwitch, Selection, When};
pub use config::{Config, FileScale};
pub use error::{Error, Result};
pub use faults::{
    ContentEncoding, Cut, CutStyle, DatasetShape, DetailShape, DigestHeaders, EtagKind, Faults, HeadAnswer,
    IndexSizes, IndexStyle, LastModifiedKind, MissingAnswer, PlusSpelling, Ranges, Refusal, Stall,
    TotalBytes,
};
pub use log::RequestRecord;
pub use server::{Replica, RunningReplica};
