//! An outbox that loses events on its way to the carrier when it is told to.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use banyan_kernel::Envelope;
use banyan_store::{Page, Position, Signal, StoreError};

use crate::{OutboxSource, Source};

/// As the carrier reads it.
pub struct Lossy {
    source: OutboxSource,
    lost: Mutex<BTreeSet<(String, i64)>>,
    looks: AtomicU64,
}

impl Lossy {
    /// It loses nothing yet.
    #[must_use]
    pub fn new(source: OutboxSource) -> Self {
        Self { source, lost: Mutex::default(), looks: AtomicU64::new(0) }
    }

    /// From now on this event does not come.
    pub fn lose(&self, subject: &str, sequence: i64) {
        self.lost.lock().expect("no holder panics").insert((subject.to_owned(), sequence));
    }

    /// How often it was read.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Lossy {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        let mut page = self.source.page(after, slots, limit).await?;
        let lost = self.lost.lock().expect("no holder panics");
        page.events.retain(|(_, event)| !lost.contains(&(event.subject.clone(), event.sequence)));
        self.looks.fetch_add(1, Ordering::SeqCst);
        Ok(page)
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.source.end().await
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        self.source.of_subject(subject, after_sequence).await
    }

    fn signal(&self) -> Signal {
        self.source.signal()
    }
}
