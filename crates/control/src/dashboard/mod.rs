//! The dashboard: a page for a browser on this machine, at a port of 127.0.0.1 that is opened when somebody first
//! asks for it on the control socket, or at once where the user has named one.
//!
//! One task owns the port and its connections from the opening to the engine's end. Nothing is kept but
//! `metrics.token`, the secret that a Prometheus reads the metrics with.

mod assets;
mod door;
mod pages;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

pub(crate) use self::door::Door;
use self::door::{ENTRANCE, Wish};
use crate::error::{Result, cut_short, in_one_line, io_error};
use crate::private;
use crate::server::answer::{Caller, Desk, Entry, route};
use crate::server::body::{Body, failure};
use crate::server::listen::{Listener, at_port};
use crate::server::routes::Action;
use crate::server::{Reception, accept};
use crate::token::Token;
use crate::wire::{ErrorBody, ErrorCode};

/// Links that may be asked for and not given out yet; more askers wait.
const ASKERS_MAX: usize = 16;

/// Asks for links to the dashboard.
#[derive(Clone, Debug)]
pub(crate) struct Doorbell(mpsc::Sender<Asker>);

/// Who waits for a link.
type Asker = oneshot::Sender<std::result::Result<String, ErrorBody>>;

/// Takes the askers in turn.
#[derive(Debug)]
pub(crate) struct Askers(mpsc::Receiver<Asker>);

/// A bell, and who answers it.
pub(crate) fn doorbell() -> (Doorbell, Askers) {
    let (sender, receiver) = mpsc::channel(ASKERS_MAX);
    (Doorbell(sender), Askers(receiver))
}

impl Doorbell {
    /// A link that opens the dashboard once.
    pub(crate) async fn link(&self) -> std::result::Result<String, ErrorBody> {
        let ended = || ErrorBody::new(ErrorCode::Stopped, "the engine is about to end");
        let (sender, receiver) = oneshot::channel();
        self.0.send(sender).await.map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())?
    }
}

/// Keeps the dashboard until `stop`: opens its port when somebody asks, at once if a port is named.
pub(crate) async fn keep(
    desk: Arc<Desk>,
    state_dir: PathBuf,
    port: Option<u16>,
    mut askers: Askers,
    stop: CancellationToken,
) {
    let mut open = None;
    if port.is_some()
        && let Err(error) = ensure_open(&mut open, &desk, &state_dir, port, &stop).await
    {
        tracing::warn!(error = %in_one_line(&error), "the dashboard's port cannot be opened");
    }
    while let Some(Some(asker)) = stop.run_until_cancelled(askers.0.recv()).await {
        let link = match ensure_open(&mut open, &desk, &state_dir, port, &stop).await {
            Ok(door) => door.link().map_err(|error| ErrorBody::new(ErrorCode::Internal, error.to_string())),
            Err(error) => Err(ErrorBody::new(ErrorCode::Store, in_one_line(&error))),
        };
        // An asker that has gone has no use for it.
        let _ = asker.send(link);
    }
    if let Some(Open { accepting, .. }) = open
        && let Err(error) = accepting.await
    {
        tracing::error!(%error, "the dashboard broke");
    }
}

struct Open {
    door: Arc<Door>,
    accepting: JoinHandle<()>,
}

async fn ensure_open<'a>(
    open: &'a mut Option<Open>,
    desk: &Arc<Desk>,
    state_dir: &Path,
    port: Option<u16>,
    stop: &CancellationToken,
) -> Result<&'a Door> {
    let opened = match open.take() {
        Some(opened) => opened,
        None => Open::at(port.unwrap_or(0), desk, state_dir, stop).await?,
    };
    Ok(&open.insert(opened).door)
}

impl Open {
    async fn at(port: u16, desk: &Arc<Desk>, state_dir: &Path, stop: &CancellationToken) -> Result<Self> {
        let (listener, port) = at_port(port).await?;
        let state_dir = state_dir.to_owned();
        let metrics = spawn_blocking(move || metrics_token(&state_dir)).await.map_err(cut_short)??;
        let door = Arc::new(Door::new(port, metrics));
        tracing::info!(port, "the dashboard is open");
        let reception = Reception { desk: Arc::clone(desk), entry: Entry::Dashboard(Arc::clone(&door)) };
        let accepting = tokio::spawn(accept(Listener::Port(listener), reception, stop.clone()));
        Ok(Self { door, accepting })
    }
}

/// The secret of the metrics: it stays the same, since Prometheus is told of it once. Blocking.
fn metrics_token(state_dir: &Path) -> Result<Token> {
    let path = state_dir.join("metrics.token");
    if let Some(token) = std::fs::read_to_string(&path).ok().and_then(|text| Token::parse(text.trim())) {
        private::set_mode(&path, 0o600)?;
        return Ok(token);
    }
    let token = Token::make().map_err(io_error("cannot make", &path))?;
    private::remove(&path)?;
    let mut file = private::create_file(&path)?;
    std::io::Write::write_all(&mut file, token.secret().as_bytes())
        .map_err(io_error("cannot write", &path))?;
    Ok(token)
}

/// Answers a request to the dashboard.
pub(crate) async fn answer(desk: &Arc<Desk>, door: &Door, head: &Parts, content: Incoming) -> Response<Body> {
    let mut response = reply(desk, door, head, content).await;
    pages::harden(&mut response);
    response
}

async fn reply(desk: &Arc<Desk>, door: &Door, head: &Parts, content: Incoming) -> Response<Body> {
    let path = head.uri.path();
    let wish = match path {
        ENTRANCE => Wish::Enter,
        "/metrics" => Wish::Metrics,
        _ => Wish::Inside,
    };
    if let Err(refusal) = door.check(head, wish) {
        desk.refusals.note("the dashboard", &refusal.message);
        return if path == "/" { pages::stranger(refusal.status()) } else { failure(&refusal) };
    }
    if head.method == Method::GET {
        if path == ENTRANCE {
            return enter(door, head.uri.query().unwrap_or_default());
        }
        if let Some(asset) = assets::find(path) {
            return pages::asset(asset);
        }
    }
    route(desk, head, content, Caller::Page).await
}

fn enter(door: &Door, query: &str) -> Response<Body> {
    match door.enter(query) {
        Ok(Some(cookie)) => pages::entered(&cookie),
        Ok(None) => pages::spent(),
        Err(error) => failure(&ErrorBody::new(ErrorCode::Internal, error.to_string())),
    }
}

/// What the page may ask: what it shows and what it has buttons for. Files of this machine are no business of it.
pub(crate) fn may_ask(action: Action) -> bool {
    matches!(
        action,
        Action::ShowEngine
            | Action::ListJobs
            | Action::ShowJob
            | Action::UpdateJob
            | Action::SetIntent
            | Action::Retry
            | Action::WorkOn
            | Action::Remove
            | Action::ListFiles
            | Action::ListWindows
            | Action::ListTroubles
            | Action::ShowBoard
            | Action::FollowBoard
            | Action::ShowSeries
            | Action::ShowLimits
            | Action::SetLimits
            | Action::PlaceOrder
            | Action::ShowMetrics
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_metrics_stays_and_a_damaged_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let token = metrics_token(dir.path()).unwrap();
        assert!(metrics_token(dir.path()).unwrap().is(token.secret().as_bytes()));
        std::fs::write(dir.path().join("metrics.token"), "0").unwrap();
        let next = metrics_token(dir.path()).unwrap();
        assert!(!next.is(token.secret().as_bytes()) && next.secret().len() == token.secret().len());
    }

    #[test]
    fn the_page_may_neither_stop_the_engine_nor_read_files_of_this_machine() {
        for action in
            [Action::StopEngine, Action::Submit, Action::SetChecksums, Action::OpenDashboard, Action::SetHold]
        {
            assert!(!may_ask(action), "{action:?}");
        }
    }
}
