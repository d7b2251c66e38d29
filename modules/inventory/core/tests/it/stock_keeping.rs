//! What staff find, where stock went, and what the public is told.

use std::sync::Arc;

use banyan_bus::{Consumer, Feed, OutboxSource, Source};
use banyan_kernel::{Answer, SLOTS};
use banyan_store::Position;
use inventory_api::{
    AdjustStock, Adjusted, Finding, Inventory as _, StockKeeping as _, StockMovement, refusals,
    testing::{confirm, context, order, receipt, release, reserve, sku},
};
use inventory_core::PublicStock;

use crate::world::World;

fn found(key: &str, finding: Finding) -> AdjustStock {
    AdjustStock { key: key.to_owned(), sku: sku("A"), finding, reason: "looked".to_owned() }
}

async fn adjust(world: &World, wish: AdjustStock) -> Answer<Adjusted> {
    world.inventory.adjust(context(), wish).await
}

fn booked(answer: Answer<Adjusted>) -> (i64, bool) {
    match answer {
        Answer::Done(Adjusted { quantity, repeated, .. }) => (quantity, repeated),
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Answer<Adjusted>) -> String {
    match answer {
        Answer::Rejected(refusal) => refusal.code.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// On hand, reserved, adjusted.
async fn level(world: &World) -> (i64, i64, i64) {
    let Answer::Done(levels) = world.inventory.levels(vec![sku("A")]).await else { panic!("a level") };
    (levels[0].on_hand, levels[0].reserved, levels[0].adjusted)
}

/// A world with 10 of A, 4 of them kept for an order.
async fn world() -> World {
    let world = World::new().await;
    world.inventory.receive(context(), vec![receipt("in", &[("A", 10), ("B", 5)])]).await;
    let kept = reserve(order("kept"), 1, &[("A", 4)], world.now() + std::time::Duration::from_secs(900));
    assert!(matches!(world.inventory.reserve(vec![kept]).await[..], [Answer::Done(_)]));
    world
}

#[tokio::test]
async fn a_finding_is_booked_once_and_never_takes_what_is_kept() {
    let world = world().await;
    assert_eq!(booked(adjust(&world, found("lost", Finding::By(-2))).await), (-2, false));
    assert_eq!(booked(adjust(&world, found("lost", Finding::By(-2))).await), (-2, true));
    assert_eq!(level(&world).await, (4, 4, 2));
    assert_eq!(refused(adjust(&world, found("lost", Finding::By(-1))).await), refusals::KEY_REUSED);
    assert_eq!(refused(adjust(&world, found("lost", Finding::Counted(8))).await), refusals::KEY_REUSED);
    assert_eq!(refused(adjust(&world, found("more", Finding::By(-5))).await), refusals::BELOW_ZERO);
    assert_eq!(refused(adjust(&world, found("few", Finding::Counted(3))).await), refusals::BELOW_ZERO);
    assert_eq!(refused(adjust(&world, found("huge", Finding::By(i64::MAX))).await), refusals::BELOW_ZERO);
    // Eight should be there: four free, four kept.
    assert_eq!(booked(adjust(&world, found("counted", Finding::Counted(8))).await), (0, false));
    assert_eq!(booked(adjust(&world, found("counted-more", Finding::Counted(11))).await), (3, false));
    assert_eq!(level(&world).await, (7, 4, -1));
    let unknown = AdjustStock { sku: sku("never"), ..found("never", Finding::By(1)) };
    assert_eq!(refused(adjust(&world, unknown).await), refusals::UNKNOWN_PRODUCT);
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}

#[tokio::test]
async fn two_who_count_at_once_do_not_both_take_the_difference() {
    let world = world().await;
    let (one, other) = tokio::join!(
        adjust(&world, found("one", Finding::Counted(9))),
        adjust(&world, found("other", Finding::Counted(9)))
    );
    let mut quantities = [booked(one).0, booked(other).0];
    quantities.sort_unstable();
    assert_eq!(quantities, [-1, 0]);
    assert_eq!(level(&world).await, (5, 4, 1));
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}

/// What the audit finds must be found.
#[tokio::test]
async fn an_adjustment_that_was_taken_away_is_named() {
    let world = world().await;
    booked(adjust(&world, found("lost", Finding::By(-2))).await);
    let superuser = world.database.superuser_pool().await;
    sqlx::query("delete from inventory.adjustment").execute(&superuser).await.expect("a superuser may");
    let violations = world.inventory.stock_violations().await.expect("violations");
    assert_eq!(violations.len(), 1);
    assert_eq!((violations[0].level.sku.as_str(), violations[0].found), ("A", 0));
}

async fn apply_all(world: &World, from: Position) -> Position {
    let (source, consumer) =
        (OutboxSource::new(world.store.clone()), Feed::new(Arc::new(PublicStock::new(world.store.clone()))));
    let slots: Vec<u16> = (0..SLOTS).collect();
    let page = source.page(from, &slots, 500).await.expect("a page");
    let batch: Vec<_> = page.events.into_iter().map(|(_, event)| event).collect();
    let mut write = world.store.begin(&consumer.locks(&batch)).await.expect("a write");
    consumer.apply(&mut write, &batch).await.expect("applied");
    write.commit().await.expect("committed");
    page.end
}

/// Waits until nobody's transaction of this cluster hides what was told.
async fn until_told(world: &World) {
    let end = async {
        let newest: String = sqlx::query_scalar("select max(xid::text::int8)::text from outbox")
            .fetch_one(world.store.pool())
            .await
            .expect("the outbox");
        let newest: i64 = newest.parse().expect("a number");
        while OutboxSource::new(world.store.clone()).end().await.expect("an end").xid < newest {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), end).await.expect("the horizon moves on");
}

async fn public(world: &World) -> (i64, banyan_kernel::Timestamp) {
    match world.inventory.availability(vec![sku("A")], Vec::new()).await {
        Answer::Done(told) => (told[0].available, told[0].as_of.expect("a movement")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_public_count_is_what_is_free_as_of_what_it_has_heard() {
    let world = world().await;
    until_told(&world).await;
    let place = apply_all(&world, Position::START).await;
    assert_eq!(public(&world).await, (6, world.now()));
    let then = world.now();
    world.clock.advance_micros(1_000_000);
    world.inventory.confirm(vec![confirm(order("kept"))]).await;
    world.inventory.release(vec![release(order("kept"), 1)]).await;
    booked(adjust(&world, found("lost", Finding::By(-2))).await);
    assert_eq!(public(&world).await, (6, then), "it stands still while nobody applies what was told");
    until_told(&world).await;
    apply_all(&world, place).await;
    assert_eq!(public(&world).await, (8, world.now()));
    assert_eq!(level(&world).await.0, 8, "and is what is free");
}

#[tokio::test]
async fn where_stock_came_from_and_went_is_told_page_by_page() {
    let world = world().await;
    booked(adjust(&world, found("lost", Finding::By(-2))).await);
    world.inventory.release(vec![release(order("kept"), 1)]).await;
    let (mut all, mut before): (Vec<StockMovement>, _) = (Vec::new(), None);
    loop {
        let Answer::Done(page) = world.inventory.movements(sku("A"), before, 1).await else {
            panic!("a page")
        };
        let Some(last) = page.last() else { break };
        before = Some(last.place);
        all.extend(page);
    }
    let told: Vec<(&str, i64)> =
        all.iter().map(|movement| (movement.what.as_str(), movement.quantity)).collect();
    assert_eq!(
        told,
        [("InventoryReleased", 4), ("StockAdjusted", -2), ("InventoryReserved", -4), ("GoodsReceived", 10)]
    );
    assert_eq!(all[2].of, order("kept").to_string());
    assert_eq!(all[1].reason.as_deref(), Some("looked"));
    let of_b = world.inventory.movements(sku("B"), None, 200).await;
    assert!(matches!(of_b, Answer::Done(of_b) if of_b.len() == 1));
}
