//! Contract of orders: what a customer asked for, and what became of it.

use async_trait::async_trait;
use banyan_kernel::{
    Actor, Answer, Context, Currency, CustomerId, Json, Line, Money, OrderId, Place, Quantity, Sku, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod facts;
#[cfg(feature = "testing")]
pub mod testing;

pub use facts::{OpenOrders, OrderFact, OrderFacts, OrderFold, RefusedStep, Settled};

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "orders";

/// Most lines of one order.
pub const LINES_MAX: usize = 200;

/// A line at the price it was promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PricedLine {
    /// Which product.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// What one costs.
    pub unit_price: Money,
}

/// A wish to buy. The order's id is derived from who asks and the key, see `OrderId::derive`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlaceOrder {
    /// The order it becomes.
    pub order: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// Each SKU once, 1 to [`LINES_MAX`].
    pub lines: Vec<Line>,
    /// The gateway's name for the customer's card; never a card number.
    pub payment_method: String,
    /// SHA-256 of the request's body, hexadecimal: tells a repeat from another wish under the same key.
    pub request_hash: String,
    /// Who asks, in which trace.
    pub context: Context,
}

/// Where an order stands, for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Accepted; stock, money and parcel are being arranged.
    Placed,
    /// Paid and on its way to the door: the money was taken.
    Paid,
    /// Handed over.
    Shipped,
    /// Being undone.
    Cancelling,
    /// Undone whole; nothing is owed.
    Cancelled,
    /// Stopped; a person must look.
    Stuck,
}

impl OrderState {
    /// Its name in rows and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Placed, Self::Paid, Self::Shipped, Self::Cancelling, Self::Cancelled, Self::Stuck];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// The first answer to a [`PlaceOrder`]; a repeat gets the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderAccepted {
    /// The order.
    pub id: OrderId,
    /// Always `placed`.
    pub state: OrderState,
    /// What it costs.
    pub total: Money,
    /// Its lines at the promised prices.
    pub lines: Vec<PricedLine>,
    /// When it was accepted.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
}

/// What placing led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Placed {
    /// The first answer.
    pub accepted: OrderAccepted,
    /// Whether it was given before.
    pub repeated: bool,
}

/// What of an order leaves together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderParcel {
    /// The tracking number.
    pub tracking: String,
    /// Where it was packed.
    pub place: Place,
    /// What is in it.
    pub lines: Vec<Line>,
}

/// An order as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// The order.
    pub id: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// Where it stands.
    pub state: OrderState,
    /// Why it was turned back, as a code; absent while it goes forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What it costs.
    pub total: Money,
    /// Its lines at the promised prices.
    pub lines: Vec<PricedLine>,
    /// The tracking number of its first parcel, once booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// Its parcels, once booked: as many as places where its products stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parcels: Vec<OrderParcel>,
    /// When it was accepted.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
    /// When it came to its end.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Counts its events.
    pub version: i64,
    /// The trace id that everything of this order carries.
    pub correlation: String,
}

/// An order as lists show it: as its read model has heard, which may be a moment behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderSummary {
    /// The order.
    pub id: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// Where it stands.
    pub state: OrderState,
    /// Why it was turned back, as a code; absent while it goes forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What it costs.
    pub total: Money,
    /// How many pieces of all products.
    #[schema(minimum = 1)]
    pub pieces: i64,
    /// The tracking number of its first parcel, once booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// When it was accepted.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
    /// When it came to its end.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Counts the events that this shows.
    pub version: i64,
}

/// What was handed over of a product in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sales {
    /// The hour's beginning, UTC.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// The product.
    pub sku: Sku,
    /// In which currency it was sold.
    pub currency: Currency,
    /// In how many orders.
    pub orders: i64,
    /// How many pieces.
    pub pieces: i64,
    /// For how much, in the currency's minor unit. What was given back later is not taken off.
    pub amount_minor: i64,
}

/// One line of an order's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderEventView {
    /// Counts the order's events from 1.
    pub version: i64,
    /// When.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What, in the past tense.
    #[serde(rename = "type")]
    pub kind: String,
    /// The module that did it.
    pub module: String,
    /// The saga's step, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which attempt of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Whether it undid something.
    pub undo: bool,
    /// Why or with which result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Who.
    pub actor: Actor,
    /// The trace id.
    pub correlation: String,
    /// What exactly, as recorded.
    #[schema(value_type = Object)]
    pub data: Json,
}

/// Why an order stands where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The order.
    pub id: OrderId,
    /// Where it stands.
    pub state: OrderState,
    /// The step it is at: `reserve`, `undo capture`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What that step said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Since when it has been at this step.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it is tried next; absent when nothing more will happen by itself.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try: Option<Timestamp>,
    /// Which module it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How often it was asked without an answer.
    pub asked: u32,
    /// What to do, in a sentence.
    pub advice: String,
}

/// How a person gets an order going again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Ask the step again, as a new attempt; the module looks up what the last one did first.
    Retry,
    /// Turn back and undo.
    Cancel,
}

impl Resolution {
    /// Its name in rows and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }
}

/// Told when an order is accepted. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderCreated {
    /// The order.
    pub order: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// What, at which price.
    pub lines: Vec<PricedLine>,
    /// What it costs.
    pub total: Money,
}

/// Told when an order was handed over: paid, and on its way. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderShipped {
    /// The order.
    pub order: OrderId,
    /// The tracking numbers of its parcels; empty where it was told before they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracking: Vec<String>,
}

/// Told when an order was undone whole. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderCancelled {
    /// The order.
    pub order: OrderId,
    /// Why, as a code.
    pub cause: String,
}

impl OrderCreated {
    /// Its name on the bus.
    pub const KIND: &'static str = "OrderCreated";
}
impl OrderShipped {
    /// Its name on the bus.
    pub const KIND: &'static str = "OrderShipped";
}
impl OrderCancelled {
    /// Its name on the bus.
    pub const KIND: &'static str = "OrderCancelled";
}

/// The refusal codes of this port.
pub mod refusals {
    /// A SKU that was never sold.
    pub const UNKNOWN_PRODUCT: &str = "unknown_product";
    /// A SKU that is sold no longer.
    pub const RETIRED_PRODUCT: &str = "retired_product";
    /// The key was used with another body.
    pub const KEY_REUSED: &str = "key_reused";
    /// The same key is being worked on right now.
    pub const IN_FLIGHT: &str = "in_flight";
    /// No such order, or somebody else's.
    pub const UNKNOWN_ORDER: &str = "unknown_order";
    /// Too late: it has been handed over.
    pub const ALREADY_SHIPPED: &str = "already_shipped";
    /// The order is not stuck.
    pub const NOT_STUCK: &str = "not_stuck";
    /// A read model has not come to what a reader asks to see.
    pub const BEHIND: &str = "read_model_behind";
    /// Lines in different currencies, or a sum too large.
    pub const PRICE: &str = "price";
}

/// Which orders to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOrders {
    /// The customer who asks: its own orders are all that it learns of. None for who may read all.
    pub reader: Option<CustomerId>,
    /// Of this customer alone.
    pub customer: Option<CustomerId>,
    /// That stand there.
    pub state: Option<OrderState>,
    /// That were turned back for this reason.
    pub cause: Option<String>,
    /// With this product in them.
    pub sku: Option<Sku>,
    /// Placed at this time or later.
    pub placed_from: Option<Timestamp>,
    /// Strictly older than this order of this time (the `next` of the page before).
    pub before: Option<(Timestamp, OrderId)>,
    /// At most so many, up to 200.
    pub limit: u16,
    /// Orders that the list must show at least at these versions; it is waited for, for a bounded time.
    pub at_least: Vec<(OrderId, i64)>,
}

/// A page of orders, newest first. With a rare wish it may be short, even empty, and not be the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrdersPage {
    /// The orders.
    pub orders: Vec<OrderSummary>,
    /// Where the next page begins; none after the last.
    pub next: Option<(Timestamp, OrderId)>,
}

/// Which sales to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSales {
    /// Of this product alone.
    pub sku: Option<Sku>,
    /// Of this hour or later.
    pub from: Option<Timestamp>,
    /// After this line (the last of the page before).
    pub after: Option<(Timestamp, Sku, Currency)>,
    /// At most so many, up to 200.
    pub limit: u16,
}

/// A page of sales, the newest hour first, then by product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalesPage {
    /// A line an hour and product.
    pub sales: Vec<Sales>,
    /// Where the next page begins; none after the last.
    pub next: Option<(Timestamp, Sku, Currency)>,
}

/// What orders can do for others.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Accepts orders, in one commit. Refusals: `unknown_product`, `retired_product`, `price`, `key_reused`, `in_flight`.
    async fn place(&self, batch: Vec<PlaceOrder>) -> Vec<Answer<Placed>>;
    /// Asks for an order to be undone; done when it is recorded, the undoing follows.
    /// Refusals: `unknown_order`, `already_shipped`.
    async fn cancel(&self, order: OrderId, reason: String, context: Context) -> Answer<OrderView>;
    /// Gets a stuck order going again, recorded with who and why. Refusals: `unknown_order`, `not_stuck`.
    async fn resolve(
        &self,
        order: OrderId,
        how: Resolution,
        reason: String,
        context: Context,
    ) -> Answer<OrderView>;
    /// Orders as they stand; unknown ones, and to a customer who asks (`reader`) those of others, are not in the answer.
    async fn view(&self, orders: Vec<OrderId>, reader: Option<CustomerId>) -> Answer<Vec<OrderView>>;
    /// The newest orders first, of a read model. Refusal: `read_model_behind`.
    async fn list(&self, which: ListOrders) -> Answer<OrdersPage>;
    /// What was sold, of a read model.
    async fn sales(&self, which: ListSales) -> Answer<SalesPage>;
    /// An order's events after a version, oldest first. Refusal: `unknown_order`.
    async fn events(&self, order: OrderId, after: i64) -> Answer<Vec<OrderEventView>>;
    /// Why an order stands where it stands. Refusal: `unknown_order`.
    async fn why(&self, order: OrderId) -> Answer<Why>;
    /// The orders that wait longest or are stopped, worst first, at most 1,000.
    async fn stuck(&self) -> Answer<Vec<Why>>;
}
