//! What this module says of itself, for the audit.

use async_trait::async_trait;
use banyan_kernel::{Answer, OrderId};
use banyan_store::{Store, StoreError};
use shipping_api::{ShipmentFact, ShipmentFacts};
use sqlx::{Row, postgres::PgRow};

use crate::Shipping;

pub(crate) const FACTS: &str = "select order_id, state, carrier_id, version, coalesce(orders_seen, 0) as orders_seen, \
     array(select tracking where tracking is not null union all select f->>'tracking' from json_array_elements(further) f \
     where f->>'tracking' is not null) \
     as tracking \
     from shipment where order_id > $1 and order_id <= $2 order by order_id";

#[async_trait]
impl ShipmentFacts for Shipping {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ShipmentFact>> {
        read(self.store(), after, upto).await.map_or_else(StoreError::of_facts, Answer::Done)
    }
}

async fn read(store: &Store, after: OrderId, upto: OrderId) -> Result<Vec<ShipmentFact>, StoreError> {
    let rows = sqlx::query(FACTS).bind(after.0).bind(upto.0).fetch_all(store.pool()).await?;
    Ok(rows.iter().map(fact).collect::<Result<_, _>>()?)
}

fn fact(row: &PgRow) -> Result<ShipmentFact, sqlx::Error> {
    Ok(ShipmentFact {
        order: OrderId(row.try_get("order_id")?),
        state: row.try_get("state")?,
        tracking: row.try_get("tracking")?,
        carrier_id: row.try_get("carrier_id")?,
        version: row.try_get("version")?,
        orders_seen: row.try_get("orders_seen")?,
    })
}
