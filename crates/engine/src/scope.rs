//! Which jobs an engine works on: all of them, or some, which may become more while it runs.

use skyhaul_model::JobId;
use skyhaul_queue::ClaimFilter;
use tokio::sync::watch;

/// The jobs that an engine works on, shared between the engine and whoever adds to them. Clones are the same scope.
#[derive(Clone, Debug)]
pub struct Scope(watch::Sender<ClaimFilter>);

impl Scope {
    /// Every job of the queue, later ones too.
    #[must_use]
    pub fn everything() -> Self {
        Self(watch::Sender::new(ClaimFilter::All))
    }

    /// One job; more can be added.
    #[must_use]
    pub fn only(job: JobId) -> Self {
        Self(watch::Sender::new(ClaimFilter::Jobs(vec![job])))
    }

    /// Adds a job. The engine begins with it within a second.
    pub fn add(&self, job: JobId) {
        self.0.send_if_modified(|filter| match filter {
            ClaimFilter::Jobs(jobs) if !jobs.contains(&job) => {
                jobs.push(job);
                true
            }
            _ => false,
        });
    }

    /// Whether a job is among them.
    #[must_use]
    pub fn has(&self, job: JobId) -> bool {
        self.0.borrow().admits(job)
    }

    pub(crate) fn filter(&self) -> ClaimFilter {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_grows_for_all_who_share_it_and_all_stays_all() {
        let scope = Scope::only(JobId(1));
        for job in [2, 1, 2] {
            scope.clone().add(JobId(job));
        }
        assert!(scope.has(JobId(2)) && !scope.has(JobId(3)));
        assert_eq!(scope.filter(), ClaimFilter::Jobs(vec![JobId(1), JobId(2)]));
        let everything = Scope::everything();
        everything.add(JobId(1));
        assert_eq!(everything.filter(), ClaimFilter::All);
    }
}
