//! Answers that wait: the next change of the queue, and the engine's snapshots as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use skyhaul_engine::Progress;
use skyhaul_queue::Revision;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::Desk;
use super::body::{Body, Reply, json, respond};
use super::files::{number, parameters, unknown};
use crate::wire::{ProgressBody, RevisionBody};

/// The longest wait for a change; then the same revision is told again.
const CHANGE_WAIT: Duration = Duration::from_secs(25);

/// The shortest time between two snapshots.
const SNAPSHOT_GAP: Duration = Duration::from_millis(250);

/// The longest silence.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers when something has changed since a revision, or after a while.
pub(crate) async fn change(desk: &Desk, query: &str) -> Reply {
    let mut since = Revision::default();
    for (name, value) in parameters(query) {
        match name {
            "since" => since = Revision(number(name, value)?),
            _ => return Err(unknown(name)),
        }
    }
    let waited = tokio::select! {
        changed = timeout(CHANGE_WAIT, desk.queue.changed_since(since)) => changed.ok(),
        () = desk.stop.cancelled() => None,
    };
    let revision = waited.transpose()?.unwrap_or(since).0;
    json(StatusCode::OK, &RevisionBody { revision })
}

/// Snapshots as server-sent events (WHATWG HTML, section 9.2), until the server or the client ends.
pub(crate) fn follow(desk: &Desk) -> Response<Body> {
    let feed = Feed::new(desk.engine.progress.clone(), desk.stop.clone(), desk.followers.join());
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(event)), feed))
    });
    respond(StatusCode::OK, "text/event-stream", StreamBody::new(events).boxed_unsync())
}

/// How many follow the engine's work at the moment. Clones count the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followers(Arc<AtomicUsize>);

/// One who follows, until dropped.
#[derive(Debug)]
pub(crate) struct Following(Followers);

impl Followers {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn join(&self) -> Following {
        self.0.fetch_add(1, Ordering::Relaxed);
        Following(self.clone())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One listener's events.
struct Feed {
    progress: watch::Receiver<Arc<Progress>>,
    stop: CancellationToken,
    /// The snapshot that was told last.
    told: Option<Arc<Progress>>,
    /// When something was said last.
    spoke_at: Instant,
    /// When the next snapshot may be told.
    next_at: Instant,
    /// Whether the engine has ended, so that no snapshot will follow.
    is_over: bool,
    /// Counts the listener as long as it listens.
    _following: Following,
}

impl Feed {
    fn new(progress: watch::Receiver<Arc<Progress>>, stop: CancellationToken, following: Following) -> Self {
        let now = Instant::now();
        Self {
            progress,
            stop,
            told: None,
            spoke_at: now,
            next_at: now,
            is_over: false,
            _following: following,
        }
    }

    /// The next event; none when the server ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if Instant::now() >= self.next_at
                && let Some(event) = self.new_snapshot()
            {
                return Some(event);
            }
            let is_due = Instant::now() >= self.next_at;
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = sleep_until(self.next_at), if !is_due => {}
                changed = self.progress.changed(), if is_due && !self.is_over => self.is_over = changed.is_err(),
                () = sleep_until(self.spoke_at + HEARTBEAT) => {
                    self.spoke_at = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
            }
        }
    }

    /// The snapshot that stands now, if it has not been told already.
    fn new_snapshot(&mut self) -> Option<Bytes> {
        let snapshot = Arc::clone(&self.progress.borrow_and_update());
        if self.told.as_ref() == Some(&snapshot) {
            return None;
        }
        let text = serde_json::to_string(&ProgressBody::from(&*snapshot)).ok()?;
        self.told = Some(snapshot);
        self.spoke_at = Instant::now();
        self.next_at = self.spoke_at + SNAPSHOT_GAP;
        Some(Bytes::from(format!("event: progress\ndata: {text}\n\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_rate(rate_bytes_per_s: u64) -> Arc<Progress> {
        Arc::new(Progress { rate_bytes_per_s, ..Progress::default() })
    }

    fn feed(rate: u64) -> (watch::Sender<Arc<Progress>>, CancellationToken, Feed) {
        let (sender, receiver) = watch::channel(at_rate(rate));
        let stop = CancellationToken::new();
        let feed = Feed::new(receiver, stop.clone(), Followers::default().join());
        (sender, stop, feed)
    }

    fn rate(event: &Bytes) -> u64 {
        let text = std::str::from_utf8(event).unwrap();
        let data = text.strip_prefix("event: progress\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        serde_json::from_str::<serde_json::Value>(data).unwrap()["rate_bytes_per_s"].as_u64().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_four_snapshots_a_second_and_the_newest_each_time() {
        let (sender, _stop, mut feed) = feed(0);
        let begun = Instant::now();
        assert_eq!(rate(&feed.next().await.unwrap()), 0);
        assert_eq!(begun.elapsed(), Duration::ZERO, "the first one comes at once");
        for newest in [10, 20, 30, 40] {
            sender.send_replace(at_rate(newest - 1));
            sender.send_replace(at_rate(newest));
            assert_eq!(rate(&feed.next().await.unwrap()), newest);
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_that_says_nothing_new_is_not_told_but_silence_is_broken() {
        let (sender, _stop, mut feed) = feed(7);
        feed.next().await.unwrap();
        let begun = Instant::now();
        sender.send_replace(at_rate(7));
        assert_eq!(feed.next().await.unwrap(), ": still here\n\n");
        assert_eq!(begun.elapsed(), HEARTBEAT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_snapshot_of_an_engine_is_told_and_the_feed_goes_on_until_the_server_ends() {
        let (sender, stop, mut feed) = feed(1);
        feed.next().await.unwrap();
        sender.send_replace(at_rate(2));
        drop(sender);
        assert_eq!(rate(&feed.next().await.unwrap()), 2);
        assert!(feed.next().await.unwrap().starts_with(b":"));
        stop.cancel();
        assert_eq!(feed.next().await, None);
    }
}
