//! How a command ends that saw a job through: its exit code, its sentence, its summary.

use std::time::Duration;

use skyhaul_engine::Ended;
use skyhaul_model::{ErrorKind, FileState, Intent, JobRecord, Source, Verified};
use skyhaul_queue::FileQuery;

use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;

/// Jobs up to this size have their proofs counted for the summary; of larger ones only failures are told.
pub(crate) const MOST_COUNTED: u64 = 100_000;

/// Files read at once while their proofs are counted.
const PAGE: usize = 4_096;

/// How the command ends.
pub(crate) fn verdict(job: &JobRecord, ended: &Ended) -> Result<Exit, CliError> {
    let id = job.id;
    match ended {
        Ended::Held(held, reason) if *held == id => {
            return Err(CliError::failed(format!("job {id} is paused: {}", reason.message))
                .hint("see to it and run the same command again; with --wait-for-space it waits instead"));
        }
        Ended::Stopped if job.policy.follow.is_some() && job.intent == Intent::Run => {
            return Err(CliError::interrupted().hint(format!(
                "job {id} stands by no longer: 'skyhaul engine start' or the same command goes on with it"
            )));
        }
        // A standing job is over when somebody ends it, between two rounds as in one.
        _ if job.is_settled() && (job.policy.follow.is_none() || job.intent == Intent::Run) => {}
        Ended::Stopped if job.intent == Intent::Run => {
            return Err(CliError::interrupted()
                .hint(format!("job {id} goes on where it was when you run the same command again")));
        }
        _ => return Err(steered(job)),
    }
    match Exit::of_job(job) {
        Exit::Unlisted => Err(unlisted(job)),
        Exit::SomeFailed => Err(CliError::new(
            Exit::SomeFailed,
            format!(
                "{} of {} failed for good",
                human::count(job.files.failed),
                human::counted(job.files.total, "file")
            ),
        )
        .hint(format!("'skyhaul files {id} --state failed' names them; the same pull tries them again"))),
        exit => Ok(exit),
    }
}

/// Somebody has paused or cancelled the job.
fn steered(job: &JobRecord) -> CliError {
    let id = job.id;
    let how = if job.intent == Intent::Cancelled { "cancelled" } else { "paused" };
    CliError::failed(format!("job {id} was {how} before it was finished"))
        .hint(format!("'skyhaul resume {id}' or the same pull goes on where it was"))
}

fn unlisted(job: &JobRecord) -> CliError {
    let why = job.error().map_or("the archive could not be asked", |error| error.message.as_str());
    let is_unknown = job.error().is_some_and(|error| error.kind == ErrorKind::NotFound);
    let (what, hint) = match job.windows.failed {
        0 if is_unknown => (
            "the query could not be listed".to_owned(),
            "look at the name of the dataset and at --api; the query as it is would be refused again",
        ),
        0 => ("the query could not be listed".to_owned(), "the same pull asks again"),
        failed => (
            format!("{} of {} could not be listed", failed, human::counted(job.windows.total, "window")),
            "what could be listed is here; the same pull asks again for the rest",
        ),
    };
    CliError::new(Exit::Unlisted, format!("{what}: {why}")).hint(hint)
}

/// How many of a job's files are proven whole by a digest or by their own format's check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Proofs {
    proven: u64,
    others: u64,
}

/// One line that says what is here now and what was received since `received_before`; none while the job has not
/// come to an end that could be summed up.
pub(crate) async fn summary(
    desk: &Desk,
    job: &JobRecord,
    received_before: u64,
    took: Duration,
) -> Result<Option<String>, CliError> {
    if !job.is_settled() || (job.files.total == 0 && job.is_unlisted()) {
        return Ok(None);
    }
    let proofs = if job.files.total > MOST_COUNTED { None } else { Some(proofs(desk, job).await?) };
    Ok(Some(line(job, proofs, job.bytes.received.saturating_sub(received_before), took)))
}

/// What to look at when a query finds nothing: the archive knows no wrong site, it merely has no files of it.
pub(crate) fn nothing_hint(source: &Source) -> Option<&'static str> {
    match source {
        Source::Archive { sites, devices, .. } if !(sites.is_empty() && devices.is_empty()) => {
            Some("look at --site, --device and the times: 'skyhaul sites' lists the sites")
        }
        _ => None,
    }
}

async fn proofs(desk: &Desk, job: &JobRecord) -> Result<Proofs, CliError> {
    let mut proofs = Proofs::default();
    let mut after = None;
    loop {
        let query = FileQuery { state: Some(FileState::Done), after, limit: PAGE };
        let page = desk.files(job.id, query).await?;
        for sealed in page.files.iter().filter_map(|file| file.sealed.as_ref()) {
            match sealed.verified {
                Verified::Digest | Verified::Container => proofs.proven += 1,
                Verified::Length | Verified::None => proofs.others += 1,
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(proofs);
        }
    }
}

fn line(job: &JobRecord, proofs: Option<Proofs>, received: u64, took: Duration) -> String {
    let out = &job.query.out;
    if job.files.total == 0 {
        return format!("the query finds no files: nothing to do → {out}");
    }
    let fetched = if received == 0 {
        "nothing had to be fetched".to_owned()
    } else {
        let rate = (received as f64 / took.as_secs_f64().max(0.001)) as u64;
        format!("{} fetched in {} ({})", human::bytes(received), human::duration(took), human::rate(rate))
    };
    format!(
        "{}, {}{}; {fetched}; {} failed → {out}",
        human::counted(job.files.done, "file"),
        human::bytes(job.bytes.done),
        proofs.map_or_else(String::new, |proofs| proven(proofs, job.files.done)),
        human::count(job.files.failed),
    )
}

fn proven(proofs: Proofs, done: u64) -> String {
    match proofs {
        Proofs { others: 0, .. } if done > 0 => ", all proven whole".to_owned(),
        Proofs { proven: 0, .. } if done > 0 => ", known by their lengths at most".to_owned(),
        Proofs { proven, others } if done > 0 => {
            format!(", {} proven whole, {} by length at most", human::count(proven), human::count(others))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{FileError, JobId};

    use super::*;
    use crate::samples;

    const ALL: Option<Proofs> = Some(Proofs { proven: 60, others: 0 });

    #[test]
    fn the_summary_tells_what_is_here_and_what_was_fetched() {
        let job = samples::finished_job();
        assert_eq!(
            line(&job, ALL, job.bytes.received, Duration::from_secs(12)),
            "60 files, 129 MB, all proven whole; 129 MB fetched in 12 s (10.8 MB/s); 0 failed → /abs/dir"
        );
        let again = line(&job, None, 0, Duration::from_millis(40));
        assert_eq!(again, "60 files, 129 MB; nothing had to be fetched; 0 failed → /abs/dir");
        let some = Proofs { proven: 58, others: 2 };
        assert_eq!(proven(some, 60), ", 58 proven whole, 2 by length at most");
    }

    #[test]
    fn a_query_that_finds_nothing_says_so() {
        let mut job = samples::finished_job();
        job.files = skyhaul_model::FileCounts::default();
        let told = line(&job, None, 0, Duration::from_secs(1));
        assert_eq!(told, "the query finds no files: nothing to do → /abs/dir");
        assert!(nothing_hint(&job.query.source).is_some_and(|hint| hint.contains("skyhaul sites")));
        assert_eq!(nothing_hint(&Source::Manifest { digest: String::new() }), None);
    }

    #[test]
    fn the_end_chooses_the_exit_code() {
        let held = |id| Ended::Held(JobId(id), FileError::new(ErrorKind::Disk, "the disk is full"));
        let finished = samples::finished_job;
        let steered = |intent| JobRecord { intent, ..samples::job() };
        let standing = || {
            let mut job = finished();
            job.policy.follow = Some(skyhaul_model::Follow::default());
            job
        };
        let mut failed = finished();
        failed.files.failed = 2;
        let mut unlisted = failed.clone();
        (unlisted.windows.listed, unlisted.windows.failed) = (0, 1);
        let table = [
            (finished(), Ended::Idle, Exit::Done),
            (finished(), Ended::Stopped, Exit::Done),
            (standing(), Ended::Stopped, Exit::Interrupted),
            (standing(), Ended::Idle, Exit::Done),
            (JobRecord { intent: Intent::Cancelled, ..standing() }, Ended::Idle, Exit::Failed),
            (finished(), held(8), Exit::Done),
            (samples::job(), Ended::Stopped, Exit::Interrupted),
            (samples::job(), held(7), Exit::Failed),
            (steered(Intent::Paused), Ended::Idle, Exit::Failed),
            (steered(Intent::Cancelled), Ended::Idle, Exit::Failed),
            (steered(Intent::Paused), Ended::Stopped, Exit::Failed),
            (failed, Ended::Idle, Exit::SomeFailed),
            (unlisted, Ended::Idle, Exit::Unlisted),
        ];
        for (job, ended, exit) in table {
            let seen = verdict(&job, &ended).unwrap_or_else(|error| error.exit());
            assert_eq!(seen, exit, "{ended:?}");
        }
    }
}
