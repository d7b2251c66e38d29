//! What the module says of itself.

use banyan_kernel::{Answer, OrderId};
use shipping_api::{
    ShipmentFacts as _, Shipping,
    testing::{ask_until_settled, book, book_from, cancel, order},
};
use uuid::Uuid;

use crate::world::World;

/// What a module says of itself.
fn told<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(told) => told,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn facts_are_the_rows_in_order() {
    let world = World::new().await;
    let [booked, given_up, never] = ["booked", "given-up", "never"].map(order);
    for order in [booked, given_up] {
        world.shipping.book(vec![book(order, 1)]).await;
    }
    world.shipping.cancel(vec![cancel(given_up, 1), cancel(never, 1)]).await;
    let facts = told(world.shipping.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    assert!(facts.is_sorted_by_key(|fact| fact.order));
    for (order, expected) in [
        (booked, ("booked", true, 1, 1)),
        (given_up, ("cancelled", true, 2, 1)),
        (never, ("cancelled", false, 0, 0)),
    ] {
        let fact = facts.iter().find(|fact| fact.order == order).expect("a fact");
        let tracked = !fact.tracking.is_empty() && fact.carrier_id.is_some();
        assert_eq!((fact.state.as_str(), tracked, fact.version, fact.orders_seen), expected);
    }
    let split = order("split");
    let reply = world.shipping.book(vec![book_from(split, 1, &["main", "north", "south"])]).await;
    let [Answer::Done(reply)] = &reply[..] else { panic!("{reply:?}") };
    let facts = told(world.shipping.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    let fact = facts.iter().find(|fact| fact.order == split).expect("a fact");
    assert_eq!(fact.tracking, reply.tracking);
    // What the carrier refuses has no number, however many parcels it would have been.
    let refusing = World::of_profile("book.refuse=100%").await;
    ask_until_settled(&refusing, || refusing.shipping.book(vec![book_from(split, 1, &["main", "north"])]))
        .await;
    let refused = told(refusing.shipping.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    assert_eq!((refused[0].state.as_str(), refused[0].tracking.len()), ("refused", 0));
    let last = facts.last().expect("facts").order;
    assert_eq!(told(world.shipping.facts(last, last).await), []);
}
