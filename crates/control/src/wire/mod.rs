//! What goes over the wire in version 1, as `docs/api.md` tells it.
//!
//! Job, window and file records travel in the form that `model` gives them. Fields may be added to
//! answers; requests with fields that are not known here are refused, so that no wish is ignored in silence.

mod engine;
mod error;
mod job;
mod page;
mod panel;

pub use engine::{EngineInfo, Started};
pub(crate) use engine::{ProgressBody, RevisionBody};
pub use error::{ErrorBody, ErrorCode};
pub use job::Steered;
pub(crate) use job::{
    AddedBody, ChecksumsBody, CreatedBody, HoldBody, IntentBody, RelistRequest, RequeuedBody, SubmitRequest,
    UpdateRequest, WindowsRequest,
};
pub(crate) use page::{BadFile, FilePageBody, InvalidateRequest, WindowPageBody};
pub(crate) use panel::{LinkBody, SeriesBody};
