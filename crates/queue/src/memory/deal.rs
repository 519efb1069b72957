//! Who is next: by priority, then job by job in turn, then in listing order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use skyhaul_model::{FileSeq, FileState, JobId};

use super::State;
use super::job::Job;
use crate::{ClaimFilter, ClaimRequest, FileRef};

impl State {
    /// Chooses the files of a claim, and remembers whose turn it was last.
    pub(super) fn deal(&mut self, request: &ClaimRequest) -> Vec<FileRef> {
        let mut dealt = BTreeSet::new();
        let mut order = Vec::new();
        for mut circle in self.circles(&request.filter, self.turn) {
            while order.len() < request.limit
                && let Some(id) = circle.pop_front()
            {
                let seq = self.jobs.get(&id).and_then(|job| job.first_due(request.now, &dealt));
                if let Some(seq) = seq {
                    let file = FileRef { job: id, seq };
                    dealt.insert(file);
                    order.push(file);
                    self.turn = id;
                    circle.push_back(id);
                }
            }
        }
        order
    }

    /// The jobs of each priority, the highest first: who comes behind the job that was served last is
    /// first, the others follow in a circle.
    pub(super) fn circles(&self, filter: &ClaimFilter, last: JobId) -> Vec<VecDeque<JobId>> {
        let mut by_priority: BTreeMap<Reverse<i8>, Vec<JobId>> = BTreeMap::new();
        for job in self.runnable(filter) {
            by_priority.entry(Reverse(job.priority)).or_default().push(job.id);
        }
        let circle = |mut ids: Vec<JobId>| {
            ids.sort_by_key(|id| (*id <= last, *id));
            VecDeque::from(ids)
        };
        by_priority.into_values().map(circle).collect()
    }
}

impl Job {
    fn first_due(&self, now: Timestamp, dealt: &BTreeSet<FileRef>) -> Option<FileSeq> {
        let mut files = (0..).map(FileSeq).zip(&self.files);
        let found = files.find(|(seq, file)| {
            file.state == FileState::Pending
                && file.not_before.is_none_or(|at| at <= now)
                && !dealt.contains(&FileRef { job: self.id, seq: *seq })
        });
        found.map(|(seq, _)| seq)
    }
}
