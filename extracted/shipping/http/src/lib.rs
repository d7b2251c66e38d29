//! Shipping's contract by HTTP, over its traits alone: the operations as a service offers them, and a client that is shipping to
//! whoever asks it.

mod ask;
mod questions;
mod routed;

use std::sync::Arc;

use banyan_net::port::Port;
use shipping_api::{NAME, Parcels, QuoteParcel, ShipmentFacts, Shipping};

pub use ask::HttpShipping;
use questions::{Facts, OfOrder};
pub use routed::RoutedShipping;

/// Whatever implements the contract.
#[derive(Clone)]
pub struct Served {
    /// What others ask.
    pub shipping: Arc<dyn Shipping>,
    /// What those ask who send or follow parcels.
    pub parcels: Arc<dyn Parcels>,
    /// What the audit asks.
    pub facts: Arc<dyn ShipmentFacts>,
}

impl Served {
    /// By one that does all of it.
    pub fn by(all: Arc<impl Shipping + Parcels + ShipmentFacts + 'static>) -> Self {
        Self { shipping: all.clone(), parcels: all.clone(), facts: all }
    }
}

/// The operations.
#[must_use]
pub fn port() -> Port<Served> {
    Port::new(NAME, "A parcel and its way.")
        .batch(
            "book",
            "Books all parcels of an order, or none. Refusals: undeliverable, cancelled.",
            |served: Served, batch| async move { served.shipping.book(batch).await },
        )
        .batch("cancel", "Gives bookings up. Refusal: already_shipped.", |served: Served, batch| async move {
            served.shipping.cancel(batch).await
        })
        .always(
            "quote",
            "What sending would cost, and who says so: the carrier, or the shop's own table.",
            |served: Served, wish: QuoteParcel| async move { served.parcels.quote(wish).await },
        )
        .question(
            "parcels",
            "The parcels of an order that the carrier has taken.",
            |served: Served, OfOrder { order }| async move { served.parcels.parcels(order).await },
        )
        .question(
            "facts",
            "For the audit: the shipments of a range of orders.",
            |served: Served, Facts { after, upto }| async move { served.facts.facts(after, upto).await },
        )
}
