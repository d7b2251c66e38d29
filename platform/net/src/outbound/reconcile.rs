//! Finds calls without an outcome and makes them again: after a crash, a time-out, garbage, an outage.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use banyan_kernel::{Context, OrderId};
use banyan_store::{Held, StoreError, sqlx};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    BACK_OFF_MAX, Desk, Record, Room, Timing,
    ask::perform,
    desk::{Asked, Decision, write},
};

/// The net below every wake-up.
const POLL: Duration = Duration::from_millis(200);
/// So many calls a turn.
const TURN_MAX: usize = 200;

/// Works on the due intents of a desk. Which desk is its module's own affair.
pub struct Reconciler(Box<dyn Turns>);

/// What a reconciler needs of whatever desk it works on.
#[async_trait]
trait Turns: Send + Sync {
    fn group(&self) -> &'static str;
    /// Changes when the callee answers again.
    fn closed(&self) -> watch::Receiver<u64>;
    /// When `woken` by a callee that answers again, whatever backed off is due.
    async fn turn(&self, slots: &[u16], woken: bool) -> Result<usize, StoreError>;
}

impl Reconciler {
    /// Of this desk.
    pub fn new(desk: impl Desk) -> Self {
        Self(Box::new(Of(desk)))
    }

    /// The group whose slots it works on.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.0.group()
    }

    /// Turns, on the slots held, until told to stop: again at once when the last turn was full, else after a
    /// while, or as soon as the callee answers again or other slots are held.
    pub async fn run(self, mut held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        let mut closed = self.0.closed();
        let mut woken = false;
        while !stop.is_cancelled() {
            let slots: Vec<u16> = held.borrow_and_update().keys().copied().collect();
            let turned = self.0.turn(&slots, woken).await.inspect_err(|error| {
                tracing::warn!(%error, group = self.group(), correlation = "", "a turn failed");
            });
            woken = false;
            if turned.is_ok_and(|asked| asked == TURN_MAX) {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = held.changed() => {}
                Ok(()) = closed.changed() => woken = true,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Asks again for what is due in these slots. Tells for how many; the slower ones settle by themselves.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        self.0.turn(slots, false).await
    }
}

struct Of<D>(D);

#[async_trait]
impl<D: Desk> Turns for Of<D> {
    fn group(&self) -> &'static str {
        D::GROUP
    }

    fn closed(&self) -> watch::Receiver<u64> {
        self.0.caller().closed()
    }

    async fn turn(&self, slots: &[u16], woken: bool) -> Result<usize, StoreError> {
        let most = match self.0.caller().room() {
            _ if slots.is_empty() => return Ok(0),
            Room::Free => TURN_MAX,
            Room::Probe => 1,
            Room::Shut => return Ok(0),
        };
        let due = self.due(slots, woken, most).await?;
        let asked = self.claim(due, woken).await;
        let count = asked.len();
        perform(self.0.clone(), asked).await;
        Ok(count)
    }
}

impl<D: Desk> Of<D> {
    async fn due(&self, slots: &[u16], woken: bool, most: usize) -> Result<Vec<OrderId>, StoreError> {
        let store = self.0.store();
        let now = store.clock().now();
        let latest = now + self.furthest();
        let orders: Vec<sqlx::types::Uuid> = sqlx::query_scalar(D::DUE)
            .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
            .bind(if woken { latest } else { now })
            .bind(latest)
            .bind(most as i64)
            .fetch_all(store.pool())
            .await?;
        Ok(orders.into_iter().map(OrderId).collect())
    }

    /// The furthest next try that a claim sets; one further away was set by a clock that jumped.
    fn furthest(&self) -> Duration {
        BACK_OFF_MAX + self.0.caller().callee().time_out
    }

    /// Commits that they are being asked again; what was settled meanwhile is left alone.
    async fn claim(&self, due: Vec<OrderId>, woken: bool) -> Vec<Asked<D::Row>> {
        let (furthest, timing) = (self.furthest(), Timing::of(self.0.caller().callee()));
        let claimed = write(
            &self.0,
            due,
            |order| *order,
            |row, _, now| {
                let is_due = |row: &&D::Row| {
                    let next = row.intent().next_try_at;
                    next.is_some_and(|next| woken || next <= now || next > now + furthest)
                };
                let asked = row.filter(is_due).map(|row| {
                    let mut row = row.clone();
                    let context = Context::system(D::GROUP, *row.trace());
                    Asked::claim(row, context, &timing, now)
                });
                Decision { change: asked.as_ref().map(|asked| asked.row.clone()), told: None, reply: asked }
            },
        );
        let claimed = claimed.await.into_iter().filter_map(|claimed| {
            let failed =
                |error: &StoreError| tracing::warn!(%error, group = D::GROUP, correlation = "", "not claimed");
            claimed.inspect_err(failed).ok().flatten()
        });
        claimed.collect()
    }
}
