//! Whoever has the queue, as commands see it: this process for a moment, or an engine that is asked.
//!
//! What a call here has returned from is durable, whoever did it.

use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_control::Client;
use skyhaul_engine::{JobPace, list_slices};
use skyhaul_model::{FileError, FileSeq, Intent, JobId, JobRecord, Source};
use skyhaul_queue::{FilePage, FileQuery, FileRef, JobQueue, LeaseOwner, Queue, WindowPage, WindowQuery};

use crate::context::blocking;
use crate::error::CliError;
use crate::json::Pace;

/// Where jobs are looked at and steered.
pub(crate) enum Desk {
    /// The queue is open in this process.
    Here(Arc<dyn Queue>),
    /// An engine has it.
    Engine(Client),
}

/// How fast the jobs go that are being worked on.
#[derive(Debug, Default)]
pub(crate) struct Paces(Vec<JobPace>);

impl Desk {
    /// The jobs.
    pub(crate) fn jobs(&self) -> &dyn JobQueue {
        match self {
            Self::Here(queue) => &**queue,
            Self::Engine(client) => client,
        }
    }

    /// The engine that has the queue; none when this process has it.
    pub(crate) fn engine(&self) -> Option<&Client> {
        match self {
            Self::Here(_) => None,
            Self::Engine(client) => Some(client),
        }
    }

    /// Takes the files of a list in, so that it can be told at once how many there are. An engine that has
    /// the queue does so by itself.
    pub(crate) async fn list_slices(&self, job: &JobRecord) -> Result<(), CliError> {
        match (self, &job.query.source) {
            (Self::Here(queue), Source::Urls { .. } | Source::Manifest { .. })
                if job.intent == Intent::Run =>
            {
                Ok(list_slices(&**queue, job.id, LeaseOwner(fastrand::u64(..))).await?)
            }
            _ => Ok(()),
        }
    }

    /// A page of a job's files.
    pub(crate) async fn files(&self, job: JobId, query: FileQuery) -> Result<FilePage, CliError> {
        match self {
            Self::Here(queue) => Ok(queue.files(job, query).await?),
            Self::Engine(client) => Ok(client.files(job, query).await?),
        }
    }

    /// A page of a job's windows.
    pub(crate) async fn windows(&self, job: JobId, query: WindowQuery) -> Result<WindowPage, CliError> {
        match self {
            Self::Here(queue) => Ok(queue.windows(job, query).await?),
            Self::Engine(client) => Ok(client.windows(job, query).await?),
        }
    }

    /// Puts done files back that were found missing or damaged.
    pub(crate) async fn invalidate(
        &self,
        job: JobId,
        files: Vec<(FileSeq, FileError)>,
    ) -> Result<(), CliError> {
        match self {
            Self::Here(queue) => {
                let files = files.into_iter().map(|(seq, error)| (FileRef { job, seq }, error)).collect();
                Ok(queue.invalidate(files).await?)
            }
            Self::Engine(client) => Ok(client.invalidate(job, files).await?),
        }
    }

    /// Cancels a job and drops its partial files; gives what could not be dropped, in words.
    pub(crate) async fn cancel(&self, job: &JobRecord) -> Result<Option<String>, CliError> {
        match self {
            Self::Here(queue) => {
                queue.set_intent(job.id, Intent::Cancelled, Timestamp::now()).await?;
                drop_partials(job).await
            }
            Self::Engine(client) => Ok(client.set_intent(job.id, Intent::Cancelled).await?.note),
        }
    }

    /// Forgets a job and drops its partial files; gives what could not be dropped, in words.
    pub(crate) async fn remove(&self, job: &JobRecord) -> Result<Option<String>, CliError> {
        match self {
            Self::Here(queue) => {
                let note = drop_partials(job).await?;
                queue.remove_job(job.id).await?;
                Ok(note)
            }
            Self::Engine(client) => Ok(client.remove(job.id).await?.note),
        }
    }

    /// How fast the jobs go; nothing goes where no engine runs.
    pub(crate) async fn paces(&self) -> Result<Paces, CliError> {
        match self {
            Self::Here(_) => Ok(Paces::default()),
            Self::Engine(client) => Ok(Paces(client.progress().await?.paces)),
        }
    }
}

impl Paces {
    /// How fast a job goes; one that is not being worked on stands still.
    pub(crate) fn of(&self, job: &JobRecord) -> Pace {
        let pace = self.0.iter().find(|pace| pace.job == job.id && !job.state().is_final());
        pace.map_or_else(Pace::default, |pace| Pace {
            rate_bytes_per_s: pace.rate_bytes_per_s,
            eta_s: pace.eta_s,
        })
    }
}

/// Partial files that cannot be dropped (the disk is away, say) do not keep a job from being dropped.
async fn drop_partials(job: &JobRecord) -> Result<Option<String>, CliError> {
    let record = job.clone();
    let dropped = blocking(move || Ok(skyhaul_engine::drop_partials(&record))).await?;
    let out = &job.query.out;
    Ok(dropped.err().map(|error| format!("partial files below {out}/.skyhaul could not be dropped: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_pace_belongs_to_its_job_and_ends_with_it() {
        let pace = |id| JobPace { job: JobId(id), rate_bytes_per_s: id, eta_s: Some(1) };
        let paces = Paces(vec![pace(3), pace(7)]);
        assert_eq!(paces.of(&samples::job()), Pace { rate_bytes_per_s: 7, eta_s: Some(1) });
        assert_eq!(paces.of(&samples::finished_job()), Pace::default());
        assert_eq!(Paces::default().of(&samples::job()), Pace::default());
    }
}
