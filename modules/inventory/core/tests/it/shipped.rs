//! Orders' events: applied once, in order, in constant statements.

use banyan_bus::Applied::{Done, Duplicate, Gap, Poison, Skipped};
use inventory_api::{
    Inventory, ReservationState,
    testing::{confirm, context, order, receipt, release, reserve},
};

use crate::world::{World, event};

/// Ten committed orders of two SKUs.
async fn world_of_ten() -> (World, Vec<banyan_kernel::OrderId>) {
    let world = World::new().await;
    let orders: Vec<_> = (0..10).map(|n| order(&format!("ten-{n}"))).collect();
    world.inventory.receive(context(), vec![receipt("in", &[("A", 100), ("B", 100)])]).await;
    let ask = |order: &_| reserve(*order, 1, &[("A", 1), ("B", 2)], world.now());
    world.inventory.reserve(orders.iter().map(ask).collect()).await;
    world.inventory.confirm(orders.iter().map(|order| confirm(*order)).collect()).await;
    (world, orders)
}

#[tokio::test]
async fn a_batch_ships_and_its_repeat_changes_nothing() {
    let (world, orders) = world_of_ten().await;
    let created = orders.iter().map(|order| event(*order, "OrderCreated", 1));
    let shipped = orders.iter().map(|order| event(*order, "OrderShipped", 2));
    let batch: Vec<_> = created.chain(shipped).collect();
    let applied = world.hear(&batch).await;
    assert_eq!(applied[..10], vec![Duplicate; 10], "the reservation says it has seen the first");
    assert_eq!(applied[10..], vec![Done; 10]);
    assert_eq!(world.hear(&batch).await, vec![Duplicate; 20]);
    let violations = world.inventory.stock_violations().await.expect("violations");
    assert_eq!(violations, []);
    let facts = world.inventory.facts(order_min(), order_max()).await.expect("facts");
    assert!(facts.iter().all(|fact| fact.state == ReservationState::Shipped && fact.orders_seen == 2));
    assert_eq!(facts.len(), 10);
}

fn order_min() -> banyan_kernel::OrderId {
    "00000000-0000-0000-0000-000000000000".parse().expect("an id")
}

fn order_max() -> banyan_kernel::OrderId {
    "ffffffff-ffff-ffff-ffff-ffffffffffff".parse().expect("an id")
}

#[tokio::test]
async fn a_gap_is_told_and_filled() {
    let (world, orders) = world_of_ten().await;
    let [hello, shipped] = [event(orders[0], "OrderPraised", 2), event(orders[0], "OrderShipped", 3)];
    assert_eq!(world.hear(std::slice::from_ref(&shipped)).await, [Gap { seen: 1 }]);
    assert_eq!(world.hear(&[hello.clone(), shipped.clone(), hello]).await, [Skipped, Done, Duplicate]);
    assert_eq!(world.hear(&[shipped]).await, [Duplicate]);
}

#[tokio::test]
async fn what_cannot_be_shipped_is_poison_and_stays_untouched() {
    let (world, orders) = world_of_ten().await;
    let unknown = event(order("unknown"), "OrderShipped", 2);
    assert_eq!(world.hear(&[unknown]).await, [Poison("no reservation".into())]);
    let mut nonsense = event(order("unknown"), "OrderShipped", 2);
    nonsense.subject = "nonsense".into();
    assert!(matches!(world.hear(&[nonsense]).await[..], [Poison(_)]));
    world.inventory.release(vec![release(orders[0], 1)]).await;
    let shipped = event(orders[0], "OrderShipped", 2);
    for _ in 0..2 {
        assert!(matches!(world.hear(std::slice::from_ref(&shipped)).await[..], [Poison(_)]));
    }
    assert_eq!(world.hear(&[event(orders[0], "OrderCancelled", 2)]).await, [Done]);
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}

#[tokio::test]
async fn an_order_without_a_reservation_is_skipped_and_a_tombstone_takes_what_comes() {
    let world = World::new().await;
    let [created, cancelled] = ["OrderCreated", "OrderCancelled"].map(|kind| event(order("x"), kind, 1));
    assert_eq!(world.hear(&[created, cancelled]).await, [Skipped, Skipped]);
    world.inventory.release(vec![release(order("x"), 1)]).await;
    let cancelled = event(order("x"), "OrderCancelled", 2);
    assert_eq!(world.hear(std::slice::from_ref(&cancelled)).await, [Done]);
    assert_eq!(world.hear(&[cancelled]).await, [Duplicate]);
}
