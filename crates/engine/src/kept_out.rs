//! Jobs that are kept out: all of their requests wait for hosts that are away, or that asked to be left alone.
//!
//! Such a job is shown as held, and that is all: its requests go on waiting, and find out by themselves when they may
//! go. Nothing is written, so that nothing has to be taken back, and a crash loses nothing.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skyhaul_http::{Closed, ClosedReason, Standing};
use skyhaul_model::{ErrorKind, FileError, JobId, JobRecord};

use crate::engine::{Engine, is_runnable};

/// A host that is closed for no longer is nothing that a person need know of.
const HICCUP: SignedDuration = SignedDuration::from_secs(5);

/// For how long a job without requests is as it was: one whose only request has found nobody makes the next at once.
const BREATHER: SignedDuration = SignedDuration::from_secs(2);

/// Times that differ by no more are the same, told at different moments.
const SAME: SignedDuration = SignedDuration::from_secs(1);

/// The jobs that are kept out.
#[derive(Debug, Default)]
pub(crate) struct KeptOut(HashMap<JobId, Known>);

/// What keeps a job out.
#[derive(Debug)]
struct Known {
    host: String,
    closed: Closed,
    seen_at: Timestamp,
}

impl Engine {
    /// Shows those of the jobs as held that are kept out.
    pub(crate) fn show_kept_out(&mut self, jobs: &mut [JobRecord]) {
        let now = Timestamp::now();
        self.kept_out.0.retain(|id, _| jobs.iter().any(|job| job.id == *id));
        for job in jobs.iter_mut().filter(|job| is_runnable(job)) {
            job.hold = self.kept_out.look(job, self.jobs.standing(job.id), now);
        }
    }
}

impl KeptOut {
    /// Takes note of how a job's requests stand; tells why it is to be shown as held, if it is.
    fn look(&mut self, job: &JobRecord, standing: Standing, now: Timestamp) -> Option<FileError> {
        let known = self.0.remove(&job.id);
        let was_known = known.is_some();
        let known = match (standing, known) {
            (Standing::KeptOut { host, closed }, known)
                if closed.until.duration_since(closed.since) > HICCUP =>
            {
                Some(Known::newest(known, host, closed, now))
            }
            (Standing::Idle, Some(known)) if now.duration_since(known.seen_at) < BREATHER => Some(known),
            _ => None,
        };
        let reason = known.as_ref().map(|known| known.reason(job.policy.outage()));
        match &reason {
            Some(reason) if !was_known => {
                tracing::info!(job = job.id.0, reason = %reason.message, "the job is kept out");
            }
            None if was_known => tracing::info!(job = job.id.0, "the job is no longer kept out"),
            _ => {}
        }
        self.0.extend(known.map(|known| (job.id, known)));
        reason
    }
}

impl Known {
    /// What is known now. Times are as they were told first, so that the same reason is told in the same words.
    fn newest(before: Option<Self>, host: String, closed: Closed, now: Timestamp) -> Self {
        let is_same = |before: &Closed| {
            // While somebody finds out, there is no telling who is next.
            let is_next_known = closed.until.duration_since(now) > SAME;
            let is_later = closed.until.duration_since(before.until).abs() > SAME && is_next_known;
            let is_another = closed.since.duration_since(before.since).abs() > SAME;
            before.reason == closed.reason && !is_another && !is_later
        };
        match before {
            Some(before) if before.host == host && is_same(&before.closed) => Self { seen_at: now, ..before },
            _ => Self { host, closed, seen_at: now },
        }
    }

    fn reason(&self, outage: Duration) -> FileError {
        let Self { host, closed: Closed { since, until, reason }, .. } = self;
        let (from, next) = (moment(*since), moment(*until));
        match reason {
            ClosedReason::Away => {
                let end = moment(since.checked_add(outage).unwrap_or(Timestamp::MAX));
                let message = format!(
                    "{host} does not answer (since {from}): tried again at {next}, given up at {end}"
                );
                FileError::new(ErrorKind::Connection, message)
            }
            ClosedReason::RetryAfter => {
                let message = format!(
                    "{host} asked to be left alone (Retry-After, since {from}): tried again at {next}"
                );
                FileError::new(ErrorKind::Http, message)
            }
        }
    }
}

fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use skyhaul_model::Intent;
    use skyhaul_queue::JobQueue;

    use super::*;
    use crate::nowhere::{idle, job_of_list, listed, settings};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn closed(reason: ClosedReason, since: i64, until: i64) -> Standing {
        let closed = Closed { since: at(since), until: at(until), reason };
        Standing::KeptOut { host: "h.example".to_owned(), closed }
    }

    /// What is told of a job as its requests stand so, each at its second.
    async fn told(story: impl IntoIterator<Item = (i64, Standing)>) -> Vec<Option<FileError>> {
        let dir = tempfile::tempdir().unwrap();
        let (engine, queue) = idle(settings());
        let id = listed(&engine, job_of_list("", dir.path())).await;
        let mut job = queue.job(id).await.unwrap().unwrap();
        job.policy.outage_s = 3600;
        let mut kept_out = KeptOut::default();
        story.into_iter().map(|(second, standing)| kept_out.look(&job, standing, at(second))).collect()
    }

    async fn is_told(story: impl IntoIterator<Item = (i64, Standing)>) -> Vec<bool> {
        told(story).await.iter().map(Option::is_some).collect()
    }

    #[tokio::test]
    async fn a_hiccup_is_no_reason_and_a_host_that_stays_away_is() {
        use ClosedReason::Away;
        let story = [
            (0, Standing::UnderWay),
            (1, closed(Away, 1, 2)),
            (3, closed(Away, 1, 4)),
            (4, closed(Away, 1, 8)),
            (70, closed(Away, 1, 128)),
            (71, Standing::UnderWay),
        ];
        assert_eq!(is_told(story).await, [false, false, false, true, true, false]);
    }

    #[tokio::test]
    async fn the_reason_names_the_host_and_when_it_is_asked_again() {
        let away = told([(10, closed(ClosedReason::Away, 1, 16))]).await.remove(0).unwrap();
        let words = "h.example does not answer (since 1970-01-01T00:00:01Z): tried again at 1970-01-01T00:00:16Z, \
                     given up at 1970-01-01T01:00:01Z";
        assert_eq!(away, FileError::new(ErrorKind::Connection, words));
        let asked = told([(10, closed(ClosedReason::RetryAfter, 1, 16))]).await.remove(0).unwrap();
        let words = "h.example asked to be left alone (Retry-After, since 1970-01-01T00:00:01Z): tried again at \
                     1970-01-01T00:00:16Z";
        assert_eq!(asked, FileError::new(ErrorKind::Http, words));
    }

    #[tokio::test]
    async fn one_whose_only_request_has_found_nobody_is_kept_out_still() {
        let away = || closed(ClosedReason::Away, 0, 7);
        let story = [(3, away()), (4, Standing::Idle), (5, Standing::Idle), (6, Standing::Idle)];
        assert_eq!(is_told(story).await, [true, true, false, false]);
        let story = [(3, away()), (4, Standing::Idle), (5, away()), (6, Standing::Idle)];
        assert_eq!(is_told(story).await, [true; 4]);
    }

    #[tokio::test]
    async fn the_same_reason_is_told_in_the_same_words() {
        use ClosedReason::Away;
        let reasons = told([
            (3, closed(Away, 1, 8)),
            // Clocks are read at different moments.
            (4, closed(Away, 0, 7)),
            // Somebody finds out, and takes a while.
            (20, closed(Away, 1, 20)),
            (25, closed(Away, 1, 33)),
        ])
        .await;
        assert_eq!(reasons[0], reasons[1]);
        assert_eq!(reasons[0], reasons[2]);
        assert_ne!(reasons[2], reasons[3], "the next try is known again");
    }

    #[tokio::test]
    async fn only_jobs_that_could_go_on_are_shown_as_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let id = listed(&engine, job_of_list("", dir.path())).await;
        let job = queue.job(id).await.unwrap().unwrap();
        let now = Timestamp::now();
        let until = now.checked_add(SignedDuration::from_mins(9)).unwrap();
        let closed = Closed { since: now, until, reason: ClosedReason::RetryAfter };
        let known = || Known { host: "h.example".to_owned(), closed, seen_at: until };
        engine.kept_out.0.insert(id, known());
        let paused = JobRecord { intent: Intent::Paused, ..job.clone() };
        let mut jobs = [paused, job];
        engine.show_kept_out(&mut jobs);
        assert_eq!(jobs.map(|job| job.hold.is_some()), [false, true]);
        engine.show_kept_out(&mut []);
        assert!(engine.kept_out.0.is_empty(), "it is forgotten with its job");
    }
}
