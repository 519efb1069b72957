//! The loop that owns the work: it plans, claims, runs workers, publishes, retries and stops.
//!
//! One task, [`Engine::run`], selects over worker outcomes, planning outcomes, queue changes and timers,
//! and it alone ends claims. Workers share only the HTTP client and their cancellation tokens.

mod announce;
mod disk;
mod disks;
mod ending;
mod engine;
mod hooks;
mod jobs;
mod kept_out;
mod listed;
mod listing;
#[cfg(test)]
mod nowhere;
mod outcomes;
mod planning;
mod progress;
mod publisher;
mod retention;
mod roots;
mod roster;
mod scope;
mod settings;
mod slices;
mod standing;
mod tally;
mod terms;
mod turns;
mod upkeep;
mod urgency;
mod work;

pub use engine::Engine;
pub use progress::{InFlight, JobPace, Progress};
pub use scope::Scope;
pub use settings::{Ended, EngineError, OnFullDisk, Settings, WhenIdle};
pub use slices::list_slices;
pub use tally::{Counts, Histogram, Tally};

use std::io;

use skyhaul_model::{FileError, JobRecord};
use skyhaul_transfer::OutputRoot;

/// Drops a job's partial files: for jobs that are cancelled or forgotten while no engine has them in hand.
/// Blocking.
///
/// # Errors
/// The output root is another process's, or the disk refused.
pub fn drop_partials(job: &JobRecord) -> io::Result<()> {
    if !std::path::Path::new(&job.query.out).is_dir() {
        return Ok(());
    }
    let root = OutputRoot::open(job.query.out.as_ref()).map_err(in_words)?;
    root.drop_partials(&job.key)?;
    root.close();
    Ok(())
}

/// Removes our folder from the output root of a job that has come to its end, where a kill at the very end has left it
/// and nothing needs it. Blocking.
///
/// # Errors
/// The output root is another process's, or the disk refused.
pub fn tidy(job: &JobRecord) -> io::Result<()> {
    let out = std::path::Path::new(&job.query.out);
    match job.files.failed {
        _ if !OutputRoot::is_marked(out) => Ok(()),
        0 => drop_partials(job),
        _ => {
            OutputRoot::open(out).map_err(in_words)?.close();
            Ok(())
        }
    }
}

fn in_words(error: FileError) -> io::Error {
    io::Error::other(error.message)
}
