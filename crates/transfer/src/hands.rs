//! The hands of an output root: a few threads that do the short disk steps of its files, one after the other.
//!
//! With a thread for each step of each file in work the processors spend more on switching between hundreds of threads
//! than on the steps. Each root has hands of its own, so that a file system that hangs holds up nobody else's files; and
//! hands that wait for their disk do not count, so that a slow one is given more of them. Nothing is kept here that a
//! crash could lose.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// As many as work at once while the disk does not keep them waiting: more would only take turns on the processors.
static FEW: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(2, NonZero::get));

/// As many as there may be, however many of them wait for the disk.
const MOST: usize = 64;

/// Steps waiting for each hand that are worth another one: two that make files in one folder mostly wait for each other.
const WORTH_A_HAND: usize = 8;

/// One that has been at a step for so long waits for the disk.
const STUCK: Duration = Duration::from_millis(5);

/// Who has waited for so long looks whether more hands are needed by now.
const PATIENCE: Duration = Duration::from_millis(100);

/// The hands of one root.
#[derive(Debug, Default)]
pub(crate) struct Hands(Arc<Mutex<Desk>>);

type Step = Box<dyn FnOnce() + Send>;

/// What is to be done, and who is at it. As many steps wait at most as there are files in work: each waits for its own.
#[derive(Default)]
struct Desk {
    steps: VecDeque<Step>,
    /// When each hand began the step that it is at.
    at_work: HashMap<u64, Instant>,
    last_hand: u64,
}

impl Hands {
    /// Has a step done and waits for it; none if it panicked, or the process is going down.
    ///
    /// Where nobody waits any more the step is done all the same.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, mut result) = oneshot::channel();
        let step = Box::new(move || drop(done.send(step())));
        lock(&self.0).steps.push_back(step);
        loop {
            self.call();
            if let Ok(ended) = timeout(PATIENCE, &mut result).await {
                return ended.ok();
            }
        }
    }

    /// Calls another hand if one is needed. It goes when nothing is left to do; the runtime waits for it as it ends.
    fn call(&self) {
        let called = lock(&self.0).next_hand(Instant::now(), *FEW);
        if let Some(hand) = called {
            let desk = Arc::clone(&self.0);
            spawn_blocking(move || work(&desk, hand));
        }
    }
}

/// Does one step after the other until none is left.
fn work(desk: &Mutex<Desk>, hand: u64) {
    loop {
        let next = lock(desk).next_step(hand, Instant::now());
        let Some(step) = next else { return };
        // Whoever waits for it finds out; the others are not to suffer.
        let _ = catch_unwind(AssertUnwindSafe(step));
    }
}

impl Desk {
    /// The number of a further hand, if one is needed.
    fn next_hand(&mut self, now: Instant, few: usize) -> Option<u64> {
        let is_lively = |since: &&Instant| now.saturating_duration_since(**since) < STUCK;
        let lively = self.at_work.values().filter(is_lively).count();
        if self.steps.len() <= lively * WORTH_A_HAND || lively >= few || self.at_work.len() >= MOST {
            return None;
        }
        self.last_hand += 1;
        self.at_work.insert(self.last_hand, now);
        Some(self.last_hand)
    }

    /// The next step for a hand; with none it has gone.
    fn next_step(&mut self, hand: u64, now: Instant) -> Option<Step> {
        let step = self.steps.pop_front();
        match step {
            Some(_) => self.at_work.insert(hand, now),
            None => self.at_work.remove(&hand),
        };
        step
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps, {} hands", self.steps.len(), self.at_work.len())
    }
}

/// Nothing under this lock can panic half way, so a poisoned one is as good as another.
fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    impl Desk {
        fn with_steps(steps: usize) -> Self {
            let steps = (0..steps).map(|_| Box::new(|| ()) as Step).collect();
            Self { steps, ..Self::default() }
        }

        /// How many hands are called in a row.
        fn called(&mut self, now: Instant) -> usize {
            std::iter::from_fn(|| self.next_hand(now, 4)).count()
        }
    }

    #[test]
    fn hands_are_called_by_what_waits_and_by_how_many_are_stuck() {
        let begun = Instant::now();
        let table = [(0, 0), (1, 1), (WORTH_A_HAND, 1), (WORTH_A_HAND + 1, 2), (10 * WORTH_A_HAND, 4)];
        for (waiting, hands) in table {
            let mut desk = Desk::with_steps(waiting);
            assert_eq!(desk.called(begun), hands, "{waiting}");
            assert_eq!(desk.called(begun + STUCK / 2), 0, "they are enough");
            assert_eq!(desk.called(begun + STUCK), hands, "those are stuck");
        }
    }

    #[test]
    fn a_hand_that_goes_on_is_not_stuck_and_one_without_work_is_gone() {
        let begun = Instant::now();
        let mut desk = Desk::with_steps(3);
        let hand = desk.next_hand(begun, 4).unwrap();
        assert!(desk.next_step(hand, begun + STUCK).is_some());
        assert_eq!(desk.called(begun + STUCK), 0);
        while desk.next_step(hand, begun).is_some() {}
        assert!(desk.at_work.is_empty());
    }

    #[test]
    fn there_are_never_too_many_hands() {
        let begun = Instant::now();
        let mut desk = Desk::with_steps(10_000);
        let called: usize = (0..100).map(|again| desk.called(begun + STUCK * again)).sum();
        assert_eq!(called, MOST);
    }

    #[tokio::test]
    async fn steps_that_hang_do_not_hold_up_the_others_and_end_when_they_can() {
        let hands = Arc::new(Hands::default());
        let hung: Vec<_> = (0..(*FEW + 2).min(MOST - 1))
            .map(|number| {
                let (release, wait) = sync_channel::<()>(0);
                let hands = Arc::clone(&hands);
                let step = move || wait.recv().map_or(0, |()| number);
                (release, tokio::spawn(async move { hands.run(step).await }))
            })
            .collect();
        for number in 0..100 {
            assert_eq!(hands.run(move || number).await, Some(number));
        }
        for (number, (release, task)) in hung.into_iter().enumerate() {
            tokio::task::spawn_blocking(move || release.send(())).await.unwrap().unwrap();
            assert_eq!(task.await.unwrap(), Some(number));
        }
    }

    #[tokio::test]
    async fn a_step_that_panics_is_told_to_who_waits_for_it_alone() {
        let hands = Hands::default();
        assert_eq!(hands.run(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(hands.run(|| 1).await, Some(1));
    }

    #[tokio::test]
    async fn a_step_for_which_nobody_waits_any_more_is_done_all_the_same() {
        let hands = Hands::default();
        let (done, seen) = sync_channel(1);
        tokio::select! {
            biased;
            _ = hands.run(move || done.send(7)) => {}
            () = std::future::ready(()) => {}
        }
        assert_eq!(tokio::task::spawn_blocking(move || seen.recv()).await.unwrap(), Ok(7));
    }
}
