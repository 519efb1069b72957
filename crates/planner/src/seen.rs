//! De-duplication within one listing and against its neighbours, without memory that grows with the job.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};

use jiff::{Timestamp, civil, tz::TimeZone};
use skyhaul_model::{ErrorKind, FileError, FileSpec, Interval, WindowTarget};

/// Decides for each file of one listing whether it is to be kept.
pub(crate) struct Seen<'a> {
    target: &'a WindowTarget,
    intervals: &'a [Interval],
    urls_by_path: HashMap<u128, u64>,
}

impl<'a> Seen<'a> {
    /// A fresh memory for the listing of `target`, one of the windows of a query over `intervals`.
    pub(crate) fn new(target: &'a WindowTarget, intervals: &'a [Interval]) -> Self {
        Self { target, intervals, urls_by_path: HashMap::new() }
    }

    /// The file to plan: none when it is a repetition, or when a neighbouring window will list it.
    pub(crate) fn admit(&mut self, mut file: FileSpec) -> Option<FileSpec> {
        let Ok(path) = &file.path else { return Some(file) };
        if self.belongs_to_neighbour(path.file_name()) {
            return None;
        }
        let url = hash(0, &file.url);
        let key = u128::from(hash(1, path.as_str())) << 64 | u128::from(hash(2, path.as_str()));
        match self.urls_by_path.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(url);
            }
            Entry::Occupied(known) if *known.get() == url => return None,
            Entry::Occupied(_) => {
                let message = format!("another URL of the listing lands at {path} already");
                file.path = Err(FileError::new(ErrorKind::Path, message));
            }
        }
        Some(file)
    }

    /// Whether the time in the file's name lies outside this window but within another of the same query.
    ///
    /// The archive's listing gives every file whose period overlaps the window (archive fact, section 3),
    /// so an hourly file may come with two days; the day in which it begins keeps it.
    fn belongs_to_neighbour(&self, name: &str) -> bool {
        let WindowTarget::Listing { start, end, site, .. } = self.target else { return false };
        let Some(time) = time_in_name(name) else { return false };
        let within = |first: Timestamp, last: Timestamp| first <= time && time <= last;
        let same_site = |interval: &Interval| interval.site.is_none() || interval.site == *site;
        !within(*start, *end)
            && self
                .intervals
                .iter()
                .any(|interval| same_site(interval) && within(interval.start, interval.end))
    }
}

/// The time that a name of the archive begins with: `YYYYMMDD_HHMM`, `YYYYMMDD_HHMMSS` or `YYYYMMDD_HH`.
fn time_in_name(name: &str) -> Option<Timestamp> {
    let mut parts = name.split('_');
    let (date, clock) = (parts.next()?, parts.next()?);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || !matches!(clock.len(), 2 | 4 | 6) || !digits(date) || !digits(clock) {
        return None;
    }
    let two = |text: &str, at: usize| text.get(at..at + 2).map_or(Ok(0), str::parse::<i8>).ok();
    let year = date[..4].parse::<i16>().ok()?;
    civil::DateTime::new(
        year,
        two(date, 4)?,
        two(date, 6)?,
        two(clock, 0)?,
        two(clock, 2)?,
        two(clock, 4)?,
        0,
    )
    .ok()?
    .to_zoned(TimeZone::UTC)
    .ok()
    .map(|time| time.timestamp())
}

fn hash(seed: u8, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
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

    fn interval(start: &str, end: &str) -> Interval {
        Interval {
            start: skyhaul_model::parse_start(start).unwrap(),
            end: skyhaul_model::parse_end(end).unwrap(),
            site: None,
        }
    }

    fn admitted(target: &WindowTarget, intervals: &[Interval], names: &[&str]) -> Vec<(String, bool)> {
        let mut seen = Seen::new(target, intervals);
        names
            .iter()
            .filter_map(|name| seen.admit(Tree::new(PREFIX, "D").file(&format!("{PREFIX}/{name}"))))
            .map(|file| (file.url.replace("https://h/p/", ""), file.path.is_ok()))
            .collect()
    }

    #[test]
    fn a_repeated_url_is_one_file_and_a_taken_path_is_an_error() {
        let all = [interval("2022", "2022")];
        let kept = admitted(&day("2022-01-01"), &all, &["a.gz", "b.gz", "a.gz", "a.gz?v=2"]);
        assert_eq!(kept, [("a.gz".into(), true), ("b.gz".into(), true), ("a.gz?v=2".into(), false)]);
    }

    #[test]
    fn a_file_that_two_days_list_is_kept_by_the_day_it_begins_in() {
        let two_days = [interval("2022-01-01", "2022-01-02")];
        let name = "20220102_00_gill_x.pgm.gz";
        assert!(admitted(&day("2022-01-01"), &two_days, &[name]).is_empty());
        assert_eq!(admitted(&day("2022-01-02"), &two_days, &[name]).len(), 1);
    }

    #[test]
    fn a_file_that_no_other_window_lists_is_kept() {
        let from_noon = [interval("2022-01-01T09:40", "2022-01-01T12")];
        assert_eq!(
            admitted(&day("2022-01-01"), &from_noon, &["20211231_2359_x.gz", "skymap_v02.sav"]).len(),
            2
        );
    }

    #[test]
    fn names_tell_their_time_in_three_forms() {
        for (name, time) in [
            ("20220101_0630_gill_themis19_full.pgm.gz", Some("2022-01-01T06:30:00Z")),
            ("20250921_020003_000053_pina_smile-05_raw.h5", Some("2025-09-21T02:00:03Z")),
            ("20200201_00_gill_rgb-04_full-keogram.jpg", Some("2020-02-01T00:00:00Z")),
            ("20211228__gill_themis19_full-montage.pgm.jpg", None),
            ("themis_skymap_gill_20210308-+_v02.sav", None),
            ("20221301_0000_x", None),
        ] {
            assert_eq!(time_in_name(name).map(|time| time.to_string()).as_deref(), time, "{name}");
        }
    }
}
