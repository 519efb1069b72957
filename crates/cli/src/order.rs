//! An order for a job: everything that the command line says of it, ready for the queue.

use jiff::Timestamp;
use skyhaul_model::{JobPolicy, JobRecord, Query};
use skyhaul_planner::Intake;
use skyhaul_queue::{Created, Input, NewJob};

use crate::args::{QueryArgs, TransferArgs};
use crate::checksums::Checksums;
use crate::context::{Context, blocking};
use crate::desk::Desk;
use crate::ending::MOST_COUNTED;
use crate::error::CliError;
use crate::policy::{certificates, http_config, job_policy};
use crate::{out_root, query};

/// A job that is to be, and the list it brings.
#[derive(Debug)]
pub(crate) struct Order {
    job: NewJob,
    checksums: Option<Checksums>,
    /// What tells the certificates that it is to be fetched with from others.
    certificates: Option<String>,
    /// Held as long as the job may have to be placed: the temporary file goes with it.
    _list: Option<Intake>,
}

/// Who is to work on a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worker {
    /// Whoever is told to, by a command of its own.
    Whoever,
    /// An engine in the background, without anybody's further help.
    Background,
}

impl Order {
    /// Reads what the flags name and makes the output folder.
    pub(crate) async fn prepare(
        context: &Context,
        query: &QueryArgs,
        transfer: &TransferArgs,
        worker: Worker,
    ) -> Result<Self, CliError> {
        let query = query.clone().or(context.settings.standing);
        Self::by(context.settings.api.clone(), query, transfer.clone(), worker).await
    }

    /// The same, with the archive's API at `api`.
    pub(crate) async fn by(
        api: String,
        query: QueryArgs,
        transfer: TransferArgs,
        worker: Worker,
    ) -> Result<Self, CliError> {
        blocking(move || {
            let wanted = query::read(&query, &api)?;
            // What cannot be used is refused before a folder or a job is made for it.
            http_config(&transfer)?;
            let certificates = certificates(&transfer)?;
            let out = out_root::create(&query.out)?;
            let checksums = query.checksums.as_deref().map(Checksums::take_in).transpose()?;
            let follow = query.standing();
            let input = wanted
                .list
                .as_ref()
                .map(|list| Input { path: list.path().to_owned(), windows: list.windows.clone() });
            let job = NewJob {
                query: Query { source: wanted.source, out },
                policy: JobPolicy {
                    background: worker == Worker::Background,
                    follow,
                    checksums: checksums.as_ref().map(|list| list.digest.clone()),
                    ..job_policy(&transfer)
                },
                name: query.name,
                priority: query.priority,
                headers: transfer.header,
                input,
            };
            Ok(Self { job, checksums, certificates, _list: wanted.list })
        })
        .await
    }

    /// The job, for a queue that has no need of a list.
    pub(crate) fn into_job(self) -> NewJob {
        self.job
    }

    /// Puts the job into the queue, or finds it there, with its list of checksums: until that is there too, an engine
    /// waits with the job. Finished files that are not what the list says are put back. Durable when it returns.
    pub(crate) async fn place(&self, desk: &Desk) -> Result<Created, CliError> {
        if let (Some(engine), Some(wanted)) = (desk.engine(), &self.certificates)
            && engine.engine().await?.certificates.as_ref() != Some(wanted)
        {
            return Err(trusts_others(engine.pid()));
        }
        let queue = desk.jobs();
        let created = queue.create_job(self.job.clone(), Timestamp::now()).await?;
        if let Some(checksums) = &self.checksums {
            queue.set_checksums(created.id, Some(checksums.path())).await?;
            if let Some(job) = queue.job(created.id).await? {
                let wrong = checksums.compare(desk, &job).await?;
                if wrong > 0 {
                    tracing::warn!(
                        job = job.id.0,
                        wrong,
                        "finished files are not what --checksums says: put back"
                    );
                }
            }
        }
        Ok(created)
    }

    /// How many finished files of the job its list of checksums does not name; none without a list, or of a job so
    /// large that nobody would wait for it.
    pub(crate) async fn unnamed(&self, desk: &Desk, job: &JobRecord) -> Result<Option<u64>, CliError> {
        match &self.checksums {
            Some(list) if job.files.total <= MOST_COUNTED => list.unnamed(desk, job).await.map(Some),
            _ => Ok(None),
        }
    }
}

/// An engine has its certificates from its start.
fn trusts_others(pid: u32) -> CliError {
    CliError::failed(format!(
        "the engine that runs (process {pid}) was started without these certificates of --cacert"
    ))
    .hint("'skyhaul engine stop' ends it and keeps everything; then give the same command again")
}
