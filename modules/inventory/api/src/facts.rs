//! What inventory tells the audit about its own tables. No other module asks for it.

use std::fmt;

use async_trait::async_trait;
use banyan_kernel::{Answer, Line, OrderId, Places, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::StockLevel;

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Kept until it expires.
    Held,
    /// Kept until it is shipped or released.
    Committed,
    /// Gone to the customer.
    Shipped,
    /// Given back.
    Released,
    /// There was not enough.
    Refused,
    /// Undone before it was asked for: a tombstone.
    Cancelled,
}

use ReservationState::{Cancelled, Committed, Held, Refused, Released, Shipped};

/// What inventory knows of one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReservationFact {
    /// The order.
    pub order: OrderId,
    /// Where its reservation stands.
    pub state: ReservationState,
    /// Of what, in SKU order.
    pub lines: Vec<Line>,
    /// Where they stood when they were reserved.
    pub places: Places,
    /// How many events inventory told of it.
    pub version: i64,
    /// The last event heard from orders.
    pub orders_seen: i64,
    /// When the hold ends or ended, if not confirmed.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// A SKU whose numbers do not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockViolation {
    /// What the stock row says.
    pub level: StockLevel,
    /// Sum of the receipts' lines; must be `received`.
    pub receipts: i64,
    /// Sum of the lines of held and committed reservations; must be `reserved`.
    pub kept: i64,
    /// Sum of the lines of shipped reservations; must be `shipped`.
    pub gone: i64,
    /// Sum of what adjustments found; `adjusted` must be the same below nought.
    pub found: i64,
}

/// What the audit may ask.
#[async_trait]
pub trait StockFacts: Send + Sync {
    /// The reservations of orders with `after < order <= upto`, in order.
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ReservationFact>>;
    /// SKUs whose numbers do not add up, at most 100: the sum, its signs, receipts, reservations.
    async fn violations(&self) -> Answer<Vec<StockViolation>>;
}

impl ReservationState {
    /// Its name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Held => "held",
            Committed => "committed",
            Shipped => "shipped",
            Released => "released",
            Refused => "refused",
            Cancelled => "cancelled",
        }
    }

    /// Whether stock is kept for the order, or gone to its customer.
    #[must_use]
    pub fn has_stock(self) -> bool {
        matches!(self, Held | Committed | Shipped)
    }
}

impl TryFrom<String> for ReservationState {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let all = [Held, Committed, Shipped, Released, Refused, Cancelled];
        all.into_iter().find(|state| state.as_str() == text).ok_or(format!("{text:?} is no state"))
    }
}

impl fmt::Display for ReservationFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.lines.iter().map(|line| format!("{} {}", line.quantity.get(), line.sku)).collect();
        write!(f, "{}, of {}", self.state.as_str(), lines.join(", "))
    }
}

impl fmt::Display for StockViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StockLevel { sku, on_hand, reserved, shipped, received, adjusted, .. } = &self.level;
        write!(f, "{sku}: on hand {on_hand} + reserved {reserved} + shipped {shipped}, ")?;
        write!(f, "received {received} - adjusted {adjusted}; ")?;
        write!(f, "receipts {}, kept for orders {}, gone {}", self.receipts, self.kept, self.gone)
    }
}
