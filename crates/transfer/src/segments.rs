//! Several streams of one large file at once, where one is the bottleneck.
//!
//! The first answer's body goes on as the first lane. Further lanes ask for segments of the same version, through the
//! same gate and limits, one more as long as the last has helped and connections are spare. What was written is
//! recorded as ranges: a crash may lose what came since the last record (invariant I3), and no byte of another
//! version gets in (I4). The bytes pass the checks in the file's order.

mod checker;
mod lane;
mod lent;
mod plan;
mod ramp;
mod spool;
mod wake;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use skyhaul_http::Body;
use skyhaul_model::{Backoff, ErrorKind};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::ask::Held;
use crate::receive::{Outcome, Received, aborted};
use crate::request::Asker;
use crate::spare::Spare;
use crate::trouble::Blow;
use crate::writer::Writer;
use crate::{Assignment, Meter};
use lane::{Common, Departed, Left, carry, fetch};
pub(crate) use plan::Parts;
use plan::{Plan, Sizes};
use ramp::Ramp;
use spool::Target;
use wake::Wake;

/// How often the number of lanes, the records and the checks are looked after.
const TICK: Duration = Duration::from_millis(10);

/// A file that several streams may bring.
pub(crate) struct Split<'a> {
    pub(crate) asker: &'a Asker<'a>,
    pub(crate) assignment: &'a Assignment,
    pub(crate) meter: &'a Meter,
    /// What its first answer said of it, and what is held of it; its length is known and its validator strong.
    pub(crate) version: &'a Held,
}

/// A body that is there, and what it brings.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) body: Body,
    pub(crate) from: u64,
    pub(crate) end: u64,
    pub(crate) pace: Pace,
    /// Given, if this body is one.
    pub(crate) parts: Parts,
}

/// What is known of a body's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nothing: it begins.
    Unknown,
    /// It is slow for its congestion window, so that a further stream will help.
    Slow,
}

/// Whether several streams can fetch a file: its length is known, and its versions can be told apart.
pub(crate) fn can_be_split(version: &Held) -> bool {
    version.total.is_some() && version.validators.strong().is_some()
}

/// Whether what is missing of a file is to be fetched by several streams from the start.
pub(crate) fn is_worth_splitting(version: &Held, spare: &Spare) -> bool {
    let missing = version.total.unwrap_or(0).saturating_sub(version.bytes());
    can_be_split(version) && (version.written.have_holes() || spare.are_worth(missing))
}

/// Receives a file whose first body is there into the part that `begin` begins, and gives what `conclude` makes of
/// it, as [`receive`](crate::receive::receive) does for one stream. The checks of the writer that `begin` gives may
/// be behind the body's first byte.
pub(crate) async fn receive<T: Send + 'static>(
    split: &Split<'_>,
    first: First,
    begin: impl FnOnce() -> Result<Writer, Blow> + Send + 'static,
    conclude: impl FnOnce(Received) -> T + Send + 'static,
) -> Result<T, Blow> {
    let total = split.version.total.unwrap_or(first.end);
    let halt = split.asker.stop.child_token();
    let mine = halt.clone();
    let begin = move || begin().map(|writer| spread(writer, total, mine));
    let mut beginning = spawn_blocking(begin);
    let (begun, first) = tokio::select! {
        biased;
        begun = &mut beginning => (begun, Some(first)),
        () = halt.cancelled() => {
            // The connection is given up, however long the disk needs.
            drop(first);
            (beginning.await, None)
        }
    };
    let (target, wake) = match begun.map_err(|_| aborted())?? {
        Ok(spread) => spread,
        Err((writer, blow)) => return end(*writer, Outcome::Failed(blow), split.meter, conclude).await,
    };
    let Some(first) = first else {
        let (writer, _) = wake.end().await?;
        return end(writer, Outcome::Stopped, split.meter, conclude).await;
    };
    let common = Common {
        asker: split.asker,
        name: split.assignment.path.file_name(),
        version: split.version,
        meter: split.meter,
        target,
        plan: Mutex::new(Plan::new(total, &split.version.written.ranges())),
        halt,
        whole: CancellationToken::new(),
    };
    let begun = Instant::now();
    let ramp = Ramp::new(Duration::ZERO, split.meter.received(), first.pace);
    let (spare, lanes) = (&split.assignment.spare, FuturesUnordered::new());
    let fleet =
        Fleet { common: &common, spare, total, begun, ramp, lanes, wake, refused: None, overran: false };
    let (writer, outcome) = fleet.run(first).await?;
    end(writer, outcome, split.meter, conclude).await
}

async fn end<T: Send + 'static>(
    writer: Writer,
    outcome: Outcome,
    meter: &Meter,
    conclude: impl FnOnce(Received) -> T + Send + 'static,
) -> Result<T, Blow> {
    let received = meter.received();
    spawn_blocking(move || conclude(Received { writer, outcome, received, told: None }))
        .await
        .map_err(|_| aborted())
}

/// A writer whose part could not be opened for several, and why: what it has is to be kept.
type Refused = (Box<Writer>, Blow);

/// Opens the part for all lanes. Blocking.
fn spread(mut writer: Writer, total: u64, halt: CancellationToken) -> Result<(Arc<Target>, Wake), Refused> {
    let path = writer.store.paths().part.clone();
    let file = match writer.store.spread() {
        Ok(file) => file,
        Err(error) => return Err((Box::new(writer), Blow::of_disk("open", &path, &error))),
    };
    let target = Arc::new(Target::new(file, path, writer.store.written().clone()));
    let wake = Wake::new(Arc::clone(&target), writer, total, halt);
    Ok((target, wake))
}

type Sailing<'a> = Pin<Box<dyn Future<Output = Departed> + Send + 'a>>;

/// All lanes of a file, and who looks after them.
struct Fleet<'a> {
    common: &'a Common<'a>,
    spare: &'a Arc<Spare>,
    total: u64,
    begun: Instant,
    ramp: Ramp,
    lanes: FuturesUnordered<Sailing<'a>>,
    wake: Wake,
    /// Why the server gives no parts: no more are asked for.
    refused: Option<String>,
    /// More came than was promised.
    overran: bool,
}

impl Fleet<'_> {
    async fn run(mut self, first: First) -> Result<(Writer, Outcome), Blow> {
        let lane = self.common.plan().join(first.from, first.parts);
        self.lanes.push(Box::pin(carry(self.common, lane, first.body, first.end)));
        let mut outcome = self.sail().await;
        self.common.halt.cancel();
        // Each writes what it has.
        while let Some(departed) = self.lanes.next().await {
            if let Left::Disk(blow) = departed.left {
                outcome = Outcome::Failed(blow);
            }
        }
        let (writer, failed) = self.wake.end().await?;
        Ok((writer, failed.map_or(outcome, Outcome::Failed)))
    }

    /// Until all has come, or nothing more can.
    async fn sail(&mut self) -> Outcome {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.common.halt.cancelled() => return Outcome::Stopped,
                Some(departed) = self.lanes.next() => {
                    if let Some(outcome) = self.departed(departed) {
                        return outcome;
                    }
                }
                _ = tick.tick() => self.look(),
            }
            if let Err(blow) = self.wake.tend().await {
                return Outcome::Failed(blow);
            }
            if self.wake.is_hopeless() {
                return Outcome::Page;
            }
            self.send_out();
            if self.lanes.is_empty() {
                return self.arrive().await;
            }
        }
    }

    /// Takes note of a lane's end; the outcome where it is the end of all.
    fn departed(&mut self, Departed { lane, left }: Departed) -> Option<Outcome> {
        self.common.plan().leave(lane);
        if self.common.plan().is_whole() {
            self.common.whole.cancel();
        }
        let others = self.lanes.len();
        match left {
            Left::Done => None,
            Left::Overran => {
                self.overran = true;
                None
            }
            Left::Stopped => Some(Outcome::Stopped),
            Left::Disk(blow) => Some(Outcome::Failed(blow)),
            Left::Refused(why) => {
                tracing::debug!(url = %self.common.asker.url, why, "no further streams");
                self.refused = Some(why);
                None
            }
            Left::Failed(blow) if others == 0 => Some(Outcome::Failed(blow)),
            Left::Failed(blow) => {
                tracing::debug!(url = %self.common.asker.url, why = blow.error.message, "a stream is lost");
                self.ramp.settle(u32::try_from(others).unwrap_or(u32::MAX));
                None
            }
        }
    }

    /// Measures, and steers by what was measured.
    fn look(&mut self) {
        let streams = self.lanes.len();
        let received = self.common.meter.received();
        self.ramp.look(self.begun.elapsed(), received, u32::try_from(streams).unwrap_or(u32::MAX));
        self.common.plan().resize(Sizes::of(self.total, self.ramp.rate_of_one(streams)));
    }

    /// Sends as many lanes out as there should be.
    fn send_out(&mut self) {
        while self.refused.is_none() && self.lanes.len() < self.ramp.target() as usize {
            // The first has the file's own connection.
            let further = if self.lanes.is_empty() { None } else { self.spare.further() };
            if further.is_none() && !self.lanes.is_empty() {
                return;
            }
            let Some((lane, segment)) = self.common.plan().take() else { return };
            self.lanes.push(Box::pin(fetch(self.common, lane, segment, further)));
        }
    }

    /// No lane is left.
    async fn arrive(&mut self) -> Outcome {
        if !self.common.plan().is_whole() {
            return Outcome::Failed(self.refusal());
        }
        match self.wake.catch_up().await {
            Err(blow) => Outcome::Failed(blow),
            Ok(()) if self.common.halt.is_cancelled() => Outcome::Stopped,
            Ok(()) if self.wake.is_hopeless() => Outcome::Page,
            Ok(()) if !self.wake.is_as_written() => Outcome::Meddled,
            Ok(()) if self.overran => Outcome::Overran,
            Ok(()) => Outcome::Ended,
        }
    }

    /// Some bytes are missing, and the server gives no further parts of this version: it has to be asked anew.
    fn refusal(&self) -> Blow {
        let why = self.refused.as_deref().unwrap_or("nothing more could be asked for");
        let message = format!("{} did not come whole: {why}", self.common.asker.url);
        Blow::new(ErrorKind::Http, message, Backoff::Transient)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::mpsc::sync_channel;

    use async_trait::async_trait;
    use bytes::Bytes;
    use skyhaul_http::{BodySource, Fetch, FetchError, Request, Response};
    use skyhaul_model::VerifyLevel;
    use tokio::sync::oneshot;

    use super::*;
    use crate::checks::Checks;
    use crate::store::{Pause, Store};
    use crate::tests::Bench;

    /// A network of which nothing comes, and a connection to it.
    struct Silent;
    struct Connection {
        _open: oneshot::Sender<()>,
    }

    #[async_trait]
    impl Fetch for Silent {
        async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
            std::future::pending().await
        }
    }

    #[async_trait]
    impl BodySource for Connection {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn the_first_connection_is_given_up_before_a_disk_that_hangs_answers() {
        let bench = Bench::new("a.dat", b"");
        let mut store = bench.store();
        store.append(&[7; 100]).unwrap();
        store.pause(Pause::Stopped).unwrap();
        let version = bench.held().unwrap();
        let store = Store::go_on(bench.parts(), version.meta(&bench.assignment)).unwrap();
        let (go_on, hangs) = sync_channel::<()>(1);
        let begin = move || {
            hangs.recv_timeout(Duration::from_secs(30)).map_err(|_| aborted())?;
            Ok(Writer { store, checks: Checks::new("", VerifyLevel::Length, []) })
        };
        let (open, given_up) = oneshot::channel();
        let body = Body::new(Connection { _open: open });
        let first = First { body, from: 100, end: 1 << 20, pace: Pace::Unknown, parts: Parts::Given };
        let (meter, stop) = (Meter::default(), CancellationToken::new());
        let asker = Asker::new(&Silent, &bench.assignment, &stop).unwrap();
        let split = Split { asker: &asker, assignment: &bench.assignment, meter: &meter, version: &version };
        let conclude = |ended: Received| {
            (matches!(ended.outcome, Outcome::Stopped), ended.writer.store.pause(Pause::Stopped).unwrap())
        };
        let hang_up = async {
            stop.cancel();
            assert!(given_up.await.is_err());
            go_on.send(()).unwrap();
        };
        let (ended, ()) = tokio::join!(receive(&split, first, begin, conclude), hang_up);
        assert_eq!(ended.map_err(|blow| blow.error), Ok((true, 100)), "what was held is kept");
    }

    #[test]
    fn a_part_that_has_become_shorter_is_not_filled_up_and_its_rest_is_given_back() {
        let bench = Bench::new("a.dat", b"");
        let mut store = bench.store();
        store.append(&[7; 100]).unwrap();
        store.pause(Pause::Stopped).unwrap();
        let version = bench.held().unwrap();
        let part = bench.parts().part;
        File::options().write(true).open(&part).unwrap().set_len(60).unwrap();
        let store = Store::go_on(bench.parts(), version.meta(&bench.assignment)).unwrap();
        let writer = Writer { store, checks: Checks::new("", VerifyLevel::Length, []) };
        let (writer, blow) = spread(writer, 1 << 20, CancellationToken::new()).unwrap_err();
        assert!(blow.error.message.contains("it has become shorter"), "{}", blow.error.message);
        writer.store.pause(Pause::Failed).unwrap();
        assert_eq!(part.metadata().unwrap().len(), 60);
        assert_eq!(
            bench.held().map(|held| held.bytes()),
            None,
            "what is left of it could not be known again"
        );
    }
}
