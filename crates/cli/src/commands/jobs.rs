//! `jobs`: all jobs, a line each.

use skyhaul_model::{JobRecord, Source};

use crate::access::with_queue;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::json::JobDocument;
use crate::table::{Align, Table};

/// Runs the command.
pub(crate) async fn run(context: &Context) -> Result<Exit, CliError> {
    let (jobs, paces) =
        with_queue(context, async |desk: &Desk| Ok((desk.jobs().jobs().await?, desk.paces().await?))).await?;
    if context.is_json() {
        let documents: Vec<_> = jobs.iter().map(|job| JobDocument::new(job, paces.of(job))).collect();
        context.output.json(&documents)?;
    } else if jobs.is_empty() {
        context.output.note("there are no jobs");
    } else {
        context.output.lines(&table(&jobs))?;
    }
    Ok(Exit::Done)
}

/// A line for each job under a head.
pub(crate) fn table(jobs: &[JobRecord]) -> Vec<String> {
    use Align::{Left, Right};
    let mut table = Table::new([
        ("ID", Right),
        ("STATE", Left),
        ("DONE", Right),
        ("FILES", Right),
        ("FAILED", Right),
        ("SIZE", Right),
        ("WHAT", Left),
        ("OUT", Left),
    ]);
    for job in jobs {
        table.row([
            job.id.to_string(),
            job.state().as_str().to_owned(),
            human::count(job.files.done),
            human::count(job.files.total),
            human::count(job.files.failed),
            human::bytes(job.bytes.done),
            what(job),
            job.query.out.clone(),
        ]);
    }
    table.lines()
}

/// What a job pulls, in a few words: its name where it has one.
pub(crate) fn what(job: &JobRecord) -> String {
    if let Some(name) = &job.name {
        return name.clone();
    }
    match &job.query.source {
        Source::Archive { datasets, .. } => datasets.join(","),
        Source::Urls { .. } => "a list of URLs".to_owned(),
        Source::Manifest { .. } => "a manifest".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn jobs_are_a_table() {
        let mut named = samples::finished_job();
        named.id = skyhaul_model::JobId(12);
        named.name = Some("winter".into());
        insta::assert_snapshot!(table(&[samples::job(), named]).join("\n"), @r"
        ID  STATE      DONE  FILES  FAILED     SIZE  WHAT            OUT
         7  running      43     60       0  92.0 MB  THEMIS_ASI_RAW  /abs/dir
        12  completed    60     60       0   129 MB  winter          /abs/dir
        ");
    }
}
