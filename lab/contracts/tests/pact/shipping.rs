//! Shipping: asked by orders and by the shop. What is behind the port here is the contract's own fake, which keeps to the suite that the
//! core keeps to.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, ManualClock, Money, OrderId, Place, Timestamp, TraceParent};
use banyan_net::port::PortClient;
use serde_json::json;
use shipping_api::{
    NAME, ParcelState, ParcelView, Parcels, QuoteParcel, QuoteSource, Quotes, ServiceQuote,
    ShipmentBookedReply, ShipmentCancelledReply, ShipmentFact, ShipmentFacts, Shipping, refusals,
    testing::{FakeShipping, Said, book, book_from, cancel, order},
};
use shipping_http::{HttpShipping, Served, port};

use crate::{
    inventory::before,
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

/// The fake, and an audit's question that it knows nothing of.
struct World(Arc<FakeShipping>);

#[async_trait]
impl ShipmentFacts for World {
    async fn facts(&self, _: OrderId, _: OrderId) -> Answer<Vec<ShipmentFact>> {
        Answer::Done(vec![fact()])
    }
}

#[async_trait]
impl States for World {
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
    let world = Arc::new(World(fake.clone()));
    let served = Served { shipping: fake.clone(), parcels: fake, facts: world.clone() };
    Provider::new(NAME, port(), served, world, ()).keeps_its_pacts().await;
}
