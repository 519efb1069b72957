//! `plan`: what `submit` would do. Changes nothing, and does not even touch the state directory.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_archive::Archive;
use skyhaul_model::{FileSpec, Source, WindowId, WindowTarget};
use skyhaul_planner::{Intake, Listed, Overlap, PlanError, list_window, plan_query};
use tokio::task::JoinSet;

use crate::args::PlanArgs;
use crate::asking::{archive, ask, unanswered};
use crate::checksums::Checksums;
use crate::context::{Context, blocking};
use crate::ending::nothing_hint;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::json::{BytesHere, FilesHere, PlanDocument, Total};
use crate::query::Wanted;
use crate::{out_root, query};

/// Listings that are asked for at once.
const LISTERS: usize = 4;

/// Runs the command.
pub(crate) async fn run(args: PlanArgs, context: &Context) -> Result<Exit, CliError> {
    let (flags, api) = (args.query.clone(), context.settings.api.clone());
    let foresee = move || {
        let wanted = query::read(&flags, &api)?;
        // What 'submit' would refuse is refused here.
        flags.checksums.as_deref().map(Checksums::take_in).transpose()?;
        Ok((wanted, out_root::foresee(&flags.out)?))
    };
    let (wanted, out) = blocking(foresee).await?;
    let root: Arc<Path> = Arc::from(Path::new(&out));
    let hint = nothing_hint(&wanted.source);
    let tally = match wanted {
        Wanted { list: Some(list), .. } => {
            let root = Arc::clone(&root);
            blocking(move || of_list(&list, &root)).await?
        }
        Wanted { source, list: None } => of_archive(context, args, source, &root).await?,
    };
    let free_bytes = blocking(move || out_root::free_bytes(&root)).await?;
    let document = tally.document(free_bytes);
    if context.is_json() {
        context.output.json(&document)?;
    } else {
        context.output.lines(&lines(&document, &out))?;
    }
    if let Some(hint) = hint.filter(|_| document.files.total == 0) {
        context.output.hint(hint);
    }
    Ok(Exit::Done)
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    windows: u64,
    files: FilesHere,
    bytes: BytesHere,
}

impl Tally {
    /// Of nothing; so far, all of the total is known.
    const EMPTY: Self = Self {
        windows: 0,
        files: FilesHere { total: 0, here: 0 },
        bytes: BytesHere { total: Some(0), here: 0 },
    };

    fn add(&mut self, other: Self) {
        self.windows += other.windows;
        self.files.total += other.files.total;
        self.files.here += other.files.here;
        self.bytes.here += other.bytes.here;
        self.bytes.total = self.bytes.total.zip(other.bytes.total).map(|(one, two)| one + two);
    }

    /// Counts files, and those that lie at their places. Blocking.
    fn add_files(&mut self, files: &[FileSpec], root: &Path) {
        self.files.total += files.len() as u64;
        for path in files.iter().filter_map(|file| file.path.as_ref().ok()) {
            // What a link leads to is not the file: a link in its place would be replaced.
            if let Ok(found) = std::fs::symlink_metadata(root.join(path.as_str()))
                && found.is_file()
            {
                self.files.here += 1;
                self.bytes.here += found.len();
            }
        }
    }

    fn document(self, free_bytes: u64) -> PlanDocument {
        let windows = Total { total: self.windows };
        PlanDocument { windows, files: self.files, bytes: self.bytes, free_bytes }
    }
}

/// Counts a list's files. Blocking.
fn of_list(list: &Intake, root: &Path) -> Result<Tally, CliError> {
    let unreadable = |error: std::io::Error| CliError::failed("cannot read the list's copy").because(&error);
    let mut tally = Tally { windows: list.windows.len() as u64, ..Tally::EMPTY };
    for files in list.slices().map_err(unreadable)? {
        let files = files.map_err(unreadable)?;
        tally.add_files(&files, root);
        for file in &files {
            tally.bytes.total = tally.bytes.total.zip(file.size).map(|(sum, size)| sum.saturating_add(size));
        }
    }
    Ok(tally)
}

/// Lists every window of an archive query, a few at a time.
async fn of_archive(
    context: &Context,
    args: PlanArgs,
    source: Source,
    root: &Arc<Path>,
) -> Result<Tally, CliError> {
    let api = context.settings.api.clone();
    let transfer = args.transfer.or(&context.settings.transfer);
    let asked = api.clone();
    let archive = Arc::new(blocking(move || archive(&asked, &transfer)).await?);
    let refused = |error: PlanError| unanswered(&error, &api);
    let mut open = ask(|| plan_query(&archive, &source, Timestamp::now())).await.map_err(refused)?;
    open.reverse();
    let overlap = match &source {
        Source::Archive { intervals, .. } => Overlap::new(intervals),
        Source::Urls { .. } | Source::Manifest { .. } => Overlap::new(&[]),
    };
    let mut windows = (0..).map(WindowId);
    let mut tally = Tally::EMPTY;
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < LISTERS
            && let Some(window) = open.pop()
            && let Some(id) = windows.next()
        {
            let (archive, overlap, root) = (Arc::clone(&archive), Arc::clone(&overlap), Arc::clone(root));
            let target = Arc::new(window.target);
            // Asked again, a window is counted from the start.
            let question = move || {
                count(Arc::clone(&archive), id, Arc::clone(&target), Arc::clone(&overlap), Arc::clone(&root))
            };
            asked.spawn(ask(question));
        }
        let Some(answer) = asked.join_next().await else { return Ok(tally) };
        let answer = answer.map_err(|error| CliError::failed("a listing broke off").because(&error))?;
        match answer.map_err(refused)? {
            Counted::Whole(window) => tally.add(window),
            Counted::Split(parts) => open.extend(parts),
        }
    }
}

/// What a window came to.
enum Counted {
    Whole(Tally),
    Split(Vec<skyhaul_model::NewWindow>),
}

/// Asks for one window and counts its files.
async fn count(
    archive: Arc<Archive>,
    id: WindowId,
    target: Arc<WindowTarget>,
    overlap: Arc<Overlap>,
    root: Arc<Path>,
) -> Result<Counted, PlanError> {
    let mut stream = match list_window(&archive, &target, id, &overlap).await? {
        Listed::Files(stream) => stream,
        Listed::Split(parts) => return Ok(Counted::Split(parts)),
    };
    let mut tally = Tally { windows: 1, ..Tally::EMPTY };
    while let Some(batch) = stream.next_batch().await? {
        let files = stream.take(batch);
        let root = Arc::clone(&root);
        let looked = tokio::task::spawn_blocking(move || {
            tally.add_files(&files, &root);
            tally
        });
        tally = looked.await.map_err(|error| broken(&error))?;
    }
    let (bytes, taken) = stream.end();
    tally.bytes.total = bytes;
    taken.keep();
    Ok(Counted::Whole(tally))
}

fn broken(error: &tokio::task::JoinError) -> PlanError {
    let error = skyhaul_model::FileError::new(skyhaul_model::ErrorKind::Disk, error.to_string());
    PlanError { error, backoff: skyhaul_model::Backoff::Never, cost: skyhaul_planner::PlanCost::Attempt }
}

fn lines(plan: &PlanDocument, out: &str) -> Vec<String> {
    let total = match plan.bytes.total {
        Some(total) => human::bytes(total),
        None => "not told by the archive".to_owned(),
    };
    let mut lines = vec![
        format!("windows  {}", human::count(plan.windows.total)),
        format!(
            "files    {}, {} here already",
            human::count(plan.files.total),
            human::count(plan.files.here)
        ),
        format!("bytes    {total}, {} here already", human::bytes(plan.bytes.here)),
        format!("free     {} in {out}", human::bytes(plan.free_bytes)),
    ];
    if plan.files.total == 0 {
        lines.push("the query finds no files".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use skyhaul_model::RelPath;

    use super::*;

    fn spec(path: &str, size: Option<u64>) -> FileSpec {
        FileSpec {
            url: format!("https://h/{path}"),
            path: Ok(RelPath::parse(path).unwrap()),
            size,
            sha256: None,
        }
    }

    #[test]
    fn files_that_lie_at_their_places_are_here() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("d/folder")).unwrap();
        std::fs::write(root.path().join("d/a"), "12345").unwrap();
        let mut tally = Tally::EMPTY;
        tally.add_files(&[spec("d/a", None), spec("d/b", None), spec("d/folder", None)], root.path());
        assert_eq!(tally.files, FilesHere { total: 3, here: 1 });
        assert_eq!(tally.bytes.here, 5);
    }

    #[test]
    fn a_total_is_known_only_when_every_part_is() {
        let part = |total| Tally { bytes: BytesHere { total, here: 1 }, windows: 1, ..Tally::EMPTY };
        let mut known = part(Some(2));
        known.add(part(Some(3)));
        assert_eq!((known.bytes.total, known.bytes.here, known.windows), (Some(5), 2, 2));
        known.add(part(None));
        known.add(part(Some(1)));
        assert_eq!(known.bytes.total, None);
    }

    #[test]
    fn a_list_is_counted_with_its_unusable_lines() {
        let root = tempfile::tempdir().unwrap();
        let text = b"https://h/a\nnonsense\n";
        let form = skyhaul_planner::ListForm::Urls { base: None };
        let list = skyhaul_planner::take_in(&mut &text[..], &form, root.path()).unwrap();
        let tally = of_list(&list, root.path()).unwrap();
        assert_eq!((tally.windows, tally.files.total, tally.bytes.total), (1, 2, None));
    }

    #[test]
    fn a_plan_is_told_in_four_lines() {
        let tally = Tally {
            windows: 1,
            files: FilesHere { total: 60, here: 2 },
            bytes: BytesHere { total: None, here: 4_100_000 },
        };
        insta::assert_snapshot!(lines(&tally.document(1_200_000_000_000), "/abs/dir").join("\n"), @r"
        windows  1
        files    60, 2 here already
        bytes    not told by the archive, 4.10 MB here already
        free     1.20 TB in /abs/dir
        ");
    }
}
