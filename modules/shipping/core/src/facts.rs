//! What this module says of itself, for the audit.

use std::fmt;

use banyan_kernel::OrderId;
use banyan_store::StoreError;
use sqlx::{Row, postgres::PgRow};

use crate::Shipping;

pub(crate) const FACTS: &str = "select order_id, state, carrier_id, version, coalesce(orders_seen, 0) as orders_seen, \
     array(select tracking where tracking is not null union all select f->>'tracking' from json_array_elements(further) f \
     where f->>'tracking' is not null) \
     as tracking \
     from shipment where order_id > $1 and order_id <= $2 order by order_id";

/// One shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipmentFact {
    /// Whose.
    pub order: OrderId,
    /// Where it stands: `booked`, `dispatched`, `cancelled`, ...; what ends in -ing has a call under way.
    pub state: String,
    /// What the customer follows its parcels by.
    pub tracking: Vec<String>,
    /// The carrier's id.
    pub carrier_id: Option<String>,
    /// Counts the events told.
    pub version: i64,
    /// The last of orders' events applied; 0 where none was.
    pub orders_seen: i64,
}

impl fmt::Display for ShipmentFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state)
    }
}

impl Shipping {
    /// The shipments of the orders after one and up to another, in their order.
    ///
    /// # Errors
    /// As any statement.
    pub async fn facts(&self, after: OrderId, upto: OrderId) -> Result<Vec<ShipmentFact>, StoreError> {
        let rows = sqlx::query(FACTS).bind(after.0).bind(upto.0).fetch_all(self.store().pool()).await?;
        Ok(rows.iter().map(fact).collect::<Result<_, _>>()?)
    }
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
