//! What shipping tells the audit about its own tables. No other module asks for it.

use std::fmt;

use async_trait::async_trait;
use banyan_kernel::{Answer, OrderId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentFact {
    /// Whose.
    pub order: OrderId,
    /// Where it stands: `booked`, `dispatched`, `cancelled`, ...; what ends in -ing has a call under way.
    pub state: String,
    /// What the customer follows its parcels by.
    pub tracking: Vec<String>,
    /// The carrier's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_id: Option<String>,
    /// Counts the events told.
    pub version: i64,
    /// The last of orders' events applied; 0 where none was.
    pub orders_seen: i64,
}

/// What the audit may ask. `Broken`: what is there cannot be read.
#[async_trait]
pub trait ShipmentFacts: Send + Sync {
    /// The shipments of orders with `after < order <= upto`, in order.
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ShipmentFact>>;
}

impl fmt::Display for ShipmentFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state)
    }
}
