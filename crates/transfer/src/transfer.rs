//! One attempt at one file: look, ask, judge, receive, settle.

use std::sync::Arc;

use http::Method;
use skyhaul_http::{Fetch, Response};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Held, plan_request};
use crate::check::read_through;
use crate::checks::Checks;
use crate::content::page_instead;
use crate::digest::server_sha256;
use crate::existing::adopt;
use crate::judge::{Judgement, Span, Subject, judge};
use crate::meta::Meta;
use crate::parts::PartPaths;
use crate::place::{Found, look};
use crate::receive::{Outcome, aborted, receive};
use crate::request::Asker;
use crate::settle::{Framing, Setback, give_up, keep, settle};
use crate::store::{Pause, Resumable, Store};
use crate::trouble::{Blow, Trouble};
use crate::validator::Validators;
use crate::verify::{Demands, too_short};
use crate::writer::Writer;
use crate::{Assignment, End, Failure, Meter, Whole};

/// Requests in one attempt: more than one is made only while each brings a further part of the file.
const MOST_REQUESTS: u32 = 16;

/// Makes one attempt at a file, going on from what an earlier one kept.
///
/// When it ends, all that it began has ended, and what was received and can be gone on from is kept.
pub async fn transfer(
    fetch: &dyn Fetch,
    assignment: &Assignment,
    meter: &Meter,
    stop: &CancellationToken,
) -> End {
    meter.raise_received(assignment.received);
    let mut progress = Progress::default();
    let end = match Asker::new(fetch, assignment, stop) {
        Ok(asker) => {
            let shared = Arc::new(assignment.clone());
            let paths = PartPaths::of(assignment);
            Attempt { asker, assignment: shared, paths, meter, progress: &mut progress }.run().await
        }
        Err(blow) => Err(blow.into()),
    };
    let received = meter.received();
    match end {
        Ok(whole) => End::Whole(whole),
        Err(Trouble::Stopped) => End::Stopped { received },
        Err(Trouble::Failed(Blow { error, backoff, cost })) => {
            let progressed = progress.kept > progress.held_at_first;
            End::Failed(Failure { error, backoff, received, progressed, cost })
        }
    }
}

/// Bytes that an attempt can go on from: before this one, and after it.
#[derive(Debug, Default)]
struct Progress {
    held_at_first: u64,
    kept: u64,
}

struct Attempt<'a> {
    asker: Asker<'a>,
    assignment: Arc<Assignment>,
    paths: PartPaths,
    meter: &'a Meter,
    progress: &'a mut Progress,
}

/// What follows a body.
enum Next {
    /// The file is whole.
    Whole(Whole),
    /// A part of it came, as was said: ask for the next.
    GoOn,
}

/// The head of an answer whose body is wanted.
struct Head {
    url: Url,
    validators: Validators,
    sha256: Option<[u8; 32]>,
    resumable: Resumable,
}

impl Attempt<'_> {
    async fn run(mut self) -> Result<Whole, Trouble> {
        let (found, mut held) = self.survey().await?;
        if let (Found::File(length), None) = (found, &held)
            && let Some(whole) = adopt(&self.asker, &self.assignment, length).await?
        {
            self.meter.set_part(length, Some(length));
            return Ok(whole);
        }
        self.progress.held_at_first = held.as_ref().map_or(0, |held| held.length);
        self.progress.kept = self.progress.held_at_first;
        let mut anew = None;
        for _ in 0..MOST_REQUESTS {
            let ask = anew.take().unwrap_or_else(|| plan_request(held.as_ref(), self.digest()));
            if let (Ask::Nothing, Some(held)) = (&ask, &held) {
                return self.settle_held(held).await;
            }
            let response = self.asker.ask(Method::GET, &ask).await?;
            match self.judge(&ask, &response, held.as_ref()) {
                Judgement::AppendAt(span) => match self.append(held.as_ref(), span, response).await? {
                    Next::Whole(whole) => return Ok(whole),
                    Next::GoOn => held = self.survey().await?.1,
                },
                Judgement::StartOver { total } => {
                    let beside = held.as_ref().filter(|_| self.is_of_use(held.as_ref()));
                    return self.start_over(beside, total, response).await;
                }
                Judgement::AlreadyWhole { total } => {
                    if let Some(held) = &mut held {
                        held.total = Some(total);
                    }
                }
                Judgement::AskAnew { why } => {
                    tracing::debug!(url = %self.asker.url, why, "asking for the whole file");
                    anew = Some(Ask::Whole);
                }
                Judgement::Retry(blow) => return Err(blow.into()),
                Judgement::Refuse(error) => return Err(Blow::last(error).into()),
            }
        }
        let kept = self.progress.kept;
        Err(too_short(&self.asker.url, kept, held.and_then(|held| held.total).unwrap_or(kept)).into())
    }

    /// What lies at the final path, and what is held of the file.
    async fn survey(&self) -> Result<(Found, Option<Held>), Trouble> {
        let (assignment, paths) = (Arc::clone(&self.assignment), self.paths.clone());
        let survey = move || {
            let found = look(assignment.root.path(), &assignment.path)?;
            let held = paths.load(&assignment);
            Ok((found, held.map_err(|error| Blow::of_disk("read", &paths.part, &error))?))
        };
        let (found, held) = self.asker.blocking(survey).await?;
        if let Some(held) = &held {
            self.meter.raise_received(held.length);
            self.meter.set_part(held.length, held.total);
        }
        Ok((found, held))
    }

    fn judge(&self, ask: &Ask, response: &Response, held: Option<&Held>) -> Judgement {
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        let name = self.assignment.path.file_name();
        let (size, digest) = (self.assignment.size, self.digest());
        judge(ask, &answer, &Subject { asked: &self.asker.url, name, size, digest, held })
    }

    fn digest(&self) -> DigestKnown {
        if self.assignment.sha256.is_some() { DigestKnown::Yes } else { DigestKnown::No }
    }

    /// Whether a later attempt would go on from what is held.
    fn is_of_use(&self, held: Option<&Held>) -> bool {
        matches!(plan_request(held, self.digest()), Ask::Rest { .. })
    }

    /// Receives the part that follows the held bytes.
    async fn append(&mut self, held: Option<&Held>, span: Span, response: Response) -> Result<Next, Trouble> {
        let Some(held) = held else { return Err(too_short(&self.asker.url, 0, span.end).into()) };
        let head = self.head(&response);
        let mut meta = held.meta(&self.assignment);
        meta.total = span.total;
        // Sent on, the Range has been heard: the server is given its chance again.
        meta.refusals = 0;
        meta.server_sha256 = head.sha256.or(held.server_sha256);
        let demands = self.demands(&head.url, span.total.or(Some(span.end)), meta.server_sha256);
        let writer = self.go_on(meta).await?;
        self.meter.set_part(span.from, span.total);
        let (writer, outcome) =
            receive(response.body, writer, Some(span.end), self.meter, self.asker.stop).await?;
        let here = writer.checks.length();
        let is_all = span.total == Some(span.end);
        match outcome {
            Outcome::Ended | Outcome::Overran if here == span.end && !is_all => {
                let paused = move || keep(writer.store, here, Pause::Failed, aborted()).kept;
                self.progress.kept = spawn_blocking(paused).await.map_err(|_| aborted())?;
                Ok(Next::GoOn)
            }
            outcome => self.conclude(writer, outcome, demands).await.map(Next::Whole),
        }
    }

    /// Receives the whole file, beside the bytes held before where those may still be of use.
    async fn start_over(
        &mut self,
        beside: Option<&Held>,
        total: Option<u64>,
        response: Response,
    ) -> Result<Whole, Trouble> {
        let head = self.head(&response);
        let demands = self.demands(&head.url, total, head.sha256);
        let assignment = Arc::clone(&self.assignment);
        let mut meta = Meta::new(&assignment.url, head.url.as_str(), head.validators, &assignment.boot);
        meta.total = total;
        meta.server_sha256 = head.sha256;
        let (paths, beside, resumable) = (self.paths.clone(), beside.cloned(), head.resumable);
        let begin = move || {
            let checks = Checks::new(assignment.path.file_name(), assignment.verify);
            let store = match &beside {
                Some(held) => Store::begin_beside(held, &assignment, paths, meta, resumable)?,
                None => Store::begin(paths, meta, resumable)?,
            };
            Ok(Writer { store, checks })
        };
        let writer = self.asker.blocking(begin).await?;
        self.meter.set_part(0, total);
        let (writer, outcome) = receive(response.body, writer, total, self.meter, self.asker.stop).await?;
        self.conclude(writer, outcome, demands).await
    }

    /// Verifies what is held without the network.
    async fn settle_held(&mut self, held: &Held) -> Result<Whole, Trouble> {
        let url = held.final_url.parse().unwrap_or_else(|_| self.asker.url.clone());
        let demands = self.demands(&url, held.total, held.server_sha256);
        let writer = self.go_on(held.meta(&self.assignment)).await?;
        self.conclude(writer, Outcome::Ended, demands).await
    }

    /// A writer behind the held bytes, which have been read once more for their checks.
    async fn go_on(&self, meta: Meta) -> Result<Writer, Trouble> {
        let (assignment, paths) = (Arc::clone(&self.assignment), self.paths.clone());
        let stop = self.asker.stop.clone();
        let read = move || {
            let checks = Checks::new(assignment.path.file_name(), assignment.verify);
            let checks = read_through(&paths.part, checks, || !stop.is_cancelled())
                .map_err(|error| Blow::of_disk("read", &paths.part, &error))?;
            Ok(Writer { store: Store::go_on(paths, meta)?, checks })
        };
        self.asker.blocking(read).await
    }

    /// Does what the end of a body calls for.
    async fn conclude(
        &mut self,
        writer: Writer,
        outcome: Outcome,
        demands: Demands,
    ) -> Result<Whole, Trouble> {
        let assignment = Arc::clone(&self.assignment);
        let received = self.meter.received();
        let was_stopped = matches!(outcome, Outcome::Stopped);
        let concluded =
            spawn_blocking(move || conclude(&assignment, writer, outcome, &demands, received)).await;
        match concluded.map_err(|_| aborted())? {
            Ok(whole) => Ok(whole),
            Err(setback) => {
                self.progress.kept = setback.kept;
                if was_stopped { Err(Trouble::Stopped) } else { Err(setback.blow.into()) }
            }
        }
    }

    fn head(&self, response: &Response) -> Head {
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        let validators = Validators::of(&response.headers);
        let can_be_told_apart = validators.strong().is_some() || self.digest() == DigestKnown::Yes;
        let resumable =
            if can_be_told_apart && !answer.refuses_ranges() { Resumable::Yes } else { Resumable::No };
        let sha256 = server_sha256(response.status, &response.headers);
        Head { url: response.url.clone(), validators, sha256, resumable }
    }

    fn demands(&self, answered: &Url, total: Option<u64>, server_sha256: Option<[u8; 32]>) -> Demands {
        let (asked, answered) = (self.asker.url.clone(), answered.clone());
        Demands { asked, answered, total, sha256: self.assignment.sha256, server_sha256 }
    }
}

/// What the end of a body calls for. Blocking.
fn conclude(
    assignment: &Assignment,
    writer: Writer,
    outcome: Outcome,
    demands: &Demands,
    received: u64,
) -> Result<Whole, Setback> {
    let here = writer.checks.length();
    match outcome {
        Outcome::Ended => settle(assignment, writer, demands, Framing::Kept, received),
        Outcome::Overran => settle(assignment, writer, demands, Framing::Overrun, received),
        // All had come before the connection broke.
        Outcome::Broke(_) if demands.total == Some(here) => {
            settle(assignment, writer, demands, Framing::Kept, received)
        }
        Outcome::Broke(error) => Err(keep(writer.store, here, Pause::Failed, Blow::of_fetch(&error))),
        Outcome::Disk(blow) => Err(keep(writer.store, here, Pause::Failed, blow)),
        Outcome::Stopped => Err(keep(writer.store, here, Pause::Stopped, aborted())),
        Outcome::Page => Err(give_up(writer.store, page_instead(&demands.asked, &demands.answered))),
    }
}
