//! Everything that is learnt of a file while its bytes pass, in one go.

use sha2::{Digest, Sha256};
use skyhaul_model::VerifyLevel;

use crate::container::Container;
use crate::content::{SNIFFED_BYTES, looks_like_page};

/// The checks of one file as far as it was seen. Their memory does not grow with the file.
#[derive(Debug)]
pub(crate) struct Checks {
    name: String,
    length: u64,
    hasher: Sha256,
    first: Vec<u8>,
    container: Option<Container>,
}

/// What the bytes of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: [u8; 32],
    /// Its format's own verdict, or what is wrong with it; none where there was no check.
    pub(crate) container: Option<Result<(), String>>,
    /// What its first bytes look like.
    pub(crate) first: FirstBytes,
}

/// What a file's first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstBytes {
    /// Nothing that speaks against the name.
    Fitting,
    /// A web page where the name promises none.
    Page,
}

impl Checks {
    /// The checks that a file of this name is held to.
    pub(crate) fn new(name: &str, level: VerifyLevel) -> Self {
        let container = match level {
            VerifyLevel::Auto => Container::of(name),
            VerifyLevel::Length => None,
        };
        let first = Vec::with_capacity(SNIFFED_BYTES);
        Self { name: name.to_owned(), length: 0, hasher: Sha256::new(), first, container }
    }

    /// The next bytes of the file.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let wanted = SNIFFED_BYTES.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend(&bytes[..wanted]);
        self.length += bytes.len() as u64;
        self.hasher.update(bytes);
        if let Some(container) = &mut self.container {
            container.feed(bytes);
        }
    }

    /// Whether the format has a check of its own.
    pub(crate) fn has_container(&self) -> bool {
        self.container.is_some()
    }

    /// Bytes seen so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What the first bytes look like as far as they were seen.
    pub(crate) fn first_bytes(&self) -> FirstBytes {
        if looks_like_page(&self.first, &self.name) { FirstBytes::Page } else { FirstBytes::Fitting }
    }

    /// What was learnt, at the file's end.
    pub(crate) fn finish(self) -> Facts {
        let first = self.first_bytes();
        let container = self.container.map(Container::finish);
        Facts { size: self.length, sha256: self.hasher.finalize().into(), container, first }
    }
}
