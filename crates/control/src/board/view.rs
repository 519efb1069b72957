//! What one page sees of the board: some lines, one job in more detail, and the engine's work as a whole; and
//! what of it is new since the page was told last.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use skyhaul_engine::{InFlight, Progress};
use skyhaul_model::{JobId, JobRecord, Trouble};

use super::row::{Row, what};
use super::{Board, STATES};

/// Files in flight that are told; how many more there are is counted.
const FILES_MAX: usize = 10;

/// What a page wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lens {
    /// Only jobs like these.
    pub(crate) show: Show,
    /// Only jobs with these words in their name, number, contents or folder; in lower case.
    pub(crate) find: String,
    /// The first line, of those that are left.
    pub(crate) from: usize,
    /// How many lines.
    pub(crate) count: usize,
    /// The job that is seen in more detail.
    pub(crate) job: Option<JobId>,
}

/// Which jobs are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Show {
    /// All.
    #[default]
    All,
    /// Those that are not over.
    Unfinished,
    /// Those that are over.
    Finished,
    /// Those with failed files or listings, or that are held back.
    Troubled,
}

/// What a page sees.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    summary: Summary,
    /// How many lines there are in all for this lens.
    total: usize,
    rows: Vec<Row>,
    job: Option<Row>,
    in_flight: Flight,
    troubles: Vec<Told>,
}

/// What of a view is new; what is missing is as it was.
#[derive(Debug, Serialize)]
pub(crate) struct News<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    /// The lines, by number of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Vec<JobId>>,
    /// Jobs of these lines that look different now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<&'a Row>,
    /// The job seen in detail; null when there is no such job (any more).
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Option<&'a Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<&'a Flight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    troubles: Option<&'a [Told]>,
}

/// The engine's work as a whole.
#[derive(Debug, PartialEq, Serialize)]
struct Summary {
    #[serde(serialize_with = "by_state")]
    jobs: [usize; STATES.len()],
    rate_bytes_per_s: u64,
    files_per_s: f64,
    in_flight: usize,
}

/// The files in flight, of the job seen in detail or else of all.
#[derive(Debug, PartialEq, Serialize)]
struct Flight {
    total: usize,
    files: Vec<Flying>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Flying {
    job: JobId,
    path: String,
    received: u64,
    total: Option<u64>,
}

/// A trouble, and what can be done about it.
#[derive(Debug, PartialEq, Serialize)]
struct Told {
    #[serde(flatten)]
    trouble: Trouble,
    advice: String,
}

/// The lines of a board that a lens lets through; they stay the same as long as both do.
#[derive(Debug)]
pub(crate) struct Lines {
    board: Arc<Board>,
    places: Vec<usize>,
}

impl Show {
    pub(crate) const ALL: [Self; 4] = [Self::All, Self::Unfinished, Self::Finished, Self::Troubled];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Unfinished => "unfinished",
            Self::Finished => "finished",
            Self::Troubled => "troubled",
        }
    }

    fn has(self, job: &JobRecord) -> bool {
        match self {
            Self::All => true,
            Self::Unfinished => !job.state().is_final(),
            Self::Finished => job.state().is_final(),
            Self::Troubled => job.files.failed > 0 || job.error().is_some(),
        }
    }
}

impl Lens {
    fn has(&self, job: &JobRecord) -> bool {
        self.show.has(job) && (self.find.is_empty() || self.finds(job))
    }

    fn finds(&self, job: &JobRecord) -> bool {
        let name = job.name.as_deref().unwrap_or_default();
        let text = format!("{} {name} {} {}", job.id, what(&job.query.source), job.query.out).to_lowercase();
        self.find.split_whitespace().all(|word| text.contains(word))
    }
}

impl Lines {
    pub(crate) fn of(board: Arc<Board>, lens: &Lens) -> Self {
        let places = (0..board.jobs.len()).filter(|&place| lens.has(&board.jobs[place])).collect();
        Self { board, places }
    }

    pub(crate) fn is_of(&self, board: &Arc<Board>) -> bool {
        Arc::ptr_eq(&self.board, board)
    }
}

/// How many jobs are in each state, as they are shown.
fn counts(board: &Board, progress: &Progress) -> [usize; STATES.len()] {
    let mut counts = board.counts;
    for job in progress.kept_out() {
        let Some(known) = board.jobs.iter().find(|known| known.id == job.id) else { continue };
        let place = |state| STATES.iter().position(|&other| other == state);
        if let (Some(was), Some(is)) = (place(known.state()), place(progress.shown(known.clone()).state())) {
            counts[was] -= 1;
            counts[is] += 1;
        }
    }
    counts
}

impl View {
    /// What a lens shows. The engine's own records are newer than the board's; `job` is the newest of the one
    /// seen in detail.
    pub(crate) fn new(
        lens: &Lens,
        lines: &Lines,
        progress: &Progress,
        job: Option<&JobRecord>,
        troubles: Vec<Trouble>,
    ) -> Self {
        let pace = |id: JobId| progress.paces.iter().find(|pace| pace.job == id);
        let newest = |known: &JobRecord| {
            let in_hand = progress.jobs.binary_search_by_key(&known.id, |job| job.id);
            let newer = job.filter(|job| job.id == known.id);
            let newer = newer.or_else(|| in_hand.ok().map(|place| &progress.jobs[place]));
            Row::of(newer.unwrap_or(known), pace(known.id))
        };
        let seen = lines.places.iter().skip(lens.from).take(lens.count);
        Self {
            summary: Summary {
                jobs: counts(&lines.board, progress),
                rate_bytes_per_s: progress.rate_bytes_per_s,
                files_per_s: (progress.files_per_s * 10.0).round() / 10.0,
                in_flight: progress.in_flight.len(),
            },
            total: lines.places.len(),
            rows: seen.map(|&place| newest(&lines.board.jobs[place])).collect(),
            job: job.map(|job| Row::of(job, pace(job.id))),
            in_flight: Flight::of(&progress.in_flight, lens.job),
            troubles: troubles.into_iter().map(Told::of).map(|told| told.for_job(lens.job)).collect(),
        }
    }

    /// What is new since a page was told `before`; none if nothing is.
    pub(crate) fn news(&self, before: Option<&Self>) -> Option<News<'_>> {
        if before == Some(self) {
            return None;
        }
        let order = |view: &Self| view.rows.iter().map(|row| row.id).collect::<Vec<_>>();
        let is_new = |row: &&Row| before.is_none_or(|before| !before.rows.contains(row));
        Some(News {
            summary: fresh(&self.summary, before.map(|before| &before.summary)),
            total: fresh(&self.total, before.map(|before| &before.total)).copied(),
            order: Some(order(self)).filter(|now| before.map(order).as_ref() != Some(now)),
            rows: self.rows.iter().filter(is_new).collect(),
            job: fresh(&self.job, before.map(|before| &before.job)).map(Option::as_ref),
            in_flight: fresh(&self.in_flight, before.map(|before| &before.in_flight)),
            troubles: fresh(&self.troubles, before.map(|before| &before.troubles)).map(Vec::as_slice),
        })
    }
}

fn fresh<'a, T: PartialEq>(now: &'a T, before: Option<&T>) -> Option<&'a T> {
    Some(now).filter(|now| before != Some(*now))
}

impl Flight {
    fn of(files: &[InFlight], job: Option<JobId>) -> Self {
        let ours = || files.iter().filter(|file| job.is_none_or(|job| file.job == job));
        let flying = |file: &InFlight| Flying {
            job: file.job,
            path: file.path.clone(),
            received: file.received,
            total: file.total,
        };
        Self { total: ours().count(), files: ours().take(FILES_MAX).map(flying).collect() }
    }
}

impl Told {
    fn of(trouble: Trouble) -> Self {
        let advice = trouble.kind.advice().to_owned();
        Self { trouble, advice }
    }

    fn for_job(mut self, job: Option<JobId>) -> Self {
        if let Some(job) = job {
            self.advice = self.advice.replace("JOB", &job.to_string());
        }
        self
    }
}

fn by_state<S: Serializer>(counts: &[usize; STATES.len()], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(STATES.iter().map(|state| state.as_str()).zip(counts))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use skyhaul_model::{ErrorKind, FileError};
    use skyhaul_queue::conformance::fixture;
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;

    async fn board(jobs: u64) -> Arc<Board> {
        let queue = MemoryQueue::new();
        queue.create_job(fixture::new_job("/o"), fixture::at(0)).await.unwrap();
        let pattern = queue.jobs().await.unwrap().remove(0);
        let job = |number: u64| {
            let mut job = JobRecord { id: JobId(number + 1), ..pattern.clone() };
            job.query.out = format!("/o/{number}");
            job
        };
        Arc::new(Board::of((0..jobs).map(job).collect()))
    }

    fn view(lens: &Lens, board: &Arc<Board>, progress: &Progress) -> View {
        let job = lens.job.and_then(|id| board.jobs.iter().find(|job| job.id == id));
        View::new(lens, &Lines::of(Arc::clone(board), lens), progress, job, Vec::new())
    }

    fn news(now: &View, before: Option<&View>) -> Value {
        serde_json::to_value(now.news(before)).unwrap()
    }

    #[tokio::test]
    async fn jobs_that_hosts_keep_out_are_counted_as_they_are_shown() {
        let board = board(3).await;
        let away = FileError::new(ErrorKind::Connection, "h.example does not answer");
        let held = |place: usize, kind| {
            let hold = Some(FileError { kind, ..away.clone() });
            JobRecord { hold, ..board.jobs[place].clone() }
        };
        let jobs = vec![held(0, ErrorKind::Connection), held(1, ErrorKind::Disk)];
        let progress = Progress { jobs, ..Progress::default() };
        let counts = &news(&view(&Lens::default(), &board, &progress), None)["summary"]["jobs"];
        // Of what is held for its disk the queue tells itself.
        assert_eq!((&counts["paused"], &counts["planning"]), (&json!(1), &json!(2)));
    }

    #[tokio::test]
    async fn a_page_is_told_all_of_its_lines_once_and_then_what_is_new() {
        let board = board(10_000).await;
        let lens = Lens { from: 5_000, count: 3, ..Lens::default() };
        let first = view(&lens, &board, &Progress::default());
        let told = news(&first, None);
        assert_eq!((&told["total"], &told["order"]), (&json!(10_000), &json!([5_001, 5_002, 5_003])));
        assert_eq!(
            (told["rows"].as_array().unwrap().len(), &told["summary"]["jobs"]["planning"]),
            (3, &json!(10_000))
        );
        assert!(first.news(Some(&first)).is_none());

        let mut newer = board.jobs[5_001].clone();
        newer.bytes.done = 7;
        let progress = Progress { jobs: vec![newer], ..Progress::default() };
        let told = news(&view(&lens, &board, &progress), Some(&first));
        assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["rows"]);
        assert_eq!((&told["rows"][0]["id"], &told["rows"][0]["bytes"]["done"]), (&json!(5_002), &json!(7)));
    }

    #[tokio::test]
    async fn a_job_that_is_gone_is_told_as_null() {
        let board = board(2).await;
        let lens = Lens { job: Some(JobId(2)), ..Lens::default() };
        let first = view(&lens, &board, &Progress::default());
        assert_eq!(news(&first, None)["job"]["id"], 2);
        let told =
            news(&view(&Lens { job: Some(JobId(9)), ..lens }, &board, &Progress::default()), Some(&first));
        assert_eq!(told, json!({"job": null}));
    }

    #[tokio::test]
    async fn a_lens_finds_by_words_and_by_kind() {
        let board = board(30).await;
        let total = |show, find: &str| {
            let lens = Lens { show, find: find.into(), ..Lens::default() };
            view(&lens, &board, &Progress::default()).total
        };
        assert_eq!(
            (total(Show::All, ""), total(Show::All, "/o/29"), total(Show::All, "/o/29 nowhere")),
            (30, 1, 0)
        );
        assert_eq!(
            (total(Show::Unfinished, ""), total(Show::Finished, ""), total(Show::Troubled, "")),
            (30, 0, 0)
        );
    }

    #[tokio::test]
    async fn troubles_come_with_what_can_be_done_about_them() {
        let board = board(1).await;
        let lens = Lens { job: Some(JobId(1)), ..Lens::default() };
        let error = FileError::new(ErrorKind::NotFound, "status 404");
        let trouble = Trouble::once(&error, "https://data.example/a", "D/a", Timestamp::UNIX_EPOCH);
        let lines = Lines::of(Arc::clone(&board), &lens);
        let view = View::new(&lens, &lines, &Progress::default(), board.jobs.first(), vec![trouble]);
        let told = &news(&view, None)["troubles"][0];
        assert_eq!((&told["kind"], &told["host"]), (&json!("not_found"), &json!("data.example")));
        assert!(told["advice"].as_str().unwrap().contains("'skyhaul retry 1'"), "{told}");
    }

    #[test]
    fn files_in_flight_are_cut_and_counted() {
        let file = |number: u64| InFlight {
            job: JobId(number % 2),
            path: number.to_string(),
            received: 0,
            total: None,
        };
        let files: Vec<_> = (0..100).map(file).collect();
        let flight = Flight::of(&files, Some(JobId(1)));
        assert_eq!((flight.total, flight.files.len(), flight.files[0].path.as_str()), (50, FILES_MAX, "1"));
    }
}
