//! A module's outbox as a source, where everything that is told is public.

use async_trait::async_trait;
use banyan_kernel::Envelope;
use banyan_store::{Horizon, Page, Position, Signal, Store, StoreError, read_outbox, read_subject};

use crate::Source;

/// How many events of one subject fill a gap at once.
const SUBJECT_EVENTS: u16 = 1_000;

/// The outbox of a module whose events are all public.
#[derive(Clone)]
pub struct OutboxSource {
    store: Store,
}

impl OutboxSource {
    /// Of the module that `store` belongs to.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Source for OutboxSource {
    fn name(&self) -> &'static str {
        self.store.schema()
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        read_outbox(self.store.pool(), self.name(), after, slots, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(Horizon::read(self.store.pool()).await?.end())
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        read_subject(self.store.pool(), self.name(), subject, after_sequence, SUBJECT_EVENTS).await
    }

    fn signal(&self) -> Signal {
        self.store.signal().clone()
    }
}
