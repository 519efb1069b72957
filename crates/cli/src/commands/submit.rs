//! `submit`: queue a query and return at once.

use std::sync::Arc;

use skyhaul_queue::Queue;

use crate::access::with_queue;
use crate::args::{JobRef, SubmitArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::jobs::find;
use crate::json::SubmittedDocument;
use crate::order::Order;

/// Runs the command.
pub(crate) async fn run(args: SubmitArgs, context: &Context) -> Result<Exit, CliError> {
    let transfer = args.transfer.or(&context.settings.transfer);
    let order = Order::prepare(context, &args.query, &transfer).await?;
    let (created, job) = with_queue(context, async |queue: Arc<dyn Queue>| {
        let created = order.place(&*queue).await?;
        Ok((created, find(&*queue, &JobRef::Number(created.id)).await?))
    })
    .await?;
    if context.is_json() {
        context.output.json(&SubmittedDocument { id: created.id.0, created: created.created })?;
    } else if created.created {
        context.output.line(&format!("job {} queued → {}", job.id, job.query.out))?;
    } else {
        let state = job.state().as_str();
        context.output.line(&format!("job {} was there already ({state}) → {}", job.id, job.query.out))?;
    }
    if !args.no_start && !job.state().is_final() {
        context.output.hint("'skyhaul engine run --until-idle' works the queue off");
    }
    Ok(Exit::Done)
}
