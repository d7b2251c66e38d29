//! Implementation of inventory: how much there is, and for whom it is kept.
//!
//! One use case a file: `reserve`, `confirm` and `release` decide on a `desk`, which reads and writes a whole
//! batch in constant statements; `receive` books deliveries; `expire` gives back what nobody confirmed;
//! `shipped` listens to orders; `levels` and `facts` only read.

mod adjust;
mod confirm;
mod desk;
mod expire;
mod facts;
mod levels;
mod movements;
mod public;
mod receive;
mod release;
mod reservation;
mod reserve;
mod shipped;
mod stock;

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Context, OrderId, Sku};
use banyan_store::{Schema, Store, StoreError};
use inventory_api::{
    AdjustStock, Adjusted, Availability, ConfirmReservation, ReceiveStock, ReleaseStock,
    ReservationConfirmed, ReservationFact, ReserveStock, StockLevel, StockMovement, StockReceived,
    StockReleased, StockReserved, StockViolation, Told,
};
use sqlx::migrate::Migrator;

pub use expire::{ExpiryReconciler, GROUP};
pub use public::PublicStock;
pub use shipped::OrdersConsumer;

/// The tables of the module.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/inventory");

/// The module's schema; receipts are added to and never changed.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: inventory_api::NAME,
        migrations: &MIGRATIONS,
        insert_only: &["receipt", "adjustment"],
        reads_statistics: false,
    }
}

/// Inventory on PostgreSQL.
pub struct Inventory {
    store: Store,
}

impl Inventory {
    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Arc<Self> {
        Arc::new(Self { store })
    }

    /// The module's store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[async_trait]
impl inventory_api::Inventory for Inventory {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        desk::run(&self.store, &batch, reserve::wanted, reserve::decide).await
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        desk::run(&self.store, &batch, |_, _| Vec::new(), confirm::decide).await
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        desk::run(&self.store, &batch, |_, _| Vec::new(), release::decide).await
    }

    async fn receive(&self, context: Context, batch: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        receive::run(&self.store, &context, &batch).await
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        levels::read(&self.store, &skus).await.map_or_else(Answer::from, Answer::Done)
    }
}

#[async_trait]
impl inventory_api::StockKeeping for Inventory {
    async fn adjust(&self, context: Context, wish: AdjustStock) -> Answer<Adjusted> {
        adjust::run(&self.store, &context, &wish).await.unwrap_or_else(Answer::from)
    }

    async fn movements(&self, sku: Sku, before: Option<[i64; 3]>, limit: u16) -> Answer<Vec<StockMovement>> {
        let movements = movements::read(&self.store, &sku, before, limit).await;
        movements.map_or_else(Answer::from, Answer::Done)
    }

    async fn availability(&self, skus: Vec<Sku>, at_least: Vec<Told>) -> Answer<Vec<Availability>> {
        public::read(&self.store, &skus, &at_least).await.unwrap_or_else(Answer::from)
    }
}

#[async_trait]
impl inventory_api::StockFacts for Inventory {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ReservationFact>> {
        Self::facts(self, after, upto).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn violations(&self) -> Answer<Vec<StockViolation>> {
        self.stock_violations().await.map_or_else(StoreError::of_facts, Answer::Done)
    }
}
