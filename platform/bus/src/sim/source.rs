//! The source in memory: an outbox with open transactions and a horizon, read by one process.

use async_trait::async_trait;
use banyan_kernel::{Envelope, slot_of};
use banyan_store::{Page, Place, Position, Signal, StoreError};

use super::{
    inbox::Process,
    world::{Bug, Tables, key},
};
use crate::Source;

/// As one process reads it.
pub(crate) struct Read {
    pub process: Process,
    pub signal: Signal,
}

fn horizon(tables: &Tables, bug: Bug) -> Position {
    let xid = tables.open.first().copied().filter(|_| bug != Bug::NoHorizon).unwrap_or(tables.next_xid);
    Position { epoch: tables.epoch, xid: xid - 1, seq: i64::MAX }
}

#[async_trait]
impl Source for Read {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        self.process.step().await;
        if self.process.percent(2) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let page = {
            let tables = self.process.world.tables();
            let end = horizon(&tables, self.process.world.bug).max(after);
            let wanted = |event: &Envelope| slots.contains(&slot_of(&event.subject));
            let rows =
                tables.outbox.iter().filter(|(at, event)| **at > after && **at <= end && wanted(event));
            let rows: Vec<_> =
                rows.take(usize::from(limit)).map(|(at, event)| (Place::from(*at), event.clone())).collect();
            let last = rows.last().map_or(end, |(at, _)| at.position);
            let end = if rows.len() == usize::from(limit) { last } else { end };
            let events = rows.into_iter().filter(|(_, event)| !tables.lost.contains(&key(event)));
            Page { events: events.collect(), end }
        };
        self.process.step().await;
        Ok(page)
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(horizon(&self.process.world.tables(), self.process.world.bug))
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        self.process.step().await;
        let tables = self.process.world.tables();
        let told = tables.outbox.values();
        let told = told.filter(|event| event.subject == subject && event.sequence > after_sequence);
        Ok(told.cloned().collect())
    }

    fn signal(&self) -> Signal {
        self.signal.clone()
    }
}
