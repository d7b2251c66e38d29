//! What orders tell: who bought something no longer wishes for it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, Sequenced};
use banyan_store::{Locks, Store, StoreError, Write};
use orders_api::OrderCreated;
use uuid::Uuid;

const SEEN: &str = "select order_id, seen from heard where order_id = any($1)";
const FORGET: &str = "delete from wish using unnest($1::uuid[], $2::text[]) as t(customer, sku) \
     where wish.customer_id = t.customer and wish.sku = t.sku";
const HEARD: &str = "insert into heard (order_id, seen) select * from unnest($1::uuid[], $2::int8[]) \
     on conflict (order_id) do update set seen = excluded.seen";

/// Applies orders' events to wishes.
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
        "wishlist.orders"
    }

    fn source(&self) -> &'static str {
        orders_api::NAME
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("order", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let orders: Vec<Uuid> = batch.iter().filter_map(|event| event.subject.parse().ok()).collect();
        let seen: Vec<(Uuid, i64)> =
            sqlx::query_as(SEEN).bind(orders).fetch_all(write.connection()).await?;
        let mut seen: BTreeMap<Uuid, i64> = seen.into_iter().collect();
        let mut bought = Vec::new();
        let applied = batch.iter().map(|event| decide(&mut seen, &mut bought, event)).collect();
        let (customers, skus): (Vec<Uuid>, Vec<String>) = bought.into_iter().unzip();
        sqlx::query(FORGET).bind(customers).bind(skus).execute(write.connection()).await?;
        let (orders, seen): (Vec<Uuid>, Vec<i64>) = seen.into_iter().unzip();
        sqlx::query(HEARD).bind(orders).bind(seen).execute(write.connection()).await?;
        Ok(applied)
    }
}

fn decide(seen: &mut BTreeMap<Uuid, i64>, bought: &mut Vec<(Uuid, String)>, event: &Envelope) -> Applied {
    let Ok(order) = event.subject.parse() else {
        return Applied::Poison(format!("{:?} is no order", event.subject));
    };
    let last = seen.get(&order).copied().unwrap_or(0);
    match Sequenced::judge(last, event.sequence) {
        Sequenced::Duplicate => return Applied::Duplicate,
        Sequenced::Gap => return Applied::Gap { seen: last },
        Sequenced::Next => seen.insert(order, event.sequence),
    };
    if event.kind != OrderCreated::KIND {
        return Applied::Skipped;
    }
    match serde_json::from_value::<OrderCreated>(event.data.clone()) {
        Ok(created) => {
            bought.extend(created.lines.iter().map(|line| (created.customer.0, line.sku.to_string())));
            Applied::Done
        }
        Err(error) => Applied::Poison(error.to_string()),
    }
}
