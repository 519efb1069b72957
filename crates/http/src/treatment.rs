//! How a request is treated among others that want the same: its place in line, and its share of the byte rate.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;

use crate::controller::Speech;
use crate::{Fetch, FetchError, Request, Response, Terms};

/// How a request is treated among others.
#[derive(Clone, Debug, Default)]
pub struct Treatment {
    /// Its place in its host's line.
    pub urgency: Urgency,
    /// Its share of a limited byte rate.
    pub share: Share,
    /// The terms of its owner, where they have any of their own.
    pub terms: Option<Arc<Terms>>,
    /// What it is spoken in; the gate knows best.
    pub(crate) speech: Speech,
}

impl Treatment {
    /// For what is small and much other work waits for, as a listing: before the others, with a share of
    /// its own.
    #[must_use]
    pub fn ahead() -> Self {
        Self { urgency: Urgency::Ahead, share: Share::by_priority(u64::MAX, 0), ..Self::default() }
    }

    /// For a file of a job with this number and this priority between -100 and 100.
    #[must_use]
    pub fn of_job(job: u64, priority: i8) -> Self {
        Self { share: Share::by_priority(job, priority.into()), ..Self::default() }
    }

    /// The same under these terms.
    #[must_use]
    pub fn under(self, terms: Arc<Terms>) -> Self {
        Self { terms: Some(terms), ..self }
    }
}

/// A place in line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Behind those that came before.
    #[default]
    Usual,
    /// Before all usual ones: something small that much other work waits for, as a listing.
    Ahead,
}

/// Whose a body is, and how much of a limited byte rate its owner gets beside others that want some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Bodies of one owner divide its share among them.
    pub owner: u64,
    /// Owners get bytes in proportion to their weights.
    pub weight: NonZeroU32,
}

impl Share {
    /// The weight of an owner without any priority.
    pub const USUAL_WEIGHT: u32 = 1000;

    /// The share of an owner whose priority is between -100 and 100: 20 more is twice as much.
    #[must_use]
    pub fn by_priority(owner: u64, priority: i32) -> Self {
        let factor = (f64::from(priority.clamp(-100, 100)) / 20.0).exp2();
        let weight = (f64::from(Self::USUAL_WEIGHT) * factor) as u32;
        Self { owner, weight: NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN) }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::by_priority(0, 0)
    }
}

/// Makes requests with a treatment of their own.
#[derive(Clone, Debug)]
pub struct Treated<F> {
    inner: F,
    treatment: Treatment,
}

impl<F> Treated<F> {
    /// Gives every request through `inner` this treatment.
    #[must_use]
    pub fn new(inner: F, treatment: Treatment) -> Self {
        Self { inner, treatment }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Treated<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.inner.fetch(Request { treatment: self.treatment.clone(), ..request }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_of_priority_are_twice_the_weight() {
        let weight = |priority| Share::by_priority(1, priority).weight.get();
        assert_eq!([-100, -20, 0, 20, 100].map(weight), [31, 500, 1000, 2000, 32_000]);
        assert_eq!((weight(i32::MIN), weight(i32::MAX)), (31, 32_000));
    }
}
