//! One table of the index: rows that have changed are kept in memory until they are written together.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use skyhaul_model::JobId;
use skyhaul_queue::{QueueError, Result};

use super::row::{Row, key, seal, unseal};
use super::trees::{Batches, Trees};
use crate::numbers::NumberMap;

/// Rows of one kind.
pub(crate) struct Table<R> {
    trees: Rc<RefCell<Trees>>,
    /// The index, for errors to name.
    path: PathBuf,
    /// What is known of rows, newer than or equal to what sled holds.
    cache: NumberMap<(JobId, u64), Cached<R>>,
    changed: usize,
}

struct Cached<R> {
    row: Option<R>,
    changed: bool,
}

impl<R: Row> Table<R> {
    pub(super) fn new(trees: &Rc<RefCell<Trees>>, path: PathBuf) -> Self {
        Self { trees: Rc::clone(trees), path, cache: NumberMap::default(), changed: 0 }
    }

    /// The row, kept in memory for the next time.
    pub(crate) fn get(&mut self, job: JobId, number: u64) -> Result<Option<&R>> {
        self.load(job, number).map(|cached| cached.row.as_ref())
    }

    /// The row, without keeping it: for passing over many.
    pub(crate) fn peek(&self, job: JobId, number: u64) -> Result<Option<R>> {
        match self.cache.get(&(job, number)) {
            Some(cached) => Ok(cached.row.clone()),
            None => fetch(&self.trees, &self.path, job, number),
        }
    }

    /// Puts a row in its place.
    pub(crate) fn put(&mut self, job: JobId, number: u64, row: R) {
        self.replace(job, number, Some(row));
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, job: JobId, number: u64) {
        self.replace(job, number, None);
    }

    /// Changes a row in its place, if it is there.
    pub(crate) fn edit(&mut self, job: JobId, number: u64, change: impl FnOnce(&mut R)) -> Result<()> {
        let cached = self.load(job, number)?;
        if let Some(row) = &mut cached.row {
            change(row);
            let newly = !std::mem::replace(&mut cached.changed, true);
            self.changed += usize::from(newly);
        }
        Ok(())
    }

    /// The numbers of up to `limit` rows that are written, from `from` on. Unwritten changes are not seen.
    pub(crate) fn written(&self, job: JobId, from: u64, limit: usize) -> Result<Vec<u64>> {
        let (from, to) = (key::<R>(job, from), key::<R>(job, u64::MAX));
        self.trees.borrow_mut().numbers(job, from, to, limit)
    }

    /// The jobs that the shared sled has rows of.
    pub(crate) fn jobs(&self) -> Result<Vec<JobId>> {
        self.trees.borrow().jobs(R::TABLE)
    }

    /// The shared sled's copy of a row that another one holds.
    pub(crate) fn copy(&self, job: JobId, number: u64) -> Result<Option<R>> {
        let key = key::<R>(job, number);
        let found = self.trees.borrow().get_copy(&key)?;
        Ok(found.and_then(|value| unseal(&key, &value)))
    }

    /// Adds what has changed to the batches; says how many rows.
    pub(super) fn drain_into(&mut self, batches: &mut Batches) -> usize {
        let trees = self.trees.borrow();
        for (&(job, number), cached) in self.cache.iter_mut().filter(|(_, cached)| cached.changed) {
            let key = key::<R>(job, number);
            let home = trees.home(job);
            let copy = (R::COPIED && home.is_some()).then_some(None);
            for home in std::iter::once(home).chain(copy) {
                let batch = batches.of(home);
                match &cached.row {
                    Some(row) => batch.insert(&key[..], seal(&key, row)),
                    None => batch.remove(&key[..]),
                }
            }
            cached.changed = false;
        }
        std::mem::take(&mut self.changed)
    }

    /// Drops from memory what can be read again.
    pub(super) fn forget(&mut self) {
        self.cache.retain(|_, cached| cached.changed);
    }

    /// Drops a job's rows from memory, changed or not.
    pub(super) fn forget_job(&mut self, job: JobId) {
        self.cache.retain(|(of, _), _| *of != job);
        self.changed = self.cache.values().filter(|cached| cached.changed).count();
    }

    pub(super) fn changed(&self) -> usize {
        self.changed
    }

    pub(super) fn cached(&self) -> usize {
        self.cache.len()
    }

    fn replace(&mut self, job: JobId, number: u64, row: Option<R>) {
        let before = self.cache.insert((job, number), Cached { row, changed: true });
        self.changed += usize::from(!before.is_some_and(|cached| cached.changed));
    }

    fn load(&mut self, job: JobId, number: u64) -> Result<&mut Cached<R>> {
        match self.cache.entry((job, number)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let row = fetch(&self.trees, &self.path, job, number)?;
                Ok(place.insert(Cached { row, changed: false }))
            }
        }
    }
}

/// The row as it is written.
fn fetch<R: Row>(trees: &RefCell<Trees>, path: &Path, job: JobId, number: u64) -> Result<Option<R>> {
    let key = key::<R>(job, number);
    let found = trees.borrow_mut().get(job, &key)?;
    let damaged = || QueueError::Damaged {
        path: path.to_owned(),
        what: format!("row {number} of table '{}' of job {job} is not whole", char::from(R::TABLE)),
    };
    found.map(|value| unseal(&key, &value).ok_or_else(damaged)).transpose()
}
