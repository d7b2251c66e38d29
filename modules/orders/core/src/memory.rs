//! Orders in memory: the semantics of [`crate::PostgresLog`], for tests.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{OrderId, Timestamp, slot_of};
use banyan_store::StoreError;

use crate::{
    BACK_OFF_MAX,
    event::SCHEMA_VERSION,
    log::{Kept, Loaded, OrderLog, Save},
    order::{Order, Recorded},
    postgres::{EventRow, fold},
};

/// Orders in memory.
#[derive(Default)]
pub(crate) struct MemoryLog {
    rows: Mutex<BTreeMap<OrderId, Row>>,
    /// A bug that a test plants: a save does not look at the version.
    pub is_careless: bool,
}

/// An order's row and its events.
#[derive(Clone)]
pub(crate) struct Row {
    pub order: Order,
    pub events: Vec<Recorded>,
    pub asked: u32,
    pub waiting: Option<String>,
    pub due_at: Option<Timestamp>,
    slot: u16,
}

impl MemoryLog {
    /// Keeps a new order, due at once.
    pub fn place(&self, (order, first): (Order, Recorded)) {
        let due_at = Some(order.placed_at);
        let slot = slot_of(&order.id.to_string());
        let row = Row { events: vec![first], asked: 0, waiting: None, due_at, slot, order };
        self.rows().insert(row.order.id, row);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Row> {
        self.rows().values().cloned().collect()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<OrderId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, rows: &mut BTreeMap<OrderId, Row>, save: &Save) -> Kept {
        let Some(row) = rows.get_mut(&save.order.id) else { return Kept::Outrun };
        if row.order.version != save.expected && !self.is_careless {
            return Kept::Outrun;
        }
        row.events.extend(save.events.iter().cloned());
        row.order = save.order.clone();
        (row.asked, row.waiting, row.due_at) = (save.asked, save.waiting.clone(), save.due_at);
        Kept::Kept
    }
}

impl Row {
    /// Reads the events back as the database would return them: chain verified, then folded.
    pub fn refold(&self) -> Result<Order, String> {
        let stored = |event: &Recorded| EventRow {
            order_id: self.order.id.0,
            version: i32::try_from(event.version).expect("few events"),
            sequence: event.sequence.map(|sequence| i16::try_from(sequence).expect("few events")),
            kind: event.kind.clone(),
            schema_version: SCHEMA_VERSION.cast_signed(),
            payload: event.payload.clone(),
            hash: event.hash.to_vec(),
            at: event.at,
            traceparent: (event.version == 1).then(|| self.order.trace.to_string()),
        };
        fold(self.order.id, self.events.iter().map(stored).collect()).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl OrderLog for MemoryLog {
    async fn due(
        &self,
        slots: &[u16],
        now: Timestamp,
        except: &HashSet<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError> {
        let is_due = |at: Timestamp| at <= now || at > now + BACK_OFF_MAX;
        let is_mine = |id: &OrderId, row: &Row| slots.contains(&row.slot) && !except.contains(id);
        let rows = self.rows();
        let mut due: Vec<(Timestamp, OrderId)> = rows
            .iter()
            .filter(|(id, row)| row.order.ended.is_none() && is_mine(id, row))
            .filter(|(_, row)| row.due_at.is_some_and(is_due))
            .map(|(id, row)| (row.order.placed_at, *id))
            .collect();
        due.sort_unstable();
        Ok(due.into_iter().take(limit.into()).map(|(_, id)| id).collect())
    }

    async fn load(&self, orders: &[OrderId]) -> Result<Vec<Loaded>, StoreError> {
        let rows = self.rows();
        let loaded = orders.iter().filter_map(|id| rows.get(id)).map(|row| Loaded {
            order: row.order.clone(),
            asked: row.asked,
            waiting: row.waiting.clone(),
            due_at: row.due_at,
        });
        Ok(loaded.collect())
    }

    async fn save(&self, batch: &[Save]) -> Result<Vec<Kept>, StoreError> {
        let mut rows = self.rows();
        Ok(batch.iter().map(|save| self.keep(&mut rows, save)).collect())
    }

    async fn put_off(&self, orders: &[OrderId], until: Timestamp, why: &str) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for id in orders {
            if let Some(row) = rows.get_mut(id).filter(|row| row.order.ended.is_none()) {
                (row.due_at, row.asked, row.waiting) = (Some(until), row.asked + 1, Some(why.to_owned()));
            }
        }
        Ok(())
    }
}

mod tests {
    use banyan_kernel::{Clock, ManualClock};

    use super::*;
    use crate::{log_suite, stage::order};

    struct InMemory(MemoryLog, ManualClock);

    #[async_trait]
    impl log_suite::LogUnderTest for InMemory {
        fn log(&self) -> &dyn OrderLog {
            &self.0
        }

        fn now(&self) -> Timestamp {
            self.1.now()
        }

        async fn place(&self, name: &str) -> OrderId {
            let placed = order(name, self.now());
            let id = placed.0.id;
            self.0.place(placed);
            self.1.advance_micros(1);
            id
        }
    }

    #[tokio::test]
    async fn memory_conforms() {
        log_suite::conformance(&InMemory(MemoryLog::default(), ManualClock::at_micros(0))).await;
    }
}
