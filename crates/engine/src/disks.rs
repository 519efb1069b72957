//! What the loop makes of its jobs' disks: who is held because of them, who goes on, whose root is closed.
//!
//! Nothing here waits for a disk: what it says comes as a step's end (`roots`).

use std::sync::Arc;

use skyhaul_model::{FileError, Intent, JobId, JobRecord};

use crate::disk::unanswering;
use crate::engine::{Engine, is_runnable};
use crate::outcomes::forgive_gone;
use crate::roots::{Parts, Sight};
use crate::settings::{EngineError, OnFullDisk};

impl Engine {
    /// Has a look at the roots of jobs in hand and of held ones, and holds those whose disk does not answer.
    pub(crate) async fn watch_disks(&mut self, wanted: &[JobRecord]) -> Result<(), EngineError> {
        self.jobs.look_at_roots();
        for id in self.jobs.hanging() {
            if let Some(job) = self.queue.job(id).await?.filter(is_runnable) {
                self.hold_for(id, unanswering(&job)).await?;
            }
        }
        if self.settings.on_full_disk == OnFullDisk::Stop {
            return Ok(());
        }
        // A held job is let go of once its work has ended: what opens its root anew looks at everything.
        for job in wanted.iter().filter(|job| job.hold.is_some()) {
            if self.jobs.may_look_again(job.id) {
                self.begin_opening(job.id).await?;
            }
        }
        Ok(())
    }

    /// Begins to take a job in hand; holds it if it cannot be.
    pub(crate) async fn begin_opening(&mut self, id: JobId) -> Result<(), EngineError> {
        match self.jobs.begin_opening(id).await? {
            Ok(()) => Ok(()),
            Err(reason) => self.not_opened(id, reason).await,
        }
    }

    /// A step on a job's root has ended.
    pub(crate) async fn on_sight(&mut self, id: JobId, sight: Sight) -> Result<(), EngineError> {
        match sight {
            Sight::Opened(Ok(root)) => {
                self.jobs.opened(id, root);
                if self.queue.job(id).await?.is_some_and(|job| job.hold.is_some()) {
                    forgive_gone(self.queue.set_hold(id, None).await)?;
                }
                self.jobs.refresh().await
            }
            Sight::Opened(Err(reason)) => {
                self.jobs.not_opened(id);
                self.not_opened(id, reason).await
            }
            // What is wrong with the whole root says more than what a worker ran into.
            Sight::Looked { found: Some(reason), .. } => self.hold_for(id, reason).await,
            Sight::Looked { found: None, told: Some(reason) } => {
                self.jobs.be_patient(id);
                self.hold_for(id, reason).await
            }
            Sight::Looked { found: None, told: None } => Ok(()),
            Sight::Closed(closed) => {
                if let Err(error) = closed {
                    tracing::warn!(job = id.0, %error, "cannot remove the partial files");
                }
                Ok(())
            }
        }
    }

    /// Holds a job back for what a worker ran into, once its root has been looked at.
    pub(crate) async fn hold(&mut self, id: JobId, reason: FileError) -> Result<(), EngineError> {
        if self.jobs.get(id).is_none() {
            self.jobs.be_patient(id);
            return self.hold_for(id, reason).await;
        }
        self.jobs.look_at(id, reason);
        Ok(())
    }

    /// Holds a job back for a reason that is not a person's.
    async fn hold_for(&mut self, id: JobId, reason: FileError) -> Result<(), EngineError> {
        // Every worker of the job finds out; the first one says it all.
        if self.queue.job(id).await?.is_none_or(|known| known.hold.is_some()) {
            return Ok(());
        }
        tracing::warn!(job = id.0, reason = %reason.message, "holding the job");
        forgive_gone(self.queue.set_hold(id, Some(reason)).await)?;
        self.jobs.refresh().await
    }

    async fn not_opened(&mut self, id: JobId, reason: FileError) -> Result<(), EngineError> {
        match self.queue.job(id).await? {
            Some(job) if job.hold.is_none() => self.hold(id, reason).await,
            Some(job) if job.hold.as_ref() != Some(&reason) => {
                forgive_gone(self.queue.set_hold(id, Some(reason)).await)
            }
            _ => Ok(()),
        }
    }

    /// Closes the output roots of jobs that are over, with their partial files where those are of no use, and
    /// those of held jobs, so that their disks can be unmounted and are looked at anew.
    pub(crate) fn let_go_of_settled(&mut self) {
        for id in self.jobs.ids() {
            let over = self.jobs.get(id).is_some_and(|job| {
                let is_over = job.record.is_settled() || job.record.intent == Intent::Cancelled;
                // A look that has ended has let the root go, but its end is still to be heard of.
                let out_of_work = Arc::strong_count(&job.root) == 1 && !self.jobs.is_root_in_use(id);
                out_of_work && (is_over || job.record.hold.is_some() || job.removed)
            });
            if over {
                self.let_go(id);
            }
        }
    }

    /// Closes every output root: the engine ends.
    pub(crate) fn let_go_of_all(&mut self) {
        for id in self.jobs.ids() {
            self.let_go(id);
        }
    }

    fn let_go(&mut self, id: JobId) {
        let Some(job) = self.jobs.let_go(id) else { return };
        // Whatever still has it hangs, and is left to itself.
        let Some(root) = Arc::into_inner(job.root) else { return };
        // A failed file's part may still be of use when a person asks for another go.
        let finished = job.record.is_settled() && job.record.files.failed == 0;
        let useless = finished || job.record.intent == Intent::Cancelled || job.removed;
        let parts = if useless { Parts::Useless } else { Parts::Kept };
        self.jobs.close(id, job.record.key, root, parts);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skyhaul_queue::JobQueue;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::nowhere::{begin_files, idle, job_of_list, listed, on_hanging_disk, see, settings, take};
    use crate::roots::HANGING;

    async fn hold_of(engine: &Engine, id: JobId) -> Option<String> {
        Some(engine.queue.job(id).await.unwrap()?.hold?.message)
    }

    async fn look(engine: &mut Engine) {
        let wanted = engine.wanted().await.unwrap();
        engine.watch_disks(&wanted).await.unwrap();
    }

    #[tokio::test]
    async fn a_root_that_hangs_while_it_is_opened_holds_up_its_own_job_alone_and_goes_on_when_it_can() {
        let (dead, well) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut engine, _, go_on) = on_hanging_disk(dead.path());
        let hung = listed(&engine, job_of_list("a", dead.path())).await;
        engine.begin_files().await.unwrap();
        let other = listed(&engine, job_of_list("b", well.path())).await;
        engine.begin_files().await.unwrap();
        // Of the two steps only the other job's can end.
        see(&mut engine).await;
        engine.begin_files().await.unwrap();
        assert_eq!(engine.work.going_on(), settings().workers);
        assert!(engine.jobs.get(other).is_some() && engine.jobs.get(hung).is_none());

        for _ in 0..HANGING {
            assert_eq!(hold_of(&engine, hung).await, None, "it may still come");
            look(&mut engine).await;
            see(&mut engine).await;
        }
        look(&mut engine).await;
        assert!(hold_of(&engine, hung).await.unwrap().contains("does not answer"));
        assert_eq!(hold_of(&engine, other).await, None);

        go_on.send(()).unwrap();
        drop(go_on);
        while engine.jobs.get(hung).is_none() {
            see(&mut engine).await;
        }
        assert_eq!(hold_of(&engine, hung).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn files_whose_disk_hangs_take_no_room_of_others_and_do_not_keep_the_engine() {
        let (dead, well) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut engine, queue, go_on) = on_hanging_disk(dead.path());
        let hung = listed(&engine, job_of_list("a", dead.path())).await;
        go_on.send(()).unwrap();
        begin_files(&mut engine).await;
        assert_eq!(engine.work.going_on(), settings().workers, "its disk was well");
        // Whoever has its root, as a write that hangs would have.
        let held_up = Arc::clone(&engine.jobs.get(hung).unwrap().root);
        for _ in 0..=HANGING {
            look(&mut engine).await;
        }
        assert!(hold_of(&engine, hung).await.is_some());
        assert_eq!(engine.work.going_on(), 0);
        let other = listed(&engine, job_of_list("b", well.path())).await;
        engine.begin_files().await.unwrap();
        while engine.jobs.get(other).is_none() {
            see(&mut engine).await;
        }
        engine.begin_files().await.unwrap();
        assert_eq!(engine.work.going_on(), settings().workers);

        queue.set_intent(other, Intent::Paused, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        let time_passes = async {
            loop {
                tokio::time::advance(Duration::from_secs(1)).await;
                tokio::task::yield_now().await;
            }
        };
        // Where it waited for the disk, this would not end.
        tokio::select! {
            ended = engine.run(stop) => assert!(ended.is_ok()),
            () = time_passes => {}
        }
        drop((held_up, go_on));
    }

    #[tokio::test]
    async fn a_root_is_closed_when_the_last_look_at_it_has_been_heard_of() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, queue) = idle(settings());
        let id = listed(&engine, job_of_list("a", dir.path())).await;
        take(&mut engine, id).await;
        queue.set_intent(id, Intent::Cancelled, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        engine.jobs.refresh().await.unwrap();
        engine.jobs.look_at_roots();
        while Arc::strong_count(&engine.jobs.get(id).unwrap().root) > 1 {
            tokio::task::yield_now().await;
        }
        engine.let_go_of_settled();
        see(&mut engine).await;
        engine.let_go_of_settled();
        assert!(engine.jobs.get(id).is_none() && !engine.jobs.are_roots_idle(), "it is being closed");
        see(&mut engine).await;
        assert!(engine.jobs.are_roots_idle());
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_root_says_more_than_what_a_worker_ran_into() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let (mut engine, _, _) = on_hanging_disk(dir.path());
        let id = listed(&engine, job_of_list("a", &out)).await;
        begin_files(&mut engine).await;
        let refused = || FileError::new(skyhaul_model::ErrorKind::Disk, "cannot write");
        std::fs::rename(&out, dir.path().join("away")).unwrap();
        engine.hold(id, refused()).await.unwrap();
        engine.hold(id, refused()).await.unwrap();
        assert_eq!(engine.jobs.put_off(), [id], "it gives out nothing while its root is looked at");
        see(&mut engine).await;
        assert!(hold_of(&engine, id).await.unwrap().contains("is not there"));
        assert!(engine.jobs.get(id).unwrap().stop.is_cancelled());
    }
}
