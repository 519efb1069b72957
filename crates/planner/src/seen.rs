//! De-duplication within one listing, and what is given up to its neighbours, in memory that the listing bounds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use skyhaul_model::{ErrorKind, FileError, FileSpec, WindowTarget};

use crate::belonging::{Belonging, Calendar};
use crate::mark::{of_path, of_url};

/// Decides for each file of one listing whether it is to be kept.
pub(crate) struct Seen<'a> {
    target: &'a WindowTarget,
    calendar: &'a Calendar,
    urls_by_path: HashMap<u128, u64>,
}

/// A file that is to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// No other window of the query keeps it.
    Own(FileSpec),
    /// Other windows may keep it as well.
    Shared(FileSpec),
}

impl<'a> Seen<'a> {
    /// A fresh memory for the listing of `target`, one of the windows of the calendar's query.
    pub(crate) fn new(target: &'a WindowTarget, calendar: &'a Calendar) -> Self {
        Self { target, calendar, urls_by_path: HashMap::new() }
    }

    /// The file to plan: none when it is a repetition, or when a neighbouring window will list it.
    pub(crate) fn admit(&mut self, mut file: FileSpec) -> Option<Kept> {
        let keep = match self.calendar.belonging(self.target, &file) {
            Belonging::ThisWindow => Kept::Own,
            Belonging::Untold => Kept::Shared,
            Belonging::AnotherWindow => return None,
        };
        if let Ok(path) = &file.path {
            let url = of_url(&file.url);
            match self.urls_by_path.entry(of_path(path)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(url);
                }
                Entry::Occupied(known) if *known.get() == url => return None,
                Entry::Occupied(_) => {
                    let message = format!("another URL of the listing lands at {path} already");
                    file.path = Err(FileError::new(ErrorKind::Path, message));
                }
            }
        }
        Some(keep(file))
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::Interval;

    use super::*;
    use crate::naming::Tree;

    const PREFIX: &str = "https://h/p";

    fn day(date: &str) -> WindowTarget {
        WindowTarget::Listing {
            dataset: "D".into(),
            prefix: PREFIX.into(),
            site: None,
            device: None,
            start: skyhaul_model::parse_start(date).unwrap(),
            end: skyhaul_model::parse_end(date).unwrap(),
        }
    }

    fn calendar(start: &str, end: &str) -> Calendar {
        Calendar::new(&[Interval {
            start: skyhaul_model::parse_start(start).unwrap(),
            end: skyhaul_model::parse_end(end).unwrap(),
            site: None,
        }])
    }

    /// What is kept, and whether it has a place.
    fn admitted(target: &WindowTarget, calendar: &Calendar, names: &[&str]) -> Vec<(String, bool)> {
        let mut seen = Seen::new(target, calendar);
        let kept = names
            .iter()
            .filter_map(|name| seen.admit(Tree::new(PREFIX, "D").file(&format!("{PREFIX}/{name}"))));
        let told = |file: FileSpec| (file.url.replace("https://h/p/", ""), file.path.is_ok());
        kept.map(|(Kept::Own(file) | Kept::Shared(file))| told(file)).collect()
    }

    #[test]
    fn a_repeated_url_is_one_file_and_a_taken_path_is_an_error() {
        let all = calendar("2022", "2022");
        let kept = admitted(&day("2022-01-01"), &all, &["a.gz", "b.gz", "a.gz", "a.gz?v=2"]);
        assert_eq!(kept, [("a.gz".into(), true), ("b.gz".into(), true), ("a.gz?v=2".into(), false)]);
    }

    #[test]
    fn a_file_that_two_days_list_is_kept_by_the_day_it_begins_in() {
        let two_days = calendar("2022-01-01", "2022-01-02");
        let name = "20220102_00_gill_x.pgm.gz";
        assert!(admitted(&day("2022-01-01"), &two_days, &[name]).is_empty());
        assert_eq!(admitted(&day("2022-01-02"), &two_days, &[name]).len(), 1);
    }

    #[test]
    fn a_file_that_begins_in_no_window_is_shared() {
        let from_noon = calendar("2022-01-01T09:40", "2022-01-01T12");
        let target = day("2022-01-01");
        let mut seen = Seen::new(&target, &from_noon);
        let mut is_shared = |name: &str| {
            let file = Tree::new(PREFIX, "D").file(&format!("{PREFIX}/{name}"));
            matches!(seen.admit(file), Some(Kept::Shared(_)))
        };
        assert!(is_shared("20211231_2359_x.gz") && is_shared("skymap_v02.sav") && is_shared(".."));
        assert!(!is_shared("20220101_0940_x.gz"));
    }
}
