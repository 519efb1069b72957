//! Which files are claimed next: by priority, then job by job in turn, then in listing order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use skyhaul_model::{FileSeq, FileState};

use super::State;
use super::job::Job;
use crate::{ClaimRequest, FileRef};

impl State {
    /// Chooses the files of a claim, and remembers whose turn it was last.
    pub(super) fn deal(&mut self, request: &ClaimRequest) -> Vec<FileRef> {
        let mut by_priority: BTreeMap<Reverse<i8>, Vec<&Job>> = BTreeMap::new();
        for job in self.runnable(&request.filter) {
            by_priority.entry(Reverse(job.priority)).or_default().push(job);
        }
        let mut dealt = BTreeSet::new();
        let mut order = Vec::new();
        let mut turn = self.turn;
        for mut jobs in by_priority.into_values() {
            // Who comes behind the job that was served last is first, the others follow in a circle.
            jobs.sort_by_key(|job| (job.id <= turn, job.id));
            let mut circle = VecDeque::from(jobs);
            while order.len() < request.limit
                && let Some(job) = circle.pop_front()
            {
                if let Some(seq) = job.first_due(request.now, &dealt) {
                    let file = FileRef { job: job.id, seq };
                    dealt.insert(file);
                    order.push(file);
                    turn = job.id;
                    circle.push_back(job);
                }
            }
        }
        self.turn = turn;
        order
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
