//! Jobs: made, changed, steered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use skyhaul_model::{FileError, Intent, JobId, JobPolicy, NewWindow, Query, Recheck, Span};
use skyhaul_queue::{Created, Input, JobUpdate, NewJob, Requeued, SecretHeader};

/// A job that is to be. Its secret headers go this way and never back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubmitRequest {
    pub(crate) query: Query,
    #[serde(default)]
    policy: JobPolicy,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    pub(crate) priority: i8,
    #[serde(default)]
    headers: Vec<SecretHeader>,
    #[serde(default)]
    pub(crate) input: Option<InputBody>,
}

/// A job's own list of files: engine and client are on one machine and of one user.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputBody {
    pub(crate) path: PathBuf,
    windows: Vec<NewWindow>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct CreatedBody {
    pub(crate) id: JobId,
    pub(crate) created: bool,
}

/// What is to change of a job; what is missing stays.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<JobPolicy>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntentBody {
    pub(crate) intent: Intent,
}

/// Why a job is held back; null lets it go on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldBody {
    pub(crate) reason: Option<FileError>,
}

/// Windows that are to be listed again; no span means all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelistRequest {
    #[serde(default)]
    pub(crate) span: Option<Span>,
    #[serde(default)]
    pub(crate) files: Recheck,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowsRequest {
    pub(crate) windows: Vec<NewWindow>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AddedBody {
    pub(crate) added: u64,
}

/// A list of checksums on this machine; null takes away the one that the job has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChecksumsBody {
    pub(crate) path: Option<PathBuf>,
}

/// What an order to a job came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steered {
    /// What could not be done beside it, in words: partial files that could not be dropped.
    pub note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequeuedBody {
    files: u64,
    windows: u64,
}

impl From<NewJob> for SubmitRequest {
    fn from(new: NewJob) -> Self {
        let input = new.input.map(|Input { path, windows }| InputBody { path, windows });
        let NewJob { query, policy, name, priority, headers, .. } = new;
        Self { query, policy, name, priority, headers, input }
    }
}

impl From<SubmitRequest> for NewJob {
    fn from(request: SubmitRequest) -> Self {
        let input = request.input.map(|InputBody { path, windows }| Input { path, windows });
        let SubmitRequest { query, policy, name, priority, headers, .. } = request;
        Self { query, policy, name, priority, headers, input }
    }
}

impl From<Created> for CreatedBody {
    fn from(Created { id, created }: Created) -> Self {
        Self { id, created }
    }
}

impl From<CreatedBody> for Created {
    fn from(CreatedBody { id, created }: CreatedBody) -> Self {
        Self { id, created }
    }
}

impl From<JobUpdate> for UpdateRequest {
    fn from(JobUpdate { name, priority, policy }: JobUpdate) -> Self {
        Self { name, priority, policy }
    }
}

impl From<UpdateRequest> for JobUpdate {
    fn from(UpdateRequest { name, priority, policy }: UpdateRequest) -> Self {
        Self { name, priority, policy }
    }
}

impl From<Requeued> for RequeuedBody {
    fn from(Requeued { files, windows }: Requeued) -> Self {
        Self { files, windows }
    }
}

impl From<RequeuedBody> for Requeued {
    fn from(RequeuedBody { files, windows }: RequeuedBody) -> Self {
        Self { files, windows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_in_what_is_shown_of_a_request() {
        let mut new = skyhaul_queue::conformance::fixture::new_job("a");
        new.headers = vec![SecretHeader { name: "authorization".to_owned(), value: "hunter2".to_owned() }];
        let request = SubmitRequest::from(new);
        assert!(serde_json::to_string(&request).unwrap().contains("hunter2"), "it must reach the engine");
        assert!(!format!("{request:?}").contains("hunter2"));
    }

    #[test]
    fn a_wish_that_is_not_known_is_refused() {
        assert!(serde_json::from_str::<UpdateRequest>(r#"{"priority":3}"#).is_ok());
        assert!(serde_json::from_str::<UpdateRequest>(r#"{"deadline":3}"#).is_err());
    }
}
