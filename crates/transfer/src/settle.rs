//! What becomes of bytes that have all come: sealed, fetched again, or kept aside as the archive's own damage.

use jiff::Timestamp;
use skyhaul_model::{Backoff, ErrorKind, Proof, Sealed, Verified};

use crate::bad::{self, Came};
use crate::checks::Facts;
use crate::durable::{self, Synced};
use crate::parts::PartPaths;
use crate::place::{Folders, folders_up, own_folder};
use crate::report::Report;
use crate::store::{Pause, Store, is_small};
use crate::trouble::{Blow, Trouble};
use crate::verify::{Demands, Verdict, verdict};
use crate::writer::Writer;
use crate::{Assignment, Whole};

/// How the body kept to its promised length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// It ended where it should, or nothing was promised.
    Kept,
    /// More came; it was cut off there (rule 27).
    Overrun,
}

/// Why there is no whole file, and how many bytes the next attempt can go on from.
#[derive(Debug)]
pub(crate) struct Setback {
    pub(crate) trouble: Trouble,
    pub(crate) kept: u64,
}

impl From<Blow> for Setback {
    fn from(blow: Blow) -> Self {
        Self { trouble: blow.into(), kept: 0 }
    }
}

/// Judges the bytes and does what follows. Blocking.
pub(crate) fn settle(
    assignment: &Assignment,
    writer: Writer,
    demands: &Demands,
    framing: Framing,
    received: u64,
) -> Result<Whole, Setback> {
    let (facts, store) = writer.finish();
    match verdict(&facts, demands) {
        Verdict::Good(Verified::Length | Verified::None) if framing == Framing::Overrun => {
            let message = format!("{} sent more bytes than it had promised", demands.asked);
            let blow = Blow::new(ErrorKind::Http, message, Backoff::Doubtful);
            Err(give_up(store, blow))
        }
        Verdict::Good(verified) => seal(assignment, store, &facts, verified, received),
        Verdict::Short(blow) => Err(keep(store, Pause::Failed, blow)),
        Verdict::Wrong(blow) => Err(wrong(store, &facts, blow)),
        Verdict::Damaged(why) => damaged(assignment, store, &facts, &why, received),
    }
}

/// Ends an attempt but keeps what it brought. Blocking.
pub(crate) fn keep(store: Store, why: Pause, trouble: impl Into<Trouble>) -> Setback {
    // What cannot be recorded cannot be gone on from; the failure that led here is the one to tell.
    let kept = store.pause(why).unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot record a part");
        0
    });
    Setback { trouble: trouble.into(), kept }
}

/// Ends an attempt whose bytes are of no use. Blocking.
pub(crate) fn give_up(store: Store, blow: Blow) -> Setback {
    let kept = store.discard().unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot remove a part");
        0
    });
    Setback { trouble: blow.into(), kept }
}

fn seal(
    assignment: &Assignment,
    store: Store,
    facts: &Facts,
    verified: Verified,
    received: u64,
) -> Result<Whole, Setback> {
    if !store.is_as_written(facts.size) {
        let blow = Blow::of_meddling(&store.paths().part);
        return Err(give_up(store, blow));
    }
    let synced = if is_small(facts.size) { Synced::Later } else { Synced::Yes };
    let part = store.seal(synced)?;
    let (size, sha256, proof) = (facts.size, facts.sha256, Proof::Fetched);
    let sealed = Sealed { size, sha256, verified, proof, received };
    Ok(Whole { synced, ..Whole::in_part(assignment, sealed, part) })
}

/// Bytes that are not the file. The same ones twice will come a third time.
fn wrong(store: Store, facts: &Facts, blow: Blow) -> Setback {
    let came = bad::remember(&store.paths().bad(), facts, store.answered(Timestamp::now()));
    let repeated = blow.error.kind == ErrorKind::Checksum && matches!(came, Ok(Came::Again(_)));
    let backoff = if repeated { Backoff::Never } else { blow.backoff };
    give_up(store, Blow { backoff, ..blow })
}

fn damaged(
    assignment: &Assignment,
    store: Store,
    facts: &Facts,
    why: &str,
    received: u64,
) -> Result<Whole, Setback> {
    let now = store.answered(Timestamp::now());
    let remembered = bad::remember(&store.paths().bad(), facts, now.clone());
    let came = remembered.map_err(|error| Blow::of_disk("remember", &store.paths().bad(), &error));
    match came {
        Ok(Came::First) => {
            let message = format!("{} {why}; it is fetched once more to see who is to blame", assignment.url);
            Err(give_up(store, Blow::new(ErrorKind::Checksum, message, Backoff::Transient)))
        }
        Ok(Came::Again(_)) if assignment.accept_corrupt => {
            seal(assignment, store, facts, Verified::None, received)
        }
        Ok(Came::Again(before)) => {
            let report = Report::new(assignment, facts, why, before, now);
            Err(quarantine(assignment, &store.seal(Synced::Yes)?, &report).into())
        }
        Err(blow) => Err(give_up(store, blow)),
    }
}

/// Keeps the archive's damage and what there is to be said of it; the failure to tell.
fn quarantine(assignment: &Assignment, part: &PartPaths, report: &Report<'_>) -> Blow {
    let corrupt = assignment.root.corrupt();
    let place = corrupt.join(assignment.path.as_str());
    let moved = own_folder(&corrupt)
        .and_then(|()| {
            Folders::default().prepare(&corrupt, &assignment.path, assignment.root.names()).map(drop)
        })
        .and_then(|()| {
            // The bytes speak for themselves where the report cannot be written, as under an overlong name.
            report.write(&place).unwrap_or_else(|error| tracing::warn!(%error, "cannot write a report"));
            let moved = durable::rename(&part.part, &place).and_then(|()| {
                folders_up(&corrupt, &assignment.path).iter().try_for_each(|folder| durable::sync_dir(folder))
            });
            moved.map_err(|error| Blow::of_disk("keep aside", &place, &error))
        });
    if let Err(blow) = moved {
        return blow;
    }
    let message = format!(
        "the archive's copy is damaged: {} {}, twice the same; it is kept for a report at {}",
        assignment.url,
        report.problem,
        place.display()
    );
    Blow::new(ErrorKind::CorruptAtSource, message, Backoff::Never)
}
