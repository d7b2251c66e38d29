//! Lab's own composition root: the shop's parts, with one taken out or put in another's place.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use banyan::{Participants, Parts, Swap};
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Answer, Command, Context, Envelope, OrderId, Sku};
use banyan_store::{Locks, Store, StoreError, Write, sqlx};
use catalog_api::{
    Catalog, Category, Expected, Found, ListProducts, Product, ProductsPut, PutProduct, PutProducts,
    Unavailable,
};
use inventory_api::{
    ConfirmReservation, Inventory, ReceiveStock, ReleaseStock, ReservationConfirmed, ReserveStock,
    StockLevel, StockReceived, StockReleased, StockReserved,
};
use orders_api::OrderShipped;
use payments_api::{
    AuthorisePayment, CapturePayment, PaymentAuthorisedReply, PaymentCapturedReply, PaymentUndone, Payments,
    RefundPayment, VoidPayment,
};
use shipping_api::{BookShipment, CancelShipment, ShipmentBookedReply, ShipmentCancelledReply, Shipping};
use tokio::sync::Notify;
use uuid::Uuid;

/// Names the part that a shop of lab's is to do without.
pub const WITHOUT: &str = "LAB_WITHOUT";

/// Not a part taken out: the loads of some products are held open.
pub const HELD_LOADS: &str = "held-loads";
/// How the SKUs of these products begin.
pub const HELD: &str = "LAB-HELD-";
/// The product whose change lets them go.
pub const RELEASE: &str = "LAB-RELEASE";
/// Nobody waits longer.
const HELD_MAX: Duration = Duration::from_secs(5);

/// What is done with the shop's parts in this process.
pub fn swap() -> Swap {
    match std::env::var(WITHOUT).as_deref() {
        Ok("inbox") => without_inbox,
        Ok("saga") => without_saga,
        Ok(HELD_LOADS) => with_held_loads,
        Ok("consumer") => without_public_count,
        Ok("cache-version") => without_cache_version,
        _ => std::convert::identity,
    }
}

/// Inventory hears of shipments from somebody who forgets what was heard before.
fn without_inbox(parts: Parts) -> Parts {
    let forgets = |consumer: Arc<dyn Consumer>| -> Arc<dyn Consumer> {
        match consumer.group() {
            "inventory.orders" => Arc::new(Forgetful(consumer.store().clone())),
            _ => consumer,
        }
    };
    Parts { consumers: parts.consumers.into_iter().map(forgets).collect(), ..parts }
}

/// Nobody applies what inventory tells to the public's count.
fn without_public_count(parts: Parts) -> Parts {
    let mut consumers = parts.consumers;
    consumers.retain(|consumer| consumer.group() != "inventory.public");
    Parts { consumers, ..parts }
}

/// Who is asked to undo something says yes and does nothing.
fn without_saga(parts: Parts) -> Parts {
    let Participants { inventory, payments, shipping } = parts.ports;
    let ports = Participants {
        inventory: Arc::new(KeepsStock(inventory)),
        payments: Arc::new(KeepsMoney(payments)),
        shipping: Arc::new(KeepsParcels(shipping)),
    };
    Parts { ports, ..parts }
}

/// Applies what it is told each time it is told.
struct Forgetful(Store);

/// Right when told once: what was kept for the order is gone.
const COUNT: &str = "with gone as (update reservation set state = 'shipped', orders_seen = $2 \
     where order_id = $1 and state in ('committed', 'shipped') returning lines) \
     update stock s set reserved = greatest(s.reserved - l.value::int8, 0), shipped = s.shipped + l.value::int8 \
     from gone, json_each_text(gone.lines) l where s.sku = l.key";

#[async_trait]
impl Consumer for Forgetful {
    fn group(&self) -> &'static str {
        "inventory.orders"
    }

    fn source(&self) -> &'static str {
        orders_api::NAME
    }

    fn store(&self) -> &Store {
        &self.0
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("order", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        for event in batch.iter().filter(|event| event.kind == OrderShipped::KIND) {
            let order: OrderId = event.subject.parse().unwrap_or(OrderId(Uuid::nil()));
            sqlx::query(COUNT).bind(order.0).bind(event.sequence).execute(write.connection()).await?;
        }
        Ok(vec![Applied::Done; batch.len()])
    }
}

fn with_held_loads(parts: Parts) -> Parts {
    Parts {
        catalog: Arc::new(HeldLoads {
            within: parts.catalog,
            released: Notify::new(),
            held: Mutex::default(),
            kept: None,
        }),
        ..parts
    }
}

/// As [`with_held_loads`], with a cache that knows no versions.
fn without_cache_version(parts: Parts) -> Parts {
    let kept = Some(Mutex::default());
    Parts {
        catalog: Arc::new(HeldLoads {
            within: parts.catalog,
            released: Notify::new(),
            held: Mutex::default(),
            kept,
        }),
        ..parts
    }
}

/// Holds loads open between their reading and their answer.
struct HeldLoads {
    within: Arc<dyn Catalog>,
    released: Notify,
    /// Each is held once.
    held: Mutex<BTreeSet<Sku>>,
    /// What was loaded last, whatever happened meanwhile.
    kept: Option<Mutex<BTreeMap<Sku, Product>>>,
}

impl HeldLoads {
    fn is_to_be_held(&self, sku: &Sku) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        sku.as_str().starts_with(HELD) && held.insert(sku.clone())
    }

    fn kept(&self, skus: &[Sku]) -> Vec<Product> {
        let Some(kept) = &self.kept else { return Vec::new() };
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        skus.iter().filter_map(|sku| kept.get(sku).cloned()).collect()
    }
}

#[async_trait]
impl Catalog for HeldLoads {
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        let kept = self.kept(&skus);
        if !skus.is_empty() && kept.len() == skus.len() {
            return Ok(kept);
        }
        let released = self.released.notified();
        let products = self.within.products(skus.clone()).await?;
        if skus.iter().any(|sku| self.is_to_be_held(sku)) {
            // Elapsed: the row then says that nobody was told the old price.
            let _ = tokio::time::timeout(HELD_MAX, released).await;
        }
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(products.iter().map(|product| (product.sku.clone(), product.clone())));
        }
        Ok(products)
    }

    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable> {
        self.within.list(which).await
    }

    async fn categories(&self) -> Result<Vec<Category>, Unavailable> {
        self.within.categories().await
    }

    async fn put(&self, context: Context, wish: PutProducts) -> Answer<ProductsPut> {
        let skus: Vec<Sku> = wish.products.iter().map(|product| product.sku.clone()).collect();
        let answer = self.within.put(context, wish).await;
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|sku, _| !skus.contains(sku));
        }
        if skus.iter().any(|sku| sku.as_str() == RELEASE) {
            self.released.notify_waiters();
        }
        answer
    }

    async fn change(&self, context: Context, product: PutProduct, expected: Expected) -> Answer<Product> {
        self.within.change(context, product, expected).await
    }

    async fn retire(&self, context: Context, sku: Sku) -> Answer<Product> {
        self.within.retire(context, sku).await
    }
}

struct KeepsStock(Arc<dyn Inventory>);

#[async_trait]
impl Inventory for KeepsStock {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        self.0.reserve(batch).await
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        self.0.confirm(batch).await
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        vec![Answer::Done(StockReleased {}); batch.len()]
    }

    async fn receive(&self, context: Context, batch: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        self.0.receive(context, batch).await
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        self.0.levels(skus).await
    }
}

struct KeepsMoney(Arc<dyn Payments>);

#[async_trait]
impl Payments for KeepsMoney {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        self.0.authorise(batch).await
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        self.0.capture(batch).await
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        vec![Answer::Done(PaymentUndone {}); batch.len()]
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        vec![Answer::Done(PaymentUndone {}); batch.len()]
    }
}

struct KeepsParcels(Arc<dyn Shipping>);

#[async_trait]
impl Shipping for KeepsParcels {
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>> {
        self.0.book(batch).await
    }

    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>> {
        vec![Answer::Done(ShipmentCancelledReply {}); batch.len()]
    }
}
