//! What this module says of itself, for the audit.

use std::collections::BTreeMap;

use banyan_kernel::OrderId;
use banyan_store::StoreError;
use notifications_api::Kind;
use uuid::Uuid;

use crate::Notifications;

const FACTS: &str = "select order_id, kind, orders_seen from mail \
     where order_id > $1 and order_id <= $2 order by order_id, at";

const COUNTS: &str = "select kind, count(*) from mail group by kind order by kind";

/// What a customer was told of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailFact {
    /// The kinds, in the order they were written.
    pub kinds: Vec<Kind>,
    /// The last of orders' events applied.
    pub orders_seen: i64,
}

impl Notifications {
    /// How many mails of each kind there are.
    ///
    /// # Errors
    /// As any statement.
    pub async fn counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(COUNTS).fetch_all(self.store().pool()).await?;
        Ok(rows.into_iter().collect())
    }

    /// What was told of the orders after one and up to another.
    ///
    /// # Errors
    /// As any statement.
    pub async fn facts(
        &self,
        after: OrderId,
        upto: OrderId,
    ) -> Result<BTreeMap<OrderId, MailFact>, StoreError> {
        let rows: Vec<(Uuid, String, Option<i64>)> =
            sqlx::query_as(FACTS).bind(after.0).bind(upto.0).fetch_all(self.store().pool()).await?;
        let mut facts: BTreeMap<OrderId, MailFact> = BTreeMap::new();
        for (order, kind, seen) in rows {
            let fact = facts.entry(OrderId(order)).or_default();
            fact.kinds.extend(Kind::parse(&kind));
            fact.orders_seen = fact.orders_seen.max(seen.unwrap_or(0));
        }
        Ok(facts)
    }
}
