//! What orders tell: a shipped order's parcel leaves the house, once, in order.

use banyan_bus::Applied;
use banyan_kernel::Answer;
use shipping_api::{
    Shipping,
    testing::{book, cancel, order},
};

use crate::world::{World, event};

#[tokio::test]
async fn events_are_judged_by_what_the_row_has_seen() {
    let world = World::new().await;
    let order = order("seen");
    world.shipping.book(vec![book(order, 1)]).await;
    // The booking knew of one event.
    assert_eq!(world.hear(&[event(order, "OrderCreated", 1)]).await, [Applied::Duplicate]);
    assert_eq!(world.hear(&[event(order, "OrderShipped", 3)]).await, [Applied::Gap { seen: 1 }]);
    let both = [event(order, "OrderRenamed", 2), event(order, "OrderShipped", 3)];
    assert_eq!(world.hear(&both).await, [Applied::Done, Applied::Done]);
    assert_eq!(world.hear(&both).await, [Applied::Duplicate, Applied::Duplicate]);
    assert_eq!(world.column(order, "state").await.as_deref(), Some("dispatched"));
    assert_eq!(world.column(order, "orders_seen").await.as_deref(), Some("3"));
}

#[tokio::test]
async fn without_a_shipment_only_shipping_is_wrong() {
    let world = World::new().await;
    let (none, tombstone) = (order("none"), order("tombstone"));
    world.shipping.cancel(vec![cancel(tombstone, 1)]).await;
    for order in [none, tombstone] {
        let heard = world.hear(&[event(order, "OrderCancelled", 2), event(order, "OrderShipped", 3)]).await;
        assert_eq!(heard[0], Applied::Skipped);
        assert!(matches!(heard[1], Applied::Poison(_)), "{heard:?}");
    }
}

#[tokio::test]
async fn what_was_given_up_cannot_be_shipped() {
    let world = World::new().await;
    let order = order("given-up");
    world.shipping.book(vec![book(order, 1)]).await;
    world.shipping.cancel(vec![cancel(order, 1)]).await;
    let heard = world.hear(&[event(order, "OrderShipped", 2)]).await;
    assert_eq!(heard, [Applied::Poison("the shipment is cancelled".to_owned())]);
    assert_eq!(world.column(order, "orders_seen").await.as_deref(), Some("1"), "it left no trace");
}

#[tokio::test]
async fn a_batch_of_many_orders_is_applied_whole() {
    let world = World::new().await;
    let orders: Vec<_> = (0..30).map(|n| order(&format!("many-{n}"))).collect();
    let mut waiting: Vec<_> = orders.iter().map(|order| book(*order, 1)).collect();
    while !waiting.is_empty() {
        let answers = world.shipping.book(waiting.clone()).await;
        let left = waiting.into_iter().zip(answers).filter(|(_, answer)| *answer == Answer::Pending);
        waiting = left.map(|(command, _)| command).collect();
    }
    let shipped: Vec<_> = orders.iter().map(|order| event(*order, "OrderShipped", 2)).collect();
    assert!(world.hear(&shipped).await.iter().all(|applied| *applied == Applied::Done));
    for order in orders {
        assert_eq!(world.column(order, "state").await.as_deref(), Some("dispatched"));
    }
}
