//! Finding the jobs that a command line names.

use skyhaul_model::JobRecord;
use skyhaul_queue::JobQueue;

use crate::args::JobRef;
use crate::error::CliError;
use crate::exit::Exit;

/// The job that is meant.
pub(crate) async fn find(queue: &(impl JobQueue + ?Sized), job: &JobRef) -> Result<JobRecord, CliError> {
    match job {
        JobRef::Number(id) => queue.job(*id).await?.ok_or_else(|| no_such(job)),
        JobRef::Name(name) => pick(name, queue.jobs().await?),
    }
}

/// The jobs that are meant, and the errors of those that are not there.
pub(crate) async fn find_each(
    queue: &(impl JobQueue + ?Sized),
    jobs: &[JobRef],
) -> Result<(Vec<JobRecord>, Vec<CliError>), CliError> {
    let (mut found, mut missing) = (Vec::<JobRecord>::new(), Vec::new());
    for job in jobs {
        match find(queue, job).await {
            // Named twice, by number and by name perhaps, it is still done once.
            Ok(record) if found.iter().any(|known| known.id == record.id) => {}
            Ok(record) => found.push(record),
            Err(error) if error.exit() == Exit::NoSuchJob => missing.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((found, missing))
}

/// The error for a job that is not there.
pub(crate) fn no_such(job: &JobRef) -> CliError {
    let message = match job {
        JobRef::Number(id) => format!("there is no job {id}"),
        JobRef::Name(name) => format!("there is no job named '{name}'"),
    };
    CliError::new(Exit::NoSuchJob, message).hint("'skyhaul jobs' lists them")
}

fn pick(name: &str, jobs: Vec<JobRecord>) -> Result<JobRecord, CliError> {
    let mut named: Vec<JobRecord> =
        jobs.into_iter().filter(|job| job.name.as_deref() == Some(name)).collect();
    match named.len() {
        0 => Err(no_such(&JobRef::Name(name.to_owned()))),
        1 => Ok(named.remove(0)),
        _ => {
            let ids: Vec<String> = named.iter().map(|job| job.id.to_string()).collect();
            let message = format!("'{name}' is the name of the jobs {}: use a number", ids.join(", "));
            Err(CliError::usage(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::JobId;

    use super::*;
    use crate::samples;

    fn named(id: u64, name: Option<&str>) -> JobRecord {
        let mut job = samples::job();
        (job.id, job.name) = (JobId(id), name.map(str::to_owned));
        job
    }

    #[tokio::test]
    async fn a_job_is_found_once_and_the_missing_ones_are_told() {
        let queue = samples::queue(2).await;
        let named = |text: &str| text.parse::<JobRef>().unwrap();
        let wanted = [named("2"), named("job-1"), named("9"), named("job-0"), named("nobody")];
        let (found, missing) = find_each(&queue, &wanted).await.unwrap();
        assert_eq!(found.iter().map(|job| job.id.0).collect::<Vec<_>>(), [2, 1]);
        let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["there is no job 9", "there is no job named 'nobody'"]);
    }

    #[test]
    fn a_name_must_mean_one_job() {
        let jobs = || vec![named(1, Some("a")), named(2, None), named(3, Some("b")), named(4, Some("b"))];
        assert_eq!(pick("a", jobs()).unwrap().id, JobId(1));
        assert_eq!(pick("c", jobs()).unwrap_err().exit(), Exit::NoSuchJob);
        let error = pick("b", jobs()).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("3, 4"), "{error}");
    }
}
