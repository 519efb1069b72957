//! What the dashboard is told beside the board.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::series::{Sample, Span};

/// A link that opens the dashboard once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinkBody {
    pub(crate) url: String,
}

/// What has happened over a span; steps without a point are quiet ones.
#[derive(Debug, Serialize)]
pub(crate) struct SeriesBody {
    span: &'static str,
    /// A step's length, in seconds.
    step_s: i64,
    /// How many steps there are, the last one included.
    steps: i64,
    /// When the last step begins, in seconds since 1970.
    until_s: i64,
    /// When a step begins, body bytes received, files done, attempts failed.
    points: Vec<(i64, u64, u64, u64)>,
}

impl SeriesBody {
    pub(crate) fn new(span: Span, now: Timestamp, samples: Vec<(i64, Sample)>) -> Self {
        let point = |(at, sample): (i64, Sample)| (at, sample.bytes, sample.files, sample.errors);
        Self {
            span: span.as_str(),
            step_s: span.step_s(),
            steps: span.steps(),
            until_s: now.as_second().div_euclid(span.step_s()) * span.step_s(),
            points: samples.into_iter().map(point).collect(),
        }
    }
}
