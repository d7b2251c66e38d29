//! Orders: each is a stream of events; a saga takes it from a basket to a parcel, or back.
//!
//! Read in this order: [`saga::next`] decides, `drive` asks and records, [`mod@log`] keeps, `place` begins.

#[cfg(test)]
extern crate self as orders_core;

mod cancel;
pub mod chain;
mod drive;
mod event;
mod facts;
mod history;
mod list;
pub mod log;
#[cfg(test)]
#[path = "../tests/it/log_suite.rs"]
mod log_suite;
mod measure;
#[cfg(test)]
mod memory;
mod open;
mod order;
mod place;
mod postgres;
mod reconcile;
mod resolve;
pub mod saga;
mod sales;
mod settled;
#[cfg(test)]
mod sim;
mod source;
mod spans;
#[cfg(test)]
mod stage;
mod view;
mod why;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, CustomerId, OrderId};
use banyan_store::{Schema, Signal, Store, StoreError};
use catalog_api::Catalog;
use orders_api::{
    ListOrders, ListSales, OrderEventView, OrderView, OrdersPage, PlaceOrder, Placed, Resolution, SalesPage,
    Why,
};

pub use drive::{DriveConfig, Driver, Ports};
pub use event::{Created, OrderEvent};
pub use list::OrderList;
pub use order::{Order, StepState};
pub use postgres::PostgresLog;
pub use reconcile::SagaReconciler;
pub use saga::Step;
pub use sales::SalesByHour;
pub use source::{HISTORY, OrdersSource};

/// The module's migrations, applied after the platform's.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/orders");

/// What the administrator prepares for this module.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: orders_api::NAME,
        migrations: &MIGRATIONS,
        insert_only: &["order_event"],
        reads_statistics: false,
    }
}

/// The module: the port's real implementation.
pub struct Orders {
    store: Store,
    log: PostgresLog,
    catalog: Arc<dyn Catalog>,
}

impl Orders {
    /// The module's store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// On its own schema; prices come from `catalog`.
    #[must_use]
    pub fn new(store: Store, catalog: Arc<dyn Catalog>) -> Arc<Self> {
        Arc::new(Self { log: PostgresLog::new(store.clone()), store, catalog })
    }

    /// Its public events.
    #[must_use]
    pub fn source(&self) -> OrdersSource {
        OrdersSource::new(self.store.clone())
    }

    /// The saga over these participants.
    #[must_use]
    pub fn saga(&self, ports: Ports, config: DriveConfig) -> SagaReconciler {
        let clock = self.store.clock().clone();
        let driver = Driver::new(Arc::new(self.log.clone()), ports, clock, config);
        SagaReconciler::new(driver, self.store.signal().clone())
    }

    /// Raised after each commit of this process.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.store.signal().clone()
    }
}

/// How long a step that was not answered is left alone at most.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// What a port answers when the database did.
fn answer<T>(result: Result<Answer<T>, StoreError>) -> Answer<T> {
    match result {
        Ok(answer) => answer,
        Err(StoreError::Statement(error)) => Answer::Broken(error.to_string()),
        Err(error) => Answer::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl orders_api::Orders for Orders {
    async fn place(&self, batch: Vec<PlaceOrder>) -> Vec<Answer<Placed>> {
        place::place(&self.store, &*self.catalog, batch).await
    }

    async fn cancel(&self, order: OrderId, reason: String, context: Context) -> Answer<OrderView> {
        answer(cancel::cancel(&self.log, self.store.clock(), order, reason, &context).await)
    }

    async fn resolve(
        &self,
        order: OrderId,
        how: Resolution,
        reason: String,
        context: Context,
    ) -> Answer<OrderView> {
        answer(resolve::resolve(&self.log, self.store.clock(), order, how, reason, &context).await)
    }

    async fn view(&self, orders: Vec<OrderId>, reader: Option<CustomerId>) -> Answer<Vec<OrderView>> {
        answer(view::view(&self.log, self.store.pool(), &orders, reader).await)
    }

    async fn list(&self, which: ListOrders) -> Answer<OrdersPage> {
        answer(list::list(&self.store, which).await)
    }

    async fn sales(&self, which: ListSales) -> Answer<SalesPage> {
        answer(sales::list(&self.store, which).await)
    }

    async fn events(&self, order: OrderId, after: i64) -> Answer<Vec<OrderEventView>> {
        answer(history::events(self.store.pool(), order, after).await)
    }

    async fn why(&self, order: OrderId) -> Answer<Why> {
        answer(why::why(&self.log, self.store.pool(), order).await)
    }

    async fn stuck(&self) -> Answer<Vec<Why>> {
        answer(why::stuck(&self.log, self.store.pool(), self.store.clock().now()).await)
    }
}
