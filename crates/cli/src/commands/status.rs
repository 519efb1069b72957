//! `status`: one job in full, or the engine and a line for each unfinished job.

use skyhaul_control::Client;
use skyhaul_model::{Follow, Intent, Interval, JobRecord, Source, Trouble};

use crate::access::with_queue;
use crate::args::StatusArgs;
use crate::commands::engine::status_line;
use crate::commands::jobs::{table, what};
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::jobs::find;
use crate::json;
use crate::json::{EngineDocument, JobDocument, OverviewDocument, Pace, overall};

/// Rows of troubles that people are told.
const MOST_TROUBLES: usize = 8;

/// Runs the command.
pub(crate) async fn run(args: StatusArgs, context: &Context) -> Result<Exit, CliError> {
    match args.job {
        Some(job) => {
            let (job, pace, troubles) = with_queue(context, async |desk: &Desk| {
                let job = find(desk.jobs(), &job).await?;
                let pace = desk.paces().await?.of(&job);
                let troubles = desk.jobs().troubles(job.id).await?;
                Ok((job, pace, troubles))
            })
            .await?;
            if context.is_json() {
                context.output.json(&JobDocument::new(&job, pace).with_errors(&troubles))?;
            } else {
                context.output.lines(&in_full(&job, pace))?;
                context.output.lines(&errors(&troubles))?;
            }
        }
        None => overview(context).await?,
    }
    Ok(Exit::Done)
}

async fn overview(context: &Context) -> Result<(), CliError> {
    let (jobs, paces, pid) = with_queue(context, async |desk: &Desk| {
        let pid = desk.engine().map(Client::pid);
        Ok((desk.jobs().jobs().await?, desk.paces().await?, pid))
    })
    .await?;
    let engine = EngineDocument { running: pid.is_some(), pid, version: None };
    let open: Vec<JobRecord> = jobs.into_iter().filter(|job| !job.state().is_final()).collect();
    if context.is_json() {
        let jobs = open.iter().map(|job| JobDocument::new(job, paces.of(job))).collect();
        return context.output.json(&OverviewDocument { engine, jobs });
    }
    context.output.line(&status_line(&engine))?;
    if open.is_empty() {
        return context.output.line("no unfinished jobs");
    }
    context.output.lines(&table(&open))?;
    for job in open.iter().filter(|job| job.intent == Intent::Run) {
        if let Some(reason) = &job.hold {
            context.output.note(&format!("job {} is held: {}", job.id, reason.message));
        }
    }
    Ok(())
}

fn in_full(job: &JobRecord, pace: Pace) -> Vec<String> {
    let mut rows = vec![("job", format!("{} ({})", job.id, what(job))), ("state", state(job))];
    rows.extend(source(job));
    rows.push(("out", job.query.out.clone()));
    rows.push(("priority", job.priority.to_string()));
    rows.push(("created", human::moment(job.created_at)));
    if let Some(finished) = job.finished_at {
        rows.push(("finished", human::moment(finished)));
    }
    rows.push(("windows", windows(job)));
    rows.push(("files", files(job)));
    rows.push(("bytes", bytes(job)));
    rows.extend(job.policy.follow.map(|follow| ("standing", standing(job, follow))));
    if pace != Pace::default() {
        rows.push(("pace", pace_line(pace)));
    }
    rows.into_iter().map(|(name, value)| format!("{name:<9} {value}")).collect()
}

/// What failed so far, and what can be done about it.
fn errors(troubles: &[Trouble]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, trouble) in troubles.iter().take(MOST_TROUBLES).enumerate() {
        let title = if index == 0 { "errors" } else { "" };
        let Trouble { kind, host, count, example, .. } = trouble;
        let [first, last] = [trouble.first_at, trouble.last_at].map(human::short_moment);
        lines.push(format!(
            "{title:<9} {} {kind} at {host}, first {first}, last {last}",
            human::count(*count)
        ));
        lines.push(format!("{:<9}   {}: {}", "", example.path, example.message));
        lines.push(format!("{:<9}   → {}", "", kind.advice()));
    }
    if let Some(more @ 1..) = troubles.len().checked_sub(MOST_TROUBLES) {
        lines.push(format!(
            "{:<9} and {} like these at other hosts: --json tells all",
            "",
            human::count(more as u64)
        ));
    }
    lines
}

/// How a standing job goes on.
fn standing(job: &JobRecord, follow: Follow) -> String {
    let every = human::duration(follow.every());
    let next =
        job.next_listing_at().map_or_else(String::new, |at| format!(", next at {}", human::moment(at)));
    format!(
        "the last {} are listed again every {every}{next}",
        human::counted(follow.window_days.into(), "day")
    )
}

fn pace_line(pace: Pace) -> String {
    let rate = human::rate(pace.rate_bytes_per_s);
    pace.eta_s.map_or_else(|| rate.clone(), |left| format!("{rate}, {} left", human::time_left(left)))
}

fn state(job: &JobRecord) -> String {
    let state = job.state().as_str();
    match job.error() {
        Some(error) => format!("{state}: {}", error.message),
        None => state.to_owned(),
    }
}

fn source(job: &JobRecord) -> Vec<(&'static str, String)> {
    match &job.query.source {
        Source::Archive { api, datasets, intervals, sites, devices } => {
            let mut rows = vec![("archive", human::url(api).into_owned()), ("datasets", datasets.join(", "))];
            if let (Some(start), Some(end)) = overall(intervals) {
                let several = match intervals.len() {
                    1 => String::new(),
                    count => format!(", {}", human::counted(count as u64, "interval")),
                };
                let end = if end == Interval::OPEN_END { "now on".to_owned() } else { human::moment(end) };
                rows.push(("time", format!("{} to {end}{several}", human::moment(start))));
            }
            rows.push(("sites", all_or(sites)));
            if !devices.is_empty() {
                rows.push(("devices", devices.join(", ")));
            }
            rows
        }
        Source::Urls { base, .. } => {
            vec![
                ("source", "a list of URLs".to_owned()),
                ("base", base.clone().unwrap_or_else(|| "-".into())),
            ]
        }
        Source::Manifest { .. } => vec![("source", "a manifest".to_owned())],
    }
}

fn all_or(names: &[String]) -> String {
    if names.is_empty() { "all".to_owned() } else { names.join(", ") }
}

fn windows(job: &JobRecord) -> String {
    let counts = job.windows;
    format!("{} of {} listed, {} failed", counts.listed, counts.total, counts.failed)
}

fn files(job: &JobRecord) -> String {
    let counts = job.files;
    format!(
        "{} of {} done, {} active, {} pending, {} failed",
        human::count(counts.done),
        human::count(counts.total),
        human::count(counts.active),
        human::count(counts.pending),
        human::count(counts.failed)
    )
}

fn bytes(job: &JobRecord) -> String {
    let counts = json::bytes(job);
    let total = counts.total.map_or_else(|| "a total not known".to_owned(), human::bytes);
    format!(
        "{} of {total} done, {} received, {} adopted",
        human::bytes(counts.done),
        human::bytes(counts.received),
        human::bytes(counts.adopted)
    )
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, FileError};

    use super::*;
    use crate::samples;

    #[test]
    fn a_job_is_told_in_full() {
        insta::assert_snapshot!(in_full(&samples::job(), Pace { rate_bytes_per_s: 11_000_000, eta_s: Some(4) }).join("\n"), @r"
        job       7 (THEMIS_ASI_RAW)
        state     running
        archive   https://api.phys.ucalgary.ca
        datasets  THEMIS_ASI_RAW
        time      2022-01-01T06:00:00Z to 2022-01-01T06:59:59Z
        sites     gill
        out       /abs/dir
        priority  0
        created   2026-11-22T21:00:00Z
        windows   1 of 1 listed, 0 failed
        files     43 of 60 done, 5 active, 12 pending, 0 failed
        bytes     92.0 MB of 129 MB done, 92.1 MB received, 0 B adopted
        pace      11.0 MB/s, 4 s left
        ");
    }

    #[test]
    fn what_failed_is_told_with_what_to_do() {
        insta::assert_snapshot!(errors(&[samples::trouble()]).join("\n"), @r"
        errors    3 timeout at data.example, first 2026-11-22 21:00, last 2026-11-22 21:00
                    D/a: no answer within 60 s
                    → the server is too slow: fewer --connections, or a longer --timeout
        ");
        let many = vec![samples::trouble(); 10];
        assert_eq!(errors(&many).len(), 8 * 3 + 1);
        assert!(errors(&many)[24].contains("and 2 like these"));
        assert!(errors(&[]).is_empty());
    }

    #[test]
    fn a_standing_job_says_when_it_is_listed_again() {
        let mut job = samples::finished_job();
        job.policy.follow = Some(Follow { window_days: 200, every_s: 21_600 });
        let told = in_full(&job, Pace::default()).pop().unwrap();
        assert_eq!(
            told,
            "standing  the last 200 days are listed again every 6 h 00 min, next at 2026-11-23T03:00:00Z"
        );
    }

    #[test]
    fn a_reason_stands_beside_the_state() {
        let mut job = samples::job();
        job.hold = Some(FileError::new(ErrorKind::Disk, "the disk is full"));
        assert_eq!(state(&job), "paused: the disk is full");
    }

    #[test]
    fn several_events_are_counted() {
        let mut job = samples::job();
        job.query.source = samples::archive(&[("2022-01-01", "2022-01-01"), ("2022-03-01", "2022-03-01")]);
        let (_, time) = source(&job).into_iter().find(|(name, _)| *name == "time").unwrap();
        assert_eq!(time, "2022-01-01T00:00:00Z to 2022-03-01T23:59:59Z, 2 intervals");
    }
}
