//! The contract by HTTP: real client, real router, and the contract's own fake behind it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{Answer, Json, Money, OrderId};
use banyan_net::{
    port::testing::{Database, Wire, agreed},
    route::{Gauge, Side, testing::alternating},
};
use payments_api::{
    GatewayEvents, Heard, LedgerViolation, NAME, PaymentFact, PaymentFacts, Payments, Refunds,
    testing::{FakePayments, UnderTest, conformance, order},
};
use payments_http::{HttpPayments, RoutedPayments, Served, port};

/// Hears everything, and says what a gateway would be told.
struct Hears;

#[async_trait]
impl GatewayEvents for Hears {
    async fn hear(&self, event: Json) -> Answer<Heard> {
        if event["id"].is_string() {
            Answer::Done(Heard::Noted)
        } else {
            Answer::rejected("invalid_event", "no event")
        }
    }

    async fn look_at_all(&self) -> Answer<u64> {
        Answer::Done(7)
    }
}

fn fact() -> PaymentFact {
    PaymentFact {
        order: order("mine"),
        state: "captured".to_owned(),
        amount: Money { minor: 5, currency: "EUR".parse().expect("a currency") },
        reference: None,
        held_minor: 1,
        captured_minor: 2,
        refunded_minor: 3,
        given_back_minor: 4,
        currencies: vec!["EUR".to_owned()],
        version: 6,
    }
}

fn violation() -> LedgerViolation {
    let (order, state) = (order("mine"), "missing".to_owned());
    let (held_minor, held_expected_minor, cash_minor, cash_expected_minor) = (1, 2, 3, 4);
    LedgerViolation { order, state, held_minor, held_expected_minor, cash_minor, cash_expected_minor }
}

/// One fact, of the order that is asked for, and what cannot be read of any other.
struct Tells;

#[async_trait]
impl PaymentFacts for Tells {
    async fn facts(&self, _: OrderId, upto: OrderId) -> Answer<Vec<PaymentFact>> {
        if upto == order("mine") { Answer::Done(vec![fact()]) } else { Answer::Broken("garbled".to_owned()) }
    }

    async fn violations(&self) -> Answer<Vec<LedgerViolation>> {
        Answer::Done(vec![violation()])
    }
}

struct World {
    fake: Arc<FakePayments>,
    client: HttpPayments,
    /// Whom the suite asks: the client, unless told.
    asked: Served,
    _wire: Wire,
}

fn served(fake: &Arc<FakePayments>) -> Served {
    let (events, facts) = (Arc::new(Hears), Arc::new(Tells));
    Served { payments: fake.clone(), refunds: fake.clone(), events, facts }
}

async fn world() -> World {
    let fake = Arc::new(FakePayments::default());
    let wire = Wire::serve(NAME, port(), served(&fake), Arc::new(Database("1/2/payments/1"))).await;
    let client = || HttpPayments(wire.client().sharing(Arc::new(Database("1/2/payments/1"))));
    let (client, asked) = (client(), Served::by(Arc::new(client())));
    World { fake, client, asked, _wire: wire }
}

/// Asked on both sides in turn.
async fn routed() -> (World, Arc<Gauge>) {
    let world = world().await;
    let (route, gauge) = alternating(NAME, served(&world.fake), world.asked.clone());
    (World { asked: Served::by(Arc::new(RoutedPayments(route))), ..world }, gauge)
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Payments {
        &*self.asked.payments
    }

    fn refunds(&self) -> &dyn Refunds {
        &*self.asked.refunds
    }

    async fn settle(&self) {}

    async fn book(&self, order: OrderId) -> Vec<String> {
        self.fake.book(order)
    }
}

#[tokio::test]
async fn payments_by_http_conform() {
    let world = world().await;
    conformance(&world).await;
    let heard = world.client.hear([("id".to_owned(), Json::from("evt_1"))].into_iter().collect()).await;
    assert_eq!(heard, Answer::Done(Heard::Noted));
    assert!(
        matches!(world.client.hear(Json::Null).await, Answer::Rejected(why) if why.code == "invalid_event")
    );
    assert_eq!(world.client.look_at_all().await, Answer::Done(7));
}

#[tokio::test]
async fn what_the_audit_asks_of_payments_is_told_by_http() {
    let world = world().await;
    let nobody = OrderId(uuid::Uuid::nil());
    assert_eq!(world.client.facts(nobody, order("mine")).await, Answer::Done(vec![fact()]));
    let garbled = Answer::Broken("garbled".to_owned());
    assert_eq!(world.client.facts(order("mine"), nobody).await, garbled, "what cannot be read is no outage");
    assert_eq!(world.client.violations().await, Answer::Done(vec![violation()]));
}

#[tokio::test]
async fn payments_by_a_route_that_splits_what_it_is_asked_conform() {
    let (world, gauge) = routed().await;
    conformance(&world).await;
    assert_eq!(gauge.differences(), []);
    for side in [Side::Here, Side::There] {
        assert!(gauge.counts(side).items > 0, "{side:?} was asked nothing");
    }
}

#[test]
fn the_contract_of_payments_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/payments/v1.json");
    agreed(&port(), &path);
}
