//! The contract by HTTP: real client, real router, and the contract's own fake behind it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{Answer, Currency, ManualClock, OrderId};
use banyan_net::{
    port::testing::{Database, Wire, agreed},
    route::{Gauge, Side, testing::alternating},
};
use shipping_api::{
    NAME, Parcels, QuoteParcel, QuoteSource, ShipmentFact, ShipmentFacts, Shipping,
    testing::{FakeShipping, UnderTest, conformance, context, order},
};
use shipping_http::{HttpShipping, RoutedShipping, Served, port};

fn fact() -> ShipmentFact {
    ShipmentFact {
        order: order("mine"),
        state: "booked".to_owned(),
        tracking: vec!["T-1".to_owned(), "T-2".to_owned()],
        carrier_id: Some("shp_1".to_owned()),
        version: 2,
        orders_seen: 3,
    }
}

/// One fact, of the order that is asked for, and what cannot be read of any other.
struct Tells;

#[async_trait]
impl ShipmentFacts for Tells {
    async fn facts(&self, _: OrderId, upto: OrderId) -> Answer<Vec<ShipmentFact>> {
        if upto == order("mine") { Answer::Done(vec![fact()]) } else { Answer::Broken("garbled".to_owned()) }
    }
}

struct World {
    fake: Arc<FakeShipping>,
    client: HttpShipping,
    /// Whom the suite asks: the client, unless told.
    asked: Served,
    wire: Wire,
}

fn served(fake: &Arc<FakeShipping>) -> Served {
    Served { shipping: fake.clone(), parcels: fake.clone(), facts: Arc::new(Tells) }
}

async fn world() -> World {
    let fake = Arc::new(FakeShipping::default());
    let wire = Wire::serve(NAME, port(), served(&fake), Arc::new(Database("1/2/shipping/1"))).await;
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let client = || HttpShipping { client: wire.client(), clock: clock.clone() };
    let (client, asked) = (client(), Served::by(Arc::new(client())));
    World { fake, client, asked, wire }
}

/// Asked on both sides in turn.
async fn routed() -> (World, Arc<Gauge>) {
    let world = world().await;
    let (route, gauge) = alternating(NAME, served(&world.fake), world.asked.clone());
    (World { asked: Served::by(Arc::new(RoutedShipping(route))), ..world }, gauge)
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Shipping {
        &*self.asked.shipping
    }

    fn parcels(&self) -> &dyn Parcels {
        &*self.asked.parcels
    }

    async fn arrive(&self) {
        self.fake.arrive();
    }

    async fn settle(&self) {}

    async fn book(&self, order: OrderId) -> Vec<String> {
        self.fake.book_of(order)
    }

    async fn ship(&self, order: OrderId) {
        self.fake.dispatch(order);
    }
}

#[tokio::test]
async fn shipping_by_http_conforms() {
    conformance(&world().await).await;
}

#[tokio::test]
async fn where_nobody_quotes_the_table_does_and_says_so() {
    let world = world().await;
    let wish = QuoteParcel {
        items: 3,
        currency: "EUR".parse::<Currency>().expect("a currency"),
        trace: context(order("mine")).trace,
    };
    let quotes = world.client.quote(wish.clone()).await;
    assert_ne!(quotes.source, QuoteSource::Table, "the fake's carrier says");
    // Nobody who is known there, which is as good as nobody there.
    let stranger = world.wire.client_as(world.wire.key.credential("payments"));
    let clock = world.client.clock.clone();
    let quotes = HttpShipping { client: stranger, clock }.quote(wish).await;
    assert_eq!((quotes.source, quotes.services.len()), (QuoteSource::Table, 1));
}

#[tokio::test]
async fn what_the_audit_asks_of_shipping_is_told_by_http() {
    let world = world().await;
    let nobody = OrderId(uuid::Uuid::nil());
    assert_eq!(world.client.facts(nobody, order("mine")).await, Answer::Done(vec![fact()]));
    let garbled = Answer::Broken("garbled".to_owned());
    assert_eq!(world.client.facts(order("mine"), nobody).await, garbled, "what cannot be read is no outage");
}

#[tokio::test]
async fn shipping_by_a_route_that_splits_what_it_is_asked_conforms() {
    let (world, gauge) = routed().await;
    conformance(&world).await;
    assert_eq!(gauge.differences(), []);
    for side in [Side::Here, Side::There] {
        assert!(gauge.counts(side).items > 0, "{side:?} was asked nothing");
    }
}

#[test]
fn the_contract_of_shipping_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/shipping/v1.json");
    agreed(&port(), &path);
}
