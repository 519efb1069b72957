//! A file format's own check, made while the bytes pass: what a scientist can trust where the archive
//! publishes no checksums.

mod gzip;
mod png;

use gzip::Gzip;
use png::Png;

/// A check in progress. Its memory does not grow with the file.
#[derive(Debug)]
pub(crate) enum Container {
    /// Every member's CRC-32 and length (RFC 1952).
    Gzip(Box<Gzip>),
    /// Every chunk's CRC-32 up to IEND.
    Png(Png),
}

impl Container {
    /// The check that a file of this name can be held to; none for formats that have none, or that are
    /// not known here.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "gz" | "tgz" => Some(Self::Gzip(Box::default())),
            "png" => Some(Self::Png(Png::default())),
            _ => None,
        }
    }

    /// The next bytes of the file.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Gzip(gzip) => gzip.feed(bytes),
            Self::Png(png) => png.feed(bytes),
        }
    }

    /// The verdict at the file's end: what is wrong with it, as the end of a sentence.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self {
            Self::Gzip(gzip) => gzip.finish(),
            Self::Png(png) => png.finish(),
        }
    }
}

/// Takes from `bytes` what a field of `N` bytes still lacks; the field once it is full.
fn fill<const N: usize>(field: &mut ([u8; N], usize), bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_at(bytes.len().min(N - field.1));
    field.0[field.1..field.1 + taken.len()].copy_from_slice(taken);
    field.1 += taken.len();
    *bytes = rest;
    (field.1 == N).then_some(field.0)
}
