//! Delayed: what did not happen is told as well, once.

use std::{collections::BTreeMap, time::Duration};

use banyan_kernel::OrderId;
use banyan_store::{Held, Locks, Store, StoreError};
use notifications_api::Kind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::mail;

/// The group under which processes share the slots.
pub const DELAYED_GROUP: &str = "notifications.delayed";

const DUE: &str = "select m.order_id from mail m where m.open and m.slot = any($1) and m.at <= $2 \
     and not exists (select from mail d where d.order_id = m.order_id and d.kind = 'delayed') order by m.at limit $3";
const STILL_OPEN: &str = "select order_id from mail where order_id = any($1) and kind = 'confirmed' and open";

const BATCH: i64 = 200;
const POLL: Duration = Duration::from_secs(5);

/// Tells customers whose order is neither shipped nor undone for too long.
pub struct DelayedReconciler {
    store: Store,
    after: Duration,
    is_sent: bool,
}

impl DelayedReconciler {
    /// An order is late `after` so long; `is_sent` where there is a server to send by.
    #[must_use]
    pub fn new(store: Store, after: Duration, is_sent: bool) -> Self {
        Self { store, after, is_sent }
    }

    /// Works on the slots that this process holds, until `stop`.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let slots: Vec<u16> = held.borrow().keys().copied().collect();
            if let Err(error) = self.turn(&slots).await {
                tracing::warn!(%error, "cannot look for late orders now");
            }
            // Elapsed means: look again.
            let _ = tokio::time::timeout(POLL, stop.cancelled()).await;
        }
    }

    /// Tells one batch, and how many that were.
    ///
    /// # Errors
    /// Of the database.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        let now = self.store.clock().now();
        let due: Vec<Uuid> = sqlx::query_scalar(DUE)
            .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
            .bind(now - self.after)
            .bind(BATCH)
            .fetch_all(self.store.pool())
            .await?;
        if due.is_empty() {
            return Ok(0);
        }
        let orders: Vec<OrderId> = due.into_iter().map(OrderId).collect();
        let locks = Locks::none().and("order", orders.iter().map(OrderId::to_string));
        let mut write = self.store.begin(&locks).await?;
        // Looked at again under the locks: its end may have been heard meanwhile.
        let open: Vec<Uuid> = sqlx::query_scalar(STILL_OPEN)
            .bind(orders.iter().map(|order| order.0).collect::<Vec<_>>())
            .fetch_all(write.connection())
            .await?;
        let open: Vec<OrderId> = open.into_iter().map(OrderId).collect();
        let first = mail::first(write.connection(), &open).await?;
        let late: Vec<_> = first.iter().map(|first| first.about(Kind::Delayed, now)).collect();
        mail::insert(&mut write, &late, self.is_sent).await?;
        write.commit().await?;
        Ok(late.len())
    }
}
