//! What follows behind the lanes: the records of what has been written, and the checks, which see the bytes in order.
//!
//! Both are at work on the blocking pool, one task each at a time, while the lanes go on.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::checker::Checker;
use super::lent::Lent;
use super::spool::Target;
use crate::store::Store;
use crate::trouble::Blow;
use crate::writer::Writer;

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

impl Wake {
    /// Behind lanes that write to `target`, a file of `total` bytes. The checks go on where they are.
    pub(super) fn new(
        target: Arc<Target>,
        Writer { store, checks }: Writer,
        total: u64,
        halt: CancellationToken,
    ) -> Self {
        let record_bytes = (total / RECORD_SHARE).clamp(LEAST_RECORD_BYTES, MOST_RECORD_BYTES);
        let (_, recorded) = target.extent();
        let checker = Lent::new(Checker::behind(checks, target.path.clone(), store.written()));
        Self { target, store: Lent::new(store), checker, recorded, record_bytes, halt }
    }

    /// Begins what is due and can be begun, and tells what has failed.
    pub(super) async fn tend(&mut self) -> Result<(), Blow> {
        self.record().await?;
        if self.checker.is_back().await? && self.is_behind() {
            self.check();
        }
        self.store.failed().or(self.checker.failed()).map_or(Ok(()), Err)
    }

    /// Whether the file's first bytes say that there is no use in more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.checker.here().is_some_and(Checker::is_hopeless)
    }

    /// Whether what the checks have read is what was written, by this process and by those before it.
    pub(super) fn is_as_written(&self) -> bool {
        let written = self.target.written();
        self.checker.here().is_some_and(|checker| checker.has_read(&written))
    }

    /// Waits until the checks have seen all that lies there without a gap, or are told to stop.
    pub(super) async fn catch_up(&mut self) -> Result<(), Blow> {
        loop {
            self.checker.back().await?;
            if let Some(blow) = self.checker.failed() {
                return Err(blow);
            }
            if !self.is_behind() || self.halt.is_cancelled() || self.is_hopeless() {
                return Ok(());
            }
            self.check();
        }
    }

    /// Gives the part and the checks back, when all lanes have ended, and what has failed of a record that was on its
    /// way: the disk tells a refused sync once, and the next one succeeds.
    pub(super) async fn end(self) -> Result<(Writer, Option<Blow>), Blow> {
        let (checker, _) = self.checker.take_back().await?;
        let (mut store, failed) = self.store.take_back().await?;
        store.note_placed(self.target.written());
        Ok((Writer { store, checks: checker.into_checks() }, failed))
    }

    async fn record(&mut self) -> Result<(), Blow> {
        let (_, written) = self.target.extent();
        if written < self.recorded + self.record_bytes || !self.store.is_back().await? {
            return Ok(());
        }
        self.recorded = written;
        let target = Arc::clone(&self.target);
        self.store.lend(move |store| {
            let recorded = store.record_placed(target.written());
            recorded.map_err(|error| Blow::of_disk("record", &target.path, &error))
        });
        Ok(())
    }

    fn is_behind(&self) -> bool {
        let (frontier, _) = self.target.extent();
        self.checker.here().is_some_and(|checker| checker.length() < frontier)
    }

    fn check(&mut self) {
        let (target, halt) = (Arc::clone(&self.target), self.halt.clone());
        self.checker.lend(move |checker| checker.read_to(target.extent().0, || !halt.is_cancelled()));
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use skyhaul_model::VerifyLevel;

    use super::*;
    use crate::checks::Checks;
    use crate::extents::Extents;
    use crate::tests::Bench;

    #[tokio::test]
    async fn a_record_that_fails_as_all_ends_is_told() {
        let bench = Bench::new("a.dat", b"");
        let path = bench.parts().part;
        let mut store = bench.store();
        let file = store.spread().unwrap();
        let target = Arc::new(Target::new(file, path.clone(), Extents::default()));
        let writer = Writer { store, checks: Checks::new("", VerifyLevel::Length, []) };
        let mut wake = Wake::new(target, writer, 1 << 20, CancellationToken::new());
        wake.tend().await.unwrap();
        let refused = io::ErrorKind::StorageFull.into();
        wake.store.lend(move |_| Err(Blow::of_disk("record", &path, &refused)));
        let (_, failed) = wake.end().await.unwrap();
        assert!(failed.is_some_and(|blow| blow.error.message.contains("record")));
    }
}
