//! Everything that is learnt of a file while its bytes pass, in one go.

use skyhaul_model::VerifyLevel;
use skyhaul_verify::{Container, Digest, Digests, Hashers};

use crate::Assignment;
use crate::content::{SNIFFED_BYTES, looks_like_page};

/// The checks of one file as far as it was seen. Their memory does not grow with the file.
#[derive(Debug)]
pub(crate) struct Checks {
    name: String,
    length: u64,
    hashers: Hashers,
    first: Vec<u8>,
    container: Option<Container>,
    /// Whether a digest that the user demands will say what the bytes are, whatever they look like.
    is_demanded: bool,
}

/// What the bytes of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: [u8; 32],
    /// Its digests by all algorithms that were asked for.
    pub(crate) digests: Digests,
    /// Its format's own verdict, or what is wrong with it; none where there was no check, or it was given up.
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
    /// The checks that an assignment's file is held to, the digest that the server told among them.
    pub(crate) fn of(assignment: &Assignment, server: Option<&Digest>) -> Self {
        let claims = assignment.digests.iter().chain(server);
        let checks = Self::new(assignment.path.file_name(), assignment.verify, claims);
        Self { is_demanded: !assignment.digests.is_empty(), ..checks }
    }

    /// The checks that a file of this name, of which this is claimed, is held to.
    pub(crate) fn new<'a>(
        name: &str,
        level: VerifyLevel,
        claims: impl IntoIterator<Item = &'a Digest>,
    ) -> Self {
        let container = match level {
            VerifyLevel::Auto => Container::of(name),
            VerifyLevel::Length => None,
        };
        let first = Vec::with_capacity(SNIFFED_BYTES);
        let hashers = Hashers::for_claims(claims);
        Self { name: name.to_owned(), length: 0, hashers, first, container, is_demanded: false }
    }

    /// The next bytes of the file.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let wanted = SNIFFED_BYTES.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend(&bytes[..wanted]);
        self.length += bytes.len() as u64;
        self.hashers.feed(bytes);
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

    /// Whether there is no use in more bytes.
    pub(crate) fn are_hopeless(&self) -> bool {
        !self.is_demanded && self.first_bytes() == FirstBytes::Page
    }

    /// What the first bytes look like as far as they were seen.
    fn first_bytes(&self) -> FirstBytes {
        if looks_like_page(&self.first, &self.name) { FirstBytes::Page } else { FirstBytes::Fitting }
    }

    /// What was learnt, at the file's end.
    pub(crate) fn finish(self) -> Facts {
        let first = self.first_bytes();
        let verdict = self.container.and_then(Container::finish);
        let container = verdict.map(|verdict| verdict.map_err(|damage| damage.to_string()));
        let digests = self.hashers.finish();
        Facts { size: self.length, sha256: digests.sha256(), digests, container, first }
    }
}

impl Facts {
    /// Whether the bytes are as all of these say; none where nothing is said.
    pub(crate) fn agree_with_all(&self, claims: &[Digest]) -> Option<bool> {
        let agree = |claim| self.digests.agree_with(claim) == Some(true);
        (!claims.is_empty()).then(|| claims.iter().all(agree))
    }
}
