//! An engine in this process, with its progress shown, from its start to its end.

use std::sync::Arc;

use skyhaul_engine::{Ended, Engine, OnFullDisk, Settings, WhenIdle};
use skyhaul_http::HttpConfig;
use skyhaul_queue::{ClaimFilter, LeaseOwner, Queue};
use skyhaul_queue_sled::BootId;
use tokio_util::sync::CancellationToken;

use crate::args::TransferArgs;
use crate::context::{Context, blocking};
use crate::error::CliError;
use crate::{policy, progress};

/// Listings in work at once: the archive looks at a day's files for each, and that is enough to keep
/// ahead of the downloads.
const LISTERS: usize = 4;

/// Which work an engine in the foreground is to do.
#[derive(Clone, Debug)]
pub(crate) struct Shift {
    /// Which jobs.
    pub(crate) filter: ClaimFilter,
    /// What to do when they are finished.
    pub(crate) when_idle: WhenIdle,
}

/// Works until the shift is over or a signal comes.
pub(crate) async fn work(
    context: &Context,
    queue: Arc<dyn Queue>,
    transfer: &TransferArgs,
    shift: Shift,
) -> Result<Ended, CliError> {
    let flags = transfer.clone();
    let client = blocking(move || policy::client(&flags)).await?;
    let engine = Engine::new(queue, Arc::new(client), settings(transfer, shift));
    let engine_progress = engine.progress();
    let over = CancellationToken::new();
    let running = async {
        let ended = Box::pin(engine.run(context.stop.token().clone())).await;
        over.cancel();
        ended
    };
    let shown = progress::show(context, engine_progress, &over);
    let (ended, ()) = tokio::join!(running, shown);
    Ok(ended?)
}

fn settings(transfer: &TransferArgs, shift: Shift) -> Settings {
    let in_flight = transfer.in_flight.unwrap_or(HttpConfig::default().in_flight);
    let on_full_disk = if transfer.wait_for_space { OnFullDisk::Wait } else { OnFullDisk::Stop };
    Settings {
        filter: shift.filter,
        when_idle: shift.when_idle,
        on_full_disk,
        workers: usize::try_from(in_flight).unwrap_or(usize::MAX),
        listers: LISTERS,
        owner: LeaseOwner(fastrand::u64(..)),
        boot: BootId::current().to_string(),
    }
}
