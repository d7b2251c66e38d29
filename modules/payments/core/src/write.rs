//! The module's one write: locks, one read, decisions in memory, then a constant number of statements.

use std::collections::{BTreeMap, BTreeSet};

use banyan_kernel::{OrderId, Timestamp};
use banyan_store::{Locks, StoreError, by_halves};

use crate::{
    Payments,
    ledger::{self, Movement},
    payment::{self, Payment},
};

/// What an item makes of its order's payment.
pub(crate) struct Decision<R> {
    /// The payment from now on, where it changed.
    pub(crate) change: Option<Payment>,
    /// The money that moved with it.
    pub(crate) movement: Option<Movement>,
    pub(crate) reply: R,
}

impl Payments {
    /// Decides on all items in one write; only an item whose statement fails sees the error. Items of the
    /// same order see each other's changes.
    pub(crate) async fn write<I, R>(
        &self,
        items: Vec<I>,
        order: impl Fn(&I) -> OrderId + Sync,
        decide: impl Fn(Option<&Payment>, &I, Timestamp) -> Decision<R> + Sync,
    ) -> Vec<Result<R, StoreError>>
    where
        I: Clone + Send + Sync,
        R: Send,
    {
        let (order, decide) = (&order, &decide);
        by_halves(items, &|batch| Box::pin(self.write_once(batch, order, decide))).await
    }

    async fn write_once<I, R>(
        &self,
        batch: Vec<I>,
        order: &(impl Fn(&I) -> OrderId + Sync),
        decide: &(impl Fn(Option<&Payment>, &I, Timestamp) -> Decision<R> + Sync),
    ) -> Result<Vec<R>, StoreError>
    where
        I: Send + Sync,
        R: Send,
    {
        let orders: BTreeSet<OrderId> = batch.iter().map(order).collect();
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let locks = Locks::none().and("order", orders.iter().map(ToString::to_string));
        let mut write = self.store.begin(&locks).await?;
        let now = self.store.clock().now();
        let mut rows = payment::read(write.connection(), &orders).await?;
        let known: BTreeSet<OrderId> = rows.keys().copied().collect();
        let (changed, movements, replies) = decide_all(&batch, &mut rows, now, order, decide);
        if changed.is_empty() {
            write.abandon().await;
            return Ok(replies);
        }
        let (old, new): (Vec<&Payment>, Vec<&Payment>) =
            changed.iter().filter_map(|order| rows.get(order)).partition(|row| known.contains(&row.order));
        payment::put(write.connection(), payment::INSERT, &new).await?;
        payment::put(write.connection(), payment::UPDATE, &old).await?;
        ledger::put(&mut write, &movements, now).await?;
        write.commit().await?;
        Ok(replies)
    }
}

/// In the order of the batch, each item on what those before it left.
fn decide_all<I, R>(
    batch: &[I],
    rows: &mut BTreeMap<OrderId, Payment>,
    now: Timestamp,
    order: impl Fn(&I) -> OrderId,
    decide: impl Fn(Option<&Payment>, &I, Timestamp) -> Decision<R>,
) -> (BTreeSet<OrderId>, Vec<Movement>, Vec<R>) {
    let (mut changed, mut movements) = (BTreeSet::new(), Vec::new());
    let replies = batch.iter().map(|item| {
        let decision = decide(rows.get(&order(item)), item, now);
        if let Some(row) = decision.change {
            changed.insert(row.order);
            rows.insert(row.order, row);
        }
        movements.extend(decision.movement);
        decision.reply
    });
    let replies = replies.collect();
    (changed, movements, replies)
}
