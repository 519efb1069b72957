//! Standing jobs: what is asked for again and again, because data arrives late.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Intent, JobRecord, Span};

/// How a standing job is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// How many days before now are listed again; data of this archive may arrive months late.
    pub window_days: u32,
    /// How many seconds lie between the end of one round and the next listing.
    pub every_s: u64,
}

impl Default for Follow {
    fn default() -> Self {
        Self { window_days: 200, every_s: 6 * 3600 }
    }
}

impl Follow {
    /// The stretch that a round at `now` lists again.
    #[must_use]
    pub fn span(&self, now: Timestamp) -> Span {
        let back = SignedDuration::from_hours(i64::from(self.window_days) * 24);
        Span { start: now.checked_sub(back).unwrap_or(Timestamp::MIN), end: Timestamp::MAX }
    }

    /// The time between two rounds.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_s)
    }
}

impl JobRecord {
    /// When a standing job that has come to its end is listed again; none for others, and while it is worked on.
    ///
    /// It follows from what is kept, so that it is the same after a restart.
    #[must_use]
    pub fn next_listing_at(&self) -> Option<Timestamp> {
        let follow = self.policy.follow.filter(|_| self.intent == Intent::Run && self.is_settled())?;
        let ended = self.finished_at.unwrap_or(self.created_at);
        Some(ended.checked_add(follow.every()).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteCounts, FileCounts, JobId, JobPolicy, Plan, Query, Source, WindowCounts};

    fn job(follow: Option<Follow>, intent: Intent, pending: u64) -> JobRecord {
        let query = Query { source: Source::Urls { digest: String::new(), base: None }, out: "/o".into() };
        JobRecord {
            id: JobId(1),
            key: query.key(),
            name: None,
            priority: 0,
            created_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::from_second(1_000).ok(),
            query,
            policy: JobPolicy { follow, ..JobPolicy::default() },
            intent,
            hold: None,
            plan: Plan::Planned,
            windows: WindowCounts::default(),
            files: FileCounts { total: pending, pending, ..FileCounts::default() },
            bytes: ByteCounts::default(),
            window_error: None,
        }
    }

    #[test]
    fn a_standing_job_is_due_a_while_after_its_end() {
        let hourly = Some(Follow { window_days: 2, every_s: 3_600 });
        let due = Timestamp::from_second(4_600).ok();
        assert_eq!(job(hourly, Intent::Run, 0).next_listing_at(), due);
        assert_eq!(job(hourly, Intent::Run, 1).next_listing_at(), None, "it is worked on");
        assert_eq!(job(hourly, Intent::Paused, 0).next_listing_at(), None);
        assert_eq!(job(None, Intent::Run, 0).next_listing_at(), None);
        let never = Some(Follow { window_days: 2, every_s: u64::MAX });
        assert_eq!(job(never, Intent::Run, 0).next_listing_at(), Some(Timestamp::MAX));
    }

    #[test]
    fn a_round_goes_back_so_many_days_and_no_further_than_time() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let days = |window_days| Follow { window_days, every_s: 1 }.span(now).start;
        assert_eq!(days(2), "2026-11-20T12:00:00Z".parse().unwrap());
        assert_eq!(days(u32::MAX), Timestamp::MIN);
    }
}
