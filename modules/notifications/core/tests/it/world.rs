//! A module on a database of its own, with a clock that stands.

use std::sync::Arc;

use banyan_bus::{Applied, Consumer};
use banyan_kernel::{
    Answer, Clock, CustomerId, Envelope, ManualClock, Money, OrderId, SLOTS, TraceParent, event_id,
};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use notifications_api::{Address, Contact, Language, MailHead, Notifications as _};
use notifications_core::{NewsConsumer, Notifications, OrdersConsumer, schema};
use orders_api::{OrderCancelled, OrderCreated, OrderShipped, PricedLine};
use payments_api::PaymentRefunded;
use shipping_api::ShipmentDelivered;
use uuid::Uuid;

pub const ADA: CustomerId = CustomerId(Uuid::from_u128(0xada));

pub struct World {
    pub database: TestDatabase,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub notifications: Arc<Notifications>,
    is_sent: bool,
}

pub fn id(name: &str) -> OrderId {
    OrderId::derive("test", name)
}

fn money(minor: i64) -> Money {
    Money { minor, currency: "EUR".parse().expect("a currency") }
}

pub fn contact(name: &str, email: &str) -> Contact {
    let [street, postcode, city, country] = ["Ring 1", "1010", "Wien", "AT"].map(str::to_owned);
    let address = Address { street, postcode, city, country };
    let (name, email) = (name.to_owned(), email.to_owned());
    Contact { name, email, language: Language::En, address, unwanted: Vec::new() }
}

/// An event as the bus brings it.
fn event(source: &str, name: &str, sequence: i64, kind: &str, data: &impl serde::Serialize) -> Envelope {
    event_of(source, id(name), sequence, kind, data)
}

fn event_of(
    source: &str,
    order: OrderId,
    sequence: i64,
    kind: &str,
    data: &impl serde::Serialize,
) -> Envelope {
    let subject = order.to_string();
    Envelope {
        id: event_id(source, &subject, sequence),
        kind: kind.to_owned(),
        source: source.to_owned(),
        subject,
        time: ManualClock::at_micros(1_750_000_000_000_000).now(),
        schema_version: 1,
        sequence,
        causation: String::new(),
        actor: String::new(),
        traceparent: TraceParent::root(order.0),
        data: serde_json::to_value(data).expect("JSON"),
    }
}

pub fn created(name: &str) -> Envelope {
    accepted(id(name), ADA)
}

/// That a customer's order was accepted.
pub fn accepted(order: OrderId, customer: CustomerId) -> Envelope {
    let line = PricedLine {
        sku: "A".parse().expect("a SKU"),
        quantity: 2.try_into().expect("a quantity"),
        unit_price: money(500),
    };
    let data = OrderCreated { order, customer, lines: vec![line], total: money(1_000) };
    event_of("orders", order, 1, OrderCreated::KIND, &data)
}

pub fn shipped(name: &str) -> Envelope {
    handed_over(id(name))
}

/// That an order was shipped.
pub fn handed_over(order: OrderId) -> Envelope {
    event_of("orders", order, 2, OrderShipped::KIND, &OrderShipped { order, tracking: vec!["T".to_owned()] })
}

pub fn cancelled(name: &str, cause: &str) -> Envelope {
    let data = OrderCancelled { order: id(name), cause: cause.to_owned() };
    event("orders", name, 2, OrderCancelled::KIND, &data)
}

pub fn refunded(name: &str, sequence: i64, minor: i64) -> Envelope {
    let data = PaymentRefunded { order: id(name), amount: money(minor) };
    event("payments", name, sequence, PaymentRefunded::KIND, &data)
}

/// Of which others are still on their way.
pub fn one_of_several(name: &str, sequence: i64) -> Envelope {
    let mut event = delivered(name, sequence);
    event.data["whole"] = false.into();
    event
}

pub fn delivered(name: &str, sequence: i64) -> Envelope {
    let data = ShipmentDelivered { order: id(name), tracking: "T".to_owned(), whole: true };
    event("shipping", name, sequence, ShipmentDelivered::KIND, &data)
}

impl World {
    pub async fn new(is_sent: bool) -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store =
            Store::new(database.options(&role_of("notifications")), "notifications", 8, clock.clone());
        Self { database, clock, notifications: Notifications::new(store.clone()), store, is_sent }
    }

    async fn apply(&self, consumer: &dyn Consumer, batch: &[Envelope]) -> Vec<Applied> {
        let mut write = self.store.begin(&consumer.locks(batch)).await.expect("a write");
        let applied = consumer.apply(&mut write, batch).await.expect("applied");
        write.commit().await.expect("committed");
        applied
    }

    pub async fn hear(&self, batch: &[Envelope]) -> Vec<Applied> {
        self.apply(&OrdersConsumer::new(self.store.clone(), self.is_sent), batch).await
    }

    pub async fn hear_refunds(&self, batch: &[Envelope]) -> Vec<Applied> {
        self.apply(&NewsConsumer::of_refunds(self.store.clone(), self.is_sent), batch).await
    }

    pub async fn hear_deliveries(&self, batch: &[Envelope]) -> Vec<Applied> {
        self.apply(&NewsConsumer::of_deliveries(self.store.clone(), self.is_sent), batch).await
    }

    /// Ada's mailbox, the newest first.
    pub async fn mailbox(&self) -> Vec<MailHead> {
        match self.notifications.mailbox(ADA, None, 200, Vec::new()).await {
            Answer::Done(mails) => mails,
            other => panic!("{other:?}"),
        }
    }

    pub async fn put(&self, contact: Contact) {
        let put = self.notifications.put_contact(ADA, contact).await;
        assert!(matches!(put, Answer::Done(_)), "{put:?}");
    }
}

pub fn slots() -> Vec<u16> {
    (0..SLOTS).collect()
}
