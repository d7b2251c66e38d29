//! Orders that are not ended: how many, and for how long the oldest.

use banyan_store::{Store, StoreError};
use orders_api::{OpenOrders, OrderState};

/// By the partial index of open orders.
const OPEN: &str = "select state, count(*), extract(epoch from $1 - min(placed_at))::float8 \
     from orders where open group by state";

pub(crate) async fn open(store: &Store) -> Result<Vec<OpenOrders>, StoreError> {
    let now = store.clock().now();
    let rows: Vec<(String, i64, f64)> = sqlx::query_as(OPEN).bind(now).fetch_all(store.pool()).await?;
    let of_state = |(state, orders, age): (String, i64, f64)| {
        Some(OpenOrders { state: OrderState::parse(&state)?, orders, oldest_s: age.max(0.0) })
    };
    Ok(rows.into_iter().filter_map(of_state).collect())
}
