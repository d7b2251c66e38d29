//! How orders ended, and which steps were refused: what a report of many orders asks.

use std::collections::BTreeMap;

use banyan_kernel::{OrderId, Timestamp};
use banyan_store::StoreError;
use orders_api::{RefusedStep, Settled};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

const SETTLED: &str = "select o.order_id as id, o.state, o.placed_at, \
     max(e.at) filter (where e.type in ('OrderShipped', 'OrderCancelled')) as ended_at, \
     max(coalesce(e.payload->>'code', 'cancelled')) filter (where e.type in ('StepRefused', 'CancelRequested')) as cause, \
     coalesce(bool_or((e.payload->>'asked_again')::bool), false) as asked_again, \
     bool_or(e.type = 'StepUndone') as compensated, \
     coalesce(max(jsonb_array_length(e.payload->'tracking')) filter (where e.type = 'OrderShipped'), 0) as parcels \
     from orders o join order_event e using (order_id) where o.order_id = any($1) group by o.order_id";
const REFUSED: &str = "select payload->>'step', count(*), (array_agg(order_id order by seq))[1:5] \
     from order_event where type = 'StepRefused' group by 1";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    state: String,
    cause: Option<String>,
    placed_at: Timestamp,
    ended_at: Option<Timestamp>,
    asked_again: bool,
    compensated: bool,
    parcels: i32,
}

/// How these orders stand; unknown ones are left out.
pub(crate) async fn settled(pool: &PgPool, orders: &[OrderId]) -> Result<Vec<Settled>, StoreError> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    let rows: Vec<Row> = sqlx::query_as(SETTLED).bind(ids).fetch_all(pool).await?;
    Ok(rows.into_iter().map(Settled::from).collect())
}

/// How often each step was refused, with a few orders. Reads all events.
pub(crate) async fn refusals(pool: &PgPool) -> Result<BTreeMap<String, RefusedStep>, StoreError> {
    let rows: Vec<(String, i64, Vec<Uuid>)> = sqlx::query_as(REFUSED).fetch_all(pool).await?;
    let cell = |(step, count, orders): (String, i64, Vec<Uuid>)| {
        let orders = orders.into_iter().map(OrderId).collect();
        (step, RefusedStep { count: count.unsigned_abs(), orders })
    };
    Ok(rows.into_iter().map(cell).collect())
}

impl From<Row> for Settled {
    fn from(row: Row) -> Self {
        let Row { id, state, cause, placed_at, ended_at, asked_again, compensated, parcels } = row;
        Self { id: OrderId(id), state, cause, placed_at, ended_at, asked_again, compensated, parcels }
    }
}
