//! An order for a job: everything that the command line says of it, ready for the queue.

use jiff::Timestamp;
use skyhaul_model::Query;
use skyhaul_planner::Intake;
use skyhaul_queue::{Created, Input, NewJob, Queue};

use crate::args::{QueryArgs, TransferArgs};
use crate::context::{Context, blocking};
use crate::error::CliError;
use crate::policy::job_policy;
use crate::{out_root, query};

/// A job that is to be, and the list it brings.
#[derive(Debug)]
pub(crate) struct Order {
    job: NewJob,
    /// Held until the queue has its copy: the temporary file goes with it.
    list: Option<Intake>,
}

impl Order {
    /// Reads what the flags name and makes the output folder.
    pub(crate) async fn prepare(
        context: &Context,
        query: &QueryArgs,
        transfer: &TransferArgs,
    ) -> Result<Self, CliError> {
        let (api, query, transfer) = (context.settings.api.clone(), query.clone(), transfer.clone());
        blocking(move || {
            let wanted = query::read(&query, &api)?;
            let out = out_root::create(&query.out)?;
            let input = wanted
                .list
                .as_ref()
                .map(|list| Input { path: list.path().to_owned(), windows: list.windows.clone() });
            let job = NewJob {
                query: Query { source: wanted.source, out },
                policy: job_policy(&transfer),
                name: query.name,
                priority: query.priority,
                headers: transfer.header,
                input,
            };
            Ok(Self { job, list: wanted.list })
        })
        .await
    }

    /// Puts the job into the queue, or finds it there. Durable when it returns.
    pub(crate) async fn place(self, queue: &dyn Queue) -> Result<Created, CliError> {
        let created = queue.create_job(self.job, Timestamp::now()).await?;
        drop(self.list);
        Ok(created)
    }
}
