//! The server: one accept loop that owns every connection, from its start to an orderly end.
//!
//! It listens at one endpoint, names itself in `engine.json`, and takes both away when it is shut down.
//! A crash leaves them behind; the next server replaces them, and clients see that nobody is there.

pub(crate) mod answer;
pub(crate) mod body;
mod events;
mod files;
mod guard;
mod jobs;
pub(crate) mod listen;
mod panel;
mod patient;
mod refusals;
pub(crate) mod routes;
mod steer;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use skyhaul_engine::{Progress, Scope, Tally};
use skyhaul_queue::Queue;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::answer::{Desk, Entry};
use self::events::Followers;
use self::guard::Guard;
use self::listen::Listener;
use self::patient::Patient;
use crate::dashboard;
use crate::endpoint::Endpoint;
use crate::engine_file::EngineFile;
use crate::error::{ControlError, Result, cut_short, io_error};
use crate::limits::Network;
use crate::orders::Orders;
use crate::series::Recorder;
use crate::stream::Stream;
use crate::token::Token;
use crate::wire::{EngineInfo, Started};

/// The most connections at once; more wait at the door.
const CONNECTIONS_MAX: usize = 128;

/// How long the head of a request may take, and an idle connection may stay.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long answers under way may take once the server is to end.
const GRACE: Duration = Duration::from_secs(5);

/// The pause after a connection that could not be accepted.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// What the server shows of the engine, and how it stops it.
#[derive(Clone, Debug)]
pub struct EngineView {
    /// The engine's snapshots.
    pub progress: watch::Receiver<Arc<Progress>>,
    /// Cancelled when a client asks the engine to stop. The server goes on until it is shut down.
    pub stop: CancellationToken,
    /// Why the engine was started.
    pub started: Started,
    /// Cancelled when a client asks that an engine stays until it is told to stop, whatever it was started for.
    pub stay: CancellationToken,
    /// Which jobs the engine works on; grows by those that clients ask it to work on.
    pub scope: Scope,
    /// What the dashboard and the metrics draw on beside that.
    pub instruments: Instruments,
}

/// What the dashboard and the metrics draw on; what is none is not shown, or cannot be asked for.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    /// What the engine counts.
    pub tally: Arc<Tally>,
    /// The network it fetches through.
    pub network: Option<Arc<Network>>,
    /// Who understands orders in words.
    pub orders: Option<Arc<dyn Orders>>,
    /// The port that the dashboard is at from the start; none: a free one, once somebody asks for it.
    pub port: Option<u16>,
}

/// A running server. Dropping it ends it too, but waits for nobody and leaves its files behind.
#[derive(Debug)]
pub struct Server {
    stop: DropGuard,
    accepting: JoinHandle<()>,
    dashboard: JoinHandle<()>,
    recorder: Recorder,
    endpoint: Endpoint,
    file: EngineFile,
    followers: Followers,
}

impl Server {
    /// Starts a server; clients find it when this returns. Whoever starts one has the queue to itself:
    /// what an earlier server left behind is replaced.
    ///
    /// # Errors
    /// [`ControlError::AlreadyRunning`] when another server answers at the endpoint, [`ControlError::Unsafe`]
    /// and [`ControlError::Io`] when no place will do or the state directory cannot be written.
    pub async fn start(endpoint: Endpoint, queue: Arc<dyn Queue>, engine: EngineView) -> Result<Self> {
        let (listener, address) = listen::at(&endpoint).await?;
        let started_at = Timestamp::now();
        let prepare = {
            let (state_dir, address) = (endpoint.state_dir.clone(), address.clone());
            move || {
                let token = Token::make().map_err(io_error("cannot make a token for", &state_dir))?;
                let file = EngineFile::of_this_process(address, token, started_at);
                file.write(&state_dir)?;
                Ok::<_, ControlError>(file)
            }
        };
        let file = tokio::task::spawn_blocking(prepare).await.map_err(cut_short)??;
        let info = EngineInfo {
            running: true,
            pid: file.process.pid,
            version: file.version.clone(),
            started_at,
            started: engine.started,
            certificates: engine.instruments.network.as_ref().and_then(|network| network.certificates()),
        };
        let stop = CancellationToken::new();
        let Instruments { tally, port, .. } = engine.instruments.clone();
        let recorder = Recorder::start(&endpoint.state_dir, tally, stop.clone());
        let (doorbell, askers) = dashboard::doorbell();
        let desk = Arc::new(Desk::new(queue, engine, info, stop.clone(), recorder.series(), doorbell));
        let followers = desk.followers.clone();
        let state_dir = endpoint.state_dir.clone();
        let dashboard = dashboard::keep(Arc::clone(&desk), state_dir, port, askers, stop.clone());
        let entry = Entry::Control(Arc::new(Guard::new(file.token.clone(), &address)));
        let accepting = accept(listener, Reception { desk, entry }, stop.clone());
        let (accepting, dashboard) = (tokio::spawn(accepting), tokio::spawn(dashboard));
        Ok(Self { stop: stop.drop_guard(), accepting, dashboard, recorder, endpoint, file, followers })
    }

    /// How many clients follow the engine's snapshots at the moment.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.followers.count()
    }

    /// Ends the server: no client finds it any more, answers under way get a few seconds, every
    /// connection is joined.
    pub async fn shutdown(self) {
        let Self { stop, accepting, dashboard, recorder, endpoint, file, followers: _ } = self;
        let vanish = move || {
            let forgotten = file.remove(&endpoint.state_dir);
            let unbound = listen::unbind(&file.address);
            forgotten.and(unbound)
        };
        match tokio::task::spawn_blocking(vanish).await.map_err(cut_short) {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => tracing::warn!(%error, "the engine's traces stay behind"),
        }
        drop(stop);
        for serving in [accepting, dashboard] {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the control server broke");
            }
        }
        recorder.join().await;
    }
}

/// What a connection is answered by.
#[derive(Clone)]
pub(crate) struct Reception {
    pub(crate) desk: Arc<Desk>,
    pub(crate) entry: Entry,
}

/// Accepts until told to stop; owns the connections and sees them to their ends.
pub(crate) async fn accept(listener: Listener, reception: Reception, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => note_end(ended),
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok(Some(stream)) => {
                    connections.spawn(converse(stream, reception.clone(), stop.clone()));
                }
                Ok(None) => reception.desk.refusals.note("the socket", "it is another user's"),
                Err(error) => {
                    // No reason to stop, but without a rest a lack of file descriptors would make this spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }
    drop(listener);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// A broken answer is a bug of ours; it must not take the engine with it.
fn note_end(ended: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an answer broke");
    }
}

/// Serves one connection to its end; when the server stops, to the end of the answer under way.
async fn converse(stream: Stream, reception: Reception, stop: CancellationToken) {
    let Reception { desk, entry } = reception;
    let service = service_fn(move |request| answer::answer(Arc::clone(&desk), entry.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
