//! The port's suite, through client, router and core, and by a route between both sides.

use banyan_kernel::Answer;
use banyan_net::route::Side;
use inventory_api::{
    StockFacts,
    testing::{a_batch_is_decided_in_the_order_of_ids, conformance},
};

use crate::world::World;

#[tokio::test]
async fn by_http_it_conforms_and_its_books_balance() {
    let world = World::new().await;
    conformance(&world).await;
    a_batch_is_decided_in_the_order_of_ids(&world).await;
    assert_eq!(world.client.violations().await, Answer::Done(Vec::new()));
}

#[tokio::test]
async fn by_a_route_that_splits_what_it_is_asked_it_conforms() {
    let (world, gauge) = World::routed().await;
    conformance(&world).await;
    assert_eq!(world.asked.facts.violations().await, Answer::Done(Vec::new()));
    assert_eq!(gauge.differences(), []);
    for side in [Side::Here, Side::There] {
        assert!(gauge.counts(side).items > 0, "{side:?} was asked nothing");
    }
}
