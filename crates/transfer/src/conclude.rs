//! What the end of a body calls for: settle what came whole, keep what can be gone on from, or give it up.

use crate::content::page_instead;
use crate::receive::{Outcome, Received, aborted};
use crate::settle::{Framing, Setback, give_up, keep, settle};
use crate::store::Pause;
use crate::trouble::{Blow, Trouble};
use crate::verify::Demands;
use crate::{Assignment, Whole};

/// Does what the end of a body calls for. Blocking.
pub(crate) fn conclude(assignment: &Assignment, body: Received, demands: Demands) -> Result<Whole, Setback> {
    let Received { writer, outcome, received, told } = body;
    // What the head told comes first: the bytes were held against it as they passed.
    let demands = &Demands { server: demands.server.or(told), ..demands };
    let here = writer.checks.length();
    match outcome {
        Outcome::Ended => settle(assignment, writer, demands, Framing::Kept, received),
        Outcome::Overran => settle(assignment, writer, demands, Framing::Overrun, received),
        // All had come before the connection broke.
        Outcome::Broke(_) if demands.total == Some(here) => {
            settle(assignment, writer, demands, Framing::Kept, received)
        }
        Outcome::Broke(error) => Err(keep(writer.store, Pause::Failed, Blow::of_fetch(&error))),
        // Whoever asked to be told of slowness goes on with the body instead.
        Outcome::Slow(_) => Err(keep(writer.store, Pause::Failed, aborted())),
        Outcome::Failed(blow) => Err(keep(writer.store, Pause::Failed, blow)),
        Outcome::Stopped => Err(keep(writer.store, Pause::Stopped, Trouble::Stopped)),
        Outcome::Meddled => {
            let blow = Blow::of_meddling(&writer.store.paths().part);
            Err(give_up(writer.store, blow))
        }
        Outcome::Page => Err(give_up(writer.store, page_instead(&demands.asked, &demands.answered))),
    }
}
