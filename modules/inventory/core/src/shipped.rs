//! What orders tell: a shipped order's stock is gone.

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, OrderId, Sequenced};
use banyan_store::{Locks, Store, StoreError, Write};
use orders_api::{OrderCancelled, OrderCreated, OrderShipped};

use inventory_api::ReservationState;

use crate::{
    desk::{Desk, locks},
    reservation::Reservation,
};

/// Applies orders' events to reservations: committed becomes shipped.
pub struct OrdersConsumer {
    store: Store,
}

impl OrdersConsumer {
    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Consumer for OrdersConsumer {
    fn group(&self) -> &'static str {
        "inventory.orders"
    }

    fn source(&self) -> &'static str {
        orders_api::NAME
    }

    fn store(&self) -> &Store {
        &self.store
    }

    /// The SKUs follow in `Desk::write`, as everywhere: the rows that name them are not read yet.
    fn locks(&self, batch: &[Envelope]) -> Locks {
        locks(&subjects(batch))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let mut desk = Desk::read(write, &subjects(batch), self.store.clock().now()).await?;
        let applied = batch.iter().map(|event| decide(&mut desk, event)).collect();
        desk.write(write).await?;
        Ok(applied)
    }
}

fn subjects(batch: &[Envelope]) -> Vec<OrderId> {
    batch.iter().filter_map(|event| event.subject.parse().ok()).collect()
}

fn decide(desk: &mut Desk, event: &Envelope) -> Applied {
    let Ok(order) = event.subject.parse() else {
        return Applied::Poison(format!("{:?} is no order", event.subject));
    };
    let Some(row) = desk.row_mut(order) else {
        return match event.kind.as_str() {
            OrderShipped::KIND => Applied::Poison("no reservation".to_owned()),
            _ => Applied::Skipped,
        };
    };
    match judge(row, event.sequence) {
        Sequenced::Duplicate => Applied::Duplicate,
        Sequenced::Gap => Applied::Gap { seen: row.orders_seen },
        Sequenced::Next => advance(row, event),
    }
}

/// A tombstone does not know where orders stood when it was made: it goes on from the first it hears.
fn judge(row: &Reservation, sequence: i64) -> Sequenced {
    match (row.state, row.orders_seen) {
        (ReservationState::Cancelled, 0) => Sequenced::Next,
        (_, seen) => Sequenced::judge(seen, sequence),
    }
}

fn advance(row: &mut Reservation, event: &Envelope) -> Applied {
    let applied = match event.kind.as_str() {
        OrderShipped::KIND => match row.state {
            ReservationState::Committed | ReservationState::Shipped => {
                row.state = ReservationState::Shipped;
                Applied::Done
            }
            state => return Applied::Poison(format!("shipped, but its reservation is {}", state.as_str())),
        },
        OrderCreated::KIND | OrderCancelled::KIND => Applied::Done,
        _ => Applied::Skipped,
    };
    row.orders_seen = event.sequence;
    applied
}
