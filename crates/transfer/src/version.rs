//! Which of the versions that are held an answer is of (invariant I4). Pure.

use url::Url;

use crate::ask::{DigestKnown, Held};
use crate::validator::Validators;

/// How the bytes that come are related to those that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// Nothing speaks against their being of one version: the longer of the two is worth more.
    Same,
    /// They are of two: each is of use if its version is the one that stays.
    Other,
}

impl Held {
    /// Whether an answer with these validators and this length is surely of the version that is held.
    pub(crate) fn is_of(&self, validators: &Validators, total: Option<u64>) -> bool {
        let same_length = total.is_none() || self.total.is_none() || total == self.total;
        same_length && self.validators.strong().is_some() && self.validators.strong() == validators.strong()
    }

    /// Whether it is surely of another version, or may be of the same.
    pub(crate) fn kinship(&self, validators: &Validators, total: Option<u64>) -> Kinship {
        let other_length = matches!((self.total, total), (Some(a), Some(b)) if a != b);
        if other_length || self.validators.contradict(validators) { Kinship::Other } else { Kinship::Same }
    }

    /// Whether bytes from this URL may follow the held ones: validators hold for one place (rule 11), a digest
    /// for all. What is behind the `?` may be a passing token (rule 57).
    pub(crate) fn allows_place(&self, url: &Url, digest: DigestKnown) -> bool {
        let Ok(before) = self.final_url.parse::<Url>() else { return digest == DigestKnown::Yes };
        digest == DigestKnown::Yes || (before.origin(), before.path()) == (url.origin(), url.path())
    }
}
