//! The JSON shapes that scripts rely on. Fields may be added; none may be renamed or dropped.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use skyhaul_model::{
    ByteCounts, ErrorKind, FileCounts, FileError, FileRecord, FileState, Interval, JobRecord, JobState,
    NoResume, RelPath, Sealed, Source, Trouble, TroubleExample, Verified, WindowCounts,
};

use crate::human::{self, moment};

/// How fast a job is being worked off; nothing for one that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Body bytes a second.
    pub(crate) rate_bytes_per_s: u64,
    /// Seconds that are left, where that can be told.
    pub(crate) eta_s: Option<u64>,
}

/// A job: `status JOB`, an element of `jobs`, the end of `pull`.
#[derive(Debug, Serialize)]
pub(crate) struct JobDocument<'a> {
    id: u64,
    name: Option<&'a str>,
    state: &'static str,
    priority: i8,
    created_at: String,
    finished_at: Option<String>,
    out: &'a str,
    source: SourceDocument<'a>,
    windows: WindowCounts,
    files: FileCounts,
    bytes: ByteCounts,
    rate_bytes_per_s: u64,
    eta_s: Option<u64>,
    error: Option<&'a FileError>,
    /// When a standing job is listed again; only while one stands by.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_listing_at: Option<String>,
    /// What failed so far, the latest first; only where one job is told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<TroubleDocument<'a>>>,
}

/// Failures of one kind at one host.
#[derive(Debug, Serialize)]
pub(crate) struct TroubleDocument<'a> {
    kind: ErrorKind,
    host: &'a str,
    count: u64,
    first_at: String,
    last_at: String,
    example: &'a TroubleExample,
}

/// Where a job's list of files comes from.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum SourceDocument<'a> {
    /// The archive.
    Archive {
        kind: &'static str,
        api: Cow<'a, str>,
        datasets: &'a [String],
        start: Option<String>,
        end: Option<String>,
        sites: &'a [String],
        devices: &'a [String],
        /// Only where there is more than one: of several, `start` and `end` are the first and the last.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        intervals: Vec<IntervalDocument<'a>>,
    },
    /// A list of URLs, or a manifest.
    Urls {
        kind: &'static str,
        base: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        manifest: Option<bool>,
    },
}

/// One stretch of an events file.
#[derive(Debug, Serialize)]
pub(crate) struct IntervalDocument<'a> {
    start: String,
    end: String,
    site: Option<&'a str>,
}

/// A file: a line of `files`.
#[derive(Debug, Serialize)]
pub(crate) struct FileDocument<'a> {
    /// What was listed, as it was, where it can be no path: scripts may rely on a string.
    path: &'a str,
    url: &'a str,
    state: &'static str,
    size: Option<u64>,
    sha256: Option<String>,
    verified: Option<&'static str>,
    attempts: u32,
    error: Option<&'a FileError>,
    /// When it is tried again at the earliest.
    retry_at: Option<String>,
    /// Why the next attempt begins at the first byte again although bytes had come.
    restarts: Option<&'static str>,
}

/// `status` without a job.
#[derive(Debug, Serialize)]
pub(crate) struct OverviewDocument<'a> {
    pub(crate) engine: EngineDocument,
    pub(crate) jobs: Vec<JobDocument<'a>>,
}

/// Whether an engine is up.
#[derive(Debug, Serialize)]
pub(crate) struct EngineDocument {
    pub(crate) running: bool,
    pub(crate) pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

impl EngineDocument {
    /// Of no engine; the version is this program's.
    pub(crate) fn down() -> Self {
        Self { running: false, pid: None, version: Some(env!("CARGO_PKG_VERSION").to_owned()) }
    }
}

/// `submit`.
#[derive(Debug, Serialize)]
pub(crate) struct SubmittedDocument {
    pub(crate) id: u64,
    pub(crate) created: bool,
}

/// `dashboard`.
#[derive(Debug, Serialize)]
pub(crate) struct LinkDocument {
    pub(crate) url: String,
}

/// What became of a job that was steered.
#[derive(Debug, Serialize)]
pub(crate) struct SteeredDocument {
    pub(crate) id: u64,
    /// The job's state now; none once it is forgotten.
    pub(crate) state: Option<&'static str>,
}

/// `plan`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PlanDocument {
    pub(crate) windows: Total,
    pub(crate) files: FilesHere,
    pub(crate) bytes: BytesHere,
    pub(crate) free_bytes: u64,
}

/// A number of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Total {
    pub(crate) total: u64,
}

/// Files, and how many of them lie at their places already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FilesHere {
    pub(crate) total: u64,
    pub(crate) here: u64,
}

/// Bytes, and how many of them lie at their places already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BytesHere {
    pub(crate) total: Option<u64>,
    pub(crate) here: u64,
}

/// `verify`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct VerifyDocument {
    pub(crate) files: u64,
    pub(crate) ok: u64,
    pub(crate) bad: Vec<BadFile>,
}

/// A file that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BadFile {
    pub(crate) path: String,
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// A file of `manifest --format json`: what `pull --manifest` reads.
#[derive(Debug, Serialize)]
pub(crate) struct ManifestFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) url: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) verified: &'static str,
}

/// What `cite` tells of a dataset.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CitationDocument {
    pub(crate) dataset: String,
    pub(crate) citation: Option<String>,
    pub(crate) doi: Option<String>,
    pub(crate) doi_details: Option<String>,
    /// Where to read how to acknowledge data that has no DOI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledgement: Option<&'static str>,
}

impl<'a> JobDocument<'a> {
    /// A job and how fast it goes.
    pub(crate) fn new(job: &'a JobRecord, pace: Pace) -> Self {
        Self {
            id: job.id.0,
            name: job.name.as_deref(),
            state: job.state().as_str(),
            priority: job.priority,
            created_at: moment(job.created_at),
            finished_at: job.finished_at.filter(|_| job.state().is_final()).map(moment),
            out: &job.query.out,
            source: SourceDocument::new(&job.query.source),
            windows: job.windows,
            files: job.files,
            bytes: bytes(job),
            rate_bytes_per_s: pace.rate_bytes_per_s,
            eta_s: pace.eta_s,
            error: job.error(),
            next_listing_at: job.next_listing_at().map(moment),
            errors: None,
        }
    }

    /// With what failed so far.
    pub(crate) fn with_errors(mut self, troubles: &'a [Trouble]) -> Self {
        self.errors = Some(troubles.iter().map(TroubleDocument::new).collect());
        self
    }
}

impl<'a> TroubleDocument<'a> {
    fn new(trouble: &'a Trouble) -> Self {
        Self {
            kind: trouble.kind,
            host: &trouble.host,
            count: trouble.count,
            first_at: moment(trouble.first_at),
            last_at: moment(trouble.last_at),
            example: &trouble.example,
        }
    }
}

impl<'a> SourceDocument<'a> {
    /// A job's source.
    pub(crate) fn new(source: &'a Source) -> Self {
        match source {
            Source::Archive { api, datasets, intervals, sites, devices } => {
                let (start, end) = overall(intervals);
                Self::Archive {
                    kind: "archive",
                    api: human::url(api),
                    datasets,
                    start: start.map(moment),
                    // An open end has no moment yet.
                    end: end.filter(|end| *end != Interval::OPEN_END).map(moment),
                    sites,
                    devices,
                    intervals: several(intervals),
                }
            }
            Source::Urls { base, .. } => Self::Urls { kind: "urls", base: base.as_deref(), manifest: None },
            Source::Manifest { .. } => Self::Urls { kind: "urls", base: None, manifest: Some(true) },
        }
    }
}

impl<'a> FileDocument<'a> {
    /// A file of a job. What was proven is told only while it holds.
    pub(crate) fn new(file: &'a FileRecord) -> Self {
        let sealed = done_seal(file);
        Self {
            path: file.spec.path.as_ref().map_or(&file.spec.url, RelPath::as_str),
            url: &file.spec.url,
            state: file.state.as_str(),
            size: sealed.map(|sealed| sealed.size).or(file.spec.size),
            sha256: sealed.map(|sealed| hex(&sealed.sha256)),
            verified: sealed.map(|sealed| Verified::as_str(sealed.verified)),
            attempts: file.attempts,
            error: file.error.as_ref(),
            retry_at: retry_at(file).map(moment),
            restarts: file.no_resume.map(NoResume::as_str),
        }
    }
}

/// What is known of a file's bytes, if it is done. Bytes that are sealed but not yet in place are not.
pub(crate) fn done_seal(file: &FileRecord) -> Option<&Sealed> {
    file.sealed.as_ref().filter(|_| file.state == FileState::Done)
}

/// A job's bytes. Where nobody told the total beforehand, it is known once every file is here.
pub(crate) fn bytes(job: &JobRecord) -> ByteCounts {
    let all = Some(job.bytes.done).filter(|_| job.state() == JobState::Completed);
    ByteCounts { total: job.bytes.total.or(all), ..job.bytes }
}

/// When a file that failed is tried again at the earliest; none where no other attempt waits for its time.
pub(crate) fn retry_at(file: &FileRecord) -> Option<Timestamp> {
    file.not_before.filter(|_| file.state == FileState::Pending)
}

/// The first start and the last end.
pub(crate) fn overall(intervals: &[Interval]) -> (Option<Timestamp>, Option<Timestamp>) {
    let start = intervals.iter().map(|interval| interval.start).min();
    (start, intervals.iter().map(|interval| interval.end).max())
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn several(intervals: &[Interval]) -> Vec<IntervalDocument<'_>> {
    // A single interval that holds for every site is told whole by start and end.
    if let [Interval { site: None, .. }] = intervals {
        return Vec::new();
    }
    let mut documents = Vec::with_capacity(intervals.len());
    for Interval { start, end, site } in intervals {
        let (start, end) = (moment(*start), moment(*end));
        documents.push(IntervalDocument { start, end, site: site.as_deref() });
    }
    documents
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::samples;

    #[test]
    fn a_job_has_exactly_the_documented_shape() {
        let pace = Pace { rate_bytes_per_s: 11_000_000, eta_s: Some(4) };
        let text = serde_json::to_string(&JobDocument::new(&samples::job(), pace)).unwrap();
        let documented = concat!(
            r#"{"id":7,"name":null,"state":"running","priority":0,"created_at":"2026-11-22T21:00:00Z","finished_at":null,"#,
            r#""out":"/abs/dir","source":{"kind":"archive","api":"https://api.phys.ucalgary.ca","datasets":["THEMIS_ASI_RAW"],"#,
            r#""start":"2022-01-01T06:00:00Z","end":"2022-01-01T06:59:59Z","sites":["gill"],"devices":[]},"#,
            r#""windows":{"total":1,"listed":1,"failed":0},"#,
            r#""files":{"total":60,"pending":12,"active":5,"done":43,"failed":0},"#,
            r#""bytes":{"total":129000000,"done":92000000,"received":92100000,"adopted":0},"#,
            r#""rate_bytes_per_s":11000000,"eta_s":4,"error":null}"#,
        );
        assert_eq!(text, documented);
    }

    #[test]
    fn a_total_that_nobody_told_is_known_once_all_is_here() {
        let untold = |mut job: JobRecord| {
            job.bytes.total = None;
            bytes(&job).total
        };
        assert_eq!(untold(samples::job()), None);
        assert_eq!(untold(samples::finished_job()), Some(129_000_000));
        let mut failed = samples::finished_job();
        failed.files.failed = 1;
        assert_eq!(untold(failed), None);
    }

    #[test]
    fn what_failed_is_told_with_an_example() {
        let (job, troubles) = (samples::job(), [samples::trouble()]);
        let value = to_value(JobDocument::new(&job, Pace::default()).with_errors(&troubles)).unwrap();
        assert_eq!(
            value["errors"],
            json!([{"kind": "timeout", "host": "data.example", "count": 3, "first_at": "2026-11-22T21:00:00Z",
                "last_at": "2026-11-22T21:00:00Z", "example": {"path": "D/a", "message": "no answer within 60 s"}}])
        );
    }

    #[test]
    fn a_held_job_is_paused_with_its_reason() {
        let mut job = samples::job();
        job.hold = Some(FileError::new(ErrorKind::Disk, "the disk is full"));
        let value = to_value(JobDocument::new(&job, Pace::default())).unwrap();
        assert_eq!(value["state"], "paused");
        assert_eq!(value["error"], json!({"kind": "disk", "message": "the disk is full"}));
        assert_eq!((&value["rate_bytes_per_s"], &value["eta_s"]), (&json!(0), &json!(null)));
    }

    #[test]
    fn a_file_has_exactly_the_documented_shape() {
        let file = samples::file();
        let text = serde_json::to_string(&FileDocument::new(&file)).unwrap();
        let documented = format!(
            concat!(
                r#"{{"path":"THEMIS_ASI_RAW/2022/01/01/gill_themis19/ut06/20220101_0600_gill_themis19_full.pgm.gz","#,
                r#""url":"https://data.example/20220101_0600_gill_themis19_full.pgm.gz","state":"done","size":2138488,"#,
                r#""sha256":"{}","verified":"container","attempts":1,"error":null,"retry_at":null,"restarts":null}}"#,
            ),
            "ab".repeat(32)
        );
        assert_eq!(text, documented);
    }

    #[test]
    fn what_has_no_path_shows_what_was_listed_in_its_place() {
        let mut file = samples::file();
        file.spec.url = "ftp://h/a".into();
        file.spec.path = Err(FileError::new(ErrorKind::Path, "no"));
        let value = to_value(FileDocument::new(&file)).unwrap();
        assert_eq!((&value["path"], &value["url"]), (&json!("ftp://h/a"), &json!("ftp://h/a")));
    }

    #[test]
    fn nothing_is_proven_before_a_file_is_done() {
        let mut file = samples::file();
        file.state = FileState::Pending;
        file.error = Some(FileError::new(ErrorKind::NotFound, "gone"));
        let value = to_value(FileDocument::new(&file)).unwrap();
        for field in ["size", "sha256", "verified"] {
            assert!(value[field].is_null(), "{field}");
        }
        assert_eq!(value["error"], json!({"kind": "not_found", "message": "gone"}));
        assert_eq!((&value["retry_at"], &value["restarts"]), (&json!(null), &json!(null)));
        file.not_before = Some(samples::moment());
        file.no_resume = Some(NoResume::NoRanges);
        let value = to_value(FileDocument::new(&file)).unwrap();
        assert_eq!(
            (&value["retry_at"], &value["restarts"]),
            (&json!("2026-11-22T21:00:00Z"), &json!("no_ranges"))
        );
    }

    #[test]
    fn sources_tell_their_kind() {
        let urls = Source::Urls { digest: "d".into(), base: Some("https://h".into()) };
        let manifest = Source::Manifest { digest: "d".into() };
        let events = samples::archive(&[("2022-01-01", "2022-01-01"), ("2022-03-01", "2022-03-01")]);
        assert_eq!(
            to_value(SourceDocument::new(&urls)).unwrap(),
            json!({"kind": "urls", "base": "https://h"})
        );
        assert_eq!(
            to_value(SourceDocument::new(&manifest)).unwrap(),
            json!({"kind": "urls", "base": null, "manifest": true})
        );
        let events = to_value(SourceDocument::new(&events)).unwrap();
        assert_eq!(events["start"], "2022-01-01T00:00:00Z");
        assert_eq!(events["end"], "2022-03-01T23:59:59Z");
        assert_eq!(events["intervals"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn small_answers_have_the_documented_shapes() {
        let engine = EngineDocument { running: false, pid: None, version: None };
        let overview = OverviewDocument { engine, jobs: Vec::new() };
        assert_eq!(
            serde_json::to_string(&overview).unwrap(),
            r#"{"engine":{"running":false,"pid":null},"jobs":[]}"#
        );
        let plan = PlanDocument {
            windows: Total { total: 1 },
            files: FilesHere { total: 60, here: 2 },
            bytes: BytesHere { total: None, here: 9 },
            free_bytes: 5,
        };
        assert_eq!(
            serde_json::to_string(&plan).unwrap(),
            r#"{"windows":{"total":1},"files":{"total":60,"here":2},"bytes":{"total":null,"here":9},"free_bytes":5}"#
        );
        let verify = VerifyDocument {
            files: 1,
            ok: 0,
            bad: vec![BadFile { path: "a".into(), kind: ErrorKind::NotFound, message: "m".into() }],
        };
        assert_eq!(
            serde_json::to_string(&verify).unwrap(),
            r#"{"files":1,"ok":0,"bad":[{"path":"a","kind":"not_found","message":"m"}]}"#
        );
    }
}
