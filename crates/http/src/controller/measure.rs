//! What the controller measures: goodput between two moments, the time to an answer, the part that breaks.

use std::time::Duration;

use super::End;

/// What an answer is worth beside its body, so that hosts of empty files can be steered too.
const HEAD_WORTH: u64 = 512;

/// What the clock and the host's meters say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// Time since any fixed origin.
    pub(crate) now: Duration,
    /// Body bytes received since then.
    pub(crate) bytes: u64,
    /// Answers received since then.
    pub(crate) answers: u64,
}

impl Moment {
    /// Goodput since an earlier moment, in bytes a second.
    pub(super) fn rate_since(self, since: Self) -> f64 {
        let work = |moment: Self| moment.bytes.saturating_add(moment.answers.saturating_mul(HEAD_WORTH));
        let time = self.now.saturating_sub(since.now).as_secs_f64();
        if time > 0.0 { work(self).saturating_sub(work(since)) as f64 / time } else { 0.0 }
    }
}

/// How long answers take to begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    smoothed: Option<Duration>,
    least: Duration,
}

impl Latency {
    /// A host whose answers take this much longer than its quickest ones is not called slow yet.
    const TOLERATED: Duration = Duration::from_millis(20);

    pub(super) fn record(&mut self, took: Duration) {
        let smoothed = self.smoothed.map_or(took, |before| (before * 7 + took) / 8);
        self.least = if self.smoothed.is_some() { self.least.min(took) } else { took };
        self.smoothed = Some(smoothed);
    }

    /// So many round trips, within what is sensible to wait for.
    pub(super) fn rounds(self, count: u32) -> Duration {
        let one = self.smoothed.unwrap_or(Duration::from_millis(100));
        (one * count).clamp(Duration::from_millis(5), Duration::from_secs(5))
    }

    /// Whether answers take so long that the host must be keeping them waiting.
    pub(super) fn is_inflated(self) -> bool {
        self.smoothed.is_some_and(|smoothed| smoothed > self.least * 2 + Self::TOLERATED)
    }
}

/// The part of the requests that breaks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    ended: u32,
    broken: u32,
}

impl Trouble {
    /// So many ends are judged together.
    const BATCH: u32 = 20;

    /// Fewer may be the fault of a single bad file that is asked for again and again.
    const TOLERATED: u32 = 4;

    /// Whether so many break that the host must be overloaded.
    pub(super) fn record(&mut self, end: End) -> bool {
        self.ended += 1;
        self.broken += u32::from(end == End::Broken);
        let too_many = self.broken > Self::TOLERATED;
        if too_many || self.ended >= Self::BATCH {
            *self = Self::default();
        }
        too_many
    }
}
