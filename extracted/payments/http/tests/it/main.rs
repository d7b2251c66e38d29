//! The contract by HTTP: real client, real router, and the contract's own fake behind it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{Answer, Json, OrderId};
use banyan_net::port::testing::{Database, Wire, agreed};
use payments_api::{
    GatewayEvents, Heard, NAME, Payments, Refunds,
    testing::{FakePayments, UnderTest, conformance},
};
use payments_http::{HttpPayments, Served, port};

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
}

struct World {
    fake: Arc<FakePayments>,
    client: HttpPayments,
    _wire: Wire,
}

async fn world() -> World {
    let fake = Arc::new(FakePayments::default());
    let served = Served { payments: fake.clone(), refunds: fake.clone(), events: Arc::new(Hears) };
    let wire = Wire::serve(NAME, port(), served, Arc::new(Database("1/2/payments/1"))).await;
    let client = HttpPayments(wire.client().sharing(Arc::new(Database("1/2/payments/1"))));
    World { fake, client, _wire: wire }
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Payments {
        &self.client
    }

    fn refunds(&self) -> &dyn Refunds {
        &self.client
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
}

#[test]
fn the_contract_of_payments_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/payments/v1.json");
    agreed(&port(), &path);
}
