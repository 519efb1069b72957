//! Which stream fetches which bytes of a file, so that each byte is fetched once. Pure.
//!
//! Free bytes are given out from the file's beginning, so that the checks can follow close behind. When none are
//! free, whoever has nothing to do takes the second half of what the busiest has before it.
//!
//! Until the server has given a part, none is counted on: the body that is there goes on over what others only asked
//! for, so that a server without ranges loses nothing by having been asked.

use crate::ranges::Ranges;

/// The bytes of one file: those that came, those on their way, those that are free.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    total: u64,
    /// Bytes that came.
    came: Ranges,
    lanes: Vec<Option<Segment>>,
    sizes: Sizes,
    parts: Parts,
}

/// Whether the server has shown that it gives parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// None was given yet: every lane but the first has only asked.
    AskedFor,
    /// One was.
    Given,
}

/// One of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(usize);

/// What a lane has before it: the next byte, and the one behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) at: u64,
    pub(crate) end: u64,
}

/// How large segments are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    most: u64,
    /// Less is not worth a request.
    least: u64,
}

/// The size of a segment where nothing speaks for another: long enough that the pause before the next costs nothing.
const USUAL_BYTES: u64 = 32 << 20;

/// A longer file has proportionally longer segments.
const LONG_BYTES: u64 = 8 << 30;

const SMALLEST_BYTES: u64 = 1 << 20;
const LARGEST_BYTES: u64 = 128 << 20;

/// A segment is this many times what is worth a request.
const WORTH: u64 = 8;

impl Sizes {
    /// For a file of `total` bytes, of which each lane brings so many a second: a segment is about two seconds' work.
    pub(crate) fn of(total: u64, lane_bytes_per_s: f64) -> Self {
        let usual = (USUAL_BYTES * total.div_ceil(LONG_BYTES)).min(LARGEST_BYTES);
        let most = ((lane_bytes_per_s * 2.0) as u64).clamp(SMALLEST_BYTES, usual);
        Self { most, least: most / WORTH }
    }
}

impl Plan {
    /// Of a file of `total` bytes, of which these are held.
    pub(crate) fn new(total: u64, held: &Ranges) -> Self {
        let (came, sizes) = (held.before(total), Sizes::of(total, 0.0));
        Self { total, came, lanes: Vec::new(), sizes, parts: Parts::AskedFor }
    }

    /// From now on segments are of these sizes.
    pub(crate) fn resize(&mut self, sizes: Sizes) {
        self.sizes = sizes;
    }

    /// Whether every byte came.
    pub(crate) fn is_whole(&self) -> bool {
        self.came.prefix() == self.total
    }

    /// A body that begins at `at` is there already: a lane for it. It has nothing to fetch as long as
    /// it has not been asked for its [`Plan::room`]. Whether it is itself a part is not to be seen from where it has come to.
    pub(crate) fn join(&mut self, at: u64, parts: Parts) -> Lane {
        self.parts = parts;
        self.enlist(Segment { at, end: at })
    }

    /// The server has given a part.
    pub(crate) fn parts_are_given(&mut self) {
        self.parts = Parts::Given;
    }

    /// Gives work to one more lane; none where there is none that is worth it.
    pub(crate) fn take(&mut self) -> Option<(Lane, Segment)> {
        let segment = self.free(0).or_else(|| self.steal())?;
        Some((self.enlist(segment), segment))
    }

    /// How many bytes a lane has before it. One that has done its work goes on with what is free behind it, as far
    /// as `body_end`, which its body reaches: that costs no request.
    pub(crate) fn room(&mut self, lane: Lane, body_end: u64) -> u64 {
        let Some(Segment { at, end }) = self.segment(lane) else { return 0 };
        // A body may be shorter than what was asked for. What is left is free when the lane ends.
        if at >= body_end || at < end {
            return end.min(body_end).saturating_sub(at);
        }
        let free = self.free(at).filter(|free| free.at == at);
        let Some(next) = free.or_else(|| self.take_over(at)) else { return 0 };
        let end = next.end.min(body_end);
        self.lanes[lane.0] = Some(Segment { at, end });
        end - at
    }

    /// Where a lane's next byte belongs.
    pub(crate) fn at(&self, lane: Lane) -> u64 {
        self.segment(lane).map_or(self.total, |segment| segment.at)
    }

    /// So many bytes came to a lane; how many of them, from the first on, are its own.
    pub(crate) fn accept(&mut self, lane: Lane, body_end: u64, bytes: u64) -> u64 {
        let mut accepted = 0;
        while accepted < bytes {
            let own = self.room(lane, body_end).min(bytes - accepted);
            let Some(Some(segment)) = self.lanes.get_mut(lane.0).filter(|_| own > 0) else { break };
            self.came.insert(segment.at, segment.at + own);
            segment.at += own;
            accepted += own;
        }
        accepted
    }

    /// A lane has ended. What it has left undone is free again.
    pub(crate) fn leave(&mut self, lane: Lane) {
        if let Some(place) = self.lanes.get_mut(lane.0) {
            *place = None;
        }
    }

    fn segment(&self, lane: Lane) -> Option<Segment> {
        self.lanes.get(lane.0).copied().flatten()
    }

    fn enlist(&mut self, segment: Segment) -> Lane {
        let place = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
        if place == self.lanes.len() {
            self.lanes.push(None);
        }
        self.lanes[place] = Some(segment);
        Lane(place)
    }

    /// The first free bytes at `from` or behind. Towards the file's end they grow fewer, so that all end at once.
    fn free(&self, from: u64) -> Option<Segment> {
        let Sizes { most, least } = self.sizes;
        let mut taken = self.came.clone();
        self.lanes.iter().flatten().for_each(|segment| taken.insert(segment.at, segment.end));
        let (at, end) = taken.gap(from, self.total)?;
        let fair = (self.total - taken.total()) / (2 * self.lanes.len().max(1) as u64);
        let size = fair.clamp(least.min(most), most).max(1);
        // A crumb that would be left is not worth a request of its own.
        let end = if end - at <= size.saturating_add(least) { end } else { at + size };
        Some(Segment { at, end })
    }

    /// What a lane only asked for. Should it be given the part all the same, it finds nothing left to bring.
    fn take_over(&mut self, at: u64) -> Option<Segment> {
        let asked =
            |segment: &&mut Segment| self.parts == Parts::AskedFor && segment.at == at && segment.end > at;
        let other = self.lanes.iter_mut().flatten().find(asked)?;
        let segment = *other;
        other.end = at;
        Some(segment)
    }

    fn steal(&mut self) -> Option<Segment> {
        let busiest = self.lanes.iter_mut().flatten().max_by_key(|segment| segment.end - segment.at)?;
        let rest = busiest.end - busiest.at;
        if rest / 2 < self.sizes.least.max(1) {
            return None;
        }
        let (middle, end) = (busiest.end - rest / 2, busiest.end);
        busiest.end = middle;
        Some(Segment { at: middle, end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn segments_are_two_seconds_long_within_bounds() {
        let table = [
            (1 << 30, 360_000.0, MIB),
            (1 << 30, 4e6, 8_000_000),
            (1 << 30, 3e7, 32 * MIB),
            (16 << 30, 1e9, 64 * MIB),
            (1 << 40, 1e9, 128 * MIB),
            (1 << 30, 0.0, MIB),
        ];
        for (total, rate, most) in table {
            assert_eq!(Sizes::of(total, rate), Sizes { most, least: most / 8 }, "{total} {rate}");
        }
    }

    #[test]
    fn a_stream_that_goes_on_keeps_its_connection_until_others_have_taken_what_is_behind_it() {
        let mut plan = Plan::new(100, &Ranges::default());
        plan.resize(Sizes { most: 10, least: 1 });
        let first = plan.join(0, Parts::Given);
        assert_eq!(plan.room(first, 100), 10);
        assert_eq!(plan.accept(first, 100, 13), 13);
        assert_eq!(plan.room(first, 100), 7);
        let (_, second) = plan.take().unwrap();
        assert_eq!(second, Segment { at: 20, end: 30 });
        assert_eq!(plan.accept(first, 100, 15), 7);
        assert_eq!(plan.room(first, 100), 0);
    }

    #[test]
    fn the_idle_take_the_second_half_of_what_the_busiest_has_left() {
        let mut plan = Plan::new(64, &Ranges::default());
        plan.resize(Sizes { most: 64, least: 64 });
        let first = plan.join(0, Parts::Given);
        assert_eq!(plan.accept(first, 64, 24), 24);
        plan.resize(Sizes { most: 64, least: 8 });
        let (_, second) = plan.take().unwrap();
        assert_eq!(second, Segment { at: 44, end: 64 });
        assert_eq!(plan.accept(first, 64, 100), 20, "the first ends where the second began");
        let (_, third) = plan.take().unwrap();
        assert_eq!(third, Segment { at: 54, end: 64 });
        assert_eq!(plan.take(), None, "what is left is not worth a request");
    }

    #[test]
    fn what_was_only_asked_for_is_brought_by_the_body_that_is_there() {
        let mut plan = Plan::new(100, &Ranges::default());
        plan.resize(Sizes { most: 10, least: 1 });
        let first = plan.join(0, Parts::AskedFor);
        assert_eq!(plan.accept(first, 100, 10), 10);
        let (second, asked) = plan.take().unwrap();
        assert_eq!(asked, Segment { at: 10, end: 20 });
        assert_eq!(plan.accept(first, 100, 3), 3, "it goes on");
        plan.parts_are_given();
        assert_eq!((plan.room(second, 20), plan.at(second)), (0, 10), "the part comes too late");
        plan.leave(second);
        let (_, asked) = plan.take().unwrap();
        assert_eq!(asked, Segment { at: 20, end: 30 });
        assert_eq!(plan.accept(first, 100, 50), 7, "it ends before a part that will come");
    }

    #[test]
    fn a_body_that_is_shorter_than_asked_for_brings_what_it_promised_and_leaves_the_rest_to_others() {
        let mut plan = Plan::new(30, &Ranges::default());
        let (lane, segment) = plan.take().unwrap();
        assert_eq!((segment, plan.room(lane, 20)), (Segment { at: 0, end: 30 }, 20));
        assert_eq!(plan.accept(lane, 20, 25), 20);
        assert_eq!((plan.room(lane, 20), plan.at(lane)), (0, 20));
        plan.leave(lane);
        assert_eq!(plan.take().unwrap().1, Segment { at: 20, end: 30 });
    }

    #[derive(Clone, Debug)]
    enum Event {
        /// A lane is sent out; its body is so many bytes shorter than what was asked for, but not empty.
        Take(u64),
        Comes(usize, u64),
        Breaks(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            2 => prop_oneof![Just(0), 0..60u64].prop_map(Event::Take),
            6 => (0..6usize, 1..40u64).prop_map(|(lane, bytes)| Event::Comes(lane, bytes)),
            1 => (0..6usize).prop_map(Event::Breaks),
        ]
    }

    /// Lanes at work beside the plan: each with where its body goes on and where that ends.
    struct Crew {
        plan: Plan,
        /// Whose body was there before any part was asked for.
        first: Option<Lane>,
        bodies: Vec<(Lane, u64, u64)>,
        /// How often each byte came.
        came: Vec<u32>,
    }

    impl Crew {
        fn take(&mut self, missing: u64) -> bool {
            let Some((lane, segment)) = self.plan.take() else { return false };
            let end = segment.end.saturating_sub(missing).max(segment.at + 1);
            self.bodies.push((lane, segment.at, end));
            true
        }

        fn comes(&mut self, index: usize, bytes: u64) {
            let Some(&(lane, at, end)) = self.bodies.get(index) else { return };
            if self.first != Some(lane) {
                self.plan.parts_are_given();
            }
            if self.plan.room(lane, end) == 0 {
                return self.breaks(index);
            }
            let own = self.plan.accept(lane, end, bytes);
            assert!(at + own <= end, "what a body brings beyond its promise is left out");
            (at..at + own).for_each(|byte| self.came[byte as usize] += 1);
            assert_eq!(self.plan.at(lane), at + own);
            self.bodies[index].1 += own;
        }

        fn breaks(&mut self, index: usize) {
            if index < self.bodies.len() {
                let lane = self.bodies.swap_remove(index).0;
                self.first = self.first.filter(|&first| first != lane);
                self.plan.leave(lane);
            }
        }
    }

    proptest! {
        /// Every byte that was not held comes once, whatever order lanes come, break and steal in.
        #[test]
        fn every_byte_comes_once(
            total in 1..500u64,
            held in prop::collection::vec((0..500u64, 0..500u64), 0..4),
            begins in any::<bool>(),
            most in 1..80u64,
            least in 0..12u64,
            events in prop::collection::vec(event(), 0..200),
        ) {
            let held = Ranges::from(held.into_iter().map(|(a, b)| (a, a + b / 8)).collect::<Vec<_>>()).before(total);
            let mut came = vec![0; total as usize];
            for (byte, count) in came.iter_mut().enumerate() {
                *count = u32::from(held.gap(byte as u64, byte as u64 + 1).is_none());
            }
            let mut plan = Plan::new(total, &held);
            plan.resize(Sizes { most, least });
            let mut crew = Crew { plan, first: None, bodies: Vec::new(), came };
            if begins {
                let at = held.prefix();
                let lane = crew.plan.join(at, if at > 0 { Parts::Given } else { Parts::AskedFor });
                crew.first = Some(lane);
                crew.bodies.push((lane, at, total));
            }
            for event in events {
                match event {
                    Event::Take(missing) => drop(crew.take(missing)),
                    Event::Comes(lane, bytes) => crew.comes(lane, bytes),
                    Event::Breaks(lane) => crew.breaks(lane),
                }
                prop_assert_eq!(crew.plan.lanes.iter().flatten().count(), crew.bodies.len());
            }
            // From here on nothing breaks: it comes to its end.
            while !crew.bodies.is_empty() || crew.take(0) {
                crew.comes(0, 7);
            }
            prop_assert!(crew.plan.is_whole());
            prop_assert!(crew.came.iter().all(|&count| count == 1), "{:?}", crew.came);
        }

        /// Regression: a body ended before a part that the server then refused to give, and every attempt failed so.
        #[test]
        fn a_server_that_gives_no_parts_is_heard_out(
            total in 1..500u64,
            most in 1..80u64,
            least in 0..12u64,
            events in prop::collection::vec(event(), 0..200),
        ) {
            let mut plan = Plan::new(total, &Ranges::default());
            plan.resize(Sizes { most, least });
            let first = plan.join(0, Parts::AskedFor);
            let mut asked = Vec::new();
            for event in events {
                match event {
                    Event::Take(_) => asked.extend(plan.take()),
                    Event::Comes(_, bytes) => {
                        let due = bytes.min(total - plan.at(first));
                        prop_assert_eq!(plan.accept(first, total, bytes), due);
                    }
                    Event::Breaks(lane) if lane < asked.len() => plan.leave(asked.swap_remove(lane).0),
                    Event::Breaks(_) => (),
                }
            }
            plan.accept(first, total, total);
            prop_assert!(plan.is_whole());
        }
    }
}
