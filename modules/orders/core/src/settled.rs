//! How orders ended, and which steps were refused: what a report of many orders asks.

use std::collections::BTreeMap;

use banyan_kernel::{OrderId, Timestamp};
use banyan_store::StoreError;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::Orders;

const SETTLED: &str = "select o.order_id as id, o.state, o.placed_at, \
     max(e.at) filter (where e.type in ('OrderShipped', 'OrderCancelled')) as ended_at, \
     max(coalesce(e.payload->>'code', 'cancelled')) filter (where e.type in ('StepRefused', 'CancelRequested')) as cause, \
     coalesce(bool_or((e.payload->>'asked_again')::bool), false) as asked_again, \
     bool_or(e.type = 'StepUndone') as compensated, \
     coalesce(max(jsonb_array_length(e.payload->'tracking')) filter (where e.type = 'OrderShipped'), 0) as parcels \
     from orders o join order_event e using (order_id) where o.order_id = any($1) group by o.order_id";
const REFUSED: &str = "select payload->>'step', count(*), (array_agg(order_id order by seq))[1:5] \
     from order_event where type = 'StepRefused' group by 1";

/// How one order stands.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Settled {
    /// Which.
    pub id: Uuid,
    /// `shipped`, `cancelled`, or where it is.
    pub state: String,
    /// Why it was turned back, as a code.
    pub cause: Option<String>,
    /// When it was accepted.
    #[serde(with = "banyan_kernel::rfc3339")]
    pub placed_at: Timestamp,
    /// When it ended.
    #[serde(with = "banyan_kernel::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
    /// Whether the outside did something though its first answer was lost, late or broken.
    pub asked_again: bool,
    /// Whether a step was undone.
    pub compensated: bool,
    /// In how many parcels it went.
    pub parcels: i32,
}

impl Orders {
    /// How these orders stand; unknown ones are left out.
    ///
    /// # Errors
    /// As any statement.
    pub async fn settled(&self, orders: &[OrderId]) -> Result<Vec<Settled>, StoreError> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        Ok(sqlx::query_as(SETTLED).bind(ids).fetch_all(self.store.pool()).await?)
    }

    /// How often each step was refused, with a few orders. Reads all events.
    ///
    /// # Errors
    /// As any statement.
    pub async fn refusals(&self) -> Result<BTreeMap<String, (u64, Vec<OrderId>)>, StoreError> {
        let rows: Vec<(String, i64, Vec<Uuid>)> =
            sqlx::query_as(REFUSED).fetch_all(self.store.pool()).await?;
        let cell = |(step, count, orders): (String, i64, Vec<Uuid>)| {
            (step, (count.unsigned_abs(), orders.into_iter().map(OrderId).collect()))
        };
        Ok(rows.into_iter().map(cell).collect())
    }
}
