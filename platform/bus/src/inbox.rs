//! Where a group's effects and positions go: one small trait, kept by PostgreSQL and by memory.

use async_trait::async_trait;
use banyan_kernel::{Envelope, slot_of};
use banyan_store::{Held, Place, Position, StoreError};

/// Events of a group's slots, in the order of the source, to be applied all or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Each with its place. Empty: the slots' positions alone are written.
    pub events: Vec<(Place, Envelope)>,
    /// The slots of the events: the holder's epoch, and where each slot stands before the batch.
    pub slots: Vec<Held>,
}

/// What became of one event of a batch that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effects are committed.
    Done,
    /// Applied before.
    Duplicate,
    /// Of a type or subject that the consumer does not care for.
    Skipped,
    /// An earlier event of the subject is missing; the slot's position stays before this one.
    Gap {
        /// The last sequence that was applied.
        seen: i64,
    },
    /// Its key is parked: it stands in the queue behind the dead letter.
    Queued,
}

/// Why a batch came to nothing; neither effects nor positions of it remain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody's fault: the same may succeed later. Never an attempt.
    #[error("later: {0}")]
    Later(String),
    /// Others hold these slots now, with a higher epoch.
    #[error("slots {0:?} have another owner")]
    Fenced(Vec<u16>),
    /// It fails again with the same input. Of a single event: an attempt.
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        if error.is_transient() { Self::Later(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

/// One event that is to be set aside, with the reason.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its place; the slot's position passes it.
    pub at: Place,
    /// The event.
    pub event: Envelope,
    /// Why it could not be applied.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// A group's effects, positions, attempts and dead letters, in one database.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// The group's name.
    fn group(&self) -> &str;
    /// In one transaction: applies the events, puts those of parked keys into their queues, and moves each
    /// slot as [`settle`] says, provided that its epoch is still the batch's. Answers per event.
    async fn apply(&self, batch: &Batch) -> Result<Vec<Outcome>, Refused>;
    /// Counts a try of the event at `at`, before it is tried; how many that makes. Survives the process.
    async fn attempt(&self, held: &Held, at: Position) -> Result<u32, Refused>;
    /// Takes back the last try of the event at `at`: it neither failed for itself nor ended the process.
    async fn excuse(&self, held: &Held, at: Position) -> Result<(), Refused>;
    /// In one transaction: makes the event a dead letter, which parks its key, and moves the slot past it.
    async fn park(&self, held: &Held, letter: &Letter) -> Result<(), Refused>;
}

/// Where each slot of a batch stands after it: past its last event, or before its first gap.
///
/// ```
/// # use banyan_bus::{Batch, settle};
/// assert!(settle(&Batch::default(), &[]).is_empty());
/// ```
#[must_use]
pub fn settle(batch: &Batch, outcomes: &[Outcome]) -> Vec<Held> {
    let of_slot = |slot: u16| {
        let events = batch.events.iter().zip(outcomes);
        events.filter(move |((_, event), _)| slot_of(&event.subject) == slot)
    };
    let stands = |held: &Held| {
        let passed = of_slot(held.slot).take_while(|(_, outcome)| !matches!(outcome, Outcome::Gap { .. }));
        passed.last().map_or(*held, |((at, _), _)| held.after(*at))
    };
    batch.slots.iter().map(stands).collect()
}
