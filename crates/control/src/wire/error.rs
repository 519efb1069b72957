//! Failures on the wire, and the way back to the queue's own.

use std::io;
use std::path::PathBuf;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use skyhaul_model::{FileSeq, Illegal, JobId};
use skyhaul_queue::QueueError;

use crate::error::in_one_line;

/// What kind of failure an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is not understood; asking again will not help.
    BadRequest,
    /// The token is missing or wrong.
    Unauthorized,
    /// The request comes from a web page or names a foreign host.
    Forbidden,
    /// There is no such route.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// The request's body is too large.
    TooLarge,
    /// The request's body did not come in time.
    TooSlow,
    /// There is no such job.
    NoSuchJob,
    /// The job has no such file.
    NoSuchFile,
    /// The name is another job's.
    NameTaken,
    /// The thing has changed meanwhile.
    Conflict,
    /// The state directory or a list could not be read or written.
    Store,
    /// What is stored makes no sense.
    Damaged,
    /// The queue has stopped: the engine is about to end.
    Stopped,
    /// The engine broke while it answered.
    Internal,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The body of every answer that is a failure. `job` and what follows it is there where it says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What kind of failure.
    pub code: ErrorCode,
    /// One sentence for people, its causes included.
    pub message: String,
    /// The job concerned; for a name that is taken, its holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The file concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSeq>,
    /// The name that is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path that could not be read or written, or is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The transition that cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<Illegal>,
}

impl ErrorBody {
    /// A failure that concerns nothing in particular.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, job: None, file: None, name: None, path: None, transition: None }
    }

    /// A job that is not there.
    pub(crate) fn no_such_job(id: JobId) -> Self {
        QueueError::NoSuchJob(id).into()
    }

    /// The status that goes with it.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound | ErrorCode::NoSuchJob | ErrorCode::NoSuchFile => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooSlow => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::NameTaken | ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Store | ErrorCode::Damaged | ErrorCode::Internal | ErrorCode::Unknown => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The queue's failure that it was; what the queue has no word for becomes "the queue has stopped".
    pub(crate) fn into_queue_error(self) -> QueueError {
        let path = self.path.unwrap_or_default();
        match (self.code, self.job, self.file) {
            (ErrorCode::NoSuchJob, Some(job), _) => QueueError::NoSuchJob(job),
            (ErrorCode::NoSuchFile, Some(job), Some(file)) => QueueError::NoSuchFile(job, file),
            (ErrorCode::NameTaken, Some(job), _) => QueueError::NameTaken(self.name.unwrap_or_default(), job),
            (ErrorCode::Conflict, Some(job), Some(file)) if let Some(illegal) = self.transition => {
                QueueError::Conflict(job, file, illegal)
            }
            (ErrorCode::Store, ..) => QueueError::Io {
                action: "the engine failed with",
                path,
                source: io::Error::other(self.message),
            },
            (ErrorCode::Damaged, ..) => QueueError::Damaged { path, what: self.message },
            _ => QueueError::Stopped(self.message),
        }
    }
}

impl From<QueueError> for ErrorBody {
    fn from(error: QueueError) -> Self {
        let body = |code| Self::new(code, in_one_line(&error));
        match &error {
            QueueError::NoSuchJob(job) => Self { job: Some(*job), ..body(ErrorCode::NoSuchJob) },
            QueueError::NoSuchFile(job, file) => {
                Self { job: Some(*job), file: Some(*file), ..body(ErrorCode::NoSuchFile) }
            }
            QueueError::NameTaken(name, job) => {
                Self { name: Some(name.clone()), job: Some(*job), ..body(ErrorCode::NameTaken) }
            }
            QueueError::Conflict(job, file, illegal) => Self {
                job: Some(*job),
                file: Some(*file),
                transition: Some(*illegal),
                ..body(ErrorCode::Conflict)
            },
            QueueError::NotClaimed(job, _) => Self { job: Some(*job), ..body(ErrorCode::Conflict) },
            QueueError::Io { path, .. }
            | QueueError::Locked { path, .. }
            | QueueError::TooNew { path, .. } => Self { path: Some(path.clone()), ..body(ErrorCode::Store) },
            QueueError::Damaged { path, what } => {
                Self { path: Some(path.clone()), ..Self::new(ErrorCode::Damaged, what) }
            }
            QueueError::Stopped(what) => Self::new(ErrorCode::Stopped, what),
        }
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{FileEvent, FileState};

    use super::*;

    fn there_and_back(error: QueueError) -> QueueError {
        let sent = serde_json::to_vec(&ErrorBody::from(error)).unwrap();
        serde_json::from_slice::<ErrorBody>(&sent).unwrap().into_queue_error()
    }

    #[test]
    fn what_callers_decide_by_survives_the_way() {
        let (job, file) = (JobId(7), FileSeq(3));
        let illegal = Illegal { from: FileState::Failed, event: FileEvent::Invalidate };
        let errors = || {
            [
                QueueError::NoSuchJob(job),
                QueueError::NoSuchFile(job, file),
                QueueError::NameTaken("night".to_owned(), job),
                QueueError::Conflict(job, file, illegal),
                QueueError::Damaged { path: "/s/ledger".into(), what: "frame 3".to_owned() },
                QueueError::Stopped("disk full".to_owned()),
            ]
        };
        for (sent, error) in errors().into_iter().zip(errors()) {
            assert_eq!(format!("{:?}", there_and_back(sent)), format!("{error:?}"));
        }
    }

    #[test]
    fn the_page_has_every_kind_with_its_status() {
        use ErrorCode as C;
        let kinds = [
            C::BadRequest,
            C::Unauthorized,
            C::Forbidden,
            C::NotFound,
            C::NoSuchJob,
            C::NoSuchFile,
            C::MethodNotAllowed,
            C::TooSlow,
            C::NameTaken,
            C::Conflict,
            C::TooLarge,
            C::Store,
            C::Damaged,
            C::Internal,
            C::Stopped,
        ];
        let page = include_str!("../../../../docs/api.md");
        let told: Vec<_> =
            page.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5")).collect();
        assert_eq!(told.len(), kinds.len());
        for (line, code) in told.into_iter().zip(kinds) {
            let name = serde_json::to_value(code).unwrap();
            let status = ErrorBody::new(code, "").status().as_u16();
            let row = format!("| {status} | `{}` |", name.as_str().unwrap());
            assert!(line.starts_with(&row), "{line} should begin with {row}");
        }
    }

    #[test]
    fn a_failing_disk_is_told_with_its_cause() {
        let source = io::Error::other("no space left on device");
        let error = QueueError::Io { action: "cannot write", path: "/s/ledger".into(), source };
        let QueueError::Io { path, source, .. } = there_and_back(error) else { panic!("another kind") };
        assert_eq!(path, PathBuf::from("/s/ledger"));
        assert_eq!(source.to_string(), "cannot write /s/ledger: no space left on device");
    }

    #[test]
    fn a_kind_of_a_later_version_is_still_told() {
        let body: ErrorBody = serde_json::from_str(r#"{"code":"melted","message":"too hot"}"#).unwrap();
        assert_eq!(body.code, ErrorCode::Unknown);
        assert_eq!(body.into_queue_error().to_string(), "the queue has stopped: too hot");
    }
}
