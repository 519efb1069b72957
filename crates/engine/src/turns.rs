//! Whose turn it is at each final path: of two jobs that want one file, the second waits until the first has put it
//! there or has given up, and then finds what lies there.
//!
//! Who has a turn waits for no other, so that every turn ends. In memory alone: claims end with the engine.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skyhaul_model::JobId;
use skyhaul_queue::{Claim, FileRef};

/// Files of a job that wait for others' turns beyond which no more of it are claimed.
const ENOUGH_WAITING: usize = 16;

/// The turns at final paths, and the claims that wait for theirs.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: HashMap<Arc<Path>, FileRef>,
    paths: HashMap<FileRef, Arc<Path>>,
    /// By rank as it was looked at last, then in order of arrival.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    path: Arc<Path>,
    claim: Claim,
}

impl Turns {
    /// Gives the claim back if its turn has come; else it waits here. It goes if its file has the turn already: then it
    /// was dealt anew because the clock had jumped, and what goes on with the file ends this claim as well.
    pub(crate) fn take(&mut self, path: PathBuf, claim: Claim) -> Option<Claim> {
        let path: Arc<Path> = path.into();
        match self.taken.entry(Arc::clone(&path)) {
            Entry::Vacant(free) => {
                free.insert(claim.file);
                self.paths.insert(claim.file, path);
                Some(claim)
            }
            Entry::Occupied(taken) => {
                let before = self.waiting.iter_mut().find(|waiting| waiting.claim.file == claim.file);
                match before {
                    _ if *taken.get() == claim.file => {}
                    Some(waiting) => waiting.claim = claim,
                    None => self.waiting.push(Waiting { path, claim }),
                }
                None
            }
        }
    }

    /// Ends a file's turn, where it has one.
    pub(crate) fn end(&mut self, file: FileRef) {
        if let Some(path) = self.paths.remove(&file) {
            self.taken.remove(&path);
        }
    }

    /// Takes out those whose turn has come: for each path that is free the first of those of the highest rank.
    pub(crate) fn next(&mut self, rank: impl Fn(JobId) -> i8) -> Vec<Claim> {
        self.waiting.sort_by_key(|waiting| Reverse(rank(waiting.claim.file.job)));
        let (taken, mut given) = (&self.taken, HashSet::new());
        let has_come = |waiting: &mut Waiting| {
            !taken.contains_key(&waiting.path) && given.insert(Arc::clone(&waiting.path))
        };
        self.waiting.extract_if(.., has_come).map(|waiting| waiting.claim).collect()
    }

    /// Takes out those who wait and are of such jobs.
    pub(crate) fn give_up(&mut self, is_over: impl Fn(JobId) -> bool) -> Vec<Claim> {
        let given_up = self.waiting.extract_if(.., |waiting| is_over(waiting.claim.file.job));
        given_up.map(|waiting| waiting.claim).collect()
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The jobs of which enough wait.
    pub(crate) fn jobs_with_enough(&self) -> Vec<JobId> {
        let mut counts: HashMap<JobId, usize> = HashMap::new();
        for waiting in &self.waiting {
            *counts.entry(waiting.claim.file.job).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count >= ENOUGH_WAITING).map(|(job, _)| job).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use skyhaul_model::{FileSeq, FileSpec, RelPath};
    use skyhaul_queue::Known;

    use super::*;

    fn claim(job: u64, seq: u64) -> Claim {
        let spec = FileSpec {
            url: "https://a/f".to_owned(),
            path: Ok(RelPath::parse("f").unwrap()),
            size: None,
            sha256: None,
        };
        let file = FileRef { job: JobId(job), seq: FileSeq(seq) };
        let (attempts, failures, received) = (0, 0, 0);
        Claim { file, spec, attempts, failures, last_error: None, received, known: Known::Nothing }
    }

    fn jobs(claims: Vec<Claim>) -> Vec<u64> {
        claims.into_iter().map(|claim| claim.file.job.0).collect()
    }

    #[test]
    fn those_who_wait_follow_one_by_one_by_rank_then_in_order_of_arrival() {
        let mut turns = Turns::default();
        assert!(turns.take("/o/f".into(), claim(1, 0)).is_some());
        assert!(turns.take("/o/g".into(), claim(1, 1)).is_some(), "another path");
        for job in [2, 3, 4] {
            assert_eq!(turns.take("/o/f".into(), claim(job, 0)), None);
        }
        let rank = |job: JobId| if job == JobId(3) { 5 } else { 0 };
        let mut order = Vec::new();
        assert_eq!(turns.next(rank), [], "it is still the first one's turn");
        turns.end(claim(1, 0).file);
        while let [next] = turns.next(rank).as_slice() {
            order.push(next.file.job.0);
            let begun = turns.take("/o/f".into(), next.clone()).unwrap();
            turns.end(begun.file);
        }
        assert_eq!((order, turns.waiting()), (vec![3, 2, 4], 0));
    }

    #[test]
    fn the_end_of_one_who_waits_ends_nobodys_turn() {
        let mut turns = Turns::default();
        turns.take("/o/f".into(), claim(1, 0)).unwrap();
        assert_eq!(turns.take("/o/f".into(), claim(2, 0)), None);
        turns.end(claim(2, 0).file);
        assert_eq!(turns.next(|_| 0), []);
        assert_eq!(turns.take("/o/f".into(), claim(3, 0)), None);
    }

    #[test]
    fn a_file_that_is_dealt_anew_neither_begins_nor_waits_twice() {
        let mut turns = Turns::default();
        turns.take("/o/f".into(), claim(1, 0)).unwrap();
        assert_eq!(turns.take("/o/f".into(), claim(1, 0)), None, "it has the turn already");
        assert_eq!(turns.waiting(), 0);
        for _ in 0..2 {
            assert_eq!(turns.take("/o/f".into(), claim(2, 0)), None);
        }
        assert_eq!(turns.waiting(), 1);
    }

    #[test]
    fn a_job_that_is_over_waits_no_longer_and_one_with_enough_is_known() {
        let mut turns = Turns::default();
        for seq in 0..ENOUGH_WAITING as u64 {
            let path = || format!("/o/{seq}").into();
            turns.take(path(), claim(1, seq)).unwrap();
            assert_eq!(turns.jobs_with_enough(), []);
            assert_eq!(turns.take(path(), claim(2, seq)), None);
        }
        assert_eq!(turns.take("/o/0".into(), claim(3, 0)), None);
        assert_eq!(turns.jobs_with_enough(), [JobId(2)]);
        assert_eq!(jobs(turns.give_up(|job| job == JobId(2))), [2; ENOUGH_WAITING]);
        assert_eq!((turns.waiting(), turns.jobs_with_enough()), (1, vec![]));
    }

    proptest! {
        /// Whatever comes and ends in whatever order: a path is one file's at a time, and everybody has a turn.
        #[test]
        fn no_path_is_two_files_at_once_and_nobody_waits_for_ever(
            steps in proptest::collection::vec((0..4_u64, 0..6_u64, any::<bool>()), 1..60)
        ) {
            let mut turns = Turns::default();
            let (mut at, mut begun, mut served) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
            let mut take = |turns: &mut Turns, at: &mut BTreeMap<u64, FileRef>, claim: Claim| {
                let (path, file) = (claim.file.seq.0, claim.file);
                let is_its_turn = turns.take(format!("/o/{path}").into(), claim).is_some();
                assert_eq!(is_its_turn, !at.contains_key(&path), "path {path}");
                if is_its_turn {
                    at.insert(path, file);
                    served.insert(file);
                }
            };
            for (job, path, ends) in steps {
                begun.insert(claim(job, path).file);
                take(&mut turns, &mut at, claim(job, path));
                if ends && let Some(file) = at.remove(&path) {
                    turns.end(file);
                }
                for next in turns.next(|job| job.0 as i8) {
                    take(&mut turns, &mut at, next);
                }
            }
            while let Some((_, file)) = at.pop_first() {
                turns.end(file);
                for next in turns.next(|_| 0) {
                    take(&mut turns, &mut at, next);
                }
            }
            prop_assert_eq!((served, turns.waiting()), (begun, 0));
        }
    }
}
