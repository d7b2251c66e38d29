//! The client: an inventory that is elsewhere.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Context, OrderId, Sku, TraceParent};
use banyan_net::port::PortClient;
use inventory_api::{
    AdjustStock, Adjusted, Availability, ConfirmReservation, Inventory, ReceiveStock, ReleaseStock,
    ReservationConfirmed, ReservationFact, ReserveStock, StockFacts, StockKeeping, StockLevel, StockMovement,
    StockReceived, StockReleased, StockReserved, StockViolation, Told,
};
use uuid::Uuid;

use crate::questions::{AboutSkus, AtLeast, Facts, Finding, Movements, Nothing, Placed, Receipts};

/// Inventory by HTTP.
pub struct HttpInventory(pub PortClient);

/// What is asked for nobody in particular belongs to no trace that anybody collects.
fn nobodys() -> TraceParent {
    TraceParent::root(Uuid::nil()).unsampled()
}

#[async_trait]
impl Inventory for HttpInventory {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        self.0.batch("reserve", batch).await
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        self.0.batch("confirm", batch).await
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        self.0.batch("release", batch).await
    }

    async fn receive(&self, context: Context, receipts: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        let (trace, items) = (context.trace, receipts.len());
        self.0.each("receive", trace, items, &Receipts { context, receipts }).await
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        self.0.one("levels", nobodys(), &AboutSkus { skus }).await
    }
}

#[async_trait]
impl StockKeeping for HttpInventory {
    async fn adjust(&self, context: Context, wish: AdjustStock) -> Answer<Adjusted> {
        self.0.one("adjust", context.trace, &Finding { context, wish }).await
    }

    async fn movements(&self, sku: Sku, before: Option<[i64; 3]>, limit: u16) -> Answer<Vec<StockMovement>> {
        let placed: Answer<Vec<Placed>> =
            self.0.one("movements", nobodys(), &Movements { sku, before, limit }).await;
        placed.map(|all| all.into_iter().map(StockMovement::from).collect())
    }

    async fn availability(&self, skus: Vec<Sku>, at_least: Vec<Told>) -> Answer<Vec<Availability>> {
        self.0.one("availability", nobodys(), &AtLeast { skus, at_least }).await
    }
}

#[async_trait]
impl StockFacts for HttpInventory {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ReservationFact>> {
        self.0.one("facts", nobodys(), &Facts { after, upto }).await
    }

    async fn violations(&self) -> Answer<Vec<StockViolation>> {
        self.0.one("violations", nobodys(), &Nothing {}).await
    }
}
