//! A core on a database of its own behind a router, and the client that reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{CustomerId, Envelope, ManualClock, Money, OrderId, Timestamp, TraceParent, event_id};
use banyan_net::{
    port::testing::Wire,
    route::{Gauge, testing::alternating},
};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use notifications_api::{MailFacts, NAME, Notifications, testing::UnderTest};
use notifications_core::{OrdersConsumer, schema};
use notifications_http::{HttpNotifications, RoutedNotifications, Served, port};
use orders_api::{OrderCreated, OrderShipped};
use serde::Serialize;

/// Everything a test needs.
pub struct World {
    pub client: HttpNotifications,
    /// Whom the suite asks: the client, unless told.
    pub asked: Served,
    pub wire: Wire,
    pub store: Store,
    _database: TestDatabase,
}

impl World {
    /// With nothing in it.
    pub async fn new() -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock);
        let served = Served::by(notifications_core::Notifications::new(store.clone()));
        let wire = Wire::serve(NAME, port(), served, Arc::new(store.clone())).await;
        let client = || HttpNotifications(wire.client().sharing(Arc::new(store.clone())));
        let (client, asked) = (client(), Served::by(Arc::new(client())));
        Self { client, asked, wire, store, _database: database }
    }

    /// Asked on both sides in turn.
    pub async fn routed() -> (Self, Arc<Gauge>) {
        let world = Self::new().await;
        let here = Served::by(notifications_core::Notifications::new(world.store.clone()));
        let (route, gauge) = alternating(NAME, here, world.asked.clone());
        (Self { asked: Served::by(Arc::new(RoutedNotifications(route))), ..world }, gauge)
    }

    async fn hear(&self, event: Envelope) {
        let (consumer, batch) = (OrdersConsumer::new(self.store.clone(), false), [event]);
        let mut write = self.store.begin(&consumer.locks(&batch)).await.expect("a write");
        assert_eq!(consumer.apply(&mut write, &batch).await.expect("applied"), [Applied::Done]);
        write.commit().await.expect("committed");
    }
}

fn event(order: OrderId, sequence: i64, kind: &str, time: Timestamp, data: &impl Serialize) -> Envelope {
    let subject = order.to_string();
    Envelope {
        id: event_id("orders", &subject, sequence),
        kind: kind.to_owned(),
        source: "orders".to_owned(),
        subject,
        time,
        schema_version: 1,
        sequence,
        causation: "test".to_owned(),
        actor: "system:test".to_owned(),
        traceparent: TraceParent::root(order.0),
        data: serde_json::to_value(data).expect("JSON"),
    }
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Notifications {
        &*self.asked.notifications
    }

    fn facts(&self) -> &dyn MailFacts {
        &*self.asked.facts
    }

    async fn accepted(&self, order: OrderId, customer: CustomerId, at: Timestamp) {
        let total = Money { minor: 1_000, currency: "EUR".parse().expect("a currency") };
        let created = OrderCreated { order, customer, lines: Vec::new(), total };
        self.hear(event(order, 1, OrderCreated::KIND, at, &created)).await;
    }

    async fn shipped(&self, order: OrderId, at: Timestamp) {
        let shipped = OrderShipped { order, tracking: vec!["T".to_owned()] };
        self.hear(event(order, 2, OrderShipped::KIND, at, &shipped)).await;
    }
}
