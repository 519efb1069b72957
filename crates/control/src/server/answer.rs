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
use super::routes::{Action, Found, Subject, find};
use super::{events, files, jobs, steer};
use crate::wire::{EngineInfo, ErrorBody, ErrorCode, ProgressBody, Started};

/// What all answers are made of.
pub(crate) struct Desk {
    guard: Guard,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) engine: EngineView,
    info: EngineInfo,
    /// Cancelled when the server ends: answers that wait for something end with it.
    pub(crate) stop: CancellationToken,
    /// Held while a job is steered, so that no job goes on while its partial files are being dropped.
    pub(crate) steering: Mutex<()>,
    /// Who follows the engine's work.
    pub(crate) followers: Followers,
}

impl Desk {
    pub(crate) fn new(
        guard: Guard,
        queue: Arc<dyn Queue>,
        engine: EngineView,
        info: EngineInfo,
        stop: CancellationToken,
    ) -> Self {
        let followers = Followers::default();
        Self { guard, queue, engine, info, stop, steering: Mutex::new(()), followers }
    }

    /// What is said of the engine; one that was told to stay is a lasting one from then on.
    fn info(&self) -> EngineInfo {
        let started = if self.engine.stay.is_cancelled() { Started::Lasting } else { self.info.started };
        EngineInfo { started, ..self.info.clone() }
    }
}

/// Answers a request.
pub(crate) async fn answer(
    desk: Arc<Desk>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (head, content) = request.into_parts();
    if let Err(refusal) = desk.guard.check(&head) {
        tracing::warn!(reason = %refusal.message, "refused a request");
        return Ok(body::failure(&refusal));
    }
    let reply = match find(&head.method, head.uri.path()) {
        Found::Route(action, subject) => act(&desk, action, &subject, &head, content).await,
        Found::OtherMethods(methods) => {
            let message = format!("{} cannot be asked of this", head.method);
            let mut response = body::failure(&ErrorBody::new(ErrorCode::MethodNotAllowed, message));
            body::allow(&mut response, &methods);
            Ok(response)
        }
        Found::Nothing => Err(ErrorBody::new(ErrorCode::NotFound, "there is no such route")),
    };
    Ok(reply.unwrap_or_else(|error| body::failure(&error)))
}

async fn act(desk: &Arc<Desk>, action: Action, subject: &Subject, head: &Parts, content: Incoming) -> Reply {
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
        Action::UpdateJob => jobs::update(desk, id(subject)?, body::read(head, content).await?).await,
        Action::SetIntent => steer::set_intent(desk, id(subject)?, body::read(head, content).await?).await,
        Action::SetHold => jobs::set_hold(desk, id(subject)?, body::read(head, content).await?).await,
        Action::Retry => jobs::retry(desk, id(subject)?).await,
        Action::WorkOn => steer::work_on(desk, id(subject)?).await,
        Action::Remove => steer::remove(desk, id(subject)?).await,
        Action::ListFiles => files::page(desk, id(subject)?, query).await,
        Action::ListWindows => files::windows(desk, id(subject)?, query).await,
        Action::Invalidate => files::invalidate(desk, id(subject)?, body::read(head, content).await?).await,
        Action::AwaitChange => events::change(desk, query).await,
        Action::ShowProgress => {
            let snapshot = Arc::clone(&desk.engine.progress.borrow());
            body::json(StatusCode::OK, &ProgressBody::from(&*snapshot))
        }
        Action::FollowProgress => Ok(events::follow(desk)),
    }
}

/// A route about a job names one, by the table.
fn id(subject: &Subject) -> Result<JobId, ErrorBody> {
    subject.job.ok_or_else(|| ErrorBody::new(ErrorCode::Internal, "the route names no job"))
}
