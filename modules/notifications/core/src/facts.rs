//! What this module says of itself, for the audit and for who looks after a running shop.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, OrderId};
use banyan_store::{Store, StoreError};
use notifications_api::{Kind, MailFact, MailFacts, MailsDue};
use uuid::Uuid;

use crate::Notifications;

const FACTS: &str = "select order_id, kind, orders_seen from mail \
     where order_id > $1 and order_id <= $2 order by order_id, at";

const COUNTS: &str = "select kind, count(*) from mail group by kind order by kind";

/// By the partial indexes of due and of refused mails.
const DUE: &str = "select count(*), coalesce(extract(epoch from $1 - min(at)), 0)::float8, \
     (select count(*) from mail where sending = 'refused') from mail where sending = 'due'";

#[async_trait]
impl MailFacts for Notifications {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<MailFact>> {
        read(&self.store, after, upto).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn counts(&self) -> Answer<BTreeMap<String, i64>> {
        counts(&self.store).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn due(&self) -> Answer<MailsDue> {
        due(&self.store).await.map_or_else(StoreError::of_facts, Answer::Done)
    }
}

async fn read(store: &Store, after: OrderId, upto: OrderId) -> Result<Vec<MailFact>, StoreError> {
    let rows: Vec<(Uuid, String, Option<i64>)> =
        sqlx::query_as(FACTS).bind(after.0).bind(upto.0).fetch_all(store.pool()).await?;
    let mut facts: BTreeMap<OrderId, MailFact> = BTreeMap::new();
    for (order, kind, seen) in rows {
        let order = OrderId(order);
        let fact =
            facts.entry(order).or_insert_with(|| MailFact { order, kinds: Vec::new(), orders_seen: 0 });
        fact.kinds.extend(Kind::parse(&kind));
        fact.orders_seen = fact.orders_seen.max(seen.unwrap_or(0));
    }
    Ok(facts.into_values().collect())
}

async fn counts(store: &Store) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(COUNTS).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().collect())
}

async fn due(store: &Store) -> Result<MailsDue, StoreError> {
    let now = store.clock().now();
    let (mails, age, refused): (i64, f64, i64) =
        sqlx::query_as(DUE).bind(now).fetch_one(store.pool()).await?;
    Ok(MailsDue { mails, oldest_s: age.max(0.0), refused })
}
