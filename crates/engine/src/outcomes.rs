//! What the ends of tasks mean for the queue.

use jiff::Timestamp;
use skyhaul_model::{ErrorKind, JobPolicy, RelPath, host_of};
use skyhaul_queue::{AttemptEnd, Claim, FailedAttempt, Known, QueueError, Received};
use skyhaul_transfer::{End, Failure, Recovery};

use crate::engine::Engine;
use crate::publisher::{Published, Ready, complete};
use crate::settings::EngineError;
use crate::work::{Finished, Verdict, What};

impl Engine {
    /// Workers have ended.
    pub(crate) async fn on_finished(&mut self, finished: Vec<Finished>) -> Result<(), EngineError> {
        for finished in finished {
            let file = finished.claim.file;
            let goes_on = finished.is_to_be_published();
            self.on_end(finished).await?;
            if !goes_on {
                self.turns.end(file);
            }
        }
        // It asks all files in work: once for all that have ended.
        let received = self.work.received_total();
        self.tally.note(|counts| counts.received_bytes = received);
        Ok(())
    }

    async fn on_end(&mut self, finished: Finished) -> Result<(), EngineError> {
        let Finished { claim, what, took } = finished;
        self.tally.note(|counts| counts.attempt_seconds.observe_time(took));
        match what {
            What::Transferred(End::Whole(whole)) | What::Recovered(Recovery::Part(whole)) => {
                self.work.forget(claim.file);
                self.tally.note(|counts| counts.file_bytes.observe(whole.sealed.size as f64));
                self.publisher.add(Ready { claim, whole });
                Ok(())
            }
            What::Transferred(End::Stopped { received }) => {
                self.give_back(Received { file: claim.file, received, seal_lost: false }).await
            }
            What::Transferred(End::Failed(failure)) => self.on_failure(&claim, failure).await,
            What::Transferred(End::Unchanged) => {
                self.work.forget(claim.file);
                complete(&*self.queue, vec![claim.file]).await
            }
            // A job that was removed meanwhile has no list any more.
            What::Broken(QueueError::NoSuchJob(_)) => Ok(()),
            What::Broken(error) => Err(error.into()),
            What::Recovered(Recovery::Published) => {
                self.tally.note(|counts| counts.files_done += 1);
                complete(&*self.queue, vec![claim.file]).await
            }
            What::Recovered(Recovery::Gone) => {
                let received = claim.received;
                self.give_back(Received { file: claim.file, received, seal_lost: true }).await
            }
            What::Recovered(Recovery::Unreadable(error)) => {
                self.release(&claim).await?;
                self.hold(claim.file.job, error).await
            }
        }
    }

    /// A batch has been published, wholly or in part.
    pub(crate) async fn on_published(&mut self, published: Vec<Published>) -> Result<(), EngineError> {
        for file in published {
            self.turns.end(file.claim.file);
            if let Err(error) = &file.result {
                self.tally.note(|counts| counts.failure(error.kind));
            }
            match file.result {
                Ok(()) => self.tally.note(|counts| counts.files_done += 1),
                Err(error) if error.kind == ErrorKind::Disk => {
                    let received = file.received;
                    self.give_back(Received { file: file.claim.file, received, seal_lost: false }).await?;
                    self.hold(file.claim.file.job, error).await?;
                }
                Err(error) => {
                    self.tally.note(|counts| counts.files_failed += 1);
                    let (file, failures) = (file.claim.file, file.claim.failures + 1);
                    let end = AttemptEnd::GiveUp;
                    let failed = FailedAttempt { file, error, failures, received: 0, no_resume: None, end };
                    forgive_gone(self.queue.fail(vec![failed], Timestamp::now()).await)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a claim back as it was.
    pub(crate) async fn release(&mut self, claim: &Claim) -> Result<(), EngineError> {
        self.give_back(Received { file: claim.file, received: claim.received, seal_lost: false }).await
    }

    async fn on_failure(&mut self, claim: &Claim, failure: Failure) -> Result<(), EngineError> {
        tracing::debug!(
            job = claim.file.job.0, path = claim.spec.path.as_ref().map_or("", RelPath::as_str),
            host = host_of(&claim.spec.url), kind = %failure.error.kind, message = %failure.error.message,
            "attempt failed"
        );
        self.tally.note(|counts| counts.failure(failure.error.kind));
        let policy =
            self.jobs.get(claim.file.job).map_or_else(JobPolicy::default, |job| job.record.policy.clone());
        match self.work.judge(claim, failure, &policy, Timestamp::now()) {
            // What was done stays done, whatever became of the server's copy.
            Verdict::Fail(attempt)
                if attempt.end == AttemptEnd::GiveUp && matches!(claim.known, Known::Recheck(_)) =>
            {
                tracing::warn!(url = %claim.spec.url, message = %attempt.error.message, "cannot be asked about");
                complete(&*self.queue, vec![claim.file]).await
            }
            Verdict::Fail(attempt) => {
                if attempt.end == AttemptEnd::GiveUp {
                    self.tally.note(|counts| counts.files_failed += 1);
                }
                forgive_gone(self.queue.fail(vec![attempt], Timestamp::now()).await)
            }
            Verdict::Release(received) => self.give_back(received).await,
            Verdict::Hold(received, reason) => {
                self.give_back(received).await?;
                self.hold(claim.file.job, reason).await
            }
        }
    }

    async fn give_back(&self, received: Received) -> Result<(), EngineError> {
        forgive_gone(self.queue.release(vec![received]).await)
    }
}

/// A job may be removed while its files are in work: then nobody waits for their ends.
pub(crate) fn forgive_gone(result: Result<(), QueueError>) -> Result<(), EngineError> {
    match result {
        Ok(()) | Err(QueueError::NoSuchJob(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
