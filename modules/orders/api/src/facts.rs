//! What orders tell the audit, reports, and whoever looks after a running shop, about their own tables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, Money, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{OrderState, PricedLine};

/// An order as its events say, as far as others are measured by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderFold {
    /// Where it stands.
    pub state: OrderState,
    /// What it costs.
    pub total: Money,
    /// Its lines at the promised prices.
    pub lines: Vec<PricedLine>,
    /// The numbers of its parcels.
    pub tracking: Vec<String>,
    /// How many events it has.
    pub version: i64,
    /// How many of them are public.
    pub told: i64,
    /// When the last was recorded.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it ended.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Timestamp>,
}

/// One order's truth, judged within the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderFact {
    /// Which.
    pub id: OrderId,
    /// What its events say, if they can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderFold>,
    /// What is wrong with its events: the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// What is wrong with its row: not the fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Events whose commit order is not the order of their versions.
    pub out_of_order: bool,
    /// Whether a repeat would get another answer than the first.
    pub answers_otherwise: bool,
    /// When it is looked at next; never, where it waits for a person or was forgotten.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// How many of its events the list shows.
    pub listed: i64,
    /// What is wrong with its row of the list: not the fold of so many events, or of fewer than were applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Whether the sales have it.
    pub is_sold: bool,
    /// Whether the sales' group has applied that it was shipped.
    pub sale_heard: bool,
}

/// How one order stands, for a report of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    /// Which.
    pub id: OrderId,
    /// `shipped`, `cancelled`, or where it is.
    pub state: String,
    /// Why it was turned back, as a code.
    pub cause: Option<String>,
    /// When it was accepted.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
    /// When it ended.
    #[serde(with = "banyan_kernel::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Whether the outside did something though its first answer was lost, late or broken.
    pub asked_again: bool,
    /// Whether a step was undone.
    pub compensated: bool,
    /// In how many parcels it went.
    pub parcels: i32,
}

/// How often a step was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedStep {
    /// How often.
    pub count: u64,
    /// A few of the orders, the first first.
    pub orders: Vec<OrderId>,
}

/// Orders that are not ended, of one state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpenOrders {
    /// Where they stand.
    pub state: OrderState,
    /// How many.
    pub orders: i64,
    /// Seconds since the oldest of them was placed.
    pub oldest_s: f64,
}

/// What the audit may ask, and who reports on orders or looks after a running shop. `Broken`: what is there cannot be read.
#[async_trait]
pub trait OrderFacts: Send + Sync {
    /// The last order of the page of at most `limit` orders after this one, or none.
    async fn page_end(&self, after: OrderId, limit: u16) -> Answer<Option<OrderId>>;
    /// Facts about orders with `after < order <= upto`.
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<OrderFact>>;
    /// What is wrong with the sales.
    async fn sales_violations(&self) -> Answer<Vec<String>>;
    /// How these orders stand; unknown ones are left out.
    async fn settled(&self, orders: Vec<OrderId>) -> Answer<Vec<Settled>>;
    /// How often each step was refused, by its name. Reads all events.
    async fn refusals(&self) -> Answer<BTreeMap<String, RefusedStep>>;
    /// Orders that are not ended, by state; a state without orders is left out.
    async fn open(&self) -> Answer<Vec<OpenOrders>>;
}
