//! `submit`: queue a query and return at once; an engine in the background works it off.

use skyhaul_control::Started;

use crate::access::with_queue;
use crate::args::{JobRef, SubmitArgs};
use crate::background;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::foreground::goes_on;
use crate::jobs::find;
use crate::json::SubmittedDocument;
use crate::order::{Order, Worker};

/// Runs the command.
pub(crate) async fn run(args: SubmitArgs, context: &Context) -> Result<Exit, CliError> {
    let engine_flags = args.transfer.engine_words();
    let transfer = args.transfer.or(&context.settings.transfer);
    let worker = if args.no_start { Worker::Whoever } else { Worker::Background };
    let order = Order::prepare(context, &args.query, &transfer, worker).await?;
    let (created, job) = with_queue(context, async |desk: &Desk| {
        let created = order.place(desk).await?;
        let job = find(desk.jobs(), &JobRef::Number(created.id)).await?;
        desk.list_slices(&job).await?;
        Ok((created, job))
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
    if args.no_start || !goes_on(&job) {
        return Ok(Exit::Done);
    }
    // The answer is out before the engine is up: the job is safe already.
    context.output.flush()?;
    let up = background::ensure(context, Started::OnDemand, engine_flags).await;
    up.map(|_| Exit::Done).map_err(|error| {
        error.hint(format!("job {} is queued: 'skyhaul engine start' tries again to work on it", job.id))
    })
}
