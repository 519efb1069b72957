//! What is told in lines of its own, beside bars and lines: that a job begins to be held back, and that it goes on.

use std::collections::HashSet;
use std::sync::Arc;

use skyhaul_engine::Progress;
use skyhaul_model::{Intent, JobId, JobRecord};
use tokio::sync::watch;

use crate::output::Output;

/// Tells it until the engine ends.
pub(super) async fn tell_holds(output: &Output, mut progress: watch::Receiver<Arc<Progress>>) {
    let mut held = Held::default();
    loop {
        for line in held.news(&progress.borrow_and_update().jobs) {
            output.note(&line);
        }
        if progress.changed().await.is_err() {
            return;
        }
    }
}

/// The jobs that are held, as they were told last.
#[derive(Debug, Default)]
struct Held(HashSet<JobId>);

impl Held {
    fn news(&mut self, jobs: &[JobRecord]) -> Vec<String> {
        self.0.retain(|id| jobs.iter().any(|job| job.id == *id));
        jobs.iter().filter_map(|job| self.news_of(job)).collect()
    }

    fn news_of(&mut self, job: &JobRecord) -> Option<String> {
        match &job.hold {
            Some(reason) => {
                self.0.insert(job.id).then(|| format!("job {} is held: {}", job.id, reason.message))
            }
            None => {
                let goes_on = self.0.remove(&job.id) && job.intent == Intent::Run && !job.is_settled();
                goes_on.then(|| format!("job {} goes on", job.id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, FileError};

    use super::*;
    use crate::samples;

    #[test]
    fn a_hold_is_told_when_it_begins_and_when_it_ends() {
        let mut held = Held::default();
        let free = samples::job();
        let because = |why: &str| JobRecord {
            hold: Some(FileError::new(ErrorKind::Connection, why)),
            ..samples::job()
        };
        assert!(held.news(std::slice::from_ref(&free)).is_empty());
        assert_eq!(held.news(&[because("a does not answer")]), ["job 7 is held: a does not answer"]);
        assert!(held.news(&[because("a still does not answer")]).is_empty(), "it is known");
        assert_eq!(held.news(&[free]), ["job 7 goes on"]);
        for end in [JobRecord { intent: Intent::Paused, ..samples::job() }, samples::finished_job()] {
            assert_eq!(held.news(&[because("b")]).len(), 1);
            assert!(held.news(&[end]).is_empty(), "it does not go on");
        }
    }
}
