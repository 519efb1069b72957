//! One lane: asks for a segment where it has no body yet, and carries the body's bytes to the part.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use skyhaul_http::{Body, Response};
use tokio_util::sync::CancellationToken;

use super::plan::{Lane, Plan, Segment};
use super::spool::{Spool, Target};
use crate::Meter;
use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Guard, Held};
use crate::judge::{Judgement, Subject, judge};
use crate::request::Asker;
use crate::spare::Used;
use crate::trouble::{Blow, Trouble};
use crate::validator::{Strong, Validators};
use crate::verify::too_short;

/// What the lanes of a file share.
pub(super) struct Common<'a> {
    pub(super) asker: &'a Asker<'a>,
    /// The file's own name.
    pub(super) name: &'a str,
    /// What every answer has to be of (invariant I4).
    pub(super) version: &'a Held,
    pub(super) meter: &'a Meter,
    pub(super) target: Arc<Target>,
    pub(super) plan: Mutex<Plan>,
    /// Ends all lanes.
    pub(super) halt: CancellationToken,
    /// Every byte came: no answer is waited for any longer.
    pub(super) whole: CancellationToken,
}

/// A lane that has ended, with all its bytes written unless the disk refused.
#[derive(Debug)]
pub(super) struct Departed {
    pub(super) lane: Lane,
    pub(super) left: Left,
}

/// How a lane ended.
#[derive(Debug)]
pub(super) enum Left {
    /// It has brought what it was to bring.
    Done,
    /// More came than its body had promised.
    Overran,
    /// It was told to stop.
    Stopped,
    /// The server does not give parts, or not of this version.
    Refused(String),
    /// It failed.
    Failed(Blow),
    /// The disk refused.
    Disk(Blow),
}

/// Carries a body that is there already.
pub(super) async fn carry(common: &Common<'_>, lane: Lane, body: Body, body_end: u64) -> Departed {
    let mut spool = Spool::new(&common.target, common.plan().at(lane));
    let left = receive(common, lane, body, body_end, &mut spool).await;
    let left = match spool.finish().await {
        Ok(()) => left,
        Err(blow) => Left::Disk(blow),
    };
    Departed { lane, left }
}

/// Asks for a segment and carries it. A connection beyond the file's own is given back at the end.
pub(super) async fn fetch(
    common: &Common<'_>,
    lane: Lane,
    segment: Segment,
    further: Option<Used>,
) -> Departed {
    let asked = tokio::select! {
        biased;
        () = common.halt.cancelled() => Err(Left::Stopped),
        () = common.whole.cancelled() => Err(Left::Done),
        asked = common.ask(segment) => asked,
    };
    let departed = match asked {
        Ok((body, end)) => carry(common, lane, body, end).await,
        Err(left) => Departed { lane, left },
    };
    drop(further);
    departed
}

async fn receive(common: &Common<'_>, lane: Lane, mut body: Body, end: u64, spool: &mut Spool) -> Left {
    while common.plan().room(lane, end) > 0 {
        let piece = tokio::select! {
            biased;
            () = common.halt.cancelled() => return Left::Stopped,
            piece = body.chunk() => piece,
        };
        let mut bytes = match piece {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Left::Failed(common.short(lane)),
            Err(error) => return Left::Failed(Blow::of_fetch(&error)),
        };
        let came = bytes.len() as u64;
        let own = common.plan().accept(lane, end, came);
        common.meter.add(own);
        common.meter.add_surplus(came - own);
        bytes.truncate(usize::try_from(own).unwrap_or(usize::MAX));
        // Who is told to stop gives the connection up, however long the disk needs.
        let pushed = tokio::select! {
            biased;
            pushed = spool.push(bytes) => pushed,
            () = common.halt.cancelled() => return Left::Stopped,
        };
        if let Err(blow) = pushed {
            return Left::Disk(blow);
        }
        if own < came {
            return if common.plan().at(lane) == end { Left::Overran } else { Left::Done };
        }
    }
    if common.plan().at(lane) < end {
        // Another lane has what follows: the connection is given up.
        return Left::Done;
    }
    tokio::select! {
        biased;
        () = common.halt.cancelled() => Left::Done,
        piece = body.chunk() => match piece {
            Ok(Some(surplus)) => {
                common.meter.add_surplus(surplus.len() as u64);
                Left::Overran
            }
            // Broken off or not: all had come.
            Ok(None) | Err(_) => Left::Done,
        },
    }
}

impl Common<'_> {
    /// Nothing under this lock can panic half way, so a poisoned one is as good as another.
    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a segment; its body, and the offset behind what that brings.
    async fn ask(&self, Segment { at, end }: Segment) -> Result<(Body, u64), Left> {
        let guard = match self.version.validators.strong() {
            Some(Strong::ETag(text) | Strong::Date(text)) => Guard::IfRange(text.to_owned()),
            None => return Err(Left::Refused("nothing tells the file's versions apart".to_owned())),
        };
        let ask = Ask::Segment { from: at, end, guard };
        let response = self.asker.ask(Method::GET, &ask).await.map_err(|trouble| match trouble {
            Trouble::Stopped => Left::Stopped,
            Trouble::Failed(blow) => Left::Failed(blow),
        })?;
        match self.judge(&ask, &response) {
            Judgement::AppendAt(span) if span.end > end => {
                Err(Left::Refused("more was sent than was asked for".to_owned()))
            }
            // Unlike the file's first answer, a further one has to say itself which version it is of.
            Judgement::AppendAt(span) if self.is_of_version(&response) => {
                self.plan().parts_are_given();
                Ok((response.body, span.end))
            }
            Judgement::Retry(blow) => Err(Left::Failed(blow)),
            Judgement::AskAnew { why } => Err(Left::Refused(why)),
            _ => Err(Left::Refused(format!("the answer was {}", response.status))),
        }
    }

    fn judge(&self, ask: &Ask, response: &Response) -> Judgement {
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        let subject = Subject {
            asked: &self.asker.url,
            name: self.name,
            size: self.version.total,
            // It proves the file at its end; here the versions have to be told apart on the way.
            digest: DigestKnown::No,
            held: Some(self.version),
            other: None,
            published: None,
        };
        judge(ask, &answer, &subject)
    }

    fn is_of_version(&self, response: &Response) -> bool {
        self.version.is_of(&Validators::of(&response.headers), None)
    }

    fn short(&self, lane: Lane) -> Blow {
        too_short(&self.asker.url, self.plan().at(lane), self.version.total.unwrap_or_default())
    }
}
