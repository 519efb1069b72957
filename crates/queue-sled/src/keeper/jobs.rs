//! Commands on jobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use skyhaul_model::{FileError, Intent, JobId, JobRecord, NewWindow, Plan};
use skyhaul_queue::{Created, JobUpdate, NewJob, QueueError, Requeued, Result, SecretHeader};

use super::Keeper;
use crate::disk;
use crate::ledger::{CreatedFacts, Event, Ledger, Settings};
use crate::recover;

/// A new job's list of files, copied into the state directory already.
pub(crate) struct Prepared {
    pub(crate) copy: PathBuf,
    pub(crate) windows: Vec<NewWindow>,
}

impl Keeper {
    pub(crate) fn create_job(
        &mut self,
        new: NewJob,
        input: Option<Prepared>,
        now: Timestamp,
    ) -> Result<Created> {
        let copy = input.as_ref().map(|input| input.copy.clone());
        let created = self.create_or_find(new, input, now);
        // Unless it became the job's own, nobody needs the copy; what stays goes with the next opening.
        if let Some(Err(error)) = copy.map(|copy| disk::remove(&copy)) {
            tracing::warn!(%error, "cannot remove a copied list of files");
        }
        created
    }

    fn create_or_find(&mut self, new: NewJob, input: Option<Prepared>, now: Timestamp) -> Result<Created> {
        let key = new.query.key();
        let known = self.jobs.values().find(|job| job.facts.key == key).map(|job| job.id);
        self.check_name(known, new.name.as_deref())?;
        match known {
            Some(id) => {
                if !new.headers.is_empty() {
                    self.write_headers(id, &new.headers)?;
                }
                let update =
                    JobUpdate { name: new.name, priority: Some(new.priority), policy: Some(new.policy) };
                self.update_job(id, update)?;
                Ok(Created { id, created: false })
            }
            None => {
                let id = self.dir.take_id()?;
                let settings =
                    Settings { name: new.name, priority: new.priority, policy: new.policy, hold: None };
                let facts = CreatedFacts { key, query: new.query, created_at: now, settings };
                self.make_folder(id, facts, &new.headers, input)?;
                // A new job is read from its ledger as any other is.
                let loaded = recover::rebuild_job(&self.dir, &mut self.index, id);
                let job = self.or_stop(loaded)?;
                self.jobs.insert(id, job);
                self.note_change(id);
                Ok(Created { id, created: true })
            }
        }
    }

    pub(crate) fn update_job(&mut self, id: JobId, update: JobUpdate) -> Result<()> {
        let before = self.job(id)?.settings().clone();
        self.check_name(Some(id), update.name.as_deref())?;
        let after = Settings {
            name: update.name.or_else(|| before.name.clone()),
            priority: update.priority.unwrap_or(before.priority),
            policy: update.policy.unwrap_or_else(|| before.policy.clone()),
            hold: before.hold.clone(),
        };
        self.change_settings(id, &before, after)
    }

    pub(crate) fn set_intent(&mut self, id: JobId, intent: Intent, now: Timestamp) -> Result<()> {
        if self.job(id)?.row.intent != intent {
            self.record(id, &Event::Intent { intent, at: now.into() })?;
        }
        Ok(())
    }

    pub(crate) fn set_hold(&mut self, id: JobId, reason: Option<FileError>) -> Result<()> {
        let before = self.job(id)?.settings().clone();
        let after = Settings { hold: reason, ..before.clone() };
        self.change_settings(id, &before, after)
    }

    fn change_settings(&mut self, id: JobId, before: &Settings, after: Settings) -> Result<()> {
        if after != *before {
            self.record(id, &Event::Changed(Box::new(after.clone())))?;
            Arc::make_mut(&mut self.job_mut(id)?.facts).settings = after;
            self.note_change(id);
        }
        Ok(())
    }

    pub(crate) fn requeue_failed(&mut self, id: JobId) -> Result<Requeued> {
        let before = self.job(id)?.row.clone();
        let refused = matches!(before.plan, Plan::Refused(_));
        if !refused && before.windows_failed == 0 && before.files_failed == 0 {
            return Ok(Requeued::default());
        }
        self.record(id, &Event::Requeued)?;
        let job = self.jobs.get_mut(&id).ok_or(QueueError::NoSuchJob(id))?;
        job.dispatch.rewind();
        job.load_windows(&self.index)?;
        Ok(Requeued {
            files: before.files_failed - job.row.files_failed,
            windows: before.windows_failed - job.row.windows_failed,
        })
    }

    pub(crate) fn remove_job(&mut self, id: JobId) -> Result<()> {
        self.job(id)?;
        // Some systems do not rename folders that hold an open file.
        let put_away = self.index.put_away(id);
        self.or_stop(put_away)?;
        self.dir.hide_job(id)?;
        // From here on the job is gone, whatever becomes of its rows and files.
        self.jobs.remove(&id);
        self.unsynced.remove(&id);
        self.staged.remove(&id);
        self.note_change(id);
        let cleared = self.index.clear_job(id);
        self.or_stop(cleared)?;
        self.dir.forget_job(id)
    }

    /// Forgets the job unless it has changed since it was seen so.
    pub(crate) fn remove_unchanged(&mut self, seen: &JobRecord, headers: &[SecretHeader]) -> Result<bool> {
        let is_seen = self.jobs.get(&seen.id).is_some_and(|job| job.snapshot().record() == *seen);
        let is_unchanged = is_seen && self.secret_headers(seen.id)? == headers;
        if is_unchanged {
            self.remove_job(seen.id)?;
        }
        Ok(is_unchanged)
    }

    pub(crate) fn secret_headers(&self, id: JobId) -> Result<Vec<SecretHeader>> {
        self.job(id)?;
        let path = self.dir.headers(id);
        let Some(content) = disk::read(&path)? else { return Ok(Vec::new()) };
        // What is wrong with it is not told: it might be a secret.
        serde_json::from_slice(&content).map_err(|_| QueueError::Damaged {
            path,
            what: "it holds no headers; give them again with --header".to_owned(),
        })
    }

    /// Puts a copied list of checksums in its place, or takes away the one that is there.
    pub(crate) fn set_checksums(&mut self, id: JobId, copy: Option<&Path>) -> Result<()> {
        let place = self.checksums_path(id);
        let set = match (copy, place) {
            (Some(copy), Ok(place)) => disk::rename(copy, &place),
            (None, Ok(place)) => disk::remove(&place).and_then(|()| disk::sync_dir(&self.dir.job(id))),
            (Some(copy), Err(error)) => disk::remove(copy).and(Err(error)),
            (None, Err(error)) => Err(error),
        };
        self.changed.insert(id);
        set
    }

    /// Where the job's list of checksums lies, if it has one.
    pub(crate) fn checksums_path(&self, id: JobId) -> Result<PathBuf> {
        self.job(id).map(|_| self.dir.checksums(id))
    }

    /// Where the job's list of files lies, if it has one.
    pub(crate) fn input_path(&self, id: JobId) -> Result<PathBuf> {
        self.job(id).map(|_| self.dir.input(id))
    }

    fn check_name(&self, own: Option<JobId>, name: Option<&str>) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        let mut others = self.jobs.values().filter(|job| Some(job.id) != own);
        let holder = others.find(|job| job.settings().name.as_deref() == Some(name));
        holder.map_or(Ok(()), |job| Err(QueueError::NameTaken(name.to_owned(), job.id)))
    }

    fn write_headers(&mut self, id: JobId, headers: &[SecretHeader]) -> Result<()> {
        self.changed.insert(id);
        disk::replace(&self.dir.headers(id), &headers_json(headers))
    }

    /// Makes the job's folder: there is no job before all of it is durable.
    fn make_folder(
        &self,
        id: JobId,
        facts: CreatedFacts,
        headers: &[SecretHeader],
        input: Option<Prepared>,
    ) -> Result<()> {
        let unborn = self.dir.unborn(id);
        disk::remove_all(&unborn)?;
        // All of it is made to last when it is whole.
        disk::make_dir(&unborn)?;
        if !headers.is_empty() {
            disk::put(&unborn.join("headers"), &headers_json(headers))?;
        }
        let at = facts.created_at.into();
        let mut ledger = Ledger::create(&unborn.join("ledger"), id)?;
        ledger.append(&Event::Created(Box::new(facts)))?;
        if let Some(Prepared { copy, windows }) = input {
            disk::shift(&copy, &unborn.join("input"))?;
            ledger.append(&Event::Planned { windows, at })?;
        }
        // Some systems do not rename folders that hold an open file.
        drop(ledger);
        self.dir.publish_job(id)
    }
}

fn headers_json(headers: &[SecretHeader]) -> Vec<u8> {
    // Pairs of strings cannot fail to serialise; an empty file is refused when read.
    serde_json::to_vec(headers).unwrap_or_default()
}
