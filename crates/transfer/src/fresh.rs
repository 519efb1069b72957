//! A whole body that comes while parts of the file are held: where it goes and what it stands beside. Pure.

use skyhaul_model::NoResume;

use crate::ask::{Ask, DigestKnown, Held, Slot, plan_request};
use crate::parts::Kept;
use crate::store::Resumable;
use crate::validator::Validators;
use crate::version::Kinship;

/// A part that is begun anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fresh {
    /// Where its bytes go.
    pub(crate) slot: Slot,
    /// What it does not displace, and how that is related to it.
    pub(crate) rival: Option<(Held, Kinship)>,
    /// It comes after all that is held.
    pub(crate) serial: u32,
    /// How many versions of the file have been found to be replaced by another so far.
    pub(crate) changes: u32,
    changed: bool,
}

impl Fresh {
    /// Finds its place. What is held of the same version stays beside it; else what was fetched last.
    pub(crate) fn beside(
        kept: &Kept,
        validators: &Validators,
        total: Option<u64>,
        digest: DigestKnown,
    ) -> Self {
        let kinship = |held: &Held| held.kinship(validators, total);
        let is_of_use = |held: &&Held| matches!(plan_request(Some(held), digest), Ask::Rest { .. });
        let same = kept.each().find(|held| held.is_of(validators, total));
        let rival = same.or(kept.first.as_ref()).filter(is_of_use).map(|held| (held.clone(), kinship(held)));
        let changed =
            same.is_none() && kept.first.as_ref().is_some_and(|held| kinship(held) == Kinship::Other);
        let changes = kept.each().map(|held| held.changes).max().unwrap_or(0);
        Self {
            slot: rival.as_ref().map_or(Slot::One, |(held, _)| held.slot.other()),
            rival,
            serial: kept.serial().saturating_add(1),
            changes: changes.saturating_add(u32::from(changed)),
            changed,
        }
    }

    /// Why what was held, or what comes, is of no use for going on.
    pub(crate) fn no_resume(&self, resumable: Resumable) -> Option<NoResume> {
        match (resumable, &self.rival) {
            _ if self.changed => Some(NoResume::Changed),
            (Resumable::No(why), _) => Some(why),
            // A part was asked for, and nothing says that the file is another one.
            (Resumable::Yes, Some((_, Kinship::Same))) => Some(NoResume::NoRanges),
            (Resumable::Yes, _) => None,
        }
    }
}
