//! What was fetched of each slot's partition and not applied yet: bounded, in order, of one generation. Without I/O.

use std::collections::{BTreeMap, VecDeque};

use banyan_bus::Waiting;
use banyan_kernel::Envelope;
use banyan_store::{Carried, Carrier, Held, Place, Position};

/// So much of a partition is kept before its fetching pauses; half of it, and it goes on.
pub(crate) const BUFFER_EVENTS: usize = 1_000;
/// The same, of the records' bytes.
pub(crate) const BUFFER_BYTES: usize = 4 << 20;

/// A record that is an event.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub offset: i64,
    pub position: Position,
    pub event: Envelope,
    pub bytes: usize,
}

/// What a record is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
pub(crate) enum Record {
    Event(Arrived),
    /// All events up to there came before.
    Mark(Position),
    /// Neither.
    Other,
}

/// Where the reading of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With this offset.
    At(i64),
    /// With the oldest record: the slot was served by another carrier, or never.
    Oldest,
}

/// What to do about a partition after a record of it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    GoOn,
    /// It is full.
    Pause,
    /// The slot stops: why, and the way out.
    Stop(String),
}

/// One slot's partition, as long as the slot is held under one epoch.
#[derive(Debug)]
struct Partition {
    epoch: i64,
    /// Records come without a hole; none before the oldest one came.
    next: Option<i64>,
    /// What is at or below this came before, by this carrier or by another: a relay that begins again publishes again. The first
    /// record of an event never comes before that of an earlier one of its slot, so what is told a second time is known by it.
    told_to: Position,
    arrived: VecDeque<Arrived>,
    /// The last mark, and its offset.
    mark: Option<(Position, i64)>,
    bytes: usize,
    is_paused: bool,
    stopped: Option<String>,
}

/// The partitions of the slots in hand.
#[derive(Debug)]
pub(crate) struct Partitions {
    carrier: Carrier,
    of: BTreeMap<u16, Partition>,
}

/// Why offsets that a row names cannot be gone on from here: they are another cluster's, or of other partitions.
pub(crate) fn elsewhere(slot: u16, carried: Option<Carried>, here: Carrier) -> Option<String> {
    let there = carried?.carrier;
    let why = || format!("slot {slot} stands on {there} and this is {here}: {RECOVER}");
    (there != here).then(why)
}

/// The way out of every such stop.
pub(crate) const RECOVER: &str = "republish from the outbox and begin the slot anew (banyan topics recover)";

impl Partitions {
    pub fn new(carrier: Carrier) -> Self {
        Self { carrier, of: BTreeMap::new() }
    }

    /// The brokers are another cluster's now: what is being read stops, and what is taken up from now on is compared with that one.
    pub fn moved_to(&mut self, carrier: Carrier) {
        let why = format!("{} has become {carrier}: {RECOVER}", self.carrier);
        let reading: Vec<u16> = self.reading().into_iter().map(|(slot, _)| slot).collect();
        reading.into_iter().for_each(|slot| self.stop(slot, &why));
        self.carrier = carrier;
    }

    /// What offsets are good for here.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Drops what is held no more, under its epoch. Their partitions are not to be read any longer.
    pub fn let_go(&mut self, held: &BTreeMap<u16, Held>) -> Vec<u16> {
        let is_mine = |slot: &u16, epoch| held.get(slot).is_some_and(|held| held.epoch == epoch);
        let gone: Vec<u16> =
            self.of.iter().filter(|(slot, of)| !is_mine(slot, of.epoch)).map(|(slot, _)| *slot).collect();
        self.of.retain(|slot, _| !gone.contains(slot));
        gone
    }

    /// Takes up what is newly held; where the reading of each begins. Some stop before it.
    pub fn take_up(&mut self, held: &BTreeMap<u16, Held>) -> Vec<(u16, Begin)> {
        let mut begins = Vec::new();
        for held in held.values() {
            if self.of.contains_key(&held.slot) {
                continue;
            }
            let partition = Partition::new(held, elsewhere(held.slot, held.carried, self.carrier));
            let begin = partition.next.map_or(Begin::Oldest, Begin::At);
            begins.extend(partition.stopped.is_none().then_some((held.slot, begin)));
            self.of.insert(held.slot, partition);
        }
        begins
    }

    /// Where partitions that are read would go on.
    pub fn reading(&self) -> Vec<(u16, Begin)> {
        let reading = self.of.iter().filter(|(_, of)| of.stopped.is_none());
        reading.map(|(slot, of)| (*slot, of.next.map_or(Begin::Oldest, Begin::At))).collect()
    }

    /// A record came.
    pub fn arrive(&mut self, slot: u16, offset: i64, record: Record) -> Then {
        let Some(of) = self.of.get_mut(&slot).filter(|of| of.stopped.is_none()) else { return Then::GoOn };
        match of.next {
            // Of a generation before.
            Some(next) if offset < next => return Then::GoOn,
            Some(next) if offset > next => {
                return Then::Stop(format!("offsets {next} to {} are gone: {RECOVER}", offset - 1));
            }
            _ => {}
        }
        let is_first = of.next.is_none();
        let event = match record {
            Record::Event(event) => event,
            // Nothing says yet whether records are gone.
            Record::Mark(at) if is_first && offset > 0 && of.told_to < at => return Then::GoOn,
            Record::Other if is_first => return Then::GoOn,
            other => {
                of.next = Some(offset + 1);
                of.mark = if let Record::Mark(at) = other { Some((at, offset)) } else { of.mark };
                return Then::GoOn;
            }
        };
        let is_known = event.position <= of.told_to;
        if is_first && offset > 0 && !is_known {
            return Then::Stop(format!("what was told before offset {offset} is gone: {RECOVER}"));
        }
        of.next = Some(offset + 1);
        if !is_known {
            of.told_to = event.position;
            of.bytes += event.bytes;
            of.arrived.push_back(event);
        }
        of.pause_when_full()
    }

    /// The slot is served no more until it is taken again.
    pub fn stop(&mut self, slot: u16, why: &str) {
        if let Some(of) = self.of.get_mut(&slot) {
            (of.stopped, of.bytes) = (Some(why.to_owned()), 0);
            of.arrived.clear();
        }
    }

    /// Slots that were stopped, and why.
    pub fn stopped(&self) -> Vec<(u16, String)> {
        self.of.iter().filter_map(|(slot, of)| Some((*slot, of.stopped.clone()?))).collect()
    }

    /// Those that have room again: to be read on.
    pub fn roomy(&mut self) -> Vec<u16> {
        let roomy = self.of.iter_mut().filter(|(_, of)| of.is_paused && of.has_room());
        roomy.map(|(slot, of)| (std::mem::replace(&mut of.is_paused, false), *slot).1).collect()
    }

    /// At most `limit` events, shared out among the slots, each from where it stands; whether one has room again.
    pub fn next(&mut self, held: &[Held], limit: usize) -> (Vec<(Place, Envelope)>, bool) {
        let mut waiting: Vec<(&Held, usize)> = Vec::new();
        for held in held {
            if let Some(of) = self.of.get_mut(&held.slot).filter(|of| of.epoch == held.epoch) {
                of.pass(held, self.carrier);
                waiting.push((held, of.arrived.len()));
            }
        }
        waiting.sort_by_key(|(_, count)| *count);
        let (mut events, mut slots_left) = (Vec::new(), waiting.len());
        for (held, count) in waiting {
            let share = (limit - events.len()).div_ceil(slots_left).min(limit - events.len());
            slots_left -= 1;
            let arrived = self.of[&held.slot].arrived.iter().take(count.min(share));
            events.extend(arrived.map(|arrived| (self.place(arrived), arrived.event.clone())));
        }
        (events, self.of.values().any(|of| of.is_paused && of.has_room()))
    }

    /// Slots that stand further than their last event, since a mark says so.
    pub fn passed(&self, held: &[Held]) -> Vec<Held> {
        let passed = held.iter().filter_map(|held| {
            let of = self.of.get(&held.slot).filter(|of| of.epoch == held.epoch)?;
            let carried = |offset| Carried { carrier: self.carrier, next_offset: offset + 1 };
            let (position, offset) = of.mark.filter(|(_, offset)| {
                let waits = of.arrived.front().is_some_and(|first| first.offset < *offset);
                !waits && held.carried.is_none_or(|known| known.next_offset <= *offset)
            })?;
            Some(held.after(Place { position, carried: Some(carried(offset)) }))
        });
        passed.collect()
    }

    fn place(&self, arrived: &Arrived) -> Place {
        let carried = Carried { carrier: self.carrier, next_offset: arrived.offset + 1 };
        Place { position: arrived.position, carried: Some(carried) }
    }

    /// What is kept, and what is not served.
    pub fn waiting(&self) -> Waiting {
        let first = self.of.values().filter_map(|of| of.arrived.front());
        Waiting {
            oldest: first.map(|arrived| arrived.event.time).min(),
            stopped_slots: self.of.values().filter(|of| of.stopped.is_some()).count() as u64,
        }
    }

    /// How many events are kept.
    pub fn kept_events(&self) -> usize {
        self.of.values().map(|of| of.arrived.len()).sum()
    }
}

impl Partition {
    fn new(held: &Held, stopped: Option<String>) -> Self {
        Self {
            epoch: held.epoch,
            next: held.carried.map(|carried| carried.next_offset),
            told_to: held.position,
            arrived: VecDeque::new(),
            mark: None,
            bytes: 0,
            is_paused: false,
            stopped,
        }
    }

    /// What the slot has passed is applied.
    fn pass(&mut self, held: &Held, carrier: Carrier) {
        let Some(passed) = held.carried.filter(|carried| carried.carrier == carrier) else { return };
        while self.arrived.front().is_some_and(|first| first.offset < passed.next_offset) {
            self.bytes -= self.arrived.pop_front().map_or(0, |first| first.bytes);
        }
    }

    fn pause_when_full(&mut self) -> Then {
        let is_full = self.arrived.len() >= BUFFER_EVENTS || self.bytes >= BUFFER_BYTES;
        if !is_full || self.is_paused {
            return Then::GoOn;
        }
        self.is_paused = true;
        Then::Pause
    }

    fn has_room(&self) -> bool {
        self.arrived.len() <= BUFFER_EVENTS / 2 && self.bytes <= BUFFER_BYTES / 2
    }
}

#[cfg(test)]
mod tests {
    use banyan_kernel::{Clock, ManualClock, TraceParent, event_id};

    use super::*;

    const HERE: (&str, i32) = ("here", 8);

    fn here() -> Carrier {
        Carrier::new(HERE.0, HERE.1)
    }

    fn at(seq: i64) -> Position {
        Position { epoch: 1, xid: 1, seq }
    }

    fn held(slot: u16, epoch: i64, position: Position, next_offset: Option<i64>) -> Held {
        let carried = next_offset.map(|next_offset| Carried { carrier: here(), next_offset });
        Held { slot, epoch, position, carried, abandoned: None }
    }

    fn event(offset: i64, position: Position) -> Record {
        let event = Envelope {
            id: event_id("teller", "a", offset),
            kind: "Counted".to_owned(),
            source: "teller".to_owned(),
            subject: "a".to_owned(),
            time: ManualClock::at_micros(1).now(),
            schema_version: 1,
            sequence: offset,
            causation: String::new(),
            actor: String::new(),
            traceparent: TraceParent::root(uuid::Uuid::from_u128(7)),
            data: serde_json::Value::Null,
        };
        Record::Event(Arrived { offset, position, event, bytes: 10 })
    }

    fn with(held: &[Held]) -> Partitions {
        let mut partitions = Partitions::new(here());
        partitions.take_up(&held.iter().map(|held| (held.slot, *held)).collect());
        partitions
    }

    fn offsets(events: &[(Place, Envelope)]) -> Vec<i64> {
        events.iter().map(|(place, _)| place.carried.map_or(-1, |carried| carried.next_offset - 1)).collect()
    }

    #[test]
    fn a_slot_goes_on_where_its_row_says() {
        let slot = held(3, 1, at(5), Some(7));
        let mut partitions = with(&[slot]);
        assert_eq!(partitions.reading(), [(3, Begin::At(7))]);
        // Of a generation before; then its own.
        assert_eq!(partitions.arrive(3, 6, event(6, at(6))), Then::GoOn);
        assert_eq!(partitions.arrive(3, 7, event(7, at(6))), Then::GoOn);
        assert_eq!(offsets(&partitions.next(&[slot], 10).0), [7]);
        assert_eq!(offsets(&partitions.next(&[slot], 10).0), [7], "until it is passed");
        assert_eq!(offsets(&partitions.next(&[held(3, 1, at(5), Some(8))], 10).0), [0; 0]);
        assert!(
            matches!(partitions.arrive(3, 9, event(9, at(9))), Then::Stop(why) if why.contains("offsets 8 to 8"))
        );
    }

    #[test]
    fn a_slot_of_another_carrier_begins_with_the_oldest_and_passes_over_what_was_applied() {
        let slot = held(3, 1, at(5), None);
        let mut partitions = with(&[slot]);
        assert_eq!(partitions.reading(), [(3, Begin::Oldest)]);
        for (offset, seq) in [(40, 4), (41, 5), (42, 6), (43, 5)] {
            assert_eq!(partitions.arrive(3, offset, event(offset, at(seq))), Then::GoOn);
        }
        assert_eq!(offsets(&partitions.next(&[slot], 10).0), [42]);
    }

    #[test]
    fn a_mark_moves_its_slot_when_all_before_it_was_applied() {
        let slot = held(3, 1, at(5), Some(7));
        let mut partitions = with(&[slot]);
        assert_eq!(partitions.arrive(3, 7, event(7, at(6))), Then::GoOn);
        assert_eq!(partitions.arrive(3, 8, Record::Mark(at(9))), Then::GoOn);
        assert_eq!(partitions.arrive(3, 9, event(9, at(10))), Then::GoOn);
        partitions.next(&[slot], 10);
        assert_eq!(partitions.passed(&[slot]), [], "an event before it waits");
        let applied = held(3, 1, at(6), Some(8));
        partitions.next(&[applied], 10);
        assert_eq!(partitions.passed(&[applied]), [held(3, 1, at(9), Some(9))]);
        assert_eq!(partitions.passed(&[held(3, 1, at(10), Some(10))]), [], "it is behind");
        assert_eq!(partitions.passed(&[held(3, 2, at(6), Some(8))]), [], "it is of another epoch");
    }

    #[test]
    fn what_a_relay_publishes_again_is_passed_over() {
        let slot = held(3, 1, at(5), Some(7));
        let mut partitions = with(&[slot]);
        for (offset, told) in [(7, 6), (8, 5), (9, 6), (10, 7)] {
            assert_eq!(partitions.arrive(3, offset, event(offset, at(told))), Then::GoOn);
        }
        assert_eq!(offsets(&partitions.next(&[slot], 10).0), [7, 10]);
    }

    #[test]
    fn a_mark_that_comes_first_does_not_hide_what_is_gone() {
        let mut partitions = with(&[held(3, 1, at(5), None)]);
        assert_eq!(partitions.arrive(3, 39, Record::Mark(at(6))), Then::GoOn);
        assert!(matches!(partitions.arrive(3, 40, event(40, at(7))), Then::Stop(_)));
    }

    #[test]
    fn what_the_topic_no_longer_has_stops_the_slot() {
        let mut partitions = with(&[held(3, 1, at(5), None)]);
        assert!(
            matches!(partitions.arrive(3, 40, event(40, at(6))), Then::Stop(why) if why.contains("recover"))
        );
    }

    #[test]
    fn another_clusters_offsets_stop_the_slot_alone() {
        let carried = Carried { carrier: Carrier::new("there", 8), next_offset: 7 };
        let other = Held { carried: Some(carried), ..held(3, 1, at(5), None) };
        let partitions = with(&[other, held(4, 1, at(5), Some(1))]);
        assert_eq!(partitions.reading(), [(4, Begin::At(1))]);
        assert!(
            matches!(&partitions.stopped()[..], [(3, why)] if why.contains("there") && why.contains("recover"))
        );
    }

    #[test]
    fn what_was_fetched_under_another_epoch_is_not_given() {
        let (old, new) = (held(3, 1, at(5), Some(7)), held(3, 2, at(5), Some(7)));
        let mut partitions = with(&[old]);
        partitions.arrive(3, 7, event(7, at(6)));
        assert_eq!(offsets(&partitions.next(&[new], 10).0), [0; 0], "the driver knows the new epoch first");
        let now = BTreeMap::from([(3, new)]);
        assert_eq!(partitions.let_go(&now), [3]);
        assert_eq!(partitions.take_up(&now), [(3, Begin::At(7))]);
        assert_eq!(offsets(&partitions.next(&[new], 10).0), [0; 0]);
    }

    #[test]
    fn a_page_is_shared_out_and_a_full_partition_pauses_until_half_is_passed() {
        let slots = [held(1, 1, at(0), Some(0)), held(2, 1, at(0), Some(0)), held(3, 1, at(0), Some(0))];
        let mut partitions = with(&slots);
        let full = i64::try_from(BUFFER_EVENTS).unwrap();
        for offset in 0..full - 1 {
            assert_eq!(partitions.arrive(1, offset, event(offset, at(offset + 1))), Then::GoOn);
        }
        assert_eq!(partitions.arrive(1, full - 1, event(full - 1, at(full))), Then::Pause);
        partitions.arrive(2, 0, event(0, at(1)));
        let (events, has_room) = partitions.next(&slots, 10);
        assert_eq!((offsets(&events), has_room), ((0..1).chain(0..9).collect(), false));
        let half = held(1, 1, at(0), Some(full / 2));
        assert!(partitions.next(&[half], 10).1);
        assert_eq!((partitions.roomy(), partitions.roomy()), (vec![1], vec![]));
    }
}
