//! What jobs, windows and files are and how they may change.
//!
//! Pure: no I/O, no async, no clock. Time and randomness are arguments, so that every decision here
//! can be replayed by recovery and by the tests' models (invariant I6, one transition function).

mod advice;
mod file;
mod follow;
mod ids;
mod job;
mod kind;
mod number;
mod path;
mod policy;
mod query;
mod retry;
mod time;
mod trouble;
mod window;

pub use file::{
    FileError, FileEvent, FileRecord, FileSpec, FileState, Illegal, NoResume, Proof, Sealed, Verified,
};
pub use follow::Follow;
pub use ids::{FileSeq, JobId, WindowId};
pub use job::{ByteCounts, FileCounts, Intent, JobRecord, JobState, Plan, WindowCounts};
pub use kind::{ErrorKind, Scope};
pub use number::{NumberError, parse_bytes, parse_duration};
pub use path::{PathError, RelPath};
pub use policy::{JobPolicy, OnExisting, PolicyKey, VerifyLevel};
pub use query::{Interval, JobKey, Query, Source};
pub use retry::{Backoff, Decision, RetryPolicy};
pub use time::{TimeError, parse_end, parse_start};
pub use trouble::{Trouble, TroubleExample, Troubles, host_of};
pub use window::{NewWindow, Recheck, Span, WindowRecord, WindowState, WindowTarget};
