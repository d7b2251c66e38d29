//! What a module does with another's events.

use async_trait::async_trait;
use banyan_kernel::Envelope;
use banyan_store::{Locks, Store, StoreError, Write};

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Its effects are in the write, and the subject's row says its sequence.
    Done,
    /// Its sequence is at or below the subject's row: applied before.
    Duplicate,
    /// A type this consumer does not know, or a subject it has no row for and needs none.
    Skipped,
    /// An earlier event of the subject has not come: the row says this much.
    Gap {
        /// The last sequence that was applied.
        seen: i64,
    },
    /// It can never be applied as it is: why. Counts as an attempt, then parks its key.
    Poison(String),
}

/// A group's effects in one module's database.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// The group's name, `MODULE.SOURCE`; its slots and positions are kept under it.
    fn group(&self) -> &'static str;
    /// Whose events.
    fn source(&self) -> &'static str;
    /// Where the effects and the positions go.
    fn store(&self) -> &Store;
    /// What a batch will change, to be locked before it is decided.
    fn locks(&self, batch: &[Envelope]) -> Locks;
    /// Applies a batch in an open write, in constant statements: reads, decides in memory (folding several
    /// events of one subject), then writes. Answers per event, in order. Safe to run twice.
    ///
    /// # Errors
    /// Of the database; the write is then abandoned, and on a statement's error tried again by halves.
    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError>;
}
