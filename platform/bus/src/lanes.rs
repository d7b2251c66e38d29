//! Which slots are served next, from where: the driver's state, without I/O.

use std::{collections::BTreeMap, time::Duration};

use banyan_store::{Held, Position};
use tokio::time::Instant;

/// How many events are applied one by one after a slot was taken from who did not let it go: one of them may have killed
/// its process.
pub(crate) const CAREFUL_EVENTS: u16 = 50;

/// One slot in hand.
#[derive(Debug)]
struct Lane {
    /// Its epoch, and where it stands: everything up to there was applied or is none of its events.
    at: Held,
    /// What the database says, which is less when there was nothing of this slot since.
    stored: Position,
    /// So many more events are applied one by one, each try counted.
    careful: u16,
    /// Pauses in a row; while there are any the lane is served alone.
    waits: u32,
    /// Set: not to be served in this page, and in later ones only after this.
    until: Option<Instant>,
    /// The gap that is waited for, and how often.
    gap: Option<(Position, u32)>,
    /// A try that is counted in the database and was none, and which one it is.
    owed: Option<(Position, u32)>,
}

/// Lanes that are read together: they stand at the same place, unless their slots are apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cohort {
    pub slots: Vec<u16>,
    /// Where the next cohort stands, to be joined there.
    pub until: Option<Position>,
    /// Slots whose events are applied one by one.
    pub careful: Vec<u16>,
    /// Whether these are all that may be served now.
    pub all: bool,
}

/// The slots in hand.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: BTreeMap<u16, Lane>,
    /// Slots that turned out to be another's, by the epoch they were held with.
    fenced: BTreeMap<u16, i64>,
}

impl Lanes {
    /// Takes up what is newly held, and lets go what is held no more. A slot whose next event processes ended with is served from
    /// the instant that `rest` says for that number of them.
    pub fn hold(&mut self, held: &BTreeMap<u16, Held>, rest: impl Fn(&Held, u32) -> Instant) {
        let same = |slot: &u16, epoch: i64| held.get(slot).is_some_and(|held| held.epoch == epoch);
        self.lanes.retain(|slot, lane| same(slot, lane.at.epoch));
        self.fenced.retain(|slot, epoch| same(slot, *epoch));
        for (slot, held) in held {
            if !self.fenced.contains_key(slot) {
                self.lanes.entry(*slot).or_insert_with(|| Lane::new(*held, &rest));
            }
        }
    }

    /// Others hold these: not to be touched until they are taken again.
    pub fn lose(&mut self, slots: &[u16]) {
        for slot in slots {
            if let Some(lane) = self.lanes.remove(slot) {
                self.fenced.insert(*slot, lane.at.epoch);
            }
        }
    }

    /// The lanes furthest behind of those that may be served now.
    pub fn cohort(&mut self, now: Instant) -> Option<Cohort> {
        self.wake(now);
        let active = || self.lanes.iter().filter(|(_, lane)| lane.until.is_none());
        let (first, lane) = active().min_by_key(|(_, lane)| (lane.at.position, lane.waits == 0))?;
        let after = lane.at.position;
        let joins = |(slot, other): &(&u16, &Lane)| {
            *slot == first || (lane.waits == 0 && other.waits == 0 && other.at.position == after)
        };
        let together: Vec<_> = active().filter(joins).collect();
        let slots: Vec<u16> = together.iter().map(|(slot, _)| **slot).collect();
        Some(Cohort {
            // The page is one of them all: it is in the order of the source.
            careful: if together.iter().any(|(_, lane)| lane.careful > 0) {
                slots.clone()
            } else {
                Vec::new()
            },
            slots,
            until: active().map(|(_, lane)| lane.at.position).filter(|position| *position > after).min(),
            all: together.len() == active().count(),
        })
    }

    /// All lanes that may be served now, wherever they stand; one that was set back is served alone first.
    pub fn all_apart(&mut self, now: Instant) -> Option<Cohort> {
        self.wake(now);
        let active = || self.lanes.iter().filter(|(_, lane)| lane.until.is_none());
        let (first, lane) = active().min_by_key(|(_, lane)| lane.waits == 0)?;
        let joins = |(slot, _): &(&u16, &Lane)| *slot == first || lane.waits == 0;
        let together: Vec<_> = active().filter(joins).collect();
        let careful = together.iter().filter(|(_, lane)| lane.careful > 0);
        Some(Cohort {
            careful: careful.map(|(slot, _)| **slot).collect(),
            slots: together.iter().map(|(slot, _)| **slot).collect(),
            until: None,
            all: together.len() == active().count(),
        })
    }

    /// The slots of a cohort, and where each stands.
    pub fn of(&self, cohort: &Cohort) -> Vec<Held> {
        cohort.slots.iter().filter_map(|slot| self.get(*slot)).collect()
    }

    fn wake(&mut self, now: Instant) {
        for lane in self.lanes.values_mut() {
            lane.until = lane.until.filter(|until| *until > now);
        }
    }

    /// A slot of the page that is being worked on, unless it was lost or set back meanwhile.
    pub fn open(&self, slot: u16) -> Option<Held> {
        self.lanes.get(&slot).filter(|lane| lane.until.is_none()).map(|lane| lane.at)
    }

    /// The database says that the slot stands there.
    pub fn stored(&mut self, moved: &Held) {
        if let Some(lane) = self.lanes.get_mut(&moved.slot).filter(|lane| lane.at.epoch == moved.epoch) {
            (lane.at.position, lane.at.carried) = (moved.position, moved.carried);
            (lane.stored, lane.waits) = (moved.position, 0);
        }
    }

    /// One event of the slot was applied by itself.
    pub fn tried_alone(&mut self, slot: u16) {
        if let Some(lane) = self.lanes.get_mut(&slot) {
            lane.careful = lane.careful.saturating_sub(1);
        }
    }

    /// A try of the event at `at` was counted and cannot be taken back now.
    pub fn owe(&mut self, slot: u16, at: Position, attempts: u32) {
        if let Some(lane) = self.lanes.get_mut(&slot) {
            lane.owed = Some((at, attempts));
        }
    }

    /// The number of a try of the event at `at` that is counted already.
    pub fn uncounted(&mut self, slot: u16, at: Position) -> Option<u32> {
        let owed = self.lanes.get_mut(&slot)?.owed.take();
        owed.filter(|(known, _)| *known == at).map(|(_, attempts)| attempts)
    }

    /// The page is done: its lanes stand at its end, but for those that were set back.
    pub fn reach(&mut self, cohort: &Cohort, end: Position, is_source_end: bool) {
        for slot in &cohort.slots {
            if let Some(lane) = self.lanes.get_mut(slot).filter(|lane| lane.until.is_none()) {
                lane.at.position = lane.at.position.max(end);
                lane.waits = 0;
                lane.careful = if is_source_end { 0 } else { lane.careful };
            }
        }
    }

    /// The slot stands there, unless it was set back or lost meanwhile; the database does not say so yet.
    pub fn pass(&mut self, passed: &Held) {
        let is_open = |lane: &&mut Lane| lane.until.is_none() && lane.at.epoch == passed.epoch;
        if let Some(lane) = self.lanes.get_mut(&passed.slot).filter(is_open) {
            (lane.at.position, lane.at.carried) = (passed.position, passed.carried);
        }
    }

    /// Where each stands.
    pub fn standing(&self) -> Vec<(u16, Position)> {
        self.lanes.iter().map(|(slot, lane)| (*slot, lane.at.position)).collect()
    }

    /// Out of the cohort until `until`; then alone. Tells how many pauses in a row this makes.
    pub fn pause(&mut self, slot: u16, until: impl FnOnce(u32) -> Instant) {
        if let Some(lane) = self.lanes.get_mut(&slot) {
            lane.waits += 1;
            lane.until = Some(until(lane.waits));
        }
    }

    /// As [`Self::pause`], and what comes next is tried by itself.
    pub fn retry_alone(&mut self, slot: u16, until: Instant) {
        self.pause(slot, |_| until);
        if let Some(lane) = self.lanes.get_mut(&slot) {
            lane.careful = lane.careful.max(1);
        }
    }

    /// The slot's next event misses an earlier one: how often it has been found so. Read again after `wait`.
    pub fn gap(&mut self, slot: u16, at: Position, until: Instant) -> u32 {
        let Some(lane) = self.lanes.get_mut(&slot) else { return 0 };
        let tries = lane.gap.filter(|(known, _)| *known == at).map_or(1, |(_, tries)| tries + 1);
        lane.gap = Some((at, tries));
        lane.until = Some(until);
        tries
    }

    /// Read again at once.
    pub fn again(&mut self, slot: u16, now: Instant) {
        if let Some(lane) = self.lanes.get_mut(&slot) {
            lane.until = Some(now);
        }
    }

    /// A slot in hand, paused or not.
    pub fn get(&self, slot: u16) -> Option<Held> {
        self.lanes.get(&slot).map(|lane| lane.at)
    }

    /// When the first paused lane may be served.
    pub fn wakes(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|lane| lane.until).min()
    }

    /// How many are paused.
    pub fn paused(&self) -> u64 {
        self.lanes.values().filter(|lane| lane.until.is_some()).count() as u64
    }

    /// Where the one furthest behind stands.
    pub fn furthest_behind(&self) -> Option<Position> {
        self.lanes.values().map(|lane| lane.at.position).min()
    }

    /// Slots that stand further than the database says.
    pub fn ahead(&self) -> Vec<Held> {
        let ahead = self.lanes.values().filter(|lane| lane.at.position > lane.stored);
        ahead.map(|lane| lane.at).collect()
    }
}

impl Lane {
    fn new(held: Held, rest: impl Fn(&Held, u32) -> Instant) -> Self {
        let careful = held.abandoned.map_or(0, |_| CAREFUL_EVENTS);
        let until = held.abandoned.filter(|tries| *tries > 0).map(|tries| rest(&held, tries));
        Self { at: held, stored: held.position, careful, waits: 0, until, gap: None, owed: None }
    }
}

/// Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015) from a seed: reproducible, and without
/// a shared generator.
#[derive(Debug)]
pub(crate) struct Jitter {
    state: u64,
}

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Up to `base` doubled `waits - 1` times, at most `cap`, at least a millisecond.
    pub fn draw(&mut self, base: Duration, waits: u32, cap: Duration) -> Duration {
        let most = base.saturating_mul(1 << waits.saturating_sub(1).min(16)).min(cap);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let drawn = banyan_kernel::stable_hash(&self.state.to_le_bytes());
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(drawn % micros).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(positions: [i64; 3]) -> Lanes {
        let held = |(slot, seq): (u16, i64)| {
            let abandoned = (slot == 2).then_some(0);
            let position = Position { epoch: 1, xid: 1, seq };
            (slot, Held { slot, epoch: 1, position, carried: None, abandoned })
        };
        let mut lanes = Lanes::default();
        lanes.hold(&(0..).zip(positions).map(held).collect(), |_, _| Instant::now());
        lanes
    }

    #[tokio::test(start_paused = true)]
    async fn slots_that_are_apart_are_served_together_wherever_they_stand() {
        let mut lanes = lanes([9, 1, 5]);
        let together = lanes.cohort(Instant::now()).expect("a cohort");
        assert_eq!(together.slots, [1], "in the order of one source the one furthest behind comes first");
        let apart = lanes.all_apart(Instant::now()).expect("a cohort");
        assert_eq!((apart.slots, apart.careful, apart.all), (vec![0, 1, 2], vec![2], true));
    }

    #[tokio::test(start_paused = true)]
    async fn of_slots_that_are_apart_one_that_was_set_back_waits_alone_and_is_tried_alone() {
        let (mut lanes, wait) = (lanes([9, 1, 5]), Duration::from_secs(1));
        lanes.pause(1, |_| Instant::now() + wait);
        let others = lanes.all_apart(Instant::now()).expect("a cohort");
        assert_eq!((others.slots, others.all), (vec![0, 2], true));
        tokio::time::advance(wait).await;
        let alone = lanes.all_apart(Instant::now()).expect("a cohort");
        assert_eq!((&alone.slots[..], alone.all), (&[1][..], false));
        lanes.reach(&alone, Position::START, false);
        assert_eq!(lanes.all_apart(Instant::now()).expect("a cohort").slots, [0, 1, 2]);
        assert_eq!(lanes.get(1).map(|held| held.position.seq), Some(1), "a page's end moves nobody back");
    }
}
