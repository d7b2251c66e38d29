//! Finds calls without an outcome and asks again: after a crash, a time-out, garbage, an outage.

use std::{collections::BTreeMap, sync::Arc};

use banyan_kernel::{Context, OrderId};
use banyan_net::outbound::{BACK_OFF_MAX, Room, reconcile};
use banyan_store::{Held, StoreError};
use sqlx::types::Uuid;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Payments, ask::Asked, payment::Payment, write::Decision};

/// The group whose slots the reconciler works on.
pub const GROUP: &str = "payments.intents";

/// So many calls a turn.
const TURN_MAX: i64 = 200;

/// What is further away than the largest back-off was written by a clock that jumped: due now.
pub(crate) const DUE: &str = "select order_id from payment where slot = any($1) and next_try_at is not null \
     and (next_try_at <= $2 or next_try_at > $3) order by next_try_at limit $4";

/// Asks again for what has no outcome.
pub struct IntentReconciler {
    payments: Arc<Payments>,
}

impl IntentReconciler {
    /// Of these payments.
    #[must_use]
    pub fn new(payments: Arc<Payments>) -> Self {
        Self { payments }
    }

    /// Works on the slots held until told to stop.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        let closed = self.payments.gateway.closed();
        let me = &self;
        reconcile(held, closed, stop, |slots, woken| async move {
            let turned = me.turn_once(&slots, woken).await;
            let turned = turned.inspect_err(|error| {
                tracing::warn!(%error, group = GROUP, correlation = "", "a turn failed");
            });
            turned.is_ok_and(|asked| asked == TURN_MAX as usize)
        })
        .await;
    }

    /// Asks again for what is due in these slots. Tells for how many; the slower ones settle by themselves.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        self.turn_once(slots, false).await
    }

    /// When `woken` by a gateway that answers again, whatever backed off is due.
    async fn turn_once(&self, slots: &[u16], woken: bool) -> Result<usize, StoreError> {
        let most = match self.payments.gateway.room() {
            Room::Free => TURN_MAX,
            Room::Probe => 1,
            Room::Shut => return Ok(0),
        };
        let due = self.due(slots, woken, most).await?;
        let asked = self.claim(due, woken).await;
        let count = asked.len();
        self.payments.perform(asked).await;
        Ok(count)
    }

    async fn due(&self, slots: &[u16], woken: bool, most: i64) -> Result<Vec<OrderId>, StoreError> {
        let store = self.payments.store();
        let now = store.clock().now();
        let latest = now + self.furthest();
        let slots: Vec<i16> = slots.iter().map(|slot| *slot as i16).collect();
        let orders: Vec<Uuid> = sqlx::query_scalar(DUE)
            .bind(slots)
            .bind(if woken { latest } else { now })
            .bind(latest)
            .bind(most)
            .fetch_all(store.pool())
            .await?;
        Ok(orders.into_iter().map(OrderId).collect())
    }

    /// What a claim may set at most.
    fn furthest(&self) -> std::time::Duration {
        BACK_OFF_MAX + self.payments.gateway.config().time_out
    }

    /// Commits that they are being asked again; what was settled meanwhile is left alone.
    async fn claim(&self, due: Vec<OrderId>, woken: bool) -> Vec<Asked> {
        let furthest = self.furthest();
        let claimed = self.payments.write(due, |order| *order, |payment, _, now| {
            let is_due = |payment: &&Payment| {
                let next = payment.intent.next_try_at;
                next.is_some_and(|next| woken || next <= now || next > now + furthest)
            };
            let asked = payment.filter(is_due).map(|payment| {
                let context = Context::system(GROUP, payment.trace);
                self.payments.claim(payment.clone(), context, now)
            });
            Decision { change: asked.as_ref().map(|asked| asked.payment.clone()), movement: None, reply: asked }
        });
        let claimed = claimed.await.into_iter().map(|claimed| {
            claimed
                .inspect_err(|error| tracing::warn!(%error, group = GROUP, correlation = "", "not claimed"))
                .ok()
                .flatten()
        });
        claimed.flatten().collect()
    }
}
