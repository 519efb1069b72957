//! No connection too many: a connection is opened only where none is missing from the lane's pool by accident.
//!
//! The library's pool opens a connection whenever none is idle at that very moment, though the one whose
//! body has just ended may be a task's turn away from being so. The brake sits where connections are
//! opened. Where as many stand as may, it waits: nearly always the idle one shows up, and the opening is
//! forgotten. Where none does, what was thought to stand has been closed by the server meanwhile.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_layer::Layer;
use tower_service::Service;

use crate::lanes::{Patience, Seat};

/// How long an idle connection may take to show up: many times what a busy machine needs.
const GRACE: Duration = Duration::from_millis(200);

/// How often to look meanwhile whether there is room for another.
const LOOK: Duration = Duration::from_millis(5);

tokio::task_local! {
    /// On which seat the request sits whose connection may be opened.
    static SEAT: Seat;
}

/// Runs a request on its seat, so that the brake knows of it.
pub(crate) async fn seated<R>(seat: Seat, request: impl Future<Output = R>) -> R {
    SEAT.scope(seat, request).await
}

/// As many connections stand as may, and none of them became idle in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoneIdle;

impl fmt::Display for NoneIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection is idle, and no further one may be opened")
    }
}

impl Error for NoneIdle {}

/// Puts the brake on a client's connector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brake;

impl<S> Layer<S> for Brake {
    type Service = Braked<S>;

    fn layer(&self, connector: S) -> Braked<S> {
        Braked(connector)
    }
}

/// A connector with the brake on.
#[derive(Clone, Debug)]
pub(crate) struct Braked<S>(S);

type Cause = Box<dyn Error + Send + Sync>;

impl<S, R> Service<R> for Braked<S>
where
    S: Service<R, Error = Cause> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = Cause;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Cause>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, place: R) -> Self::Future {
        // The clone has not been asked whether it is ready; this one has.
        let fresh = self.0.clone();
        let mut connector = std::mem::replace(&mut self.0, fresh);
        let seat = SEAT.try_with(Seat::clone).ok();
        Box::pin(async move {
            let Some(seat) = seat else { return connector.call(place).await };
            if !has_room(&seat).await {
                return Err(NoneIdle.into());
            }
            let opening = Opening(Some(seat));
            let connection = connector.call(place).await?;
            opening.stands();
            Ok(connection)
        })
    }
}

/// Waits for room for one more connection, not for long.
async fn has_room(seat: &Seat) -> bool {
    let until = Instant::now() + GRACE;
    loop {
        let now = Instant::now();
        let patience = if now < until { Patience::Left } else { Patience::Over };
        if seat.open(patience, now) {
            return true;
        }
        if patience == Patience::Over {
            return false;
        }
        sleep(LOOK).await;
    }
}

/// A connection that is being opened; not counted any more if nothing comes of it.
struct Opening(Option<Seat>);

impl Opening {
    fn stands(mut self) {
        if let Some(seat) = self.0.take() {
            seat.opened(Instant::now());
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(seat) = &self.0 {
            seat.failed_to_open();
        }
    }
}
