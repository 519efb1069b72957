//! What client and engine say to each other: versioned HTTP and JSON over a socket of the user's own.
//!
//! The process that has the queue open runs a [`Server`]; every other command finds it through the state
//! directory and talks to it as a [`Client`], which is a job queue like the one on disk. Who may talk is
//! decided by three things at once: the socket (or loopback port), a token that only the user can read,
//! and a Host that no web page can name. Nothing here is durable: `engine.json` and the socket tell where
//! an engine is, and whatever state a crash leaves them in reads as "no engine". A browser of the user's talks to
//! the same server through the dashboard's own door, a loopback port with a session.
//!
//! `docs/api.md` has the routes, shapes and errors.

mod board;
mod client;
mod dashboard;
mod detach;
mod endpoint;
mod engine_file;
mod error;
mod limits;
mod log_file;
mod metrics;
mod orders;
mod private;
mod process;
mod series;
mod server;
mod stream;
mod token;
mod wire;

pub use client::{Client, Events};
pub use detach::{StartedEngine, own_session, start_engine};
pub use endpoint::Endpoint;
pub use error::{ControlError, Result};
pub use limits::Network;
pub use log_file::RotatingLog;
pub use orders::{Orders, Wish};
pub use server::{EngineView, Instruments, Server};
pub use wire::{EngineInfo, ErrorBody, ErrorCode, Started, Steered};
