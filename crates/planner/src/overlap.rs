//! Files that several windows of one query list: each goes to the first that asks for it.
//!
//! Lives in memory, about 60 bytes for each such file, which are few: see `docs/architecture.md`. After a crash it
//! is made anew from the files that the job has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skyhaul_model::{ErrorKind, FileError, FileSpec, Interval, WindowId};

use crate::belonging::Calendar;
use crate::mark::{of_homeless, of_path, of_url};
use crate::seen::Kept;

/// Which of a query's files, of those that several of its windows may list, have a window that keeps them.
pub struct Overlap {
    calendar: Calendar,
    known: Mutex<HashMap<u128, Holder>>,
}

/// What is remembered of a file.
#[derive(Clone, Copy)]
struct Holder {
    url: u64,
    /// The window whose bytes it counts among; none until one lists it, where the job had it before.
    window: Option<WindowId>,
}

/// Some files of a window's listing, those among them that other windows may list not yet asked for.
#[derive(Debug, Default)]
pub struct Batch {
    files: Vec<FileSpec>,
    /// The places of those that other windows may list, in order.
    shared: Vec<usize>,
    /// Entries of the listing that were looked at for it.
    looked_at: u64,
}

/// The files that one attempt to list a window keeps. What it took of those that other windows may list is given
/// back when it is dropped: another window, or another attempt, has them then.
#[must_use]
pub struct Taken {
    overlap: Arc<Overlap>,
    window: WindowId,
    fresh: Vec<u128>,
    looked_at: u64,
    counted: u64,
}

/// What asking for a file led to.
enum Met {
    First,
    Again {
        is_ours: bool,
    },
    /// Its place is another URL's.
    Rival,
}

impl Overlap {
    /// Of a query with these intervals of which nothing is planned yet.
    #[must_use]
    pub fn new(intervals: &[Interval]) -> Arc<Self> {
        Arc::new(Self { calendar: Calendar::new(intervals), known: Mutex::default() })
    }

    /// Remembers files that the job has already, so that no window brings them again. To be told of all of them
    /// before the first batch with shared files is taken from; being told twice is fine.
    pub fn know<'a>(&self, files: impl IntoIterator<Item = &'a FileSpec>) {
        let mut known = self.known();
        for file in files.into_iter().filter(|file| self.calendar.may_be_untold(file)) {
            let key = file.path.as_ref().map_or_else(|_| of_homeless(&file.url), of_path);
            // Of several with one path, the last one's URL is the archive's newest.
            known.insert(key, Holder { url: of_url(&file.url), window: None });
        }
    }

    /// Begins an attempt to list a window.
    pub(crate) fn begin(self: &Arc<Self>, window: WindowId) -> Taken {
        Taken { overlap: Arc::clone(self), window, fresh: Vec::new(), looked_at: 0, counted: 0 }
    }

    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// No step of its users can leave it half-changed.
    fn known(&self) -> MutexGuard<'_, HashMap<u128, Holder>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// How many files it holds.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether other windows may list some of them as well.
    #[must_use]
    pub fn has_shared(&self) -> bool {
        !self.shared.is_empty()
    }

    /// Takes up what was made of the listing's next entry.
    pub(crate) fn add(&mut self, kept: Option<Kept>) {
        self.looked_at += 1;
        match kept {
            None => {}
            Some(Kept::Own(file)) => self.files.push(file),
            Some(Kept::Shared(file)) => {
                self.shared.push(self.files.len());
                self.files.push(file);
            }
        }
    }
}

impl Taken {
    /// The files of a batch that no other window has.
    pub(crate) fn take(&mut self, batch: Batch) -> Vec<FileSpec> {
        self.looked_at += batch.looked_at;
        self.counted += (batch.files.len() - batch.shared.len()) as u64;
        if batch.shared.is_empty() {
            return batch.files;
        }
        let mut shared = batch.shared.into_iter().peekable();
        let overlap = Arc::clone(&self.overlap);
        let mut known = overlap.known();
        let kept = batch.files.into_iter().enumerate().filter_map(|(place, file)| {
            if shared.next_if_eq(&place).is_some() { self.ask(&mut known, file) } else { Some(file) }
        });
        kept.collect()
    }

    /// The part of the archive's total of the window, in bytes, that is the kept files': exact where all or
    /// none are kept, else their number's share.
    pub(crate) fn share_of(&self, total: u64) -> u64 {
        let share = u128::from(total) * u128::from(self.counted) / u128::from(self.looked_at.max(1));
        u64::try_from(share).unwrap_or(total)
    }

    /// The window's files are the job's now.
    pub fn keep(mut self) {
        self.fresh.clear();
    }

    fn ask(&mut self, known: &mut HashMap<u128, Holder>, mut file: FileSpec) -> Option<FileSpec> {
        let url = of_url(&file.url);
        let mut met = Met::Rival;
        if let Ok(path) = &file.path {
            met = self.meet(known, of_path(path), url);
            if matches!(met, Met::Rival) {
                let message = format!("another URL of the query's listings lands at {path} already");
                file.path = Err(FileError::new(ErrorKind::Path, message));
            }
        }
        if matches!(met, Met::Rival) {
            met = self.meet(known, of_homeless(&file.url), url);
        }
        self.counted += u64::from(!matches!(met, Met::Again { is_ours: false }));
        matches!(met, Met::First).then_some(file)
    }

    fn meet(&mut self, known: &mut HashMap<u128, Holder>, key: u128, url: u64) -> Met {
        let ours = Holder { url, window: Some(self.window) };
        let holder = match known.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(ours);
                self.fresh.push(key);
                return Met::First;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        match *holder {
            Holder { url: held, window } if held == url => {
                holder.window = window.or(ours.window);
                Met::Again { is_ours: holder.window == ours.window }
            }
            // Listed long ago: the archive has moved it since.
            Holder { window: None, .. } => {
                *holder = ours;
                self.fresh.push(key);
                Met::First
            }
            Holder { .. } => Met::Rival,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let mut known = self.overlap.known();
        for key in &self.fresh {
            known.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    use jiff::Timestamp;
    use proptest::prelude::*;
    use skyhaul_archive::Resolution;
    use skyhaul_model::{RelPath, Source, WindowTarget};

    use super::*;
    use crate::expand::{self, windows};
    use crate::naming::Tree;
    use crate::seen::Seen;

    const PREFIX: &str = "https://h/p";

    fn hour(number: i64) -> Interval {
        let at = |second| Timestamp::from_second(second).unwrap();
        Interval { start: at(number * 3600), end: at(number * 3600 + 3599), site: None }
    }

    fn file(name: &str) -> FileSpec {
        Tree::new(PREFIX, "D").file(&format!("{PREFIX}/{name}"))
    }

    /// A batch of files that other windows may list.
    fn shared(names: &[&str]) -> Batch {
        let mut batch = Batch::default();
        names.iter().for_each(|name| batch.add(Some(Kept::Shared(file(name)))));
        batch
    }

    fn names(files: &[FileSpec]) -> Vec<&str> {
        files.iter().map(|file| file.url.rsplit('/').next().unwrap()).collect()
    }

    #[test]
    fn the_first_to_ask_has_a_file_until_its_attempt_comes_to_nothing() {
        let overlap = Overlap::new(&[hour(0), hour(2)]);
        let (mut first, mut second) = (overlap.begin(WindowId(1)), overlap.begin(WindowId(2)));
        assert_eq!(names(&first.take(shared(&["a", "b"]))), ["a", "b"]);
        assert_eq!(names(&second.take(shared(&["b", "c"]))), ["c"]);
        drop(first);
        second.keep();
        let mut third = overlap.begin(WindowId(3));
        assert_eq!(names(&third.take(shared(&["a", "b", "c"]))), ["a", "b"]);
    }

    #[test]
    fn what_the_job_has_is_not_brought_again_and_counts_for_one_window() {
        let overlap = Overlap::new(&[hour(0), hour(2)]);
        overlap.know(&[file("a"), file("..")]);
        for (window, share) in [(1, 100), (2, 0), (1, 100)] {
            let mut taken = overlap.begin(WindowId(window));
            assert!(taken.take(shared(&["a", ".."])).is_empty());
            assert_eq!(taken.share_of(100), share, "window {window}");
        }
    }

    #[test]
    fn bytes_are_shared_by_number() {
        let overlap = Overlap::new(&[hour(0), hour(2)]);
        overlap.know(&[file("a")]);
        let mut first = overlap.begin(WindowId(1));
        first.take(shared(&["a"]));
        let mut second = overlap.begin(WindowId(2));
        let mut batch = shared(&["a", "b"]);
        batch.add(Some(Kept::Own(file("c"))));
        batch.add(None);
        second.take(batch);
        assert_eq!((first.share_of(7), second.share_of(8), second.share_of(u64::MAX)), (7, 4, u64::MAX / 2));
        assert_eq!(overlap.begin(WindowId(3)).share_of(9), 0, "nothing was listed");
    }

    #[test]
    fn a_place_is_one_urls_until_the_archive_moves_the_file() {
        let overlap = Overlap::new(&[hour(0), hour(2)]);
        overlap.know(&[file("moved")]);
        let mut first = overlap.begin(WindowId(1));
        assert_eq!(names(&first.take(shared(&["a", "moved?now"]))), ["a", "moved?now"]);
        let mut second = overlap.begin(WindowId(2));
        let files = second.take(shared(&["moved?now", "a?x", "a?x"]));
        assert_eq!(names(&files), ["a?x"]);
        assert_eq!(files[0].path.as_ref().unwrap_err().kind, ErrorKind::Path);
    }

    /// A file of a made-up archive: its name, site and the minutes that it covers.
    #[derive(Clone, Debug)]
    struct Held {
        name: String,
        site: &'static str,
        first: i64,
        last: i64,
    }

    fn held() -> impl Strategy<Value = Held> {
        let site = prop::sample::select(vec!["fsmi", "gill"]);
        let length = prop::sample::select(vec![1, 60, 1440]);
        (site, 0i64..300, length, any::<bool>()).prop_map(|(site, begin, length, is_timed)| {
            let first = begin * 10 / length * length;
            let start = Timestamp::from_second(first * 60).unwrap();
            let time =
                if is_timed { start.strftime("%Y%m%d_%H%M").to_string() } else { format!("x_{first}") };
            Held { name: format!("{time}_{site}_{length}.gz"), site, first, last: first + length - 1 }
        })
    }

    fn intervals() -> impl Strategy<Value = Vec<Interval>> {
        let site = prop::option::of(prop::sample::select(vec!["fsmi", "gill"]));
        let interval = (0i64..2900, 0i64..200, site).prop_map(|(start, length, site)| Interval {
            start: Timestamp::from_second(start * 60).unwrap(),
            end: Timestamp::from_second((start + length) * 60 + 59).unwrap(),
            site: site.map(str::to_owned),
        });
        prop::collection::vec(interval, 1..8)
    }

    /// What happens next: a window is begun and ended `later` steps on, or the process is killed, or all are to
    /// be listed again. An attempt that fails breaks off behind some of its files.
    #[derive(Clone, Debug)]
    enum Step {
        List { pick: prop::sample::Index, later: usize, breaks_after: Option<usize> },
        Kill,
        Refresh,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let list = (any::<prop::sample::Index>(), 0usize..4, prop::option::of(0usize..4));
        let list = list.prop_map(|(pick, later, breaks_after)| Step::List { pick, later, breaks_after });
        let step = prop_oneof![16 => list, 1 => Just(Step::Kill), 1 => Just(Step::Refresh)];
        prop::collection::vec(step, 0..40)
    }

    /// A job as the queue keeps it, an archive, and an engine that lists its windows.
    struct World {
        targets: Vec<WindowTarget>,
        intervals: Vec<Interval>,
        files: Vec<Held>,
        /// What each window has brought.
        job: BTreeMap<usize, Vec<FileSpec>>,
        pending: BTreeSet<usize>,
        overlap: Arc<Overlap>,
        in_work: Vec<Attempt>,
    }

    /// A window that is being listed.
    struct Attempt {
        window: usize,
        /// Steps until it ends.
        later: usize,
        /// None when it fails.
        files: Option<Vec<FileSpec>>,
        taken: Taken,
    }

    impl World {
        fn new(intervals: Vec<Interval>, sites: &[String], files: Vec<Held>) -> Self {
            let Source::Archive { intervals, .. } = Source::archive("", &[], intervals, sites, &[]) else {
                unreachable!()
            };
            let tree =
                expand::Tree { name: "D".into(), prefix: PREFIX.into(), resolution: Resolution::Minute };
            let planned = windows(&tree, &intervals, sites, &[], Timestamp::UNIX_EPOCH);
            let targets: Vec<_> = planned.into_iter().map(|window| window.target).collect();
            let (pending, overlap) = ((0..targets.len()).collect(), Overlap::new(&intervals));
            Self { targets, intervals, files, job: BTreeMap::new(), pending, overlap, in_work: Vec::new() }
        }

        /// The files whose periods overlap the window's, as the archive lists them.
        fn listing(&self, window: usize) -> Vec<String> {
            let WindowTarget::Listing { start, end, site, .. } = &self.targets[window] else {
                unreachable!()
            };
            let is_within = |file: &&Held| {
                file.first * 60 <= end.as_second()
                    && file.last * 60 + 59 >= start.as_second()
                    && site.as_ref().is_none_or(|site| site == file.site)
            };
            self.files.iter().filter(is_within).map(|file| file.name.clone()).collect()
        }

        fn step(&mut self, step: &Step) {
            self.in_work.iter_mut().for_each(|attempt| attempt.later = attempt.later.saturating_sub(1));
            match *step {
                Step::List { pick, later, breaks_after } if !self.pending.is_empty() => {
                    let window = *self.pending.iter().nth(pick.index(self.pending.len())).unwrap();
                    self.list(window, later, breaks_after);
                }
                Step::List { .. } => {}
                Step::Kill => {
                    self.pending.extend(self.in_work.drain(..).map(|attempt| attempt.window));
                    self.overlap = Overlap::new(&self.intervals);
                    self.overlap.know(self.job.values().flatten());
                }
                Step::Refresh => {
                    let in_work: HashSet<_> = self.in_work.iter().map(|attempt| attempt.window).collect();
                    self.pending =
                        (0..self.targets.len()).filter(|window| !in_work.contains(window)).collect();
                }
            }
            self.settle();
        }

        fn list(&mut self, window: usize, later: usize, breaks_after: Option<usize>) {
            self.pending.remove(&window);
            let mut seen = Seen::new(&self.targets[window], self.overlap.calendar());
            let mut taken = self.overlap.begin(WindowId(u32::try_from(window).unwrap()));
            let mut batch = Batch::default();
            let listed = self.listing(window);
            let read = breaks_after.unwrap_or(listed.len());
            listed.iter().take(read).for_each(|name| batch.add(seen.admit(file(name))));
            let files = taken.take(batch);
            let files = breaks_after.is_none().then_some(files);
            self.in_work.push(Attempt { window, later, files, taken });
        }

        /// Ends the attempts whose time has come; those that failed are to be made again.
        fn settle(&mut self) {
            let attempts = std::mem::take(&mut self.in_work).into_iter();
            let (go_on, ended): (Vec<_>, Vec<_>) = attempts.partition(|attempt| attempt.later > 0);
            self.in_work = go_on;
            for Attempt { window, files, taken, .. } in ended {
                let Some(files) = files else {
                    self.pending.insert(window);
                    continue;
                };
                let brought = self.job.entry(window).or_default();
                let new: Vec<_> = files.into_iter().filter(|file| !brought.contains(file)).collect();
                brought.extend(new);
                taken.keep();
            }
        }

        fn finish(&mut self) {
            while !self.pending.is_empty() || !self.in_work.is_empty() {
                self.in_work.iter_mut().for_each(|attempt| attempt.later = 0);
                if let Some(&window) = self.pending.first() {
                    self.list(window, 0, None);
                }
                self.settle();
            }
        }
    }

    proptest! {
        #[test]
        fn every_listed_file_is_the_jobs_once(
            intervals in intervals(),
            sites in prop::sample::select(vec![vec![], vec!["gill".to_owned()], vec!["fsmi".into(), "gill".into()]]),
            files in prop::collection::btree_map("[a-z]", held(), 1..12),
            steps in steps(),
        ) {
            let mut world = World::new(intervals, &sites, files.into_values().collect());
            steps.iter().for_each(|step| world.step(step));
            world.finish();
            let listed: BTreeSet<String> = (0..world.targets.len()).flat_map(|at| world.listing(at)).collect();
            let expected: Vec<_> = listed.iter().map(|name| format!("D/{name}")).collect();
            let mut planned: Vec<_> = world.job.values().flatten().map(|file| file.path.clone().unwrap()).collect();
            planned.sort_unstable();
            prop_assert_eq!(planned.iter().map(RelPath::as_str).collect::<Vec<_>>(), expected);
        }
    }
}
