//! Contract of shipping: a parcel and its way.

use std::time::Duration;

use async_trait::async_trait;
use banyan_kernel::{
    Answer, Command, Currency, CustomerId, Line, Money, OrderId, Place, Timestamp, TraceParent,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod facts;
#[cfg(feature = "testing")]
pub mod testing;

pub use facts::{ShipmentFact, ShipmentFacts};

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "shipping";

/// What leaves in one parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WantedParcel {
    /// Where it stands.
    pub place: Place,
    /// What is in it.
    pub lines: Vec<Line>,
}

/// Book an order's parcels with the carrier: one shipment per order, all of its parcels or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BookShipment {
    /// To whom; the address stays with the carrier's customer record, no personal data passes here.
    pub customer: CustomerId,
    /// As many as stock forces, one at least.
    pub parcels: Vec<WantedParcel>,
    /// How many public events orders had told of this order when it asked.
    pub orders_sequence: i64,
}

/// Reply to [`BookShipment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentBookedReply {
    /// What the customer follows the parcels by, in the order in which they were wanted.
    pub tracking: Vec<String>,
    /// Whether the answer had to be asked for again, since the first was lost, late or broken.
    pub asked_again: bool,
}

/// Undo [`BookShipment`]; leaves a tombstone where nothing was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelShipment {
    /// Why, as a code.
    pub reason: String,
}

/// Reply to [`CancelShipment`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentCancelledReply {}

/// Told when the carrier took the booking. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentBooked {
    /// Whose.
    pub order: OrderId,
    /// The tracking number of its first parcel.
    pub tracking: String,
    /// Those of its further parcels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<String>,
}

/// Told when a booking was given up. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentCancelled {
    /// Whose.
    pub order: OrderId,
    /// Why, as a code.
    pub reason: String,
}

impl ShipmentBooked {
    /// Its name on the bus.
    pub const KIND: &'static str = "ShipmentBooked";
}
impl ShipmentCancelled {
    /// Its name on the bus.
    pub const KIND: &'static str = "ShipmentCancelled";
}

/// Told when a parcel is with its customer. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentDelivered {
    /// Whose.
    pub order: OrderId,
    /// The tracking number.
    pub tracking: String,
    /// Whether the customer has all of the order's parcels by it.
    #[serde(default = "whole")]
    pub whole: bool,
}

/// Of a time when each order was one parcel.
fn whole() -> bool {
    true
}

/// Told when a parcel came back. What follows (a refund, stock) is for staff. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentReturned {
    /// Whose.
    pub order: OrderId,
    /// The tracking number.
    pub tracking: String,
}

impl ShipmentDelivered {
    /// Its name on the bus.
    pub const KIND: &'static str = "ShipmentDelivered";
}
impl ShipmentReturned {
    /// Its name on the bus.
    pub const KIND: &'static str = "ShipmentReturned";
}

/// What would be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteParcel {
    /// How many pieces, one at least.
    pub items: i64,
    /// In which currency it is to be quoted.
    pub currency: Currency,
    /// The trace it belongs to.
    pub trace: TraceParent,
}

/// Who says what it would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuoteSource {
    /// The carrier, now.
    Carrier,
    /// The shop's own table, since the carrier does not say.
    Table,
}

/// One way to send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceQuote {
    /// Its name.
    #[schema(example = "standard")]
    pub service: String,
    /// What it would cost.
    pub price: Money,
    /// By when it would be there.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub promised_by: Timestamp,
}

/// All ways to send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quotes {
    /// Who says so.
    pub source: QuoteSource,
    /// The cheapest first.
    pub services: Vec<ServiceQuote>,
}

/// The shop's own: dear and late enough to be kept, by whoever finds that the carrier does not say.
const TABLE: (&str, i64, i64, Duration) = ("standard", 690, 30, Duration::from_secs(7 * 24 * 60 * 60));

impl Quotes {
    /// The fallback: what the shop's own table says, and that it is the table which says so.
    #[must_use]
    pub fn by_table(wish: &QuoteParcel, now: Timestamp) -> Self {
        let (service, first, further, within) = TABLE;
        let further = wish.items.saturating_sub(1).saturating_mul(further);
        let price = Money { minor: further.saturating_add(first), currency: wish.currency };
        let service = ServiceQuote { service: service.to_owned(), price, promised_by: now + within };
        Self { source: QuoteSource::Table, services: vec![service] }
    }
}

/// Where a parcel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParcelState {
    /// The carrier will fetch it.
    Booked,
    /// It has left the house.
    Dispatched,
    /// The customer has it.
    Delivered,
    /// It came back.
    Returned,
    /// It was given up before it left.
    Cancelled,
}

/// A parcel, for who follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParcelView {
    /// The tracking number.
    pub tracking: String,
    /// Where it was packed.
    pub place: Place,
    /// Where it is.
    pub state: ParcelState,
    /// By when the carrier said, at its booking, that it would be there.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub promised_by: Option<Timestamp>,
    /// When it was delivered, or came back.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub arrived_at: Option<Timestamp>,
}

/// The refusal codes of this port.
pub mod refusals {
    /// The carrier does not take it.
    pub const UNDELIVERABLE: &str = "undeliverable";
    /// Cancelling what has left the house.
    pub const ALREADY_SHIPPED: &str = "already_shipped";
}

/// What shipping can do for others. Batches answer in the order asked; a repeat of an id gets the first
/// answer; no call to the carrier is made inside a transaction.
#[async_trait]
pub trait Shipping: Send + Sync {
    /// Books all parcels of an order, or none. Refusals: `undeliverable`, `cancelled`.
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>>;
    /// Gives bookings up; the command's id is the id of the [`BookShipment`] that it undoes.
    /// Refusal: `already_shipped`.
    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>>;
}

/// What shipping can do for who sends or follows parcels.
#[async_trait]
pub trait Parcels: Send + Sync {
    /// What sending would cost. Where the carrier does not say in time, the shop's own table does.
    async fn quote(&self, wish: QuoteParcel) -> Quotes;
    /// The parcels of an order that the carrier has taken.
    async fn parcels(&self, order: OrderId) -> Answer<Vec<ParcelView>>;
}
