//! Shipping: asked by orders and by the shop, of the core, and of the contract's own fake.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Json, ManualClock, Money, OrderId, Place, Timestamp, TraceParent};
use banyan_net::port::PortClient;
use banyan_postgres::testing::database;
use banyan_store::{Store, prepare, role_of};
use orders_api::OrderShipped;
use serde_json::json;
use shipping_api::{
    NAME, ParcelState, ParcelView, Parcels, QuoteParcel, QuoteSource, Quotes, ServiceQuote,
    ShipmentBookedReply, ShipmentCancelledReply, ShipmentFact, ShipmentFacts, Shipping, refusals,
    testing::{FakeShipping, Said, book, book_from, cancel, order},
};
use shipping_core::schema;
use shipping_http::{HttpShipping, Served, port};

use crate::{
    events::envelope,
    inventory::{before, hear},
    outside::Outside,
    talk::Talk,
    verify::{Provider, States},
};

const NOTHING: &str = "nothing is known of the order";
const NOBODY_THERE: &str = "the carrier does not go there";
const BOOKED: &str = "an order's parcel is booked";
const GONE: &str = "an order's parcel has left the house";

fn asked(client: PortClient) -> HttpShipping {
    HttpShipping { client, clock: Arc::new(ManualClock::at_micros(1_750_000_000_000_000)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_orders_expect_of_shipping() {
    let talk = Talk::new("orders", NAME);
    let batch = vec![book_from(order("wanted"), 1, &["main", "north"])];
    let tracking = vec!["T-1".to_owned(), "T-2".to_owned()];
    let booked = vec![Answer::Done(ShipmentBookedReply { tracking, asked_again: false })];
    talk.ask("book", NOTHING, &batch.clone(), booked, async |to| asked(to).book(batch).await).await;
    let batch = vec![book(order("far away"), 1)];
    let refused = vec![Answer::rejected(refusals::UNDELIVERABLE, "scripted")];
    talk.ask("book", NOBODY_THERE, &batch.clone(), refused, async |to| asked(to).book(batch).await).await;
    let batch = vec![cancel(order("booked"), 1)];
    let cancelled = vec![Answer::Done(ShipmentCancelledReply {})];
    talk.ask("cancel", BOOKED, &batch.clone(), cancelled, async |to| asked(to).cancel(batch).await).await;
    let batch = vec![cancel(order("gone"), 1)];
    let refused = vec![Answer::rejected(refusals::ALREADY_SHIPPED, "it has left the house")];
    talk.ask("cancel", GONE, &batch.clone(), refused, async |to| asked(to).cancel(batch).await).await;
    talk.agreed();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_expects_of_shipping() {
    let talk = Talk::new("shop", NAME);
    let price = Money { minor: 300, currency: "EUR".parse().expect("a currency") };
    let wish =
        QuoteParcel { items: 3, currency: price.currency, trace: TraceParent::root(order("wanted").0) };
    let promised_by = Timestamp::UNIX_EPOCH;
    let service = ServiceQuote { service: "standard".to_owned(), price, promised_by };
    let quotes = Quotes { source: QuoteSource::Carrier, services: vec![service] };
    talk.ask("quote", "the carrier quotes", &wish.clone(), quotes, async |to| asked(to).quote(wish).await)
        .await;
    let of = order("gone");
    let parcel = ParcelView {
        tracking: "T-3".to_owned(),
        place: Place::default(),
        state: ParcelState::Dispatched,
        promised_by: Some(promised_by),
        arrived_at: None,
    };
    let parcels = Answer::Done(vec![parcel]);
    talk.ask("parcels", GONE, &json!({ "order": of }), parcels, async |to| asked(to).parcels(of).await).await;
    let question = json!({ "after": before(of), "upto": of });
    let facts = Answer::Done(vec![fact()]);
    talk.ask("facts", GONE, &question, facts, async |to| asked(to).facts(before(of), of).await).await;
    talk.agreed();
}

fn fact() -> ShipmentFact {
    ShipmentFact {
        order: order("gone"),
        state: "dispatched".to_owned(),
        tracking: vec!["T-3".to_owned()],
        carrier_id: Some("shp_1".to_owned()),
        version: 1,
        orders_seen: 2,
    }
}

/// An audit's question, which the fake knows nothing of.
struct Tells;

#[async_trait]
impl ShipmentFacts for Tells {
    async fn facts(&self, _: OrderId, _: OrderId) -> Answer<Vec<ShipmentFact>> {
        Answer::Done(vec![fact()])
    }
}

struct Faked(Arc<FakeShipping>);

#[async_trait]
impl States for Faked {
    async fn bring_about(&self, state: &str) {
        let fake = &self.0;
        match state {
            NOBODY_THERE => fake.script(order("far away"), "book", [Said::Refused(refusals::UNDELIVERABLE)]),
            BOOKED => _ = fake.book(vec![book(order("booked"), 1)]).await,
            GONE => {
                fake.book(vec![book(order("gone"), 1)]).await;
                fake.dispatch(order("gone"));
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_keeps_its_pacts() {
    let fake = Arc::new(FakeShipping::default());
    let served = Served { shipping: fake.clone(), parcels: fake.clone(), facts: Arc::new(Tells) };
    Provider::new(NAME, port(), served, Arc::new(Faked(fake)), ()).keeps_its_pacts().await;
}

/// The core on real PostgreSQL, with a carrier.
struct Real {
    core: Arc<shipping_core::Shipping>,
    store: Store,
    outside: Outside,
}

impl Real {
    async fn book(&self, name: &str) {
        let answers = self.core.book(vec![book(order(name), 1)]).await;
        assert!(matches!(answers[..], [Answer::Done(_)]), "{answers:?}");
    }
}

#[async_trait]
impl States for Real {
    async fn bring_about(&self, state: &str) {
        self.outside.refuses(state == NOBODY_THERE).await;
        match state {
            BOOKED => self.book("booked").await,
            GONE => {
                self.book("gone").await;
                let told = envelope("orders", &order("gone").to_string(), 2, OrderShipped::KIND, Json::Null);
                hear(&shipping_core::OrdersConsumer::new(self.store.clone()), &[told]).await;
            }
            _ => {}
        }
    }
}

/// What orders have sent, and the shop follows.
#[tokio::test(flavor = "multi_thread")]
async fn shipping_with_a_carrier_keeps_its_pacts() {
    let (database, outside) = (database().await, Outside::start().await);
    prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock);
    let core = shipping_core::Shipping::new(store.clone(), outside.callee());
    let states = Arc::new(Real { core: core.clone(), store, outside });
    Provider::new(NAME, port(), Served::by(core), states, database).keeps_its_pacts().await;
}
