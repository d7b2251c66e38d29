//! Orders that are not ended: how many, and for how long the oldest.

use banyan_store::{Store, StoreError};
use opentelemetry::KeyValue;
use orders_api::OrderState;

use super::{gauge, natural, seconds};

/// By the partial index of open orders.
const OPEN: &str = "select state, count(*), extract(epoch from $1 - min(placed_at))::float8 \
     from orders where open group by state";

const STATES: [OrderState; 4] =
    [OrderState::Placed, OrderState::Paid, OrderState::Cancelling, OrderState::Stuck];

pub(super) async fn look(store: &Store) -> Result<(), StoreError> {
    let now = store.clock().now();
    let rows: Vec<(String, i64, f64)> = sqlx::query_as(OPEN).bind(now).fetch_all(store.pool()).await?;
    for state in STATES.map(OrderState::as_str) {
        // A state without orders is told as such, or its last number would stand for ever.
        let found = rows.iter().find(|(name, ..)| name == state);
        let (count, age) = found.map_or((0, 0.0), |(_, count, age)| (*count, age.max(0.0)));
        let state = [KeyValue::new("state", state)];
        gauge("banyan.orders.open", "Orders that are not ended").record(natural(count), &state);
        seconds("banyan.orders.oldest", "Since the oldest of them was placed").record(age, &state);
    }
    Ok(())
}
