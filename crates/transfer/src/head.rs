//! The head of an answer whose body is wanted.

use skyhaul_http::Response;
use skyhaul_model::NoResume;
use skyhaul_verify::{Digest, server_digest};
use url::Url;

use crate::answer::Answer;
use crate::ask::DigestKnown;
use crate::store::Resumable;
use crate::validator::Validators;

/// What a head says of the bytes that follow it.
#[derive(Debug)]
pub(crate) struct Head {
    /// Where they come from, after redirects.
    pub(crate) url: Url,
    pub(crate) validators: Validators,
    /// The whole file's, where the server tells it.
    pub(crate) digest: Option<Digest>,
    pub(crate) resumable: Resumable,
}

impl Head {
    /// Of an answer for a file that a digest will prove, or not.
    pub(crate) fn of(response: &Response, digest: DigestKnown) -> Self {
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        let validators = Validators::of(&response.headers);
        let can_be_told_apart = validators.strong().is_some() || digest == DigestKnown::Yes;
        let resumable = match () {
            () if answer.refuses_ranges() => Resumable::No(NoResume::NoRanges),
            () if can_be_told_apart => Resumable::Yes,
            () => Resumable::No(NoResume::NoValidator),
        };
        let digest = server_digest(response.status, &response.headers);
        Self { url: response.url.clone(), validators, digest, resumable }
    }
}
