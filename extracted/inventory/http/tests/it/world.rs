//! A core on a database of its own behind a router, and the client that reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Clock, Envelope, Json, ManualClock, OrderId, SLOTS, event_id};
use banyan_net::{
    port::testing::Wire,
    route::{Gauge, testing::alternating},
};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use inventory_api::{
    Inventory, NAME,
    testing::{UnderTest, context},
};
use inventory_core::{ExpiryReconciler, OrdersConsumer, schema};
use inventory_http::{HttpInventory, RoutedInventory, Served, port};

/// Everything a test needs.
pub struct World {
    pub client: HttpInventory,
    /// Whom the suite asks: the client, unless told.
    pub asked: Served,
    pub wire: Wire,
    pub store: Store,
    clock: Arc<ManualClock>,
    _database: TestDatabase,
}

impl World {
    /// With nothing in it.
    pub async fn new() -> Self {
        Self::with(|served| served).await
    }

    /// With a part of what is served by somebody else.
    pub async fn with(swap: impl FnOnce(Served) -> Served) -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock.clone());
        let served = swap(Served::by(inventory_core::Inventory::new(store.clone())));
        let wire = Wire::serve(NAME, port(), served, Arc::new(store.clone())).await;
        let client = || HttpInventory(wire.client().sharing(Arc::new(store.clone())));
        let (client, asked) = (client(), Served::by(Arc::new(client())));
        Self { client, asked, wire, store, clock, _database: database }
    }

    /// Asked on both sides in turn.
    pub async fn routed() -> (Self, Arc<Gauge>) {
        let world = Self::new().await;
        let here = Served::by(inventory_core::Inventory::new(world.store.clone()));
        let (route, gauge) = alternating(NAME, here, world.asked.clone());
        (Self { asked: Served::by(Arc::new(RoutedInventory(route))), ..world }, gauge)
    }
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Inventory {
        &*self.asked.inventory
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn ship(&self, order: OrderId) {
        let (consumer, subject) = (OrdersConsumer::new(self.store.clone()), order.to_string());
        let shipped = [Envelope {
            id: event_id("orders", &subject, 2),
            kind: "OrderShipped".into(),
            source: "orders".into(),
            subject,
            time: ManualClock::at_micros(0).now(),
            schema_version: 1,
            sequence: 2,
            causation: "test".into(),
            actor: "system:test".into(),
            traceparent: context().trace,
            data: Json::Null,
        }];
        let mut write = self.store.begin(&consumer.locks(&shipped)).await.expect("a write");
        assert_eq!(consumer.apply(&mut write, &shipped).await.expect("applied"), [Applied::Done]);
        write.commit().await.expect("committed");
    }

    async fn expire(&self) {
        let reconciler = ExpiryReconciler::new(self.store.clone());
        reconciler.turn(&(0..SLOTS).collect::<Vec<_>>()).await.expect("a turn");
    }
}
