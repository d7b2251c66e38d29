//! The client: shipping that is elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock, Command, OrderId, TraceParent};
use banyan_net::port::PortClient;
use shipping_api::{
    BookShipment, CancelShipment, ParcelView, Parcels, QuoteParcel, Quotes, ShipmentBookedReply,
    ShipmentCancelledReply, ShipmentFact, ShipmentFacts, Shipping,
};
use uuid::Uuid;

use crate::questions::{Facts, OfOrder};

/// Shipping by HTTP.
pub struct HttpShipping {
    /// The way there.
    pub client: PortClient,
    /// For quotes that nobody gives.
    pub clock: Arc<dyn Clock>,
}

/// Reading belongs to no trace that anybody collects.
fn nobodys() -> TraceParent {
    TraceParent::root(Uuid::nil()).unsampled()
}

#[async_trait]
impl Shipping for HttpShipping {
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>> {
        self.client.batch("book", batch).await
    }

    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>> {
        self.client.batch("cancel", batch).await
    }
}

#[async_trait]
impl Parcels for HttpShipping {
    /// Fallback: the shop's own table, which the quotes say.
    async fn quote(&self, wish: QuoteParcel) -> Quotes {
        let said = self.client.whole("quote", wish.trace, &wish).await;
        said.unwrap_or_else(|_| Quotes::by_table(&wish, self.clock.now()))
    }

    async fn parcels(&self, order: OrderId) -> Answer<Vec<ParcelView>> {
        self.client.one("parcels", nobodys(), &OfOrder { order }).await
    }
}

#[async_trait]
impl ShipmentFacts for HttpShipping {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ShipmentFact>> {
        self.client.one("facts", nobodys(), &Facts { after, upto }).await
    }
}
