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
#[derive(Debug)]
pub(crate) struct Turns {
    taken: HashMap<Arc<Path>, FileRef>,
    paths: HashMap<FileRef, Arc<Path>>,
    /// By rank as it was looked at last, then in order of arrival.
    waiting: Vec<Waiting>,
    /// The most that wait: they take the room of those who could begin.
    most: usize,
    /// Jobs of which a file found no room to wait. They are left alone until half of the room is free, or they would
    /// be claimed and given back over and over.
    refused: HashSet<JobId>,
}

/// What becomes of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Its turn has come.
    Now(Claim),
    /// It waits, or what has its file in work ends it as well.
    Later,
    /// It would have to wait, and enough wait: it is to be given back.
    Refused(Claim),
}

#[derive(Debug)]
struct Waiting {
    path: Arc<Path>,
    claim: Claim,
}

impl Turns {
    /// No turns yet, at which `most` claims may wait.
    pub(crate) fn new(most: usize) -> Self {
        let (taken, paths) = (HashMap::new(), HashMap::new());
        Self { taken, paths, waiting: Vec::new(), most, refused: HashSet::new() }
    }

    /// Gives the claim back if its turn has come; else it waits here while there is room. It goes if its file has the
    /// turn already: then it was dealt anew because the clock had jumped, and what goes on with the file ends this
    /// claim as well. An older claim of a file is forgotten.
    pub(crate) fn take(&mut self, path: PathBuf, claim: Claim) -> Turn {
        let path: Arc<Path> = path.into();
        let file = claim.file;
        match self.taken.entry(Arc::clone(&path)) {
            Entry::Vacant(free) => {
                free.insert(file);
                self.paths.insert(file, path);
                self.waiting.retain(|waiting| waiting.claim.file != file);
                return Turn::Now(claim);
            }
            Entry::Occupied(taken) if *taken.get() == file => return Turn::Later,
            Entry::Occupied(_) => {}
        }
        let is_full = self.waiting.len() >= self.most;
        match self.waiting.iter_mut().find(|waiting| waiting.claim.file == file) {
            Some(waiting) => waiting.claim = claim,
            None if is_full => {
                self.refused.insert(file.job);
                return Turn::Refused(claim);
            }
            None => self.waiting.push(Waiting { path, claim }),
        }
        Turn::Later
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
        let next = self.waiting.extract_if(.., has_come).map(|waiting| waiting.claim).collect();
        if self.waiting.len() <= self.most / 2 {
            self.refused.clear();
        }
        next
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

    /// The jobs of which enough wait: all that do, where there is no room for more.
    pub(crate) fn jobs_with_enough(&self) -> Vec<JobId> {
        let mut counts: HashMap<JobId, usize> = HashMap::new();
        for waiting in &self.waiting {
            *counts.entry(waiting.claim.file.job).or_default() += 1;
        }
        let enough = if self.waiting.len() < self.most { ENOUGH_WAITING } else { 1 };
        counts.retain(|job, count| *count >= enough && !self.refused.contains(job));
        counts.into_keys().chain(self.refused.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use skyhaul_model::{FileSeq, FileSpec, RelPath};
    use skyhaul_queue::Known;

    use super::*;

    const ROOM: usize = 64;

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

    fn begin(turns: &mut Turns, path: &str, claim: Claim) {
        assert_eq!(turns.take(path.into(), claim.clone()), Turn::Now(claim), "{path}");
    }

    fn jobs(claims: Vec<Claim>) -> Vec<u64> {
        claims.into_iter().map(|claim| claim.file.job.0).collect()
    }

    #[test]
    fn those_who_wait_follow_one_by_one_by_rank_then_in_order_of_arrival() {
        let mut turns = Turns::new(ROOM);
        begin(&mut turns, "/o/f", claim(1, 0));
        begin(&mut turns, "/o/g", claim(1, 1));
        for job in [2, 3, 4] {
            assert_eq!(turns.take("/o/f".into(), claim(job, 0)), Turn::Later);
        }
        let rank = |job: JobId| if job == JobId(3) { 5 } else { 0 };
        let mut order = Vec::new();
        assert_eq!(turns.next(rank), [], "it is still the first one's turn");
        turns.end(claim(1, 0).file);
        while let [next] = turns.next(rank).as_slice() {
            order.push(next.file.job.0);
            begin(&mut turns, "/o/f", next.clone());
            turns.end(next.file);
        }
        assert_eq!((order, turns.waiting()), (vec![3, 2, 4], 0));
    }

    #[test]
    fn the_end_of_one_who_waits_ends_nobodys_turn() {
        let mut turns = Turns::new(ROOM);
        begin(&mut turns, "/o/f", claim(1, 0));
        assert_eq!(turns.take("/o/f".into(), claim(2, 0)), Turn::Later);
        turns.end(claim(2, 0).file);
        assert_eq!(turns.next(|_| 0), []);
        assert_eq!(turns.take("/o/f".into(), claim(3, 0)), Turn::Later);
    }

    #[test]
    fn a_file_that_is_dealt_anew_neither_begins_nor_waits_twice() {
        let mut turns = Turns::new(ROOM);
        begin(&mut turns, "/o/f", claim(1, 0));
        assert_eq!(turns.take("/o/f".into(), claim(1, 0)), Turn::Later, "it has the turn already");
        assert_eq!(turns.waiting(), 0);
        for _ in 0..2 {
            assert_eq!(turns.take("/o/f".into(), claim(2, 0)), Turn::Later);
        }
        assert_eq!(turns.waiting(), 1);
    }

    #[test]
    fn a_job_that_is_over_waits_no_longer_and_one_with_enough_is_known() {
        let mut turns = Turns::new(ROOM);
        for seq in 0..ENOUGH_WAITING as u64 {
            let path = format!("/o/{seq}");
            begin(&mut turns, &path, claim(1, seq));
            assert_eq!(turns.jobs_with_enough(), []);
            assert_eq!(turns.take(path.into(), claim(2, seq)), Turn::Later);
        }
        assert_eq!(turns.take("/o/0".into(), claim(3, 0)), Turn::Later);
        assert_eq!(turns.jobs_with_enough(), [JobId(2)]);
        assert_eq!(jobs(turns.give_up(|job| job == JobId(2))), [2; ENOUGH_WAITING]);
        assert_eq!((turns.waiting(), turns.jobs_with_enough()), (1, vec![]));
    }

    #[test]
    fn a_file_that_is_dealt_anew_when_its_path_is_free_begins_once() {
        let mut turns = Turns::new(ROOM);
        begin(&mut turns, "/o/f", claim(1, 0));
        assert_eq!(turns.take("/o/f".into(), claim(2, 0)), Turn::Later);
        turns.end(claim(1, 0).file);
        begin(&mut turns, "/o/f", claim(2, 0));
        turns.end(claim(2, 0).file);
        assert_eq!((turns.next(|_| 0), turns.waiting()), (vec![], 0));
    }

    #[test]
    fn beyond_the_room_nobody_waits_and_all_jobs_that_do_have_enough() {
        let mut turns = Turns::new(2);
        for seq in 0..3 {
            begin(&mut turns, &format!("/o/{seq}"), claim(1, seq));
        }
        assert_eq!(turns.take("/o/0".into(), claim(2, 0)), Turn::Later);
        assert_eq!(turns.jobs_with_enough(), []);
        assert_eq!(turns.take("/o/1".into(), claim(3, 1)), Turn::Later);
        assert_eq!(turns.take("/o/2".into(), claim(4, 2)), Turn::Refused(claim(4, 2)));
        assert_eq!(turns.take("/o/1".into(), claim(3, 1)), Turn::Later, "it waits already");
        let enough = BTreeSet::from_iter(turns.jobs_with_enough());
        assert_eq!(enough, BTreeSet::from([JobId(2), JobId(3), JobId(4)]));
        turns.end(claim(1, 0).file);
        assert_eq!(jobs(turns.next(|_| 0)), [2]);
        assert_eq!(turns.jobs_with_enough(), []);
    }

    proptest! {
        /// Whatever comes, comes anew and ends in whatever order: a path is one file's at a time, a file begins by its
        /// newest claim alone, everybody who was not refused has a turn, and no more wait than may.
        #[test]
        fn no_path_is_two_files_at_once_and_nobody_waits_for_ever(
            most in 0..24_usize,
            steps in proptest::collection::vec((0..4_u64, 0..6_u64, any::<[bool; 2]>()), 1..60)
        ) {
            let mut model = Model { turns: Turns::new(most), at: BTreeMap::new(), open: BTreeMap::new() };
            for (deal, (job, path, [ends, looks])) in steps.into_iter().enumerate() {
                if ends && let Some(file) = model.at.remove(&path) {
                    model.turns.end(file);
                }
                model.deal(&Claim { attempts: deal as u32, ..claim(job, path) });
                if looks {
                    model.look(|job| job.0 as i8);
                }
                prop_assert!(model.turns.waiting() <= most);
            }
            model.look(|_| 0);
            while let Some((_, file)) = model.at.pop_first() {
                model.turns.end(file);
                model.look(|_| 0);
            }
            prop_assert_eq!((model.open, model.turns.waiting()), (BTreeMap::new(), 0));
        }
    }

    struct Model {
        turns: Turns,
        /// Whose turn it is at each path.
        at: BTreeMap<u64, FileRef>,
        /// The newest claim of each file that has not begun.
        open: BTreeMap<FileRef, u32>,
    }

    impl Model {
        fn deal(&mut self, claim: &Claim) {
            let holder = self.at.get(&claim.file.seq.0).copied();
            if holder != Some(claim.file) {
                self.open.insert(claim.file, claim.attempts);
            }
            match self.turns.take(format!("/o/{}", claim.file.seq.0).into(), claim.clone()) {
                Turn::Now(begun) => {
                    assert_eq!((holder, self.open.remove(&begun.file)), (None, Some(begun.attempts)));
                    self.at.insert(begun.file.seq.0, begun.file);
                }
                Turn::Later => assert!(holder.is_some()),
                Turn::Refused(refused) => {
                    assert!(holder.is_some() && self.turns.waiting() == self.turns.most);
                    self.open.remove(&refused.file);
                }
            }
        }

        /// Begins those whose turn has come.
        fn look(&mut self, rank: impl Fn(JobId) -> i8) {
            for next in self.turns.next(rank) {
                assert_eq!(self.open.get(&next.file), Some(&next.attempts), "a claim that was dealt anew");
                self.deal(&next);
            }
        }
    }
}
