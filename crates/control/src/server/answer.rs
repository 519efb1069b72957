//! One request: who asks, what for, and who answers it.

use std::convert::Infallible;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use skyhaul_model::JobId;
use skyhaul_queue::Queue;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::EngineView;
use super::body::{self, Body, Reply};
use super::events::Followers;
use super::guard::Guard;
use super::refusals::Refusals;
use super::routes::{Action, Found, Subject, find};
use super::{events, files, jobs, panel, steer};
use crate::board::Boards;
use crate::dashboard::{self, Door, Doorbell};
use crate::series::Shared;
use crate::wire::{EngineInfo, ErrorBody, ErrorCode, LinkBody, ProgressBody, Started};

/// What all answers are made of.
pub(crate) struct Desk {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) engine: EngineView,
    info: EngineInfo,
    /// Cancelled when the server ends: answers that wait for something end with it.
    pub(crate) stop: CancellationToken,
    /// Held while a job is steered, so that no job goes on while its partial files are being dropped.
    pub(crate) steering: Mutex<()>,
    /// Who follows the engine's work.
    pub(crate) followers: Followers,
    /// The jobs as pages see them.
    pub(crate) boards: Arc<Boards>,
    /// What has happened lately.
    pub(crate) series: Shared,
    /// Opens the dashboard.
    pub(crate) doorbell: Doorbell,
    /// Who was refused.
    pub(crate) refusals: Refusals,
}

/// Who asks, of those that were let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program of the user's, which may ask everything.
    Client,
    /// The dashboard's page, which may ask for what it shows and has buttons for.
    Page,
}

/// The way by which a request comes in, and who is let in there.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The socket of `engine.json`, or the port in its place.
    Control(Arc<Guard>),
    /// The dashboard's port.
    Dashboard(Arc<Door>),
}

impl Desk {
    pub(crate) fn new(
        queue: Arc<dyn Queue>,
        engine: EngineView,
        info: EngineInfo,
        stop: CancellationToken,
        series: Shared,
        doorbell: Doorbell,
    ) -> Self {
        let (steering, followers, boards) = (Mutex::new(()), Followers::default(), Arc::default());
        let refusals = Refusals::default();
        Self { queue, engine, info, stop, steering, followers, boards, series, doorbell, refusals }
    }

    /// What is said of the engine; one that was told to stay is a lasting one from then on.
    pub(crate) fn info(&self) -> EngineInfo {
        let started = if self.engine.stay.is_cancelled() { Started::Lasting } else { self.info.started };
        EngineInfo { started, ..self.info.clone() }
    }
}

/// Answers a request.
pub(crate) async fn answer(
    desk: Arc<Desk>,
    entry: Entry,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (head, content) = request.into_parts();
    Ok(match entry {
        Entry::Dashboard(door) => dashboard::answer(&desk, &door, &head, content).await,
        Entry::Control(guard) => match guard.check(&head) {
            Ok(()) => route(&desk, &head, content, Caller::Client).await,
            Err(refusal) => {
                desk.refusals.note("the control interface", &refusal.message);
                body::failure(&refusal)
            }
        },
    })
}

/// Answers a request that was let in, by the table of routes.
pub(crate) async fn route(
    desk: &Arc<Desk>,
    head: &Parts,
    content: Incoming,
    caller: Caller,
) -> Response<Body> {
    let reply = match find(&head.method, head.uri.path()) {
        Found::Route(action, _) if caller == Caller::Page && !dashboard::may_ask(action) => {
            Err(not_by_a_page())
        }
        Found::Route(action, subject) => act(desk, caller, action, &subject, head, content).await,
        Found::OtherMethods(methods) => {
            let message = format!("{} cannot be asked of this", head.method);
            let mut response = body::failure(&ErrorBody::new(ErrorCode::MethodNotAllowed, message));
            body::allow(&mut response, &methods);
            Ok(response)
        }
        Found::Nothing => Err(ErrorBody::new(ErrorCode::NotFound, "there is no such route")),
    };
    reply.unwrap_or_else(|error| body::failure(&error))
}

async fn act(
    desk: &Arc<Desk>,
    caller: Caller,
    action: Action,
    subject: &Subject,
    head: &Parts,
    content: Incoming,
) -> Reply {
    let query = head.uri.query().unwrap_or_default();
    match action {
        Action::ShowEngine => body::json(StatusCode::OK, &desk.info()),
        Action::StopEngine => {
            tracing::info!("a client asks the engine to stop");
            desk.engine.stop.cancel();
            body::nothing()
        }
        Action::StayEngine => {
            desk.engine.stay.cancel();
            body::nothing()
        }
        Action::ListJobs => jobs::list(desk).await,
        Action::Submit => jobs::submit(desk, body::read(head, content).await?).await,
        Action::ShowJob => jobs::show(desk, id(subject)?).await,
        Action::FindJob => jobs::find(desk, subject).await,
        Action::UpdateJob => jobs::update(desk, caller, id(subject)?, body::read(head, content).await?).await,
        Action::SetIntent => steer::set_intent(desk, id(subject)?, body::read(head, content).await?).await,
        Action::SetHold => jobs::set_hold(desk, id(subject)?, body::read(head, content).await?).await,
        Action::Retry => jobs::retry(desk, id(subject)?).await,
        Action::Relist => jobs::relist(desk, id(subject)?, body::read(head, content).await?).await,
        Action::AddWindows => jobs::add_windows(desk, id(subject)?, body::read(head, content).await?).await,
        Action::SetChecksums => {
            jobs::set_checksums(desk, id(subject)?, body::read(head, content).await?).await
        }
        Action::WorkOn => steer::work_on(desk, id(subject)?).await,
        Action::Remove => steer::remove(desk, id(subject)?).await,
        Action::ListFiles => files::page(desk, id(subject)?, query).await,
        Action::ListWindows => files::windows(desk, id(subject)?, query).await,
        Action::ListTroubles => jobs::troubles(desk, id(subject)?).await,
        Action::Invalidate => files::invalidate(desk, id(subject)?, body::read(head, content).await?).await,
        Action::AwaitChange => events::change(desk, query).await,
        Action::ShowProgress => {
            let snapshot = Arc::clone(&desk.engine.progress.borrow());
            body::json(StatusCode::OK, &ProgressBody::from(&*snapshot))
        }
        Action::FollowProgress => Ok(events::follow(desk)),
        Action::PlaceOrder => panel::order(desk, body::read(head, content).await?).await,
        Action::ShowBoard => panel::board(desk, query).await,
        Action::FollowBoard => panel::follow(desk, query),
        Action::ShowSeries => panel::series(desk, query),
        Action::ShowLimits => panel::limits(desk),
        Action::SetLimits => panel::set_limits(desk, body::read(head, content).await?),
        Action::OpenDashboard => {
            let url = desk.doorbell.link().await?;
            body::json(StatusCode::OK, &LinkBody { url })
        }
        Action::ShowMetrics => panel::metrics(desk).await,
    }
}

/// What a program may ask, but no page.
pub(crate) fn not_by_a_page() -> ErrorBody {
    ErrorBody::new(ErrorCode::Forbidden, "this is not asked by way of a page")
}

/// A route about a job names one, by the table.
fn id(subject: &Subject) -> Result<JobId, ErrorBody> {
    subject.job.ok_or_else(|| ErrorBody::new(ErrorCode::Internal, "the route names no job"))
}
