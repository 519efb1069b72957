//! Whose a listed file is, by the time in its name and the intervals of the query alone. Pure.

use jiff::{Timestamp, civil, tz::TimeZone};
use skyhaul_model::{FileSpec, Interval, WindowTarget};

/// Whose a file is that a window lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belonging {
    /// The window's own: no other one lists it, or each that does gives it up.
    ThisWindow,
    /// Another window's, which lists it too.
    AnotherWindow,
    /// Its name does not tell: several windows may list it, and one of them must have it.
    Untold,
}

/// A query's intervals, as far as they tell whose a file is.
pub(crate) struct Calendar {
    /// By site, then by start; those of one site do not overlap.
    intervals: Vec<Interval>,
    sites: Sites,
}

/// Which intervals are for one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sites {
    None,
    All,
    /// One without a site and one with it can list the same file, wherever its time lies.
    Some,
}

impl Calendar {
    /// Of the intervals of a canonical query: merged, so that those of one site do not overlap.
    pub(crate) fn new(intervals: &[Interval]) -> Self {
        let mut intervals = intervals.to_vec();
        intervals.sort_by(|a, b| (&a.site, a.start).cmp(&(&b.site, b.start)));
        let with_site = intervals.iter().filter(|interval| interval.site.is_some()).count();
        let sites = match with_site {
            0 => Sites::None,
            some if some == intervals.len() => Sites::All,
            _ => Sites::Some,
        };
        Self { intervals, sites }
    }

    /// Whose a file is that the window of `target` lists.
    ///
    /// The archive's listing gives every file whose period overlaps the window (archive fact, section 3),
    /// so an hourly file may come with two days; the day in which it begins keeps it. A file that begins in no
    /// interval of the query, or whose name tells no time, may come with any number of them.
    pub(crate) fn belonging(&self, target: &WindowTarget, file: &FileSpec) -> Belonging {
        let WindowTarget::Listing { start, end, site, .. } = target else { return Belonging::ThisWindow };
        let site = match self.sites {
            Sites::None => None,
            Sites::All => site.as_deref(),
            Sites::Some => return Belonging::Untold,
        };
        match time_of(file) {
            Some(time) if *start <= time && time <= *end => Belonging::ThisWindow,
            Some(time) if self.has(site, time) => Belonging::AnotherWindow,
            _ => Belonging::Untold,
        }
    }

    /// Whether there may be a window to which the file's belonging is untold.
    pub(crate) fn may_be_untold(&self, file: &FileSpec) -> bool {
        self.sites != Sites::None || time_of(file).is_none_or(|time| !self.has(None, time))
    }

    fn has(&self, site: Option<&str>, time: Timestamp) -> bool {
        let behind = self.intervals.partition_point(|it| (it.site.as_deref(), it.start) <= (site, time));
        let last = behind.checked_sub(1).and_then(|at| self.intervals.get(at));
        last.is_some_and(|it| it.site.as_deref() == site && time <= it.end)
    }
}

/// None for a file that cannot land anywhere, too: each window that lists it would report it.
fn time_of(file: &FileSpec) -> Option<Timestamp> {
    time_in_name(file.path.as_ref().ok()?.file_name())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::Tree;

    fn window(site: Option<&str>, start: &str, end: &str) -> WindowTarget {
        let Interval { start, end, site } = interval(site, start, end);
        let (dataset, prefix) = ("D".into(), "https://h/p".into());
        WindowTarget::Listing { dataset, prefix, site, device: None, start, end }
    }

    fn interval(site: Option<&str>, start: &str, end: &str) -> Interval {
        Interval {
            start: skyhaul_model::parse_start(start).unwrap(),
            end: skyhaul_model::parse_end(end).unwrap(),
            site: site.map(str::to_owned),
        }
    }

    fn file(name: &str) -> FileSpec {
        Tree::new("https://h/p", "D").file(&format!("https://h/p/{name}"))
    }

    #[test]
    fn a_file_is_of_the_window_in_which_it_begins() {
        let (first, second) =
            (interval(None, "2022-01-01T06", "2022-01-02"), interval(None, "2022-01-04", "2022-01-04"));
        let calendar = Calendar::new(&[second, first]);
        let day = window(None, "2022-01-01T06", "2022-01-01");
        for (name, whose) in [
            ("20220101_06_x", Belonging::ThisWindow),
            ("20220102_00_x", Belonging::AnotherWindow),
            ("20220104_2359_x", Belonging::AnotherWindow),
            ("20220101_0559_x", Belonging::Untold),
            ("20220103_00_x", Belonging::Untold),
            ("norstar_k0_rio-chur_20220101_v01.txt", Belonging::Untold),
            ("..", Belonging::Untold),
        ] {
            assert_eq!(calendar.belonging(&day, &file(name)), whose, "{name}");
            assert_eq!(calendar.may_be_untold(&file(name)), whose == Belonging::Untold, "{name}");
        }
    }

    #[test]
    fn another_sites_interval_has_no_say() {
        let hour = |site, hour| interval(Some(site), hour, hour);
        let calendar = Calendar::new(&[hour("fsmi", "2022-01-01T06"), hour("gill", "2022-01-01T07")]);
        let gill = window(Some("gill"), "2022-01-01T07", "2022-01-01T07");
        let belonging = |name| calendar.belonging(&gill, &file(name));
        assert_eq!(belonging("20220101_06_x"), Belonging::Untold);
        assert_eq!(belonging("20220101_07_x"), Belonging::ThisWindow);
        assert!(calendar.may_be_untold(&file("20220101_07_x")), "it may be another site's");
    }

    #[test]
    fn nothing_is_told_where_only_some_intervals_are_of_a_site() {
        let intervals = [
            interval(None, "2022-01-01T06", "2022-01-01T06"),
            interval(Some("gill"), "2022-01-01T06", "2022-01-01T07"),
        ];
        let gill = window(Some("gill"), "2022-01-01T06", "2022-01-01T07");
        let belonging = Calendar::new(&intervals).belonging(&gill, &file("20220101_0630_x"));
        assert_eq!(belonging, Belonging::Untold);
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
