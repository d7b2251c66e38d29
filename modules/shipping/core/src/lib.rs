//! Implementation of shipping: what the carrier is asked for is recorded before it is asked, and what it answers
//! after; no transaction is open in between.
//!
//! One command, file by file: `book` (what it means for the row), [`banyan_net::outbound::ask`] (intent, call,
//! outcome), `carrier` (the call), `depot` (what becomes of the row and the event told with it), [`Shipping::intents`] (what
//! has no outcome yet). What orders tell comes through [`OrdersConsumer`], what the carrier tells through
//! [`TrackingReconciler`].

mod book;
mod cancel;
mod carrier;
mod depot;
mod dispatch;
mod facts;
mod parcel;
mod parcels;
mod quote;
mod shipment;
mod track;

pub use banyan_net::outbound::Callee as CarrierConfig;
pub use dispatch::OrdersConsumer;
pub use track::{TRACK_GROUP, TrackingReconciler, Turned};

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, OrderId};
use banyan_net::outbound::{Reconciler, ask};
use banyan_store::{Schema, Store};
use shipping_api::{
    BookShipment, CancelShipment, ParcelView, QuoteParcel, Quotes, ShipmentBookedReply,
    ShipmentCancelledReply,
};

use carrier::Carrier;
use depot::Depot;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/shipping");

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema { name: shipping_api::NAME, migrations: &MIGRATIONS, insert_only: &[], reads_statistics: false }
}

/// The port, on PostgreSQL and a carrier.
pub struct Shipping(Depot);

impl Shipping {
    /// On `store`, calling the carrier as `config` says.
    ///
    /// # Panics
    /// When no HTTP client can be made, which no input causes.
    #[must_use]
    pub fn new(store: Store, config: CarrierConfig) -> Arc<Self> {
        Arc::new(Self(Depot { store, carrier: Arc::new(Carrier::new(config)) }))
    }

    /// Asks the carrier again for what has no outcome.
    #[must_use]
    pub fn intents(&self) -> Reconciler {
        Reconciler::new(self.0.clone())
    }

    /// Where it keeps its truth.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }
}

#[async_trait]
impl shipping_api::Shipping for Shipping {
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>> {
        ask(&self.0, batch, book::judge).await
    }

    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>> {
        ask(&self.0, batch, cancel::judge).await
    }
}

#[async_trait]
impl shipping_api::Parcels for Shipping {
    async fn quote(&self, wish: QuoteParcel) -> Quotes {
        quote::quote(&self.0.carrier, &wish, self.0.store.clock().now()).await
    }

    async fn parcels(&self, order: OrderId) -> Answer<Vec<ParcelView>> {
        parcels::parcels(&self.0.store, order).await
    }
}
