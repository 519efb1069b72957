//! What a page is told as it happens: server-sent events (WHATWG HTML, section 9.2) with what is new, at most two
//! a second, for as long as the page listens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::body::Frame;
use skyhaul_engine::Progress;
use skyhaul_queue::Queue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::view::Lines;
use super::{Board, Boards, Lens, View};

/// The time between two looks.
const GAP: Duration = Duration::from_millis(500);

/// The longest silence.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Whatever a feed looks at.
pub(crate) struct Sight {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) boards: Arc<Boards>,
    pub(crate) progress: watch::Receiver<Arc<Progress>>,
}

/// One page's feed. It ends with the engine, when the queue fails, and when the page goes.
pub(crate) fn feed<G: Send + 'static>(
    sight: Sight,
    lens: Lens,
    stop: CancellationToken,
    guest: G,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    let feed = Feed { sight, lens, looked: None, told: None, spoke_at: Instant::now() };
    stream::unfold((feed, stop, guest), |(mut feed, stop, guest)| async move {
        let event = stop.run_until_cancelled(feed.next()).await??;
        Some((Ok(Frame::data(event)), (feed, stop, guest)))
    })
}

struct Feed {
    sight: Sight,
    lens: Lens,
    /// What was seen at the last look.
    looked: Option<(Lines, Arc<Progress>)>,
    told: Option<View>,
    spoke_at: Instant,
}

impl Feed {
    /// The next event; none when there is nothing more to tell.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.told.is_some() {
                sleep(GAP).await;
            }
            if let Some(event) = self.look().await.ok()? {
                self.spoke_at = Instant::now();
                return Some(event);
            }
            if self.spoke_at.elapsed() >= HEARTBEAT {
                self.spoke_at = Instant::now();
                return Some(Bytes::from_static(b": still here\n\n"));
            }
        }
    }

    async fn look(&mut self) -> skyhaul_queue::Result<Option<Bytes>> {
        let board = self.sight.boards.latest(&*self.sight.queue).await?;
        let progress = Arc::clone(&self.sight.progress.borrow());
        let lines = match self.looked.take() {
            Some((lines, before)) if lines.is_of(&board) => {
                if self.lens.job.is_none() && before == progress {
                    self.looked = Some((lines, progress));
                    return Ok(None);
                }
                lines
            }
            _ => Lines::of(Arc::<Board>::clone(&board), &self.lens),
        };
        let view = self.sight.view(&self.lens, &lines, &progress).await?;
        self.looked = Some((lines, progress));
        let news = view.news(self.told.as_ref()).and_then(|news| serde_json::to_string(&news).ok());
        self.told = Some(view);
        Ok(news.map(|news| Bytes::from(format!("event: board\ndata: {news}\n\n"))))
    }
}

impl Sight {
    /// What a lens shows now.
    pub(crate) async fn look(&self, lens: &Lens) -> skyhaul_queue::Result<View> {
        let lines = Lines::of(self.boards.latest(&*self.queue).await?, lens);
        let progress = Arc::clone(&self.progress.borrow());
        self.view(lens, &lines, &progress).await
    }

    async fn view(&self, lens: &Lens, lines: &Lines, progress: &Progress) -> skyhaul_queue::Result<View> {
        let (job, troubles) = match lens.job {
            Some(id) => match self.queue.job(id).await? {
                Some(job) => (Some(progress.shown(job)), self.queue.troubles(id).await?),
                None => (None, Vec::new()),
            },
            None => (None, Vec::new()),
        };
        Ok(View::new(lens, lines, progress, job.as_ref(), troubles))
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_engine::Progress;
    use skyhaul_model::JobRecord;
    use skyhaul_queue::conformance::fixture;
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;

    /// What a page of eighty lines is told of a queue: at first, and with each of ten ticks of one job's work.
    async fn told(jobs: u64) -> (usize, Vec<usize>) {
        let queue = MemoryQueue::new();
        for number in 0..jobs {
            queue.create_job(fixture::new_job(&number.to_string()), fixture::at(0)).await.unwrap();
        }
        let mut job = queue.jobs().await.unwrap().remove(0);
        let (work, progress) = watch::channel(Arc::new(at_work(&mut job)));
        let boards = Arc::<Boards>::default();
        let sight = Sight { queue: Arc::new(queue), boards: Arc::clone(&boards), progress };
        let queue = Arc::clone(&sight.queue);
        let lens = Lens { count: 80, ..Lens::default() };
        let mut feed = Feed { sight, lens, looked: None, told: None, spoke_at: Instant::now() };
        let first = feed.next().await.unwrap().len();
        let board = boards.latest(&*queue).await.unwrap();
        let mut ticks = Vec::new();
        for _ in 0..10 {
            work.send_replace(Arc::new(at_work(&mut job)));
            ticks.push(feed.next().await.unwrap().len());
        }
        let newest = boards.latest(&*queue).await.unwrap();
        assert!(
            Arc::ptr_eq(&board, &newest),
            "the jobs were not read again: nothing has changed in the queue"
        );
        (first, ticks)
    }

    /// A snapshot in which the job has received some more.
    fn at_work(job: &mut JobRecord) -> Progress {
        job.bytes.received = job.bytes.received.max(1_000_000_000) + 1_000;
        Progress { jobs: vec![job.clone()], ..Progress::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_told_no_more_of_three_thousand_jobs_than_of_three_hundred() {
        let (few, many) = (told(300).await, told(3_000).await);
        // Totals have a digit more.
        assert!(many.0.abs_diff(few.0) < 16, "{} and {} bytes", few.0, many.0);
        assert_eq!(few.1, many.1);
        assert!(many.1.iter().all(|&bytes| bytes < 1_000), "one line alone: {:?}", many.1);
    }
}
