//! Two databases in memory: a source's outbox and a consumer's tables, with transactions, and the oracles.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use banyan_kernel::{Envelope, SLOTS, Sequenced, slot_of, stable_hash};
use banyan_store::{Held, Position, Signal};
use uuid::Uuid;

use super::Rng;
use crate::{Batch, Outcome, settle};

/// What is done wrong on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Positions commit in a transaction of their own, before the effects.
    PositionApart,
    /// A write does not look at the slot's epoch.
    NoEpochCheck,
    /// A write does not look whether a key is parked.
    ForgetsParked,
    /// Attempts are kept by the process alone.
    ForgetsAttempts,
    /// The source is read beyond its horizon.
    NoHorizon,
    /// A gap's event does not hold the slot's position.
    PassesGaps,
}

impl Bug {
    pub const PLANTED: [Self; 6] = [
        Self::PositionApart,
        Self::NoEpochCheck,
        Self::ForgetsParked,
        Self::ForgetsAttempts,
        Self::NoHorizon,
        Self::PassesGaps,
    ];
}

/// What must never be seen.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Violation {
    #[error("{subject}: effect {sequence} after {last}")]
    Order { subject: String, sequence: i64, last: i64 },
    #[error("slot {slot} stands at {position}, beyond event {sequence} of {subject}, which was not applied")]
    PositionAhead { slot: u16, position: Position, subject: String, sequence: i64 },
    #[error("{subject}: event {sequence} overtook the parked ones")]
    Overtook { subject: String, sequence: i64 },
    #[error("not at rest in time: {left} of {told} events are not applied, {parked} keys parked")]
    Stuck { left: usize, told: usize, parked: usize },
}

#[derive(Debug, Default)]
pub(crate) struct SlotRow {
    pub holder: Option<Uuid>,
    pub epoch: i64,
    pub position: Position,
    pub attempted: (Position, u32),
}

/// The tables of both databases.
#[derive(Debug)]
pub(crate) struct Tables {
    // The source's.
    pub epoch: i64,
    pub next_xid: i64,
    pub open: BTreeSet<i64>,
    pub outbox: BTreeMap<Position, Envelope>,
    // The consumer's.
    pub slots: Vec<SlotRow>,
    pub members: BTreeMap<Uuid, i64>,
    seen: BTreeMap<String, i64>,
    effects: BTreeMap<String, i64>,
    pub letters: BTreeMap<String, VecDeque<(Position, Envelope)>>,
    // What fails.
    pub lost: BTreeSet<(String, i64)>,
    pub poison: BTreeSet<(String, i64)>,
    pub killers: BTreeSet<(String, i64)>,
    pub is_healed: bool,
    // What was seen.
    pub violation: Option<Violation>,
    pub trace: u64,
}

/// Both databases, and what one history is like.
pub(crate) struct World {
    pub seed: u64,
    pub bug: Bug,
    /// Whether the consumer keeps sequences. One that does not leans on positions and epochs alone, so that
    /// a doubled delivery is a doubled effect; then nothing is lost on the way.
    pub keeps_sequences: bool,
    tables: Mutex<Tables>,
    /// Rows and keys that a writing transaction holds: all of them, which is coarse and right.
    pub transaction: tokio::sync::Mutex<()>,
    /// Writers share it; who raises the epoch has it alone.
    pub fence: tokio::sync::RwLock<()>,
    signals: Mutex<Vec<Signal>>,
}

/// A transaction's changes, not committed.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub outcomes: Vec<Outcome>,
    pub effects: Vec<Envelope>,
    queued: Vec<(Position, Envelope)>,
    pub moved: Vec<Held>,
}

impl World {
    pub fn new(seed: u64, bug: Bug) -> Arc<Self> {
        let tables = Tables {
            epoch: 1,
            next_xid: 1,
            open: BTreeSet::new(),
            outbox: BTreeMap::new(),
            slots: (0..SLOTS).map(|_| SlotRow::default()).collect(),
            members: BTreeMap::new(),
            seen: BTreeMap::new(),
            effects: BTreeMap::new(),
            letters: BTreeMap::new(),
            lost: BTreeSet::new(),
            poison: BTreeSet::new(),
            killers: BTreeSet::new(),
            is_healed: false,
            violation: None,
            trace: seed,
        };
        Arc::new(Self {
            seed,
            bug,
            keeps_sequences: seed.is_multiple_of(2),
            tables: Mutex::new(tables),
            transaction: tokio::sync::Mutex::default(),
            fence: tokio::sync::RwLock::default(),
            signals: Mutex::default(),
        })
    }

    /// No holder of the tables panics or waits.
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no holder panics")
    }

    pub fn rng(&self, who: u64) -> Rng {
        Rng::new(self.seed, who)
    }

    /// A signal of its own per member: raised in the order they came.
    pub fn listen(&self) -> Signal {
        let signal = Signal::default();
        self.signals.lock().expect("no holder panics").push(signal.clone());
        signal
    }

    pub fn raise(&self) {
        self.signals.lock().expect("no holder panics").iter().for_each(Signal::raise);
    }

    /// Reads and decides, as a consumer does in an open transaction; `Err` is poison.
    pub fn stage(&self, batch: &Batch) -> Result<Staged, String> {
        let tables = self.tables();
        let mut seen = tables.seen.clone();
        let mut staged = Staged::default();
        for (at, event) in &batch.events {
            let parked = tables.letters.contains_key(&event.subject) && self.bug != Bug::ForgetsParked;
            if parked {
                staged.queued.push((at.position, event.clone()));
                staged.outcomes.push(Outcome::Queued);
                continue;
            }
            let outcome = self.judge(&tables, &mut seen, event)?;
            staged.effects.extend((outcome == Outcome::Done).then(|| event.clone()));
            staged.outcomes.push(outcome);
        }
        staged.moved = if self.bug == Bug::PassesGaps {
            settle(batch, &vec![Outcome::Done; batch.events.len()])
        } else {
            settle(batch, &staged.outcomes)
        };
        Ok(staged)
    }

    fn judge(
        &self,
        tables: &Tables,
        seen: &mut BTreeMap<String, i64>,
        event: &Envelope,
    ) -> Result<Outcome, String> {
        if !tables.is_healed && tables.poison.contains(&key(event)) {
            return Err("poison".to_owned());
        }
        if !self.keeps_sequences {
            return Ok(Outcome::Done);
        }
        let last = seen.entry(event.subject.clone()).or_insert(0);
        Ok(match Sequenced::judge(*last, event.sequence) {
            Sequenced::Duplicate => Outcome::Duplicate,
            Sequenced::Gap => Outcome::Gap { seen: *last },
            Sequenced::Next => {
                *last = event.sequence;
                Outcome::Done
            }
        })
    }

    /// Slots whose epoch is another by now.
    pub fn fenced(&self, slots: &[Held]) -> Vec<u16> {
        if self.bug == Bug::NoEpochCheck {
            return Vec::new();
        }
        let tables = self.tables();
        let is_lost = |held: &&Held| tables.slots[usize::from(held.slot)].epoch != held.epoch;
        slots.iter().filter(is_lost).map(|held| held.slot).collect()
    }

    /// All of it at once.
    pub fn commit(&self, staged: &Staged) {
        self.commit_effects(staged);
        self.commit_positions(&staged.moved);
    }

    pub fn commit_effects(&self, staged: &Staged) {
        let mut tables = self.tables();
        for event in &staged.effects {
            if tables.letters.contains_key(&event.subject) {
                let (subject, sequence) = key(event);
                tables.violate(Violation::Overtook { subject, sequence });
            }
            tables.effect(event);
        }
        for (at, event) in &staged.queued {
            tables.queue(*at, event);
        }
    }

    pub fn commit_positions(&self, moved: &[Held]) {
        let mut tables = self.tables();
        for held in moved {
            tables.slots[usize::from(held.slot)].position = held.position;
            tables.trace(&format!("{held:?}"));
        }
        if self.bug != Bug::PositionApart {
            moved.iter().for_each(|held| tables.check_position(held));
        }
    }

    /// Told events that have no effect yet, and all.
    pub fn left(&self) -> (usize, usize) {
        let tables = self.tables();
        let is_left = |event: &&Envelope| !tables.is_applied(event);
        (tables.outbox.values().filter(is_left).count(), tables.outbox.len())
    }
}

impl Tables {
    fn is_applied(&self, event: &Envelope) -> bool {
        self.effects.get(&event.subject).is_some_and(|last| *last >= event.sequence)
    }

    /// Nothing of the slot up to its position is missing, but what was lost on the way.
    fn check_position(&mut self, held: &Held) {
        let parked = |event: &Envelope| self.letters.contains_key(&event.subject);
        let mut passed = self.outbox.range(..=held.position).map(|(_, event)| event);
        let ahead = passed.find(|event| {
            slot_of(&event.subject) == held.slot
                && !self.is_applied(event)
                && !parked(event)
                && !self.lost.contains(&key(event))
        });
        if let Some((subject, sequence)) = ahead.map(key) {
            let (slot, position) = (held.slot, held.position);
            self.violate(Violation::PositionAhead { slot, position, subject, sequence });
        }
    }

    /// Exactly once, in order.
    pub fn effect(&mut self, event: &Envelope) {
        let (subject, sequence) = key(event);
        let last = self.effects.get(&subject).copied().unwrap_or(0);
        if sequence != last + 1 {
            self.violate(Violation::Order { subject: subject.clone(), sequence, last });
        }
        self.trace(&format!("{subject}/{sequence}"));
        self.effects.insert(subject.clone(), sequence);
        self.seen.insert(subject, sequence);
    }

    /// Behind the others of its key, once.
    pub fn queue(&mut self, at: Position, event: &Envelope) {
        let queue = self.letters.entry(event.subject.clone()).or_default();
        if queue.iter().all(|(known, _)| *known != at) {
            queue.push_back((at, event.clone()));
        }
    }

    pub fn seen(&self, subject: &str) -> i64 {
        self.seen.get(subject).copied().unwrap_or(0)
    }

    fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    pub fn trace(&mut self, what: &str) {
        self.trace = stable_hash(format!("{}{what}", self.trace).as_bytes());
    }
}

pub(crate) fn key(event: &Envelope) -> (String, i64) {
    (event.subject.clone(), event.sequence)
}
