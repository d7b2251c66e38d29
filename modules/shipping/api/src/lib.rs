//! Contract of shipping: a parcel and its way.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, CustomerId, Line, OrderId};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[cfg(feature = "testing")]
pub mod testing;

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "shipping";

/// Book a parcel with the carrier. One shipment per order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BookShipment {
    /// To whom; the address stays with the carrier's customer record, no personal data passes here.
    pub customer: CustomerId,
    /// What is in it.
    pub lines: Vec<Line>,
    /// How many public events orders had told of this order when it asked.
    pub orders_sequence: i64,
}

/// Reply to [`BookShipment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentBookedReply {
    /// What the customer follows the parcel by.
    pub tracking: String,
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
    /// The tracking number.
    pub tracking: String,
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
    /// Books parcels. Refusals: `undeliverable`, `cancelled`.
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>>;
    /// Gives bookings up; the command's id is the id of the [`BookShipment`] that it undoes.
    /// Refusal: `already_shipped`.
    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>>;
}
