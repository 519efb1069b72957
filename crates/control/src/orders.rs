//! Jobs that are ordered in words, as a form or a script writes them, not in the queue's canonical form.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use skyhaul_queue::NewJob;

/// What somebody wants, in the words of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Names of datasets, at least one.
    pub datasets: Vec<String>,
    /// As `--start`.
    pub start: String,
    /// As `--end`.
    pub end: String,
    /// As `--site`; none: every site.
    #[serde(default)]
    pub sites: Vec<String>,
    /// As `--device`; none: every device.
    #[serde(default)]
    pub devices: Vec<String>,
    /// The output root: an absolute path.
    pub out: String,
    /// As `--name`.
    #[serde(default)]
    pub name: Option<String>,
    /// As `--priority`.
    #[serde(default)]
    pub priority: i8,
}

/// Whoever understands such words: the one place that also reads the command line.
#[async_trait]
pub trait Orders: Send + Sync + std::fmt::Debug {
    /// The job that is meant, for the queue to be made; its output root is made.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the wish.
    async fn prepare(&self, wish: Wish) -> Result<NewJob, String>;
}
