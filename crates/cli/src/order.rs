//! An order for a job: everything that the command line says of it, ready for the queue.

use jiff::Timestamp;
use skyhaul_model::{JobPolicy, Query};
use skyhaul_planner::Intake;
use skyhaul_queue::{Created, Input, JobQueue, NewJob};

use crate::args::{QueryArgs, TransferArgs};
use crate::context::{Context, blocking};
use crate::error::CliError;
use crate::policy::{http_config, job_policy};
use crate::{out_root, query};

/// A job that is to be, and the list it brings.
#[derive(Debug)]
pub(crate) struct Order {
    job: NewJob,
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
        let (api, query, transfer) = (context.settings.api.clone(), query.clone(), transfer.clone());
        blocking(move || {
            let wanted = query::read(&query, &api)?;
            // What cannot be used is refused before a folder or a job is made for it.
            http_config(&transfer)?;
            let out = out_root::create(&query.out)?;
            let input = wanted
                .list
                .as_ref()
                .map(|list| Input { path: list.path().to_owned(), windows: list.windows.clone() });
            let job = NewJob {
                query: Query { source: wanted.source, out },
                policy: JobPolicy { background: worker == Worker::Background, ..job_policy(&transfer) },
                name: query.name,
                priority: query.priority,
                headers: transfer.header,
                input,
            };
            Ok(Self { job, _list: wanted.list })
        })
        .await
    }

    /// Puts the job into the queue, or finds it there. Durable when it returns.
    pub(crate) async fn place(&self, queue: &dyn JobQueue) -> Result<Created, CliError> {
        Ok(queue.create_job(self.job.clone(), Timestamp::now()).await?)
    }
}
