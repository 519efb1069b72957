//! The async half of receiving: pieces come from the network while the batch before them goes to the disk.
//!
//! At most two batches of one file are in memory. Each batch is one blocking task, which is joined before
//! the next begins; the first one begins the part, and the last one does what the end of the body calls for.
//! A small body is one batch, so that it costs one hop to a blocking thread and back. What is held so is lost
//! with the process.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use skyhaul_http::{Body, FetchError};
use skyhaul_model::{Backoff, ErrorKind};
use skyhaul_verify::{Digest, server_digest};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Meter;
use crate::hands::Hands;
use crate::slow::Watch;
use crate::store::{Age, is_small};
use crate::trouble::Blow;
use crate::writer::Writer;

/// A batch goes to the disk when it has this many bytes: what a kill loses of each file in flight,
const BATCH_BYTES: u64 = 64 << 10;

/// or when this much time has passed.
const BATCH_AGE: Duration = Duration::from_millis(25);

/// A small body is held for so long before it is treated as any other.
const SMALL_AGE: Duration = Duration::from_millis(250);

/// A body that is this old has a part worth recording, however short it is.
const OLD: Duration = Duration::from_millis(50);

/// How a body ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// At its proven end.
    Ended,
    /// More came than was promised; what lies behind the promise is left out.
    Overran,
    /// We were told to stop.
    Stopped,
    /// The network failed.
    Broke(FetchError),
    /// The bytes are a web page's.
    Page,
    /// What lies in the part is not what was written there.
    Meddled,
    /// It has not ended; it is slow, and several streams may do better.
    Slow(Body),
    /// The disk refused, or what else was at work on the file failed.
    Failed(Blow),
}

/// What came of a body.
pub(crate) struct Received {
    /// Has all that came, unless the disk refused.
    pub(crate) writer: Writer,
    pub(crate) outcome: Outcome,
    /// Body bytes received for the file over all attempts.
    pub(crate) received: u64,
    /// The whole file's digest, where the server told one behind the body (rule 56).
    pub(crate) told: Option<Digest>,
}

/// Begins the part that a body's bytes go to, on a blocking thread.
type Begin = Box<dyn FnOnce() -> Result<Writer, Blow> + Send>;

/// A body to be received.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    pub(crate) body: Body,
    /// How many bytes are promised, if any are.
    pub(crate) room: Option<u64>,
    /// Says whether it is slow, where that is of use.
    pub(crate) watch: Option<Watch>,
    /// Do what there is to do for a small body.
    pub(crate) hands: &'a Hands,
}

/// Receives a body into the part that `begin` begins, and gives what `conclude` makes of it. Both are run on
/// blocking threads, `conclude` once and in any case unless the part could not be begun.
pub(crate) async fn receive<T: Send + 'static>(
    Stream { mut body, room, mut watch, hands }: Stream<'_>,
    begin: impl FnOnce() -> Result<Writer, Blow> + Send + 'static,
    meter: &Meter,
    stop: &CancellationToken,
    conclude: impl FnOnce(Received) -> T + Send + 'static,
) -> Result<T, Blow> {
    let mut pump = Pump::new(Box::new(begin), room, hands);
    let outcome = loop {
        let asked = Instant::now();
        let piece = tokio::select! {
            biased;
            () = stop.cancelled() => break Outcome::Stopped,
            piece = body.chunk() => piece,
        };
        let waited = asked.elapsed();
        match piece {
            Ok(Some(bytes)) => {
                let came = bytes.len() as u64;
                meter.add(came);
                if let Some(outcome) = pump.take(bytes) {
                    break outcome;
                }
                // Who is told to stop gives the connection up, however long the disk needs.
                let found = tokio::select! {
                    biased;
                    found = pump.flush_if_due() => found?,
                    () = stop.cancelled() => Some(Outcome::Stopped),
                };
                if let Some(outcome) = found {
                    break outcome;
                }
                if watch.as_mut().is_some_and(|watch| watch.is_slow(waited, came, pump.room)) {
                    let (outcome, received) = (Outcome::Slow(body), meter.received());
                    let conclude =
                        move |writer, outcome| conclude(Received { writer, outcome, received, told: None });
                    return pump.finish(outcome, conclude).await;
                }
            }
            Ok(None) => break Outcome::Ended,
            Err(error) => break Outcome::Broke(error),
        }
    };
    // What comes behind a body speaks of the whole representation alone, as on a 206.
    let told = server_digest(StatusCode::PARTIAL_CONTENT, &body.take_trailers());
    // The connection is given up, or given back, before the disk is waited for.
    drop(body);
    let received = meter.received();
    pump.finish(outcome, move |writer, outcome| conclude(Received { writer, outcome, received, told })).await
}

/// What has come and where it goes.
struct Pump<'a> {
    hands: &'a Hands,
    writing: Writing,
    batch: Vec<Bytes>,
    batch_bytes: u64,
    /// Bytes that may still come, where that was promised.
    room: Option<u64>,
    begun: Instant,
    flushed: Instant,
}

enum Writing {
    /// Nothing is, and nothing has been, if the body is held as a whole.
    Idle(Pen),
    Busy(JoinHandle<Result<Wrote, Blow>>),
    /// The writer is on its way from one to the other, or a panic took it.
    Gone,
}

/// A writer, or how to get one.
enum Pen {
    Capped { begin: Begin, is_small: bool },
    Open(Box<Writer>),
}

/// A batch's writer, and what it found.
struct Wrote {
    pen: Pen,
    found: Option<Outcome>,
}

impl<'a> Pump<'a> {
    fn new(begin: Begin, room: Option<u64>, hands: &'a Hands) -> Self {
        let now = Instant::now();
        let writing = Writing::Idle(Pen::Capped { begin, is_small: room.is_some_and(is_small) });
        Self { hands, writing, batch: Vec::new(), batch_bytes: 0, room, begun: now, flushed: now }
    }

    /// Takes a piece; an outcome when there is no use in another.
    fn take(&mut self, mut bytes: Bytes) -> Option<Outcome> {
        let mut overran = None;
        if let Some(room) = &mut self.room {
            if bytes.len() as u64 > *room {
                bytes.truncate(usize::try_from(*room).unwrap_or(usize::MAX));
                overran = Some(Outcome::Overran);
            }
            *room -= bytes.len() as u64;
        }
        self.batch_bytes += bytes.len() as u64;
        self.batch.push(bytes);
        overran
    }

    /// Whether the batch is to be written.
    fn is_due(&self) -> bool {
        let age = self.flushed.elapsed();
        match self.writing {
            Writing::Idle(ref pen) if pen.is_small() => age >= SMALL_AGE,
            _ => self.batch_bytes >= BATCH_BYTES || age >= BATCH_AGE,
        }
    }

    /// Waits for the batch before and sends this one off, if it is time. Nothing is lost where it is not waited for.
    async fn flush_if_due(&mut self) -> Result<Option<Outcome>, Blow> {
        if !self.is_due() {
            return Ok(None);
        }
        let Wrote { pen, found } = self.pen().await?;
        if found.is_some() {
            self.writing = Writing::Idle(pen);
            return Ok(found);
        }
        let batch = std::mem::take(&mut self.batch);
        let age = if self.begun.elapsed() >= OLD { Age::Old } else { Age::Young };
        self.batch_bytes = 0;
        self.flushed = Instant::now();
        self.writing = Writing::Busy(spawn_blocking(move || {
            let mut writer = pen.open()?;
            let found = write(&mut writer, &batch).or_else(|| checkpoint(&mut writer, age));
            Ok(Wrote { pen: Pen::Open(writer), found })
        }));
        Ok(None)
    }

    /// Writes what is left, and does what the end calls for.
    async fn finish<T: Send + 'static>(
        mut self,
        outcome: Outcome,
        conclude: impl FnOnce(Writer, Outcome) -> T + Send + 'static,
    ) -> Result<T, Blow> {
        let Wrote { pen, found } = self.pen().await?;
        let (batch, is_small) = (self.batch, pen.is_small());
        let last = move || {
            let mut writer = pen.open()?;
            let outcome = match found.unwrap_or(outcome) {
                // A refusing disk or a page is the end, whatever the network said.
                refused @ (Outcome::Failed(_) | Outcome::Page) => refused,
                // What this leaves is recorded where it has to last.
                ended => write(&mut writer, &batch).unwrap_or(ended),
            };
            Ok(conclude(*writer, outcome))
        };
        let ended = if is_small { self.hands.run(last).await } else { spawn_blocking(last).await.ok() };
        ended.ok_or_else(aborted)?
    }

    async fn pen(&mut self) -> Result<Wrote, Blow> {
        let ended = match &mut self.writing {
            Writing::Busy(task) => Some(task.await),
            Writing::Idle(_) | Writing::Gone => None,
        };
        match (std::mem::replace(&mut self.writing, Writing::Gone), ended) {
            (_, Some(ended)) => ended.map_err(|_| aborted())?,
            (Writing::Idle(pen), None) => Ok(Wrote { pen, found: None }),
            (_, None) => Err(aborted()),
        }
    }
}

impl Pen {
    /// Whether a small body is held as a whole.
    fn is_small(&self) -> bool {
        matches!(self, Self::Capped { is_small: true, .. })
    }

    fn open(self) -> Result<Box<Writer>, Blow> {
        match self {
            Self::Capped { begin, .. } => begin().map(Box::new),
            Self::Open(writer) => Ok(writer),
        }
    }
}

fn write(writer: &mut Writer, batch: &[Bytes]) -> Option<Outcome> {
    if batch.is_empty() {
        return None;
    }
    match writer.write(batch) {
        Ok(()) => writer.checks.are_hopeless().then_some(Outcome::Page),
        Err(error) => Some(refused(writer, &error)),
    }
}

fn checkpoint(writer: &mut Writer, age: Age) -> Option<Outcome> {
    writer.checkpoint(age).err().map(|error| refused(writer, &error))
}

fn refused(writer: &Writer, error: &io::Error) -> Outcome {
    Outcome::Failed(Blow::of_disk("write", &writer.store.paths().part, error))
}

/// The failure of a blocking task that ended without a result: the process is going down.
pub(crate) fn aborted() -> Blow {
    Blow::new(ErrorKind::Disk, "the writing of a file was broken off", Backoff::Transient)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use async_trait::async_trait;
    use skyhaul_http::BodySource;
    use skyhaul_model::VerifyLevel;
    use tokio::sync::oneshot;

    use super::*;
    use crate::checks::Checks;
    use crate::tests::Bench;

    /// Gives batches, then nothing more.
    struct Batches {
        left: usize,
        _connection: oneshot::Sender<()>,
    }

    #[async_trait]
    impl BodySource for Batches {
        async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
            if self.left == 0 {
                std::future::pending::<()>().await;
            }
            self.left -= 1;
            Ok(Some(vec![7; BATCH_BYTES as usize].into()))
        }
    }

    #[tokio::test]
    async fn who_is_told_to_stop_gives_the_connection_up_before_a_disk_that_hangs_answers() {
        let bench = Bench::new("a.dat", b"");
        let store = bench.store();
        let (go_on, hangs) = sync_channel::<()>(1);
        let begin = move || {
            hangs.recv_timeout(Duration::from_secs(30)).map_err(|_| aborted())?;
            Ok(Writer { store, checks: Checks::new("", VerifyLevel::Length, []) })
        };
        let (connection, given_up) = oneshot::channel();
        let body = Body::new(Batches { left: 2, _connection: connection });
        let hands = Hands::default();
        let stream = Stream { body, room: None, watch: None, hands: &hands };
        let (meter, stop) = (Meter::default(), CancellationToken::new());
        let conclude =
            |ended: Received| (matches!(ended.outcome, Outcome::Stopped), ended.writer.checks.length());
        let hang_up = async {
            stop.cancel();
            assert!(given_up.await.is_err());
            go_on.send(()).unwrap();
        };
        let (ended, ()) = tokio::join!(receive(stream, begin, &meter, &stop, conclude), hang_up);
        assert_eq!(ended.map_err(|blow| blow.error), Ok((true, 2 * BATCH_BYTES)), "nothing is lost by it");
    }
}
