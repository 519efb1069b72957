//! What is to be pulled, in canonical form: equal queries are one job.

use std::fmt;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A stretch of time, inclusive at both ends, in whole seconds of UTC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    /// Its first second.
    pub start: Timestamp,
    /// Its last second.
    pub end: Timestamp,
    /// The one site it is for; none: every site of the query.
    pub site: Option<String>,
}

impl Interval {
    /// Stands for an end that is not known yet: what is asked for goes on with time. A moment that no archive of
    /// today has to care about, so that it may be asked about like any other.
    pub const OPEN_END: Timestamp = Timestamp::constant(4_102_444_799, 0);

    /// The seconds from the one that `start` lies in to the one that `end` lies in; none where `start` is later than
    /// `end`, be it by a part of a second.
    #[must_use]
    pub fn between(start: Timestamp, end: Timestamp, site: Option<String>) -> Option<Self> {
        let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
        let second = |time: Timestamp| time.round(whole).ok();
        if start > end { None } else { Some(Self { start: second(start)?, end: second(end)?, site }) }
    }

    /// Whether its end moves with time.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.end == Self::OPEN_END
    }
}

/// Where the list of files comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// The archive's API.
    Archive {
        /// The API's base URL, without a trailing slash.
        api: String,
        /// Upper-cased dataset names, sorted, each once.
        datasets: Vec<String>,
        /// Sorted, merged, never empty.
        intervals: Vec<Interval>,
        /// Lower-cased site ids, sorted, each once; none: every site.
        sites: Vec<String>,
        /// Lower-cased device ids, sorted, each once; none: every device.
        devices: Vec<String>,
    },
    /// A list of URLs, copied into the queue.
    Urls {
        /// SHA-256 of the list's bytes, in hex.
        digest: String,
        /// Files land at their path below this URL.
        base: Option<String>,
    },
    /// A manifest that `manifest --format json` wrote, copied into the queue.
    Manifest {
        /// SHA-256 of the manifest's bytes, in hex.
        digest: String,
    },
}

/// A source and the place where its files go: what makes a job *this* job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Where the list of files comes from.
    pub source: Source,
    /// The real (symlink-free, absolute) path of the output root.
    pub out: String,
}

/// The digest of a query's canonical form: equal queries have equal keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobKey(String);

impl JobKey {
    /// The key as 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: enough for the name of a folder of partial files.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Source {
    /// The URL at which the list of files is asked for; none where it is the job's own.
    #[must_use]
    pub fn listing_url(&self) -> Option<&str> {
        match self {
            Self::Archive { api, .. } => Some(api),
            Self::Urls { .. } | Self::Manifest { .. } => None,
        }
    }

    /// An archive source in canonical form: names folded, sets sorted, intervals merged.
    #[must_use]
    pub fn archive(
        api: &str,
        datasets: &[String],
        intervals: Vec<Interval>,
        sites: &[String],
        devices: &[String],
    ) -> Self {
        Self::Archive {
            api: api.trim_end_matches('/').to_owned(),
            datasets: canonical_set(datasets, str::to_ascii_uppercase),
            intervals: merge(intervals),
            sites: canonical_set(sites, str::to_ascii_lowercase),
            devices: canonical_set(devices, str::to_ascii_lowercase),
        }
    }
}

impl Query {
    /// The query's key.
    #[must_use]
    pub fn key(&self) -> JobKey {
        // Struct fields are written in declaration order and `source` is canonical already. Strings and
        // integers alone cannot fail to serialise; an empty text would only make the query unlike others.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(&canonical);
        JobKey(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn canonical_set(names: &[String], fold: impl Fn(&str) -> String) -> Vec<String> {
    let mut set: Vec<String> = names.iter().map(|name| fold(name.trim())).filter(|n| !n.is_empty()).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// Sorts intervals by site and time and joins those that overlap or touch.
fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    for interval in &mut intervals {
        interval.site = interval.site.take().map(|site| site.trim().to_ascii_lowercase());
    }
    intervals.sort_by(|a, b| (&a.site, a.start, a.end).cmp(&(&b.site, b.start, b.end)));
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match merged.last_mut() {
            Some(last) if last.site == next.site && next.start.as_second() <= last.end.as_second() + 1 => {
                last.end = last.end.max(next.end);
            }
            _ => merged.push(next),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: &str, end: &str, site: Option<&str>) -> Interval {
        Interval {
            start: crate::parse_start(start).unwrap(),
            end: crate::parse_end(end).unwrap(),
            site: site.map(str::to_owned),
        }
    }

    fn query(datasets: &[&str], sites: &[&str], intervals: Vec<Interval>, out: &str) -> Query {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let source = Source::archive("https://a.example/", &owned(datasets), intervals, &owned(sites), &[]);
        Query { source, out: out.to_owned() }
    }

    #[test]
    fn the_spelling_of_a_query_does_not_make_another_job() {
        let one = query(&["b", "A"], &["GILL", "fsmi"], vec![interval("2022", "2022", None)], "/o");
        let two = query(
            &["a", "B", "b"],
            &["fsmi", " gill", "gill"],
            vec![interval("2022-07", "2022", None), interval("2022-01", "2022-06", None)],
            "/o",
        );
        assert_eq!(one.key(), two.key());
    }

    #[test]
    fn another_place_or_time_is_another_job() {
        let base = query(&["A"], &[], vec![interval("2022", "2022", None)], "/o");
        let place = query(&["A"], &[], vec![interval("2022", "2022", None)], "/p");
        let time = query(&["A"], &[], vec![interval("2022", "2023", None)], "/o");
        let site = query(&["A"], &[], vec![interval("2022", "2022", Some("gill"))], "/o");
        for other in [place, time, site] {
            assert_ne!(base.key(), other.key());
        }
    }

    #[test]
    fn overlapping_rows_of_one_site_are_one() {
        let merged = merge(vec![
            interval("2022-01-01T06:10", "2022-01-01T06:20", Some("gill")),
            interval("2022-01-01T06:00", "2022-01-01T06:12", Some("GILL")),
            interval("2022-01-01T06:05", "2022-01-01T06:06", Some("fsmi")),
            interval("2022-01-01T06:21", "2022-01-01T06:30", Some("gill")),
        ]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[1], interval("2022-01-01T06:00", "2022-01-01T06:30", Some("gill")));
    }

    #[test]
    fn parts_of_seconds_count_only_in_what_is_first() {
        let between = |start: &str, end: &str| {
            let time = |text: &str| text.parse().unwrap();
            Interval::between(time(start), time(end), None).map(|i| format!("{}..{}", i.start, i.end))
        };
        let (early, late) = ("2022-01-01T06:00:00.1Z", "2022-01-01T06:00:00.5Z");
        assert_eq!(between(early, late).as_deref(), Some("2022-01-01T06:00:00Z..2022-01-01T06:00:00Z"));
        assert_eq!(between(late, early), None);
        let before_1970 = "1950-01-01T00:00:00.5Z";
        assert_eq!(
            between(before_1970, before_1970).as_deref(),
            Some("1950-01-01T00:00:00Z..1950-01-01T00:00:00Z")
        );
    }

    #[test]
    fn an_open_end_is_the_last_second_of_2099() {
        assert!(interval("2022", "2099", None).is_open());
        assert!(!interval("2022", "2098", None).is_open());
    }

    #[test]
    fn a_key_is_stable_across_versions() {
        let key = query(&["A"], &["gill"], vec![interval("2022", "2022", None)], "/o").key();
        assert_eq!(key.as_str().len(), 64);
        assert_eq!(key.short(), "0270a279560a");
    }
}
