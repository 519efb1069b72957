//! Throughput and errors over time: the last hour by ten seconds, the last day by five minutes, the last month by
//! two hours. Bounded: quiet stretches take no room, old ones go.
//!
//! It lies in `series.json` of the state directory, written to the side and renamed once a minute while something
//! happens, and at the engine's end: a crash loses a minute of it. A file that cannot be read is begun anew.

mod recorder;
mod store;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skyhaul_engine::Counts;

pub(crate) use self::recorder::{Recorder, Shared};

/// How far back is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Hour,
    Day,
    Month,
}

/// All that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    hour: Steps,
    day: Steps,
    month: Steps,
}

/// What happened in one step of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Body bytes received.
    #[serde(rename = "b")]
    pub(crate) bytes: u64,
    /// Files that came to be done.
    #[serde(rename = "f")]
    pub(crate) files: u64,
    /// Attempts that failed.
    #[serde(rename = "e")]
    pub(crate) errors: u64,
}

/// Steps in which something happened, by number: seconds since 1970 through the step's length.
type Steps = BTreeMap<i64, Sample>;

impl Span {
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// A step's length, in seconds.
    pub(crate) fn step_s(self) -> i64 {
        match self {
            Self::Hour => 10,
            Self::Day => 300,
            Self::Month => 7200,
        }
    }

    /// How many steps are kept.
    pub(crate) fn steps(self) -> i64 {
        match self {
            Self::Hour => 360,
            Self::Day => 288,
            Self::Month => 372,
        }
    }
}

impl Series {
    /// Counts in what has happened until `at` since the last time.
    pub(crate) fn add(&mut self, at: Timestamp, happened: Sample) {
        for span in Span::ALL {
            let now = number(span, at);
            let steps = self.steps_mut(span);
            // Steps that lie ahead are of a clock that was wrong then or is now.
            steps.retain(|&step, _| step > now - span.steps() && step <= now);
            if happened != Sample::default() {
                let sample = steps.entry(now).or_default();
                sample.bytes = sample.bytes.saturating_add(happened.bytes);
                sample.files = sample.files.saturating_add(happened.files);
                sample.errors = sample.errors.saturating_add(happened.errors);
            }
        }
    }

    /// The steps until `now` in which something happened: when each begins, in seconds since 1970, and what it was.
    pub(crate) fn over(&self, span: Span, now: Timestamp) -> Vec<(i64, Sample)> {
        let last = number(span, now);
        let steps = self.steps(span).range(last - span.steps() + 1..=last);
        steps.map(|(&step, &sample)| (step * span.step_s(), sample)).collect()
    }

    fn steps(&self, span: Span) -> &Steps {
        match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
            Span::Month => &self.month,
        }
    }

    fn steps_mut(&mut self, span: Span) -> &mut Steps {
        match span {
            Span::Hour => &mut self.hour,
            Span::Day => &mut self.day,
            Span::Month => &mut self.month,
        }
    }
}

impl Sample {
    /// What has happened between two counts.
    pub(crate) fn between(before: &Counts, after: &Counts) -> Self {
        Self {
            bytes: after.received_bytes.saturating_sub(before.received_bytes),
            files: after.files_done.saturating_sub(before.files_done),
            errors: after.all_failures().saturating_sub(before.all_failures()),
        }
    }
}

/// The number of the step that a moment lies in.
fn number(span: Span, at: Timestamp) -> i64 {
    at.as_second().div_euclid(span.step_s())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn bytes(bytes: u64) -> Sample {
        Sample { bytes, files: 1, errors: 0 }
    }

    #[test]
    fn what_happens_within_a_step_is_one_sample() {
        let mut series = Series::default();
        for second in [1_000, 1_009, 1_010] {
            series.add(at(second), bytes(5));
        }
        let told = series.over(Span::Hour, at(1_020));
        assert_eq!(told, [(1_000, Sample { bytes: 10, files: 2, errors: 0 }), (1_010, bytes(5))]);
        assert_eq!(series.over(Span::Month, at(1_020)), [(0, Sample { bytes: 15, files: 3, errors: 0 })]);
        assert_eq!(series.over(Span::Hour, at(1_000 + 3_600)), [(1_010, bytes(5))]);
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_ahead() {
        let mut series = Series::default();
        series.add(at(9_000_000), bytes(1));
        series.add(at(1_000), bytes(2));
        assert_eq!(series.over(Span::Day, at(1_000)), [(900, bytes(2))]);
        assert_eq!(series.over(Span::Day, at(9_000_000)), []);
    }

    proptest! {
        #[test]
        fn it_stays_small_and_forgets_nothing_young(gaps in prop::collection::vec((0_i64..20_000, 0_u64..9), 0..600)) {
            let (mut series, mut now, mut all) = (Series::default(), 1_700_000_000, Vec::new());
            for (gap, amount) in gaps {
                now += gap;
                let happened = Sample { bytes: amount, files: 0, errors: 0 };
                series.add(at(now), happened);
                all.push((now, amount));
            }
            for span in Span::ALL {
                prop_assert!(series.steps(span).len() as i64 <= span.steps());
                let first = (now.div_euclid(span.step_s()) - span.steps() + 1) * span.step_s();
                let young: u64 = all.iter().filter(|(when, _)| *when >= first).map(|(_, amount)| amount).sum();
                let told: u64 = series.over(span, at(now)).iter().map(|(_, sample)| sample.bytes).sum();
                prop_assert_eq!(told, young);
            }
        }
    }
}
