//! `files`: a job's files, a line each, read from the queue page by page.

use std::collections::BTreeSet;

use skyhaul_model::{ErrorKind, FileRecord, NoResume};
use skyhaul_queue::FileQuery;

use crate::access::with_queue;
use crate::args::FilesArgs;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::jobs::find;
use crate::json::{FileDocument, done_seal, retry_at};

/// Files read from the queue at once.
const PAGE: usize = 1_024;

/// Runs the command.
pub(crate) async fn run(args: FilesArgs, context: &Context) -> Result<Exit, CliError> {
    with_queue(context, async |desk: &Desk| {
        let job = find(desk.jobs(), &args.job.job).await?;
        let state = args.state.map(Into::into);
        let mut after = None;
        let mut kinds = BTreeSet::new();
        loop {
            let page = desk.files(job.id, FileQuery { state, after, limit: PAGE }).await?;
            for file in &page.files {
                kinds.extend(file.error.as_ref().map(|error| error.kind));
                if context.is_json() {
                    context.output.json(&FileDocument::new(file))?;
                } else {
                    context.output.line(&line(file))?;
                }
            }
            after = page.next;
            if after.is_none() {
                if !context.is_json() {
                    advise(context, &kinds);
                }
                return Ok(Exit::Done);
            }
        }
    })
    .await
}

/// What can be done about the failures that were told, once for each kind.
fn advise(context: &Context, kinds: &BTreeSet<ErrorKind>) {
    for kind in kinds {
        context.output.hint(&format!("{kind}: {}", kind.advice()));
    }
}

/// Fixed widths, as the next page's files are not known yet.
fn line(file: &FileRecord) -> String {
    let sealed = done_seal(file);
    let size = human::bytes_or_dash(sealed.map(|sealed| sealed.size).or(file.spec.size));
    let verified = sealed.map_or("-", |sealed| sealed.verified.as_str());
    let name = match &file.spec.path {
        Ok(path) => path.as_str(),
        Err(_) => file.spec.url.as_str(),
    };
    let line = format!("{:<7}  {size:>8}  {verified:<9}  {name}", file.state.as_str());
    let Some(error) = &file.error else { return line };
    let again = retry_at(file).map_or_else(String::new, |at| format!("; again at {}", human::moment(at)));
    let anew =
        file.no_resume.map_or_else(String::new, |why| format!("; from the first byte: {}", why_anew(why)));
    format!("{line}  {}: {}{again}{anew}", error.kind, error.message)
}

fn why_anew(why: NoResume) -> &'static str {
    match why {
        NoResume::NoRanges => "the server gives no parts of files",
        NoResume::NoValidator => "the server tells nothing that versions of the file could be told apart by",
        NoResume::Changed => "it has changed at its source",
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{FileError, FileState, RelPath};

    use super::*;
    use crate::samples;

    #[test]
    fn files_are_lines_of_fixed_columns() {
        let mut done = samples::file();
        done.spec.path = Ok(RelPath::parse("D/a.pgm.gz").unwrap());
        let mut failed = done.clone();
        failed.state = FileState::Failed;
        failed.sealed = None;
        failed.error = Some(FileError::new(ErrorKind::NotFound, "the server has no such file"));
        let mut nameless = failed.clone();
        nameless.spec.url = "https://h/../x".into();
        nameless.spec.path = Err(FileError::new(ErrorKind::Path, "no"));
        let mut waits = failed.clone();
        waits.state = FileState::Pending;
        waits.not_before = Some(samples::moment());
        waits.no_resume = Some(NoResume::NoRanges);
        let lines = [done, failed, waits, nameless].map(|file| line(&file));
        insta::assert_snapshot!(lines.join("\n"), @r"
        done      2.14 MB  container  D/a.pgm.gz
        failed          -  -          D/a.pgm.gz  not_found: the server has no such file
        pending         -  -          D/a.pgm.gz  not_found: the server has no such file; again at 2026-11-22T21:00:00Z; from the first byte: the server gives no parts of files
        failed          -  -          https://h/../x  not_found: the server has no such file
        ");
    }
}
