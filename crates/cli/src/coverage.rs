//! What of a job is there and what is not, by dataset, site and day. Pure; memory grows with the rows alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use skyhaul_model::{ErrorKind, FileRecord, FileState, Interval, WindowRecord, WindowState, WindowTarget};

/// What a row is about. What a name does not tell is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The dataset, or the first folder of a file from a list.
    pub(crate) dataset: Option<String>,
    /// `site_uid`.
    pub(crate) site: Option<String>,
    /// The UTC day.
    pub(crate) day: Option<Date>,
}

/// What is known of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Files that were listed.
    pub(crate) listed: u64,
    /// Files that are done.
    pub(crate) held: u64,
    /// Files whose bytes came and were wrong.
    pub(crate) bad: u64,
    /// All others.
    pub(crate) missing: u64,
    /// Sizes of the done files.
    pub(crate) bytes_held: u64,
    /// The archive's own total, where it told one for all of the place.
    pub(crate) bytes_total: Option<u64>,
    /// Minutes of what was asked for in which imaging was possible.
    pub(crate) minutes_expected: Option<u64>,
}

/// A job's rows, while its windows and files pass by.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    rows: BTreeMap<Place, Row>,
    totals: BTreeMap<Place, Option<u64>>,
}

impl Coverage {
    /// Counts a window: the archive's total, and a row even where it lists nothing.
    pub(crate) fn add_window(&mut self, window: &WindowRecord) {
        let WindowTarget::Listing { dataset, site: Some(site), start, end, .. } = &window.target else {
            return;
        };
        let WindowState::Listed { bytes, .. } = window.state else { return };
        let day = day_of(*start);
        if day != day_of(*end) {
            return;
        }
        let place = Place { dataset: Some(dataset.clone()), site: Some(site.clone()), day: Some(day) };
        self.rows.entry(place.clone()).or_default();
        let total = self.totals.entry(place).or_insert(Some(0));
        *total = total.zip(bytes).map(|(sum, bytes)| sum + bytes);
    }

    /// Counts a file.
    pub(crate) fn add_file(&mut self, file: &FileRecord) {
        let row = self.rows.entry(place_of(file)).or_default();
        row.listed += 1;
        match (file.state, &file.sealed, &file.error) {
            (_, Some(sealed), _) => {
                row.held += 1;
                row.bytes_held += sealed.size;
            }
            (FileState::Failed, None, Some(error)) if is_about_bytes(error.kind) => row.bad += 1,
            _ => row.missing += 1,
        }
    }

    /// The places that there are rows for.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.rows.keys()
    }

    /// Notes when a site could take images: what of it lies within a day and within the intervals is expected.
    pub(crate) fn expect(&mut self, site: &str, nights: &[(Timestamp, Timestamp)], intervals: &[Interval]) {
        for (place, row) in &mut self.rows {
            if let (Some(its), Some(day)) = (&place.site, place.day)
                && its == site
            {
                row.minutes_expected = Some(minutes(day, site, nights, intervals));
            }
        }
    }

    /// The rows, by dataset, site and day.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = (Place, Row)> {
        let mut totals = self.totals;
        self.rows.into_iter().map(move |(place, row)| {
            let bytes_total = totals.remove(&place).flatten();
            (place, Row { bytes_total, ..row })
        })
    }
}

/// The UTC day of a moment.
pub(crate) fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Bytes came, and were not those of the file.
fn is_about_bytes(kind: ErrorKind) -> bool {
    use ErrorKind as E;
    matches!(kind, E::Checksum | E::CorruptAtSource | E::WrongContent | E::Truncated | E::Changed)
}

fn place_of(file: &FileRecord) -> Place {
    let Ok(path) = &file.spec.path else { return Place { dataset: None, site: None, day: None } };
    let dataset = path.as_str().split_once('/').map(|(first, _)| first.to_owned());
    let name = path.file_name();
    Place { dataset, site: site_in(name).map(str::to_owned), day: date_in(name) }
}

/// The first eight digits of a name's part that are a date (the archive's names, as `20220101_0600_gill_…`).
fn date_in(name: &str) -> Option<Date> {
    let date = |part: &str| {
        let digits = part.get(..8).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        Date::strptime("%Y%m%d", digits).ok()
    };
    name.split(['_', '.']).find_map(date)
}

/// The first part of a name that looks like a site: four lower-case letters, as every `site_uid` of the archive.
fn site_in(name: &str) -> Option<&str> {
    let is_site = |part: &&str| {
        part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_lowercase()) && *part != "grid"
    };
    name.split(['_', '.', '-']).find(is_site)
}

/// The minutes of a site's day that are within a night and were asked for.
fn minutes(day: Date, site: &str, nights: &[(Timestamp, Timestamp)], intervals: &[Interval]) -> u64 {
    let Ok(midnight) = day.to_zoned(TimeZone::UTC) else { return 0 };
    let first = midnight.timestamp().as_second();
    let is_asked = |at: i64| {
        let holds = |interval: &Interval| {
            let is_its = interval.site.as_deref().is_none_or(|its| its == site);
            is_its && interval.start.as_second() < at + 60 && at <= interval.end.as_second()
        };
        intervals.iter().any(holds)
    };
    let is_dark = |at: i64| nights.iter().any(|(start, end)| start.as_second() <= at && at < end.as_second());
    (0..1440).map(|minute| first + minute * 60).filter(|&at| is_dark(at) && is_asked(at)).count() as u64
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{FileError, RelPath, WindowId};

    use super::*;
    use crate::samples;

    fn at(text: &str) -> Timestamp {
        skyhaul_model::parse_start(text).unwrap()
    }

    fn window(site: Option<&str>, start: &str, end: &str, bytes: Option<u64>) -> WindowRecord {
        let target = WindowTarget::Listing {
            dataset: "D".into(),
            prefix: "https://h/d".into(),
            site: site.map(str::to_owned),
            device: None,
            start: at(start),
            end: at(end),
        };
        let state = WindowState::Listed { files: 1, bytes, at: samples::moment() };
        WindowRecord { id: WindowId(0), target, state, failures: 0, error: None, not_before: None }
    }

    fn file(name: &str, state: FileState, error: Option<ErrorKind>) -> FileRecord {
        let mut file = samples::file();
        file.spec.path = Ok(RelPath::parse(&format!("D/2022/{name}")).unwrap());
        file.state = state;
        file.error = error.map(|kind| FileError::new(kind, "no"));
        file.sealed = file.sealed.filter(|_| state == FileState::Done);
        file
    }

    #[test]
    fn names_tell_their_site_and_day() {
        let table = [
            ("20200321_0630_gill_themis19_full.pgm.gz", Some("gill"), Some("2020-03-21")),
            ("20211228__gill_themis19_full-montage.pgm.jpg", Some("gill"), Some("2021-12-28")),
            ("20200201_00_gill_rgb-04_full-keogram.jpg", Some("gill"), Some("2020-02-01")),
            ("20250921_020000_000053_pina_smile-05_raw.h5", Some("pina"), Some("2025-09-21")),
            ("20230324_0600_110km_MOSv001_grid_themis-asi.h5", None, Some("2023-03-24")),
            ("themis_skymap_gill_20210308-+_v02.sav", Some("gill"), Some("2021-03-08")),
            ("norstar_k0_rio-chur_20180501_v01.txt", Some("chur"), Some("2018-05-01")),
            ("20240203_mean-hsr_k0_v01.h5", Some("mean"), Some("2024-02-03")),
            ("20221399_0600_x.gz", None, None),
            ("readme", None, None),
        ];
        for (name, site, day) in table {
            let day = day.map(|day| day.parse::<Date>().unwrap());
            assert_eq!((site_in(name), date_in(name)), (site, day), "{name}");
        }
    }

    #[test]
    fn files_are_held_bad_or_missing_and_totals_are_the_archives_own() {
        let mut coverage = Coverage::default();
        for (start, end) in [("2022-01-01T05", "2022-01-01T05:59"), ("2022-01-01T06", "2022-01-01T06:59")] {
            coverage.add_window(&window(Some("gill"), start, end, Some(5_000_000)));
        }
        coverage.add_window(&window(Some("fsmi"), "2022-01-01", "2022-01-01T12", None));
        coverage.add_window(&window(None, "2022-01-02", "2022-01-02T12", Some(1)));
        coverage.add_window(&window(Some("rank"), "2022-01-02", "2022-01-03", Some(1)));
        let name = |minute: u32| format!("20220101_06{minute:02}_gill_themis19_full.pgm.gz");
        coverage.add_file(&file(&name(0), FileState::Done, None));
        coverage.add_file(&file(&name(1), FileState::Failed, Some(ErrorKind::CorruptAtSource)));
        coverage.add_file(&file(&name(2), FileState::Failed, Some(ErrorKind::NotFound)));
        coverage.add_file(&file(&name(3), FileState::Pending, Some(ErrorKind::Truncated)));
        // It lies there while the archive is asked about it once more.
        let done = file(&name(4), FileState::Done, None);
        coverage.add_file(&FileRecord { state: FileState::Pending, ..done });
        let rows: Vec<_> = coverage.into_rows().map(|(place, row)| (place.site.unwrap(), row)).collect();
        let gill = Row {
            listed: 5,
            held: 2,
            bad: 1,
            missing: 2,
            bytes_held: 2 * 2_138_488,
            bytes_total: Some(10_000_000),
            minutes_expected: None,
        };
        assert_eq!(rows, [("fsmi".to_owned(), Row::default()), ("gill".to_owned(), gill)]);
    }

    #[test]
    fn minutes_are_expected_where_it_was_dark_and_asked_for() {
        let day: Date = "2022-01-01".parse().unwrap();
        let nights = [
            (at("2021-12-31T23:00"), at("2022-01-01T06:30")),
            (at("2022-01-01T23:50"), at("2022-01-02T12:00")),
        ];
        let all = [Interval { start: at("2022-01-01"), end: at("2022-01-05"), site: None }];
        assert_eq!(minutes(day, "gill", &nights, &all), 6 * 60 + 30 + 10);
        let hour = |site: &str| {
            let (start, end) =
                (at("2022-01-01T06:00"), skyhaul_model::parse_end("2022-01-01T06:59").unwrap());
            [Interval { start, end, site: Some(site.to_owned()) }]
        };
        assert_eq!(minutes(day, "gill", &nights, &hour("gill")), 30);
        assert_eq!(minutes(day, "gill", &nights, &hour("fsmi")), 0);
    }
}
