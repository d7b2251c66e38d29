//! What this module says of itself, for the audit.

use banyan_kernel::OrderId;
use banyan_store::StoreError;
use sqlx::types::Uuid;

use crate::Shipping;

pub(crate) const FACTS: &str = "select order_id, state, tracking, carrier_id, version, coalesce(orders_seen, 0) \
     from shipment where order_id > $1 and order_id <= $2 order by order_id";

/// One shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipmentFact {
    /// Whose.
    pub order: OrderId,
    /// Where it stands: `booked`, `dispatched`, `cancelled`, ...; what ends in -ing has a call under way.
    pub state: String,
    /// What the customer follows the parcel by.
    pub tracking: Option<String>,
    /// The carrier's id.
    pub carrier_id: Option<String>,
    /// Counts the events told.
    pub version: i64,
    /// The last of orders' events applied; 0 where none was.
    pub orders_seen: i64,
}

impl Shipping {
    /// The shipments of the orders after one and up to another, in their order.
    ///
    /// # Errors
    /// As any statement.
    pub async fn facts(&self, after: OrderId, upto: OrderId) -> Result<Vec<ShipmentFact>, StoreError> {
        let rows: Vec<(Uuid, String, Option<String>, Option<String>, i64, i64)> =
            sqlx::query_as(FACTS).bind(after.0).bind(upto.0).fetch_all(self.store().pool()).await?;
        let fact = |(order, state, tracking, carrier_id, version, orders_seen)| ShipmentFact {
            order: OrderId(order),
            state,
            tracking,
            carrier_id,
            version,
            orders_seen,
        };
        Ok(rows.into_iter().map(fact).collect())
    }
}
