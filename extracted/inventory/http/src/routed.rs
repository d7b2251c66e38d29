//! The routed form: an inventory on both sides.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Context, OrderId, Sku};
use banyan_net::route::Route;
use inventory_api::{
    AdjustStock, Adjusted, Availability, ConfirmReservation, Inventory, ReceiveStock, ReleaseStock,
    ReservationConfirmed, ReservationFact, ReserveStock, StockFacts, StockKeeping, StockLevel, StockMovement,
    StockReceived, StockReleased, StockReserved, StockViolation, Told,
};

use crate::Served;

/// Inventory here and elsewhere: what is of an order goes by the order, what is of products by the first of them.
pub struct RoutedInventory(pub Route<Served>);

fn first(skus: &[Sku]) -> Option<String> {
    skus.first().map(ToString::to_string)
}

#[async_trait]
impl Inventory for RoutedInventory {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        self.0.batch(batch, |side, batch| async move { side.inventory.reserve(batch).await }).await
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        self.0.batch(batch, |side, batch| async move { side.inventory.confirm(batch).await }).await
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        self.0.batch(batch, |side, batch| async move { side.inventory.release(batch).await }).await
    }

    async fn receive(&self, context: Context, receipts: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        let ask = |side: Served, receipts| {
            let context = context.clone();
            async move { side.inventory.receive(context, receipts).await }
        };
        self.0.each(receipts, |receipt| receipt.key.clone(), ask).await
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        let key = first(&skus);
        let ask = |side: Served, skus| async move { side.inventory.levels(skus).await };
        self.0.read("levels", key.as_deref(), skus, ask).await
    }
}

#[async_trait]
impl StockKeeping for RoutedInventory {
    async fn adjust(&self, context: Context, wish: AdjustStock) -> Answer<Adjusted> {
        let ask = |side: Served, wish| async move { side.keeping.adjust(context, wish).await };
        self.0.change(Some(&wish.key.clone()), wish, ask).await
    }

    async fn movements(&self, sku: Sku, before: Option<[i64; 3]>, limit: u16) -> Answer<Vec<StockMovement>> {
        let ask = move |side: Served, sku| async move { side.keeping.movements(sku, before, limit).await };
        self.0.read("movements", Some(&sku.to_string()), sku, ask).await
    }

    async fn availability(&self, skus: Vec<Sku>, at_least: Vec<Told>) -> Answer<Vec<Availability>> {
        let key = first(&skus);
        let ask =
            |side: Served, (skus, at_least)| async move { side.keeping.availability(skus, at_least).await };
        self.0.read("availability", key.as_deref(), (skus, at_least), ask).await
    }
}

#[async_trait]
impl StockFacts for RoutedInventory {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<ReservationFact>> {
        let ask = move |side: Served, ()| async move { side.facts.facts(after, upto).await };
        self.0.read("facts", None, (), ask).await
    }

    async fn violations(&self) -> Answer<Vec<StockViolation>> {
        self.0
            .read("violations", None, (), |side: Served, ()| async move { side.facts.violations().await })
            .await
    }
}
