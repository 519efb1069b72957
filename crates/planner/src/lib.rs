//! From a query to windows, listings and file records: splits, names, de-duplicates.
//!
//! What is persisted is the queue's business; this crate only says what there is to do. A window that
//! was cut short by a crash is simply listed again.

mod belonging;
mod error;
mod expand;
mod intake;
mod listing;
mod manifest;
mod mark;
mod naming;
mod overlap;
mod plan;
mod seen;
mod slice;
mod sorter;

pub use error::{PlanCost, PlanError};
pub use intake::{Intake, IntakeError, ListForm, take_in};
pub use listing::{FileStream, Listed, list_window};
pub use overlap::{Batch, Overlap, Taken};
pub use plan::plan_query;
pub use slice::slice_files;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
