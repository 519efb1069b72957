//! The async half of receiving: pieces come from the network while the batch before them goes to the disk.
//!
//! At most two batches of one file are in memory. Each batch is one blocking task, which is joined before
//! the next begins.

use std::time::Duration;

use bytes::Bytes;
use skyhaul_http::{Body, FetchError};
use skyhaul_model::{Backoff, ErrorKind};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Meter;
use crate::store::Age;
use crate::trouble::Blow;
use crate::writer::Writer;

/// A batch goes to the disk when it has this many bytes: what a kill loses of each file in flight,
const BATCH_BYTES: u64 = 64 << 10;

/// or when this much time has passed.
const BATCH_AGE: Duration = Duration::from_millis(25);

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
    /// The disk refused.
    Disk(Blow),
}

/// Receives a body into a part, up to the offset `end` where one is promised. The writer has all that came,
/// unless the disk refused.
pub(crate) async fn receive(
    mut body: Body,
    writer: Writer,
    end: Option<u64>,
    meter: &Meter,
    stop: &CancellationToken,
) -> Result<(Writer, Outcome), Blow> {
    let room = end.map(|end| end.saturating_sub(writer.checks.length()));
    let mut pump = Pump::new(writer, room);
    let outcome = loop {
        let piece = tokio::select! {
            biased;
            () = stop.cancelled() => break Outcome::Stopped,
            piece = body.chunk() => piece,
        };
        match piece {
            Ok(Some(bytes)) => {
                meter.add(bytes.len() as u64);
                if let Some(outcome) = pump.take(bytes).await? {
                    break outcome;
                }
            }
            Ok(None) => break Outcome::Ended,
            Err(error) => break Outcome::Broke(error),
        }
    };
    // The connection is given up, or given back, before the disk is waited for.
    drop(body);
    pump.finish(outcome).await
}

/// What has come and where it goes.
struct Pump {
    writing: Writing,
    batch: Vec<Bytes>,
    batch_bytes: u64,
    /// Bytes that may still come, where that was promised.
    room: Option<u64>,
    begun: Instant,
    flushed: Instant,
}

enum Writing {
    Idle(Box<Writer>),
    Busy(JoinHandle<Wrote>),
    /// The writer is on its way from one to the other, or a panic took it.
    Gone,
}

/// A batch's writer, and what it found.
struct Wrote {
    writer: Box<Writer>,
    found: Option<Outcome>,
}

impl Pump {
    fn new(writer: Writer, room: Option<u64>) -> Self {
        let now = Instant::now();
        let writing = Writing::Idle(Box::new(writer));
        Self { writing, batch: Vec::new(), batch_bytes: 0, room, begun: now, flushed: now }
    }

    /// Takes a piece; an outcome when there is no use in another.
    async fn take(&mut self, mut bytes: Bytes) -> Result<Option<Outcome>, Blow> {
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
        if overran.is_some() {
            return Ok(overran);
        }
        if self.batch_bytes >= BATCH_BYTES || self.flushed.elapsed() >= BATCH_AGE {
            return self.flush().await;
        }
        Ok(None)
    }

    /// Waits for the batch before and sends this one off.
    async fn flush(&mut self) -> Result<Option<Outcome>, Blow> {
        let Wrote { mut writer, found } = self.writer().await?;
        if found.is_some() {
            self.writing = Writing::Idle(writer);
            return Ok(found);
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.flushed = Instant::now();
        let age = if self.begun.elapsed() >= OLD { Age::Old } else { Age::Young };
        self.writing = Writing::Busy(spawn_blocking(move || {
            let found = write(&mut writer, &batch, age);
            Wrote { writer, found }
        }));
        Ok(None)
    }

    /// Writes what is left, and gives the writer back with what is to be said of the whole.
    async fn finish(mut self, outcome: Outcome) -> Result<(Writer, Outcome), Blow> {
        // A refusing disk or a page is the end, whatever the network said.
        if matches!(outcome, Outcome::Disk(_) | Outcome::Page) {
            return Ok((*self.writer().await?.writer, outcome));
        }
        if let Some(found) = self.flush().await? {
            return Ok((*self.writer().await?.writer, found));
        }
        let Wrote { writer, found } = self.writer().await?;
        Ok((*writer, found.unwrap_or(outcome)))
    }

    async fn writer(&mut self) -> Result<Wrote, Blow> {
        match std::mem::replace(&mut self.writing, Writing::Gone) {
            Writing::Idle(writer) => Ok(Wrote { writer, found: None }),
            Writing::Busy(task) => task.await.map_err(|_| aborted()),
            Writing::Gone => Err(aborted()),
        }
    }
}

fn write(writer: &mut Writer, batch: &[Bytes], age: Age) -> Option<Outcome> {
    if batch.is_empty() {
        return None;
    }
    match writer.write(batch, age) {
        Ok(()) => writer.checks.are_hopeless().then_some(Outcome::Page),
        Err(error) => Some(Outcome::Disk(Blow::of_disk("write", &writer.store.paths().part, &error))),
    }
}

/// The failure of a blocking task that ended without a result: the process is going down.
pub(crate) fn aborted() -> Blow {
    Blow::new(ErrorKind::Disk, "the writing of a file was broken off", Backoff::Transient)
}
