//! A job as a line of the board: what a person wants to see of it, and no more than fits.

use jiff::Timestamp;
use serde::Serialize;
use skyhaul_engine::JobPace;
use skyhaul_model::{ByteCounts, FileCounts, FileError, Interval, JobId, JobRecord, Source, WindowCounts};

/// Names of datasets and sites that are told before the rest is counted.
const NAMES_MAX: usize = 2;

/// A job's line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) id: JobId,
    name: Option<String>,
    /// What it pulls, in words.
    what: String,
    out: String,
    state: &'static str,
    priority: i8,
    windows: WindowCounts,
    files: FileCounts,
    bytes: ByteCounts,
    rate_bytes_per_s: u64,
    eta_s: Option<u64>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// Why it is held, was refused, or could not be listed whole.
    error: Option<FileError>,
    connections: Option<u32>,
    limit_rate: Option<u64>,
}

impl Row {
    pub(crate) fn of(job: &JobRecord, pace: Option<&JobPace>) -> Self {
        let pace = pace.filter(|_| !job.state().is_final());
        Self {
            id: job.id,
            name: job.name.clone(),
            what: what(&job.query.source),
            out: job.query.out.clone(),
            state: job.state().as_str(),
            priority: job.priority,
            windows: job.windows,
            files: job.files,
            bytes: job.bytes,
            rate_bytes_per_s: pace.map_or(0, |pace| pace.rate_bytes_per_s),
            eta_s: pace.and_then(|pace| pace.eta_s),
            created_at: job.created_at,
            finished_at: job.finished_at,
            error: job.error().cloned(),
            connections: job.policy.connections,
            limit_rate: job.policy.limit_rate,
        }
    }
}

/// What a source is, in words: `THEMIS_ASI_RAW · gill, fsmi · 2022-01-01 – 2022-01-31`.
pub(crate) fn what(source: &Source) -> String {
    match source {
        Source::Archive { datasets, intervals, sites, .. } => {
            let parts = [some(datasets), some(sites), times(intervals)];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
        }
        Source::Urls { base: Some(base), .. } => format!("list of URLs below {base}"),
        Source::Urls { base: None, .. } => "list of URLs".to_owned(),
        Source::Manifest { .. } => "files of a manifest".to_owned(),
    }
}

fn some(names: &[String]) -> String {
    let told = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

fn times(intervals: &[Interval]) -> String {
    let (Some(first), Some(last)) = (intervals.first(), intervals.last()) else { return String::new() };
    let day = |at: Timestamp| at.to_string().chars().take(10).collect::<String>();
    let (from, to) = (day(first.start), day(last.end));
    let span = if from == to { from } else { format!("{from} – {to}") };
    if intervals.len() > 1 { format!("{} spans of {span}", intervals.len()) } else { span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(datasets: &[&str], sites: &[&str], intervals: &[(&str, &str)]) -> Source {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let interval = |(start, end): &(&str, &str)| Interval {
            start: format!("{start}T00:00:00Z").parse().unwrap(),
            end: format!("{end}T23:59:59Z").parse().unwrap(),
            site: None,
        };
        let intervals = intervals.iter().map(interval).collect();
        Source::archive("https://api.example", &owned(datasets), intervals, &owned(sites), &[])
    }

    #[test]
    fn a_source_fits_a_line() {
        let table = [
            (archive(&["a"], &[], &[("2022-01-01", "2022-01-01")]), "A · 2022-01-01"),
            (
                archive(&["a", "b", "c", "d"], &["gill"], &[("2022-01-01", "2022-01-31")]),
                "A, B and 2 more · gill · 2022-01-01 – 2022-01-31",
            ),
            (
                archive(&["a"], &[], &[("2022-01-01", "2022-01-02"), ("2023-05-01", "2023-05-02")]),
                "A · 2 spans of 2022-01-01 – 2023-05-02",
            ),
            (Source::Urls { digest: String::new(), base: None }, "list of URLs"),
            (Source::Manifest { digest: String::new() }, "files of a manifest"),
        ];
        for (source, words) in table {
            assert_eq!(what(&source), words);
        }
    }
}
