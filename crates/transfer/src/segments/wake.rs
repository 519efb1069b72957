//! What follows behind the lanes: the records of what has been written, and the checks, which see the bytes in order.
//!
//! Both are at work on the blocking pool, one task each at a time, while the lanes go on. The checks read from
//! the part, mostly from the page cache: however far the lanes are ahead, no byte waits in memory.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::spool::Target;
use crate::checks::Checks;
use crate::receive::aborted;
use crate::store::Store;
use crate::trouble::Blow;
use crate::writer::Writer;

/// How much is read at a time.
const BLOCK_BYTES: u64 = 256 << 10;

/// What a kill may cost in records that are not written yet: this share of the file, within bounds.
const RECORD_SHARE: u64 = 512;
const LEAST_RECORD_BYTES: u64 = 128 << 10;
const MOST_RECORD_BYTES: u64 = 4 << 20;

/// The records and the checks of a file that several lanes bring.
#[derive(Debug)]
pub(super) struct Wake {
    target: Arc<Target>,
    store: Lent<Store>,
    checker: Lent<Checker>,
    /// Bytes in the last record.
    recorded: u64,
    record_bytes: u64,
    halt: CancellationToken,
}

/// The checks, and where they read.
#[derive(Debug)]
struct Checker {
    checks: Checks,
    part: File,
    block: Vec<u8>,
}

/// Something that a blocking task has at times, and what went wrong there.
#[derive(Debug)]
struct Lent<T> {
    place: Place<T>,
    failed: Option<Blow>,
}

#[derive(Debug)]
enum Place<T> {
    Here(T),
    Away(JoinHandle<(T, Result<(), Blow>)>),
    /// On its way from one to the other, or a panic took it.
    Gone,
}

impl Wake {
    /// Behind lanes that write to `target`, a file of `total` bytes. The checks go on where they are, which is where
    /// `part` is read next.
    pub(super) fn new(
        target: Arc<Target>,
        Writer { store, checks }: Writer,
        part: File,
        total: u64,
        halt: CancellationToken,
    ) -> Self {
        let record_bytes = (total / RECORD_SHARE).clamp(LEAST_RECORD_BYTES, MOST_RECORD_BYTES);
        let (_, recorded) = target.extent();
        let checker = Lent::new(Checker { checks, part, block: Vec::new() });
        Self { target, store: Lent::new(store), checker, recorded, record_bytes, halt }
    }

    /// Begins what is due and can be begun, and tells what has failed.
    pub(super) async fn tend(&mut self) -> Result<(), Blow> {
        self.record().await?;
        self.check().await?;
        self.store.failed.take().or(self.checker.failed.take()).map_or(Ok(()), Err)
    }

    /// Whether the file's first bytes say that there is no use in more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.checker.here().is_some_and(|checker| checker.checks.are_hopeless())
    }

    /// Waits until the checks have seen all that lies there without a gap, or are told to stop.
    pub(super) async fn catch_up(&mut self) -> Result<(), Blow> {
        loop {
            let seen = self.checker.back().await?.checks.length();
            if let Some(blow) = self.checker.failed.take() {
                return Err(blow);
            }
            if seen >= self.target.extent().0 || self.halt.is_cancelled() || self.is_hopeless() {
                return Ok(());
            }
            self.check().await?;
        }
    }

    /// Gives the part and the checks back, when all lanes have ended, and what has failed of a record that was on its
    /// way: the disk tells a refused sync once, and the next one succeeds.
    pub(super) async fn end(mut self) -> Result<(Writer, Option<Blow>), Blow> {
        self.checker.back().await?;
        self.store.back().await?.note_written(self.target.written());
        match (self.store.place, self.checker.place) {
            (Place::Here(store), Place::Here(Checker { checks, .. })) => {
                Ok((Writer { store, checks }, self.store.failed))
            }
            _ => Err(aborted()),
        }
    }

    async fn record(&mut self) -> Result<(), Blow> {
        let (_, written) = self.target.extent();
        if written < self.recorded + self.record_bytes || !self.store.is_back().await? {
            return Ok(());
        }
        self.recorded = written;
        let target = Arc::clone(&self.target);
        self.store.lend(move |store| {
            let recorded = store.record_pieces(target.written());
            recorded.map_err(|error| Blow::of_disk("record", &target.path, &error))
        });
        Ok(())
    }

    async fn check(&mut self) -> Result<(), Blow> {
        let (frontier, _) = self.target.extent();
        let is_back = self.checker.is_back().await?;
        if !is_back || self.checker.here().is_some_and(|checker| checker.checks.length() >= frontier) {
            return Ok(());
        }
        let (target, halt) = (Arc::clone(&self.target), self.halt.clone());
        self.checker.lend(move |checker| {
            let read = checker.read_to_frontier(&target, &halt);
            read.map_err(|error| Blow::of_disk("read", &target.path, &error))
        });
        Ok(())
    }
}

impl Checker {
    fn read_to_frontier(&mut self, target: &Target, halt: &CancellationToken) -> io::Result<()> {
        loop {
            let ready = target.extent().0.saturating_sub(self.checks.length()).min(BLOCK_BYTES);
            if ready == 0 || halt.is_cancelled() || self.checks.are_hopeless() {
                return Ok(());
            }
            self.block.resize(usize::try_from(ready).unwrap_or(0), 0);
            self.part.read_exact(&mut self.block)?;
            self.checks.feed(&self.block);
        }
    }
}

impl<T: Send + 'static> Lent<T> {
    fn new(own: T) -> Self {
        Self { place: Place::Here(own), failed: None }
    }

    fn here(&self) -> Option<&T> {
        match &self.place {
            Place::Here(own) => Some(own),
            Place::Away(_) | Place::Gone => None,
        }
    }

    fn lend(&mut self, work: impl FnOnce(&mut T) -> Result<(), Blow> + Send + 'static) {
        self.place = match std::mem::replace(&mut self.place, Place::Gone) {
            Place::Here(mut own) => Place::Away(spawn_blocking(move || {
                let done = work(&mut own);
                (own, done)
            })),
            other => other,
        };
    }

    /// Whether it is here without being waited for.
    async fn is_back(&mut self) -> Result<bool, Blow> {
        let is_back = match &self.place {
            Place::Here(_) => true,
            Place::Away(task) => task.is_finished(),
            Place::Gone => false,
        };
        if is_back {
            self.back().await?;
        }
        Ok(is_back)
    }

    /// Waits until it is here.
    async fn back(&mut self) -> Result<&mut T, Blow> {
        if let Place::Away(task) = &mut self.place {
            let returned = task.await;
            self.place = Place::Gone;
            let (own, done) = returned.map_err(|_| aborted())?;
            self.place = Place::Here(own);
            self.failed = done.err().or(self.failed.take());
        }
        match &mut self.place {
            Place::Here(own) => Ok(own),
            Place::Away(_) | Place::Gone => Err(aborted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::VerifyLevel;

    use super::*;
    use crate::ranges::Ranges;
    use crate::tests::Bench;

    #[tokio::test]
    async fn a_record_that_fails_as_all_ends_is_told() {
        let bench = Bench::new("a.dat", b"");
        let path = bench.parts().part;
        let mut store = bench.store();
        let file = store.spread(0).unwrap();
        let target = Arc::new(Target::new(file, path.clone(), Ranges::default()));
        let writer = Writer { store, checks: Checks::new("", VerifyLevel::Length, []) };
        let part = File::open(&path).unwrap();
        let mut wake = Wake::new(target, writer, part, 1 << 20, CancellationToken::new());
        wake.tend().await.unwrap();
        let refused = io::ErrorKind::StorageFull.into();
        wake.store.lend(move |_| Err(Blow::of_disk("record", &path, &refused)));
        let (_, failed) = wake.end().await.unwrap();
        assert!(failed.is_some_and(|blow| blow.error.message.contains("record")));
    }
}
