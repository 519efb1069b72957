//! What a person wants of a job, partial files included.
//!
//! Whoever has a job in hand drops its partial files: the engine, as soon as its workers have let go of
//! them. For a job that the engine does not have in hand it is done here. Which of the two it is shows in
//! the engine's next snapshot after the change: none that is published from then on can lack a job that
//! the engine had taken before.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use skyhaul_engine::Progress;
use skyhaul_model::{Intent, JobId, JobRecord};
use tokio::sync::watch;

use super::answer::Desk;
use super::body::{Reply, json, nothing};
use super::jobs::existing;
use crate::wire::{IntentBody, Steered};

/// How long to wait for the engine's next snapshot; one comes four times a second while it runs.
const NEXT_SNAPSHOT: Duration = Duration::from_secs(3);

pub(crate) async fn set_intent(desk: &Desk, id: JobId, request: IntentBody) -> Reply {
    let _steering = desk.steering.lock().await;
    desk.queue.set_intent(id, request.intent, Timestamp::now()).await?;
    let steered = match request.intent {
        Intent::Cancelled => drop_partials(desk, existing(desk, id).await?).await,
        Intent::Run | Intent::Paused => Steered::default(),
    };
    json(StatusCode::OK, &steered)
}

/// An order to work on a job now: it goes on whatever kept it, its failures are tried again, and an engine that
/// works on some jobs alone takes it on.
pub(crate) async fn work_on(desk: &Desk, id: JobId) -> Reply {
    let _steering = desk.steering.lock().await;
    desk.queue.set_intent(id, Intent::Run, Timestamp::now()).await?;
    desk.queue.requeue_failed(id).await?;
    desk.queue.set_hold(id, None).await?;
    desk.engine.scope.add(id);
    nothing()
}

/// Partial files that cannot be dropped (the disk is away, say) do not keep a job from being forgotten.
pub(crate) async fn remove(desk: &Desk, id: JobId) -> Reply {
    let _steering = desk.steering.lock().await;
    let job = existing(desk, id).await?;
    desk.queue.remove_job(id).await?;
    json(StatusCode::OK, &drop_partials(desk, job).await)
}

async fn drop_partials(desk: &Desk, job: JobRecord) -> Steered {
    if is_in_hand(desk.engine.progress.clone(), job.id).await {
        return Steered::default();
    }
    let out = job.query.out.clone();
    let dropped = tokio::task::spawn_blocking(move || skyhaul_engine::drop_partials(&job)).await;
    let note = match dropped {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    let note = note.map(|error| format!("partial files below {out}/.skyhaul could not be dropped: {error}"));
    if let Some(note) = &note {
        tracing::warn!("{note}");
    }
    Steered { note }
}

/// Whether the engine has a job in hand that was taken from it just now.
async fn is_in_hand(mut progress: watch::Receiver<Arc<Progress>>, id: JobId) -> bool {
    progress.mark_unchanged();
    match tokio::time::timeout(NEXT_SNAPSHOT, progress.changed()).await {
        // Its engine has ended and has nothing in hand.
        Ok(Err(_)) => false,
        Ok(Ok(())) | Err(_) => progress.borrow().jobs.iter().any(|job| job.id == id),
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_queue::conformance::fixture;
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;

    async fn some_job() -> JobRecord {
        let queue = MemoryQueue::new();
        let id = queue.create_job(fixture::new_job("a"), fixture::at(0)).await.unwrap().id;
        queue.job(id).await.unwrap().unwrap()
    }

    fn with(jobs: &[JobRecord]) -> Arc<Progress> {
        Arc::new(Progress { jobs: jobs.to_vec(), ..Progress::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_snapshot_decides_not_the_last_one() {
        let job = some_job().await;
        for (before, after, expected) in [(true, false, false), (false, true, true)] {
            let shown = |has: bool| if has { with(std::slice::from_ref(&job)) } else { with(&[]) };
            let (sender, receiver) = watch::channel(shown(before));
            // Polled second, so it comes after what stood when the question was put.
            let next = async { sender.send_replace(shown(after)) };
            let (in_hand, _) = tokio::join!(is_in_hand(receiver, job.id), next);
            assert_eq!(in_hand, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_has_ended_has_nothing_in_hand() {
        let job = some_job().await;
        let (sender, receiver) = watch::channel(with(std::slice::from_ref(&job)));
        drop(sender);
        assert!(!is_in_hand(receiver, job.id).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_slow_keeps_what_it_has() {
        let job = some_job().await;
        let (_sender, receiver) = watch::channel(with(std::slice::from_ref(&job)));
        assert!(is_in_hand(receiver, job.id).await);
    }
}
