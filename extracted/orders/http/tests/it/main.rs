//! The contract by HTTP: real client, real router, real core on real PostgreSQL.

#[path = "../../../../../modules/orders/core/tests/it/real.rs"]
mod real;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{Answer, ManualClock, OrderId};
use banyan_net::{
    call::{Callee, Caller},
    port::{
        PortClient,
        testing::{CALLER, Database, Wire, agreed, key},
    },
    route::{Gauge, Side, testing::alternating},
};
use banyan_store::sqlx;
use orders_api::{
    ListOrders, NAME, OrderFacts, Orders, refusals,
    testing::{UnderTest, conformance, context, order, wish},
};
use orders_http::{HttpOrders, RoutedOrders, Served, port};

use crate::real::Real;

struct World {
    client: HttpOrders,
    /// Whom the suite asks: the client, unless told.
    asked: Served,
    wire: Wire,
    real: Real,
}

impl World {
    async fn new() -> Self {
        let real = Real::new().await;
        let database = Arc::new(real.store.clone());
        let wire = Wire::serve(NAME, port(), Served::by(real.orders.clone()), database.clone()).await;
        let client = || HttpOrders(wire.client().sharing(database.clone()));
        let (client, asked) = (client(), Served::by(Arc::new(client())));
        Self { client, asked, wire, real }
    }

    /// Asked on both sides in turn.
    async fn routed() -> (Self, Arc<Gauge>) {
        let world = Self::new().await;
        let (route, gauge) = alternating(NAME, Served::by(world.real.orders.clone()), world.asked.clone());
        (Self { asked: Served::by(Arc::new(RoutedOrders(route))), ..world }, gauge)
    }
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Orders {
        &*self.asked.orders
    }

    fn facts(&self) -> &dyn OrderFacts {
        &*self.asked.facts
    }

    fn clock(&self) -> &ManualClock {
        &self.real.clock
    }

    async fn end(&self, order: OrderId) {
        self.real.record_the_end(order).await;
    }

    async fn stop(&self, order: OrderId) {
        self.real.record_a_stop(order).await;
    }

    async fn catch_up(&self) {
        self.real.views_show_all().await;
    }
}

#[tokio::test]
async fn orders_by_http_conform() {
    conformance(&World::new().await).await;
}

#[tokio::test]
async fn orders_by_a_route_that_splits_what_it_is_asked_conform() {
    let (world, gauge) = World::routed().await;
    conformance(&world).await;
    assert_eq!(gauge.differences(), []);
    for side in [Side::Here, Side::There] {
        assert!(gauge.counts(side).items > 0, "{side:?} was asked nothing");
    }
}

/// With the bounds that a shop calls a module with: a module that waited as long as its caller does would be called away.
#[tokio::test]
async fn who_asks_from_elsewhere_for_what_the_list_has_not_is_told_so() {
    let world = World::new().await;
    let callee = Callee::port(world.wire.address.clone(), world.wire.key.credential(NAME));
    let client = HttpOrders(PortClient::new(NAME, Caller::new(NAME, callee).expect("a client")));
    let at_least = vec![(order("not there yet"), 1)];
    let answer = client.list(ListOrders { limit: 1, at_least, ..ListOrders::default() }).await;
    assert!(matches!(&answer, Answer::Rejected(why) if why.code == refusals::BEHIND), "{answer:?}");
}

const EVENTS: &str = "select count(*) from order_event";

async fn events(world: &World) -> i64 {
    sqlx::query_scalar(EVENTS).fetch_one(world.real.store.pool()).await.expect("a count")
}

fn is_unavailable<T>(answer: &Answer<T>, why: &str) -> bool {
    matches!(answer, Answer::Unavailable(said) if said.contains(why))
}

#[tokio::test]
async fn a_stranger_and_who_means_another_database_place_and_cancel_nothing() {
    let world = World::new().await;
    let theirs = || vec![wish("theirs", "eve", &[("tea", 1)])];
    let known = world.client.place(vec![wish("mine", "ada", &[("tea", 1)])]).await;
    assert!(matches!(known[..], [Answer::Done(_)]), "{known:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let (stranger, _) = key(folder.path(), CALLER);
    let for_another = world.wire.key.credential("payments");
    let strangers = [stranger.credential(NAME), for_another].map(|as_| world.wire.client_as(as_));
    let elsewhere = world.wire.client().sharing(Arc::new(Database("7/5/orders/1")));
    let whys = ["does not let us in (401)", "does not let us in (401)", "another database"];
    for (client, why) in strangers.into_iter().chain([elsewhere]).zip(whys) {
        let client = HttpOrders(client);
        let refused = client.place(theirs()).await;
        assert!(is_unavailable(&refused[0], why), "{refused:?}");
        let (mine, by) = (order("mine"), context(order("mine")));
        assert!(is_unavailable(&client.cancel(mine, "a stranger's wish".to_owned(), by).await, why));
        assert!(is_unavailable(&client.view(vec![mine], None).await, why), "nor is anything told");
    }
    assert_eq!(events(&world).await, 1);
}

#[test]
fn the_contract_of_orders_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/orders/v1.json");
    agreed(&port(), &path);
}
