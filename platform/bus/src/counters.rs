//! What a group did, counted: read by metrics, written by the driver alone.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use banyan_store::Position;
use tokio::sync::watch;

/// Counts since the process began, and how far the group has come in it.
#[derive(Debug)]
pub struct Counters {
    /// Events whose effects were committed.
    pub applied: AtomicU64,
    /// Events that had been applied before.
    pub duplicates: AtomicU64,
    /// Events of types or subjects that the consumer does not care for.
    pub skipped: AtomicU64,
    /// Times that an event came before an earlier one of its subject.
    pub gaps: AtomicU64,
    /// Events that became dead letters.
    pub poisoned: AtomicU64,
    /// Events that were put behind a dead letter of their key.
    pub queued: AtomicU64,
    /// Times that a slot was paused because the database could not do it now.
    pub pauses: AtomicU64,
    /// Slots that are paused now.
    pub paused_slots: AtomicU64,
    reached: watch::Sender<Position>,
    standing: Mutex<Vec<(u16, Position)>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            applied: AtomicU64::default(),
            duplicates: AtomicU64::default(),
            skipped: AtomicU64::default(),
            gaps: AtomicU64::default(),
            poisoned: AtomicU64::default(),
            queued: AtomicU64::default(),
            pauses: AtomicU64::default(),
            paused_slots: AtomicU64::default(),
            reached: watch::Sender::new(Position::START),
            standing: Mutex::default(),
        }
    }
}

impl Counters {
    /// Where the slot that is furthest behind stands: against the source's end it tells the lag.
    #[must_use]
    pub fn reached(&self) -> Position {
        *self.reached.borrow()
    }

    /// As [`Self::reached`], to wait for.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.reached.subscribe()
    }

    /// Where each slot in hand stands: of those that are apart one may be idle and far behind, and have nothing to apply.
    #[must_use]
    pub fn standing(&self) -> Vec<(u16, Position)> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reach(&self, position: Position, standing: Vec<(u16, Position)>) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
        self.reached.send_if_modified(|reached| std::mem::replace(reached, position) != position);
    }

    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
