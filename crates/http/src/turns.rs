//! Whose turn it is where owners share something by weight. Pure.
//!
//! The owner that has had the least for its weight is next; its own are served in order of arrival. Who
//! comes back after having wanted nothing begins level with the others: nothing is saved up.

use std::collections::{HashMap, VecDeque};

use crate::Share;

/// Everybody that waits, with a token of type `T` each.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    owners: HashMap<u64, Owner<T>>,
    /// What the last one served had had.
    level: u64,
}

#[derive(Debug)]
struct Owner<T> {
    /// Bytes had, divided by the weight.
    had: u64,
    waiting: VecDeque<T>,
}

/// Units of `had` in a byte at weight 1, so that a division by the heaviest weight keeps its meaning.
const SCALE: u64 = 1 << 16;

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { owners: HashMap::new(), level: 0 }
    }
}

impl<T> Turns<T> {
    /// One more of an owner waits.
    pub(crate) fn wait(&mut self, share: Share, token: T) {
        self.waiting_of(share).push_back(token);
    }

    /// One whose turn it was waits on, before the others of its owner.
    pub(crate) fn wait_on(&mut self, share: Share, token: T) {
        self.waiting_of(share).push_front(token);
    }

    /// Takes out the one who is next.
    pub(crate) fn next(&mut self) -> Option<T> {
        let waiting = self.owners.iter_mut().filter(|(_, owner)| !owner.waiting.is_empty());
        let (_, next) = waiting.min_by_key(|(id, owner)| (owner.had, **id))?;
        self.level = next.had;
        let token = next.waiting.pop_front();
        // Those that are level again need no memory.
        let level = self.level;
        self.owners.retain(|_, owner| !owner.waiting.is_empty() || owner.had > level);
        token
    }

    /// So many bytes went to an owner.
    pub(crate) fn charge(&mut self, share: Share, bytes: u64) {
        let cost = bytes.saturating_mul(SCALE) / u64::from(share.weight.get());
        let owner = self.owner(share);
        owner.had = owner.had.saturating_add(cost);
    }

    fn waiting_of(&mut self, share: Share) -> &mut VecDeque<T> {
        let level = self.level;
        let owner = self.owner(share);
        if owner.waiting.is_empty() {
            owner.had = owner.had.max(level);
        }
        &mut owner.waiting
    }

    fn owner(&mut self, share: Share) -> &mut Owner<T> {
        let level = self.level;
        self.owners.entry(share.owner).or_insert_with(|| Owner { had: level, waiting: VecDeque::new() })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn share(owner: u64, weight: u32) -> Share {
        Share { owner, weight: NonZeroU32::new(weight).unwrap() }
    }

    #[test]
    fn one_owner_is_served_in_order_of_arrival() {
        let mut turns = Turns::default();
        (0..5).for_each(|token| turns.wait(share(1, 1), token));
        let served: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        assert_eq!(served, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn who_comes_late_has_saved_up_nothing() {
        let mut turns = Turns::default();
        let (old, late) = (share(1, 10), share(2, 10));
        for _ in 0..100 {
            turns.wait(old, 1usize);
            turns.next();
            turns.charge(old, 1000);
        }
        let mut served = [0u32; 3];
        turns.wait(late, 2);
        turns.wait(old, 1usize);
        for _ in 0..10 {
            let who = turns.next().unwrap();
            served[who] += 1;
            let share = if who == 1 { old } else { late };
            turns.charge(share, 1000);
            turns.wait(share, who);
        }
        assert!(served[1].abs_diff(served[2]) <= 2, "{served:?}");
    }

    proptest! {
        /// However many wait for each owner, bytes go by weight, to within a piece or two.
        #[test]
        fn bytes_go_by_weight(owners in proptest::collection::vec((1..5000u32, 1..8usize), 1..6), piece in 1..100_000u64) {
            let mut turns = Turns::default();
            for (owner, &(weight, bodies)) in owners.iter().enumerate() {
                (0..bodies).for_each(|_| turns.wait(share(owner as u64, weight), owner));
            }
            let mut had = vec![0u64; owners.len()];
            let rounds = 2_000;
            for _ in 0..rounds {
                let owner = turns.next().unwrap();
                let share = share(owner as u64, owners[owner].0);
                had[owner] += piece;
                turns.charge(share, piece);
                turns.wait(share, owner);
            }
            let weights: f64 = owners.iter().map(|owner| f64::from(owner.0)).sum();
            for (owner, &(weight, _)) in owners.iter().enumerate() {
                let due = f64::from(weight) / weights * (rounds * piece) as f64;
                let off = (had[owner] as f64 - due).abs();
                prop_assert!(off <= 3.0 * piece as f64 * owners.len() as f64, "{had:?} {owners:?}");
            }
        }
    }
}
