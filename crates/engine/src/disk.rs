//! Whether there is room for more: the floor below which a job is held.

use skyhaul_model::{ErrorKind, FileError, JobPolicy};
use skyhaul_transfer::OutputRoot;

/// Why a job must not write more now; none when there is room. Blocking, but one cheap call.
pub(crate) fn lack_of_room(root: &OutputRoot, policy: &JobPolicy) -> Option<FileError> {
    match root.free_bytes() {
        Ok(free) if free < policy.min_free => Some(below_floor(root, free, policy.min_free)),
        Ok(_) => None,
        Err(error) => {
            let message = format!("the output folder {} is out of reach: {error}", root.path().display());
            Some(FileError::new(ErrorKind::Disk, message))
        }
    }
}

fn below_floor(root: &OutputRoot, free: u64, floor: u64) -> FileError {
    let message = format!(
        "only {free} bytes are free for {}, fewer than --min-free {floor}: make room or lower it",
        root.path().display()
    );
    FileError::new(ErrorKind::Disk, message)
}
