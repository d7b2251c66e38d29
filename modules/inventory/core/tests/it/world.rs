//! A module on a database of its own, with a clock that stands.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Clock, Envelope, Json, ManualClock, OrderId, SLOTS, Timestamp, event_id};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use inventory_api::testing::{UnderTest, context};
use inventory_core::{ExpiryReconciler, Inventory, OrdersConsumer, schema};

/// Everything a test needs.
pub struct World {
    pub database: TestDatabase,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub inventory: Arc<Inventory>,
    pub consumer: OrdersConsumer,
    pub reconciler: ExpiryReconciler,
}

impl World {
    /// An empty one.
    pub async fn new() -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store = Store::new(database.options(&role_of("inventory")), "inventory", 8, clock.clone());
        Self {
            database,
            clock,
            inventory: Inventory::new(store.clone()),
            consumer: OrdersConsumer::new(store.clone()),
            reconciler: ExpiryReconciler::new(store.clone()),
            store,
        }
    }

    /// Now, by the clock that stands.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What was told: kind, subject, sequence, in the order of the outbox. Read without its horizon, which
    /// other tests of this cluster hold back; deliveries are not about an order and left out.
    pub async fn told(&self) -> Vec<(String, String, i64)> {
        let told = "select type, aggregateid, sequence from outbox where type <> 'GoodsReceived' order by epoch, xid, seq";
        sqlx::query_as(told).fetch_all(self.store.pool()).await.expect("the outbox")
    }

    /// Applies events in one write, as the bus does.
    pub async fn hear(&self, batch: &[Envelope]) -> Vec<Applied> {
        let mut write = self.store.begin(&self.consumer.locks(batch)).await.expect("a write");
        let applied = self.consumer.apply(&mut write, batch).await.expect("applied");
        write.commit().await.expect("committed");
        applied
    }

    /// One turn of the reconciler over all slots.
    pub async fn expire_once(&self) -> usize {
        self.reconciler.turn(&(0..SLOTS).collect::<Vec<_>>()).await.expect("a turn")
    }
}

/// An event of orders.
pub fn event(order: OrderId, kind: &str, sequence: i64) -> Envelope {
    let subject = order.to_string();
    Envelope {
        id: event_id("orders", &subject, sequence),
        kind: kind.into(),
        source: "orders".into(),
        subject,
        time: ManualClock::at_micros(0).now(),
        schema_version: 1,
        sequence,
        causation: "test".into(),
        actor: "system:test".into(),
        traceparent: context().trace,
        data: Json::Null,
    }
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn inventory_api::Inventory {
        &*self.inventory
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn ship(&self, order: OrderId) {
        assert_eq!(self.hear(&[event(order, "OrderShipped", 2)]).await, [Applied::Done]);
    }

    async fn expire(&self) {
        self.expire_once().await;
    }
}
