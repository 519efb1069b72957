//! An engine in this process, from its start to its end: it answers other commands, shows its progress, and
//! leaves when its shift is over.

use std::sync::Arc;

use skyhaul_control::{Endpoint, EngineView, Instruments, Network, Server, Started};
use skyhaul_engine::{Ended, Engine, EngineError, OnFullDisk, Scope, Settings, WhenIdle};
use skyhaul_http::HttpConfig;
use skyhaul_model::{Intent, JobPolicy, JobRecord};
use skyhaul_queue::{LeaseOwner, Queue};
use tokio_util::sync::CancellationToken;

use crate::access::boot;
use crate::args::TransferArgs;
use crate::context::{Context, blocking};
use crate::error::CliError;
use crate::linger::{Reason, until_idle};
use crate::notify::Manager;
use crate::wishes::WishReader;
use crate::{policy, progress};

/// Listings in work at once: the archive looks at a day's files for each, and that is enough to keep
/// ahead of the downloads.
const LISTERS: usize = 4;

/// Which work an engine is to do, and for whom.
#[derive(Debug)]
pub(crate) struct Shift {
    /// Which jobs.
    pub(crate) scope: Scope,
    /// What holds where jobs leave something open.
    pub(crate) policy: JobPolicy,
    /// What to do when they are finished.
    pub(crate) when_idle: WhenIdle,
    /// What to do when a disk is full.
    pub(crate) on_full_disk: OnFullDisk,
    /// Why the engine was started.
    pub(crate) started: Started,
    /// Who watches.
    pub(crate) audience: Audience,
    /// The service manager to tell, where there is one.
    pub(crate) manager: Manager,
    /// The dashboard's port, where one is named.
    pub(crate) dashboard_port: Option<u16>,
}

/// Who watches an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Somebody at a terminal, or the reader of its stderr.
    Stderr,
    /// Nobody: it runs in the background.
    Nobody,
}

/// How a shift went.
#[derive(Debug)]
pub(crate) struct Worked {
    /// How the engine ended.
    pub(crate) ended: Ended,
    /// Whether it left by itself because there was nothing to do any more.
    pub(crate) has_left: bool,
    /// The engine that somebody wished for meanwhile: one that stays.
    pub(crate) wished: Option<Started>,
}

/// Works until the shift is over, a signal comes, or a client says stop.
pub(crate) async fn work(
    context: &Context,
    queue: Arc<dyn Queue>,
    transfer: &TransferArgs,
    shift: Shift,
) -> Result<Worked, CliError> {
    let flags = transfer.clone();
    let set_up = move || {
        let client = policy::client(&flags)?;
        let network = Network::new(client.clone(), policy::http_config(&flags)?.limits());
        Ok((client, network.trusting(policy::certificates(&flags)?)))
    };
    let (client, network) = blocking(set_up).await?;
    let engine = Engine::new(Arc::clone(&queue), Arc::new(client), settings(context, transfer, &shift));
    let engine_progress = engine.progress();
    let view = EngineView {
        progress: engine.progress(),
        stop: context.stop.token().child_token(),
        started: shift.started,
        stay: CancellationToken::new(),
        scope: shift.scope.clone(),
        instruments: instruments(context, &engine, network, &shift),
    };
    let (stop, stay) = (view.stop.clone(), view.stay.clone());
    let server = serve(context, Arc::clone(&queue), view).await?;
    shift.manager.ready();
    tracing::info!(pid = std::process::id(), started = ?shift.started, "at work");
    let (over, leave) = (CancellationToken::new(), CancellationToken::new());
    let running = async {
        // A task of its own runs beside the files' tasks; this one has a thread that would be woken for each of them.
        let ended = tokio::spawn(engine.run(stop.clone())).await;
        over.cancel();
        ended.map_err(EngineError::from).flatten()
    };
    let shown = async {
        match shift.audience {
            Audience::Stderr => progress::show(context, engine_progress, &over).await,
            Audience::Nobody => {}
        }
    };
    let leaving = async {
        let idle = until_idle(async || reason_to_stay(&*queue, &server, &stay).await);
        if shift.started == Started::OnDemand && over.run_until_cancelled(idle).await.is_some() {
            tracing::info!("nothing to do for ten minutes, leaving");
            leave.cancel();
            stop.cancel();
        }
    };
    let (ended, (), ()) = tokio::join!(running, shown, leaving);
    shift.manager.stopping();
    server.shutdown().await;
    Ok(Worked {
        ended: ended?,
        has_left: leave.is_cancelled(),
        wished: stay.is_cancelled().then_some(Started::Lasting),
    })
}

/// What the dashboard and the metrics of this engine draw on.
fn instruments(context: &Context, engine: &Engine, network: Network, shift: &Shift) -> Instruments {
    let settings = &context.settings;
    let orders = WishReader { api: settings.api.clone(), transfer: settings.transfer.clone() };
    Instruments {
        tally: engine.tally(),
        network: Some(Arc::new(network)),
        orders: Some(Arc::new(orders)),
        port: shift.dashboard_port.or(settings.dashboard_port),
    }
}

async fn serve(context: &Context, queue: Arc<dyn Queue>, view: EngineView) -> Result<Server, CliError> {
    let state_dir = context.settings.state_dir.clone();
    let endpoint = blocking(move || Ok(Endpoint::for_state_dir(&state_dir)?)).await?;
    Ok(Server::start(endpoint, queue, view).await?)
}

/// A job that is held waits for room on its disk: that is to be looked after.
async fn reason_to_stay(queue: &dyn Queue, server: &Server, stay: &CancellationToken) -> Reason {
    if stay.is_cancelled() || server.followers() > 0 {
        return Reason::ToStay;
    }
    match queue.jobs().await {
        Ok(jobs) if jobs.iter().any(goes_on) => Reason::ToStay,
        // A queue that fails ends the engine by itself.
        Ok(_) | Err(_) => Reason::None,
    }
}

/// Whether a job is unfinished, or stands by for what comes.
pub(crate) fn goes_on(job: &JobRecord) -> bool {
    job.intent == Intent::Run && (!job.is_settled() || job.policy.follow.is_some())
}

fn settings(context: &Context, transfer: &TransferArgs, shift: &Shift) -> Settings {
    let usual = HttpConfig::default();
    let in_flight = transfer.in_flight.unwrap_or(usual.in_flight);
    let connections = transfer.connections.unwrap_or(usual.connections);
    Settings {
        scope: shift.scope.clone(),
        policy: shift.policy.clone(),
        when_idle: shift.when_idle,
        on_full_disk: shift.on_full_disk,
        workers: usize::try_from(in_flight).unwrap_or(usize::MAX),
        connections: usize::try_from(connections).unwrap_or(usize::MAX),
        listers: LISTERS,
        forget_after: context.settings.forget_after,
        owner: LeaseOwner(fastrand::u64(..)),
        boot: boot().to_string(),
    }
}
