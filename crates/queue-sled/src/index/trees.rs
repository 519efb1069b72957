//! Which sled holds a job's rows: one that most jobs share, or, for a large job, one in the job's own folder.
//!
//! So removing a large job is removing a folder (sled 0.34.7 locks up under many deletions), damage to its
//! index costs that index alone, and ten thousand small jobs cost one sled. Those of large jobs are opened
//! when they are needed, and a few are open at once; one that is closed was synced before. The shared sled has
//! a copy of each job row, for finished jobs to be told of without opening theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skyhaul_model::JobId;
use skyhaul_queue::Result;

use super::row::{Key, number};
use super::store::{clear, close_sled, open_sled, sled_error};
use crate::disk;
use crate::watch::Watch;

/// Sleds of large jobs that are open at once, at most: each has a thread and a cache of its own.
const OPEN_MAX: usize = 4;

/// The page cache of the shared sled and of each other one, in bytes.
const SHARED_CACHE: u64 = 64 << 20;
const OWN_CACHE: u64 = 32 << 20;

/// All sleds.
pub(super) struct Trees {
    shared: sled::Db,
    path: PathBuf,
    /// Where the jobs' folders lie.
    jobs: PathBuf,
    own: BTreeMap<JobId, Own>,
    uses: u64,
    watch: Watch,
}

/// A large job's sled.
#[derive(Default)]
struct Own {
    db: Option<sled::Db>,
    /// The number of its last use.
    used: u64,
}

/// Rows to be written, by the sled that holds them: none is the shared one.
#[derive(Default)]
pub(super) struct Batches(BTreeMap<Option<JobId>, sled::Batch>);

impl Trees {
    /// Opens or creates the shared sled; the jobs in `own` have theirs already.
    pub(super) fn open(path: &Path, jobs: &Path, own: &[JobId], watch: Watch) -> Result<Self> {
        // Its name becomes durable with the word of a clean close; nobody believes it before.
        disk::make_dir(path)?;
        let shared = watch.over(|| open_sled(path, SHARED_CACHE))?;
        let own = own.iter().map(|&job| (job, Own::default())).collect();
        Ok(Self { shared, path: path.to_owned(), jobs: jobs.to_owned(), own, uses: 0, watch })
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(super) fn is_own(&self, job: JobId) -> bool {
        self.own.contains_key(&job)
    }

    /// Lets the job have a sled of its own from now on, an empty one.
    pub(super) fn give_own(&mut self, job: JobId) -> Result<()> {
        disk::remove_all(&own_path(&self.jobs, job))?;
        self.own.insert(job, Own::default());
        Ok(())
    }

    pub(super) fn get(&mut self, job: JobId, key: &Key) -> Result<Option<sled::IVec>> {
        let path = self.path_of(job);
        let db = self.of(job)?;
        self.watch.over(|| db.get(key)).map_err(|error| sled_error("cannot read", &path, error))
    }

    /// What the shared sled has, whoever holds the job's rows.
    pub(super) fn get_copy(&self, key: &Key) -> Result<Option<sled::IVec>> {
        self.watch.over(|| self.shared.get(key)).map_err(|error| sled_error("cannot read", &self.path, error))
    }

    /// The numbers of up to `limit` rows from one key to another.
    pub(super) fn numbers(&mut self, job: JobId, from: Key, to: Key, limit: usize) -> Result<Vec<u64>> {
        let path = self.path_of(job);
        let db = self.of(job)?;
        let mut numbers = Vec::new();
        self.watch.over(|| {
            for key in db.range(from..=to).keys().take(limit) {
                numbers.extend(number(&key.map_err(|error| sled_error("cannot read", &path, error))?));
            }
            Ok(numbers)
        })
    }

    /// The jobs that the shared sled has rows of in this table.
    pub(super) fn jobs(&self, table: u8) -> Result<Vec<JobId>> {
        let mut jobs = Vec::new();
        self.watch.over(|| {
            for key in self.shared.scan_prefix([table]).keys() {
                let key = key.map_err(|error| sled_error("cannot read", &self.path, error))?;
                let id = key.get(1..9).and_then(|bytes| bytes.first_chunk::<8>());
                jobs.extend(id.map(|bytes| JobId(u64::from_be_bytes(*bytes))));
            }
            jobs.dedup();
            Ok(jobs)
        })
    }

    /// Writes the rows of each sled, all of a sled's or none.
    pub(super) fn apply(&mut self, batches: Batches) -> Result<()> {
        // The shared sled comes last: its copies are then never ahead of what they are copies of.
        for (home, batch) in batches.0.into_iter().rev() {
            let (db, path) = match home {
                Some(job) => (self.of(job)?, self.path_of(job)),
                None => (self.shared.clone(), self.path.clone()),
            };
            let applied = self.watch.over(|| db.apply_batch(batch));
            applied.map_err(|error| sled_error("cannot write", &path, error))?;
        }
        Ok(())
    }

    /// Removes a job's rows; one with a sled of its own loses that.
    pub(super) fn clear(&mut self, job: JobId, tables: &[u8]) -> Result<()> {
        if self.own.remove(&job).is_some() {
            disk::remove_all(&own_path(&self.jobs, job))?;
        }
        tables.iter().try_for_each(|&table| self.watch.over(|| clear(&self.shared, &self.path, table, job)))
    }

    /// Closes the job's own sled, durably, until it is needed again.
    pub(super) fn put_away(&mut self, job: JobId) -> Result<()> {
        let path = own_path(&self.jobs, job);
        match self.own.get_mut(&job).and_then(|own| own.db.take()) {
            Some(db) => self.watch.over(|| close_sled(db, &path)),
            None => Ok(()),
        }
    }

    /// Closes all of them, durably.
    pub(super) fn close(mut self) -> Result<()> {
        for job in self.own.keys().copied().collect::<Vec<_>>() {
            self.put_away(job)?;
        }
        let Self { shared, path, watch, .. } = self;
        watch.over(|| close_sled(shared, &path))
    }

    /// Where a job's rows are written.
    pub(super) fn home(&self, job: JobId) -> Option<JobId> {
        self.is_own(job).then_some(job)
    }

    /// The sled that holds the job's rows, opened if need be.
    fn of(&mut self, job: JobId) -> Result<sled::Db> {
        self.uses += 1;
        let uses = self.uses;
        match self.own.get_mut(&job) {
            None => return Ok(self.shared.clone()),
            Some(own) => own.used = uses,
        }
        if let Some(db) = self.own.get(&job).and_then(|own| own.db.as_ref()) {
            return Ok(db.clone());
        }
        let open = || self.own.iter().filter(|(_, own)| own.db.is_some());
        if open().count() >= OPEN_MAX
            && let Some(idle) = open().min_by_key(|(_, own)| own.used).map(|(job, _)| *job)
        {
            self.put_away(idle)?;
        }
        let path = own_path(&self.jobs, job);
        let db = self.watch.over(|| open_sled(&path, OWN_CACHE))?;
        self.own.entry(job).or_default().db = Some(db.clone());
        Ok(db)
    }

    fn path_of(&self, job: JobId) -> PathBuf {
        if self.is_own(job) { own_path(&self.jobs, job) } else { self.path.clone() }
    }
}

impl Batches {
    /// What is written to one sled.
    pub(super) fn of(&mut self, home: Option<JobId>) -> &mut sled::Batch {
        self.0.entry(home).or_default()
    }
}

/// Where a large job's sled lies.
pub(crate) fn own_path(jobs: &Path, job: JobId) -> PathBuf {
    jobs.join(job.to_string()).join("index")
}
