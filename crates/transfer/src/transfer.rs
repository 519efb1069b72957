//! One attempt at one file: look, ask, judge, receive, settle.

use std::sync::Arc;

use crc32fast::Hasher;
use http::Method;
use skyhaul_http::{Fetch, Response};
use skyhaul_model::{Backoff, ErrorKind, NoResume};
use skyhaul_verify::{Digest, Strength};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Held, Slot, plan_request};
use crate::bring::{Coming, bring};
use crate::check::read_through;
use crate::checks::Checks;
use crate::conclude::conclude;
use crate::existing::adopt;
use crate::extents::Extents;
use crate::fresh::Fresh;
use crate::head::Head;
use crate::judge::{Judgement, Span, Subject, judge};
use crate::meta::Meta;
use crate::parts::{Kept, PartPaths};
use crate::place::{Found, look};
use crate::receive::{Outcome, Received, aborted};
use crate::recheck::Published;
use crate::request::Asker;
use crate::segments::is_worth_splitting;
use crate::settle::{Setback, keep};
use crate::store::{Pause, Resumable, Rival, Store};
use crate::trouble::{Blow, Trouble};
use crate::verify::{Demands, too_short};
use crate::writer::Writer;
use crate::{Assignment, Cost, End, Failure, Meter, Whole};

/// Requests in one attempt: more than one is made only while each brings a further part of the file.
const MOST_REQUESTS: u32 = 16;

/// Changes of a file from which on its attempts fail as `changed`: once or twice is an archive at work.
const OFTEN: u32 = 3;

/// Changes of a file after which it is given up.
const MOST_CHANGES: u32 = 16;

/// Makes one attempt at a file, going on from what an earlier one kept.
///
/// When it ends, all that it began has ended, and what was received and can be gone on from is kept.
pub async fn transfer(
    fetch: &dyn Fetch,
    assignment: &Assignment,
    meter: &Meter,
    stop: &CancellationToken,
) -> End {
    let _own = assignment.spare.own();
    meter.raise_received(assignment.received);
    let mut progress = Progress::default();
    let end = match Asker::new(fetch, assignment, stop) {
        Ok(asker) => {
            let shared = Arc::new(assignment.clone());
            Attempt { asker, assignment: shared, meter, progress: &mut progress }.run().await
        }
        Err(blow) => Err(blow.into()),
    };
    let received = meter.received();
    match end {
        Ok(Some(whole)) => End::Whole(whole),
        Ok(None) => End::Unchanged,
        Err(Trouble::Stopped) => End::Stopped { received },
        Err(Trouble::Failed(Blow { error, backoff, cost })) => {
            let (progressed, no_resume) = (progress.was_made(), progress.no_resume);
            End::Failed(Failure { error, backoff, received, progressed, cost, no_resume })
        }
    }
}

/// What an attempt can go on from: before it, and after it.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes of the version at hand that were held when it began.
    held: u64,
    kept: u64,
    no_resume: Option<NoResume>,
}

impl Progress {
    /// Whether it added to what was held. To begin anew what had begun, however often and far, is none.
    fn was_made(&self) -> bool {
        self.kept > self.held && self.no_resume.is_none()
    }

    fn begins_with(&mut self, held: Option<&Held>) {
        self.held = held.map_or(0, Held::bytes);
        self.kept = self.held;
    }
}

struct Attempt<'a> {
    asker: Asker<'a>,
    assignment: Arc<Assignment>,
    meter: &'a Meter,
    progress: &'a mut Progress,
}

/// What follows a body.
enum Next {
    /// The file is whole.
    Whole(Whole),
    /// A part of it came, as was said: ask for the next. So many bytes are held now.
    GoOn {
        /// Bytes.
        kept: u64,
    },
}

impl Attempt<'_> {
    /// Runs to the end; none when the published file has been found to be still the file.
    async fn run(mut self) -> Result<Option<Whole>, Trouble> {
        let (found, mut kept) = self.survey().await?;
        let published = if kept.first.is_none() { self.published().await? } else { None };
        // What another job has put there meanwhile is as long as the whole that our part is of.
        let may_be_it = |length| kept.first.as_ref().is_none_or(|held| held.total == Some(length));
        if let (Found::File(length), None) = (found, &self.assignment.recheck)
            && may_be_it(length)
            && let Some(whole) = adopt(&self.asker, &self.assignment, length).await?
        {
            self.meter.set_part(length, Some(length));
            return Ok(Some(whole));
        }
        self.progress.begins_with(kept.first.as_ref());
        let mut anew = published.as_ref().and_then(Published::since).map(|since| Ask::IfChanged { since });
        let mut other = kept.second.clone();
        for _ in 0..MOST_REQUESTS {
            let ask = anew.take().unwrap_or_else(|| plan_request(kept.first.as_ref(), self.digest()));
            if let (Ask::Nothing, Some(held)) = (&ask, &kept.first) {
                return self.settle_held(held).await.map(Some);
            }
            let response = self.asker.ask(Method::GET, &ask).await?;
            let judgement = self.judge(&ask, &response, &kept, other.as_ref(), published.as_ref());
            match judgement {
                Judgement::AppendAt(span) => match self.append(kept.first.as_ref(), span, response).await? {
                    Next::Whole(whole) => return Ok(Some(whole)),
                    Next::GoOn { .. } => kept = self.survey().await?.1,
                },
                Judgement::StartOver { total } => {
                    return self.start_over(&kept, total, response).await.map(Some);
                }
                Judgement::Unchanged => return Ok(None),
                Judgement::GoBack => {
                    other = None;
                    kept.go_back();
                    self.progress.begins_with(kept.first.as_ref());
                }
                Judgement::AlreadyWhole { total } => {
                    if let Some(held) = &mut kept.first {
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
        let here = self.progress.kept;
        Err(too_short(&self.asker.url, here, kept.first.and_then(|held| held.total).unwrap_or(here)).into())
    }

    /// What lies at the final path, and what is held of the file.
    async fn survey(&self) -> Result<(Found, Kept), Trouble> {
        let assignment = Arc::clone(&self.assignment);
        let survey = move || {
            let found = look(&assignment.root, &assignment.path)?;
            let kept = Kept::load(&assignment);
            let folder = || assignment.root.partials(&assignment.key);
            Ok((found, kept.map_err(|error| Blow::of_disk("read", &folder(), &error))?))
        };
        let (found, kept) = self.asker.at_hand(survey).await?;
        // Every byte that lies here has been received once.
        self.meter.raise_received(kept.each().map(Held::bytes).sum());
        if let Some(held) = &kept.first {
            self.meter.set_part(held.bytes(), held.total);
        }
        Ok((found, kept))
    }

    /// The published file that the server is to be asked about.
    async fn published(&self) -> Result<Option<Published>, Trouble> {
        let Some(sealed) = self.assignment.recheck.clone() else { return Ok(None) };
        let assignment = Arc::clone(&self.assignment);
        self.asker.blocking(move || Published::find(&assignment, &sealed)).await
    }

    fn judge(
        &self,
        ask: &Ask,
        response: &Response,
        kept: &Kept,
        other: Option<&Held>,
        published: Option<&Published>,
    ) -> Judgement {
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        let name = self.assignment.path.file_name();
        let (size, digest, held) = (self.assignment.size, self.digest(), kept.first.as_ref());
        judge(ask, &answer, &Subject { asked: &self.asker.url, name, size, digest, held, other, published })
    }

    fn digest(&self) -> DigestKnown {
        let proves = |digest: &Digest| digest.algorithm().strength() == Strength::Strong;
        if self.assignment.digests.iter().any(proves) { DigestKnown::Yes } else { DigestKnown::No }
    }

    /// Receives the part that follows the held bytes.
    async fn append(&mut self, held: Option<&Held>, span: Span, response: Response) -> Result<Next, Trouble> {
        let Some(held) = held else { return Err(too_short(&self.asker.url, 0, span.end).into()) };
        let head = Head::of(&response, self.digest());
        let mut meta = held.meta(&self.assignment);
        meta.total = span.total;
        // Sent on, the Range has been heard: the server is given its chance again.
        meta.refusals = 0;
        meta.server_digest = head.digest.or_else(|| held.server_digest.clone());
        let demands = self.demands(&head.url, span.total.or(Some(span.end)), meta.server_digest.clone());
        let version = Held { total: span.total, ..held.clone() };
        let begin = self.going_on(&version, meta);
        self.meter.set_part(version.bytes(), span.total);
        let conclude = self.conclusion(demands);
        let is_all = span.total == Some(span.end);
        let end = move |body: Received| {
            let here = body.writer.checks.length();
            match body.outcome {
                // A break behind the part's last byte is no end of the file.
                Outcome::Ended | Outcome::Overran | Outcome::Broke(_) if here == span.end && !is_all => {
                    Ok(Next::GoOn { kept: keep(body.writer.store, Pause::Failed, aborted()).kept })
                }
                _ => conclude(body).map(Next::Whole),
            }
        };
        let (body, version) = (response.body, Some(version));
        let coming = Coming { body, from: span.from, end: Some(span.end), version };
        let ended = bring(&self.asker, &self.assignment, self.meter, coming, begin, end).await;
        let next = self.ended(ended)?;
        if let Next::GoOn { kept } = next {
            self.progress.kept = kept;
        }
        Ok(next)
    }

    /// Receives the whole file, beside what is held where that may still be of use.
    async fn start_over(
        &mut self,
        kept: &Kept,
        total: Option<u64>,
        response: Response,
    ) -> Result<Whole, Trouble> {
        let head = Head::of(&response, self.digest());
        let demands = self.demands(&head.url, total, head.digest.clone());
        let fresh = Fresh::beside(kept, &head.validators, total, self.digest());
        self.progress.no_resume = fresh.no_resume(head.resumable);
        let assignment = Arc::clone(&self.assignment);
        let mut meta = Meta::new(&assignment.url, head.url.as_str(), head.validators, &assignment.boot);
        (meta.total, meta.server_digest) = (total, head.digest);
        (meta.serial, meta.changes) = (fresh.serial, fresh.changes);
        let (changes, resumable) = (fresh.changes, head.resumable);
        let version = Some(Held::begun(&meta, fresh.slot)).filter(|_| resumable == Resumable::Yes);
        let begin = move || {
            let checks = Checks::of(&assignment, meta.server_digest.as_ref());
            let rival = fresh.rival.map(|(held, kinship)| Rival::new(&held, &assignment, kinship));
            let store = Store::begin(PartPaths::of(&assignment, fresh.slot), meta, resumable, rival)?;
            Ok(Writer { store, checks })
        };
        self.meter.set_part(0, total);
        let conclude = self.conclusion(demands);
        let coming = Coming { body: response.body, from: 0, end: total, version };
        let ended = bring(&self.asker, &self.assignment, self.meter, coming, begin, conclude).await;
        match self.ended(ended) {
            Err(Trouble::Failed(blow)) if self.progress.no_resume == Some(NoResume::Changed) => {
                Err(self.changed_again(changes, blow).await)
            }
            other => other,
        }
    }

    /// The failure of an attempt that found another version where there had been so many before.
    async fn changed_again(&mut self, changes: u32, blow: Blow) -> Trouble {
        if changes < OFTEN || blow.cost != Cost::Attempt {
            return blow.into();
        }
        let message = format!(
            "{} has changed {changes} times while it was fetched; {}",
            self.asker.url, blow.error.message
        );
        if changes < MOST_CHANGES {
            return Blow::new(ErrorKind::Changed, message, blow.backoff).into();
        }
        let assignment = Arc::clone(&self.assignment);
        let forgotten = self.asker.blocking(move || {
            let paths = PartPaths::of(&assignment, Slot::One);
            let forgotten = paths.forget().and_then(|()| paths.other().forget());
            forgotten.map_err(|error| Blow::of_disk("remove", &paths.part, &error))
        });
        // Whoever orders the file again begins anew.
        match forgotten.await {
            Ok(()) => Blow::new(ErrorKind::Changed, message, Backoff::Never).into(),
            Err(trouble) => trouble,
        }
    }

    /// Verifies what is held without the network.
    async fn settle_held(&mut self, held: &Held) -> Result<Whole, Trouble> {
        let url = held.final_url.parse().unwrap_or_else(|_| self.asker.url.clone());
        let demands = self.demands(&url, held.total, held.server_digest.clone());
        let begin = self.going_on(held, held.meta(&self.assignment));
        let (conclude, received) = (self.conclusion(demands), self.meter.received());
        let outcome = Outcome::Ended;
        let settle =
            move || begin().map(|writer| conclude(Received { writer, outcome, received, told: None }));
        let ended = spawn_blocking(settle).await.unwrap_or_else(|_| Err(aborted()));
        self.ended(ended)
    }

    /// Begins a writer behind the held bytes, which are read once more for their checks: now, or as several streams
    /// go on. Blocking.
    fn going_on(
        &self,
        held: &Held,
        meta: Meta,
    ) -> impl FnOnce() -> Result<Writer, Blow> + Send + 'static + use<> {
        let (assignment, paths) = (Arc::clone(&self.assignment), PartPaths::of(&self.assignment, held.slot));
        let is_split = is_worth_splitting(held, &assignment.spare);
        let stop = self.asker.stop.clone();
        move || {
            let checks = Checks::of(&assignment, meta.server_digest.as_ref());
            if is_split {
                return Ok(Writer { store: Store::go_on(paths, meta)?, checks });
            }
            let mut crc = Hasher::new();
            let look = |block: &[u8]| {
                crc.update(block);
                !stop.is_cancelled()
            };
            let checks = read_through(&paths.part, checks, look)
                .map_err(|error| Blow::of_disk("read", &paths.part, &error))?;
            if meta.written != Extents::prefix_of(checks.length(), crc.finalize()) {
                return Err(meddled(&paths));
            }
            Ok(Writer { store: Store::go_on(paths, meta)?, checks })
        }
    }

    /// Does what the end of a body calls for. Blocking.
    fn conclusion(
        &self,
        demands: Demands,
    ) -> impl FnOnce(Received) -> Result<Whole, Setback> + Send + 'static + use<> {
        let assignment = Arc::clone(&self.assignment);
        move |body| conclude(&assignment, body, demands)
    }

    /// Notes what the end of a body leaves to go on from. A part that could not be begun because we were told to
    /// stop has stopped.
    fn ended<T>(&mut self, ended: Result<Result<T, Setback>, Blow>) -> Result<T, Trouble> {
        match ended {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Setback { trouble, kept })) => {
                self.progress.kept = kept;
                Err(trouble)
            }
            Err(_) if self.asker.stop.is_cancelled() => Err(Trouble::Stopped),
            Err(blow) => Err(blow.into()),
        }
    }

    fn demands(&self, answered: &Url, total: Option<u64>, server: Option<Digest>) -> Demands {
        let (asked, answered) = (self.asker.url.clone(), answered.clone());
        Demands { asked, answered, total, digests: self.assignment.digests.clone(), server }
    }
}

/// What lies in the part is not what was written there: the file is begun anew.
fn meddled(paths: &PartPaths) -> Blow {
    if let Err(error) = paths.forget() {
        tracing::debug!(%error, "cannot remove a part");
    }
    Blow::of_meddling(&paths.part)
}
