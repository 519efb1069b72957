//! What proves that bytes are right: formats' own checks, digests, and lists of digests.
//!
//! Everything here is a pure fold over bytes that somebody else reads: no network, no clock, and no file
//! but the sort's unnamed temporary ones. Memory is bounded whatever comes, and nothing panics. A crash
//! loses nothing but the work of reading again.

mod container;
mod digest;
mod list;

pub use container::{Container, Damage};
pub use digest::{Algorithm, Digest, Digests, Hashers, NoDigest, Strength, server_digest};
pub use list::{BadLine, Found, Line, ListError, Search, Summary, normalise, parse_line};
