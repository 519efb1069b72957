//! A body that is there: brought by itself, or as the first of several streams, from its start or once it is slow.

use skyhaul_http::Body;

use crate::ask::Held;
use crate::receive::{Outcome, Received, Stream, receive};
use crate::request::Asker;
use crate::segments::{self, First, Pace, Parts, Split, can_be_split, is_worth_splitting};
use crate::slow::Watch;
use crate::trouble::Blow;
use crate::writer::Writer;
use crate::{Assignment, Meter};

/// A body of which no byte has been read.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) body: Body,
    /// Its first byte's offset.
    pub(crate) from: u64,
    /// The offset behind its last byte, where that is known.
    pub(crate) end: Option<u64>,
    /// What it is of, and what is held of that; none where several answers could not be told apart.
    pub(crate) version: Option<Held>,
}

/// Receives a body into the part that `begin` begins, and gives what `conclude` makes of it; both are run on
/// blocking threads.
pub(crate) async fn bring<T, C>(
    asker: &Asker<'_>,
    assignment: &Assignment,
    meter: &Meter,
    Coming { body, from, end, version }: Coming,
    begin: impl FnOnce() -> Result<Writer, Blow> + Send + 'static,
    conclude: C,
) -> Result<T, Blow>
where
    T: Send + 'static,
    C: FnOnce(Received) -> T + Send + 'static,
{
    let hands = assignment.root.hands();
    let parts = if from > 0 { Parts::Given } else { Parts::AskedFor };
    let room = end.map(|end| end.saturating_sub(from));
    let (Some(version), Some(end)) = (version.filter(can_be_split), end) else {
        let stream = Stream { body, room, watch: None, hands };
        return receive(stream, begin, meter, asker.stop, conclude).await;
    };
    let spare = &assignment.spare;
    if is_worth_splitting(&version, spare) {
        let first = First { body, from, end, pace: Pace::Unknown, parts };
        return segments::receive(
            &Split { asker, assignment, meter, version: &version },
            first,
            begin,
            conclude,
        )
        .await;
    }
    let end_or_go_on = move |received: Received| match received.outcome {
        Outcome::Slow(body) => Brought::Slow(Box::new(received.writer), body, conclude),
        _ => Brought::Whole(conclude(received)),
    };
    let stream = Stream { body, room, watch: Watch::begin(spare), hands };
    match receive(stream, begin, meter, asker.stop, end_or_go_on).await? {
        Brought::Whole(done) => Ok(done),
        Brought::Slow(writer, body, conclude) => {
            let from = writer.store.written().prefix();
            let version = Held { written: writer.store.written().clone(), ..version };
            let first = First { body, from, end, pace: Pace::Slow, parts };
            let split = Split { asker, assignment, meter, version: &version };
            segments::receive(&split, first, move || Ok(*writer), conclude).await
        }
    }
}

/// What one stream has come to.
enum Brought<T, C> {
    Whole(T),
    /// It is slow, and what it is to be concluded with is still to be used.
    Slow(Box<Writer>, Body, C),
}
