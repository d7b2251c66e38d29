//! The routed form: shipping on both sides.

use std::convert::Infallible;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, OrderId};
use banyan_net::route::Route;
use shipping_api::{
    BookShipment, CancelShipment, ParcelView, Parcels, QuoteParcel, Quotes, ShipmentBookedReply,
    ShipmentCancelledReply, ShipmentFact, ShipmentFacts, Shipping,
};

use crate::Served;

/// Shipping here and elsewhere: what is of an order goes by the order, a quote by chance.
pub struct RoutedShipping(pub Route<Served>);

#[async_trait]
impl Shipping for RoutedShipping {
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>> {
        self.0.batch(batch, |side, batch| async move { side.shipping.book(batch).await }).await
    }

    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>> {
        self.0.batch(batch, |side, batch| async move { side.shipping.cancel(batch).await }).await
    }
}

#[async_trait]
impl Parcels for RoutedShipping {
    /// It is of the hour and may be the carrier's: two that are asked for one after the other are two, so it has no shadow.
    async fn quote(&self, wish: QuoteParcel) -> Quotes {
        let ask = |side: Served, wish| async move { Ok::<_, Infallible>(side.parcels.quote(wish).await) };
        let Ok(quotes) = self.0.change(None, wish, ask).await;
        quotes
    }

    async fn parcels(&self, order: OrderId) -> Answer<Vec<ParcelView>> {
        let ask = |side: Served, order| async move { side.parcels.parcels(order).await };
        self.0.read("parcels", Some(&order.to_string()), order, ask).await
    }
}

#[async_trait]
impl ShipmentFacts for RoutedShipping {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ShipmentFact>> {
        let ask = move |side: Served, ()| async move { side.facts.facts(after, upto).await };
        self.0.read("facts", None, (), ask).await
    }
}
