//! Listing again in the queue in memory.

use std::collections::HashSet;

use jiff::Timestamp;
use skyhaul_model::{
    FileEvent, FileSpec, FileState, NewWindow, Plan, Recheck, Span, Trouble, WindowId, WindowState,
};

use super::job::Job;
use crate::{QueueError, Requeued, Result};

/// By what a file that is listed again is known.
type Identity = (String, Option<String>);

impl Job {
    pub(super) fn relist(&mut self, span: Option<Span>, files: Recheck) -> Result<Requeued> {
        let mut meant = HashSet::new();
        let mut reopened = 0;
        for window in &mut self.windows {
            let record = &mut window.record;
            if span.is_some_and(|span| !span.touches(&record.target)) {
                continue;
            }
            meant.insert(record.id);
            if matches!(record.state, WindowState::Listed { .. } | WindowState::Failed) {
                record.state = WindowState::Pending;
                record.failures = 0;
                record.not_before = None;
                reopened += 1;
            }
        }
        let files = match files {
            Recheck::Leave => 0,
            Recheck::Done => self.recheck_done(&meant)?,
        };
        if self.windows.iter().all(|window| window.record.state != WindowState::Failed) {
            self.window_error = None;
        }
        self.note_finish(None);
        Ok(Requeued { files, windows: reopened })
    }

    fn recheck_done(&mut self, windows: &HashSet<WindowId>) -> Result<u64> {
        let id = self.id;
        let mut doubted = 0;
        let meant = |file: &super::job::File| windows.contains(&file.window) && file.state == FileState::Done;
        for (seq, file) in (0..).zip(&mut self.files).filter(|(_, file)| meant(file)) {
            let next = file.state.after(FileEvent::Recheck);
            file.state = next.map_err(|e| QueueError::Conflict(id, skyhaul_model::FileSeq(seq), e))?;
            file.recheck = true;
            doubted += 1;
        }
        Ok(doubted)
    }

    pub(super) fn add_new_windows(&mut self, windows: Vec<NewWindow>, now: Timestamp) -> u64 {
        if self.plan != Plan::Planned {
            return 0;
        }
        let before = self.windows.len();
        for window in windows {
            if self.windows.iter().all(|known| known.record.target != window.target) {
                self.add_windows(vec![window]);
            }
        }
        self.note_finish(Some(now));
        (self.windows.len() - before) as u64
    }

    /// Adds what a listing brought, without the files that the job has from this window; says how many files
    /// of the window there are now.
    pub(super) fn add_listing(&mut self, window: WindowId, staged: Vec<FileSpec>, now: Timestamp) -> u64 {
        let of_window = |job: &Self| job.files.iter().filter(|file| file.window == window).count() as u64;
        let files = self.files.iter().filter(|file| file.window == window);
        let known: HashSet<Identity> = files.map(|file| identity(&file.spec)).collect();
        for spec in staged.into_iter().filter(|spec| !known.contains(&identity(spec))) {
            if let Err(error) = &spec.path {
                self.troubles.note(Trouble::once(error, &spec.url, &spec.url, now));
            }
            self.add_file(window, spec);
        }
        of_window(self)
    }
}

fn identity(spec: &FileSpec) -> Identity {
    (spec.url.clone(), spec.path.as_ref().ok().map(|path| path.as_str().to_owned()))
}
