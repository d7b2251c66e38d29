//! Expiry: holds that nobody confirmed in time are given back, by whoever owns their slot.

use std::{collections::BTreeMap, time::Duration};

use banyan_kernel::{Context, OrderId, TraceParent};
use banyan_store::{Held, Store, StoreError, by_halves};
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use inventory_api::ReservationState;

use crate::{
    desk::{Desk, locks},
    reservation::Reservation,
};

/// The group under which processes share the slots of due holds.
pub const GROUP: &str = "inventory.expiry";

/// The reason of a release by expiry.
pub(crate) const EXPIRED: &str = "expired";

const DUE: &str = "select order_id from reservation where held and expires_at <= $1 and slot = any($2) \
     order by expires_at limit $3";

/// Holds released in one commit.
const BATCH: usize = 200;
const POLL: Duration = Duration::from_secs(1);

/// Releases expired holds, for as long as there are any: it looks at what is, and needs no message.
pub struct ExpiryReconciler {
    store: Store,
}

impl ExpiryReconciler {
    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Works on the slots that this process holds, until `stop`.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let slots: Vec<u16> = held.borrow().keys().copied().collect();
            let released = self.turn(&slots).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot release expired holds now");
                0
            });
            if released < BATCH {
                // Elapsed means: look again.
                let _ = tokio::time::timeout(POLL, stop.cancelled()).await;
            }
        }
    }

    /// Releases one batch of expired holds of these slots, and tells how many.
    ///
    /// # Errors
    /// Of the database; a hold that cannot be released keeps no other from it.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        let due = self.due(slots).await?;
        let write = |orders| -> BoxFuture<'_, _> { Box::pin(self.release(orders)) };
        let released: Result<Vec<bool>, StoreError> = by_halves(due, &write).await.into_iter().collect();
        Ok(released?.into_iter().filter(|released| *released).count())
    }

    async fn due(&self, slots: &[u16]) -> Result<Vec<OrderId>, StoreError> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = sqlx::query_scalar(DUE)
            .bind(self.store.clock().now())
            .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
            .bind(BATCH as i64)
            .fetch_all(self.store.pool())
            .await?;
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// Looks again under the locks: a hold may have been confirmed since it was found due.
    async fn release(&self, orders: Vec<OrderId>) -> Result<Vec<bool>, StoreError> {
        let mut write = self.store.begin(&locks(&orders)).await?;
        let mut desk = Desk::read(&mut write, &orders, self.store.clock().now()).await?;
        let released = orders.iter().map(|order| release_if_due(&mut desk, *order)).collect();
        desk.write(&mut write).await?;
        write.commit().await?;
        Ok(released)
    }
}

fn release_if_due(desk: &mut Desk, order: OrderId) -> bool {
    let now = desk.now;
    let due = |row: &&Reservation| row.state == ReservationState::Held && row.expires_at <= now;
    let Some(row) = desk.row(order).filter(due) else { return false };
    let trace = row.traceparent.as_deref().and_then(|trace| trace.parse().ok());
    let trace: TraceParent = trace.unwrap_or_else(|| TraceParent::root(order.0));
    let context = Context::system(GROUP, trace);
    desk.give_back(order, EXPIRED, (GROUP, &context));
    true
}
