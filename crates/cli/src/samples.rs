//! Records that tests of the answers share.

use jiff::Timestamp;
use skyhaul_model::{
    ByteCounts, ErrorKind, FileCounts, FileRecord, FileSeq, FileSpec, FileState, Intent, Interval, JobId,
    JobPolicy, JobRecord, Plan, Proof, Query, RelPath, Sealed, Source, Trouble, TroubleExample, Verified,
    WindowCounts, parse_end, parse_start,
};
use skyhaul_queue::{JobQueue, MemoryQueue, NewJob};

/// A moment of 2026.
pub(crate) fn moment() -> Timestamp {
    "2026-11-22T21:00:00Z".parse().unwrap()
}

/// The contract's example job.
pub(crate) fn job() -> JobRecord {
    let query =
        Query { source: archive(&[("2022-01-01T06:00", "2022-01-01T06:59")]), out: "/abs/dir".into() };
    JobRecord {
        id: JobId(7),
        key: query.key(),
        name: None,
        priority: 0,
        created_at: moment(),
        finished_at: None,
        query,
        policy: JobPolicy::default(),
        intent: Intent::Run,
        hold: None,
        plan: Plan::Planned,
        windows: WindowCounts { total: 1, listed: 1, failed: 0 },
        files: FileCounts { total: 60, pending: 12, active: 5, done: 43, failed: 0 },
        bytes: ByteCounts { total: Some(129_000_000), done: 92_000_000, received: 92_100_000, adopted: 0 },
        window_error: None,
    }
}

/// That job, finished.
pub(crate) fn finished_job() -> JobRecord {
    let mut job = job();
    job.files = FileCounts { total: 60, pending: 0, active: 0, done: 60, failed: 0 };
    job.bytes.done = 129_000_000;
    job.bytes.received = 129_000_000;
    job.finished_at = Some(moment());
    job
}

/// An archive query over these intervals.
pub(crate) fn archive(intervals: &[(&str, &str)]) -> Source {
    let intervals = intervals
        .iter()
        .map(|(start, end)| Interval {
            start: parse_start(start).unwrap(),
            end: parse_end(end).unwrap(),
            site: None,
        })
        .collect();
    let names = ["THEMIS_ASI_RAW".to_owned()];
    Source::archive("https://api.phys.ucalgary.ca", &names, intervals, &["gill".to_owned()], &[])
}

/// A file that is done.
pub(crate) fn file() -> FileRecord {
    let path = "THEMIS_ASI_RAW/2022/01/01/gill_themis19/ut06/20220101_0600_gill_themis19_full.pgm.gz";
    FileRecord {
        seq: FileSeq(1),
        spec: FileSpec {
            url: "https://data.example/20220101_0600_gill_themis19_full.pgm.gz".into(),
            path: Ok(RelPath::parse(path).unwrap()),
            size: None,
            sha256: None,
        },
        state: FileState::Done,
        attempts: 1,
        error: None,
        not_before: None,
        sealed: Some(Sealed {
            size: 2_138_488,
            sha256: [0xab; 32],
            verified: Verified::Container,
            proof: Proof::Fetched,
            received: 2_138_488,
        }),
        received: 2_138_488,
        no_resume: None,
    }
}

/// What failed three times.
pub(crate) fn trouble() -> Trouble {
    Trouble {
        kind: ErrorKind::Timeout,
        host: "data.example".into(),
        count: 3,
        first_at: moment(),
        last_at: moment(),
        example: TroubleExample { path: "D/a".into(), message: "no answer within 60 s".into() },
    }
}

/// A queue with so many jobs, each in its own folder, none planned.
pub(crate) async fn queue(jobs: u8) -> MemoryQueue {
    let queue = MemoryQueue::new();
    for number in 0..jobs {
        let out = format!("/nowhere/{number}");
        let new = NewJob {
            query: Query { source: archive(&[("2022-01-01", "2022-01-01")]), out },
            policy: JobPolicy::default(),
            name: Some(format!("job-{number}")),
            priority: 0,
            headers: Vec::new(),
            input: None,
        };
        queue.create_job(new, moment()).await.unwrap();
    }
    queue
}
