//! The audit's questions: each planted violation is named.

use inventory_api::{
    Inventory, ReservationState,
    testing::{confirm, context, order, receipt, reserve},
};
use sqlx::AssertSqlSafe;

use crate::world::World;

/// Stock of five SKUs, one order held and one committed.
async fn world() -> World {
    let world = World::new().await;
    let five = [("A", 9), ("B", 9), ("C", 9), ("D", 9), ("E", 9)];
    world.inventory.receive(context(), vec![receipt("in", &five)]).await;
    let ask = |name| reserve(order(name), 1, &[("A", 1), ("B", 2)], world.now());
    world.inventory.reserve(vec![ask("held"), ask("committed")]).await;
    world.inventory.confirm(vec![confirm(order("committed"))]).await;
    world
}

#[tokio::test]
async fn each_planted_violation_is_named_and_nothing_else() {
    let world = world().await;
    let plants = [
        ("B", "update inventory.stock set on_hand = on_hand + 1 where sku = 'B'"),
        ("C", "update inventory.stock set on_hand = -1, adjusted = 10 where sku = 'C'"),
        ("D", "update inventory.stock set received = received + 1, on_hand = on_hand + 1 where sku = 'D'"),
        ("A", "update inventory.stock set reserved = reserved + 1, on_hand = on_hand - 1 where sku = 'A'"),
        ("E", "update inventory.stock set shipped = 1, on_hand = on_hand - 1 where sku = 'E'"),
        ("E", "delete from inventory.stock where sku = 'E'"),
        ("F", "insert into inventory.receipt values ('planted', '{\"F\": 1}', now(), 'nobody')"),
    ];
    let superuser = world.database.superuser_pool().await;
    sqlx::query("alter table inventory.stock drop constraint stock_on_hand_check")
        .execute(&superuser)
        .await
        .expect("no constraint");
    for (sku, plant) in plants {
        let mut planted = superuser.begin().await.expect("a transaction");
        sqlx::query(AssertSqlSafe(plant)).execute(&mut *planted).await.expect(plant);
        assert_eq!(world.inventory.stock_violations().await.expect("violations"), [], "not yet committed");
        planted.commit().await.expect(plant);
        let named = world.inventory.stock_violations().await.expect("violations");
        assert_eq!(named.iter().map(|v| v.level.sku.as_str()).collect::<Vec<_>>(), [sku], "{plant}");
        mend(&superuser).await;
    }
}

/// Back to what `world` made.
async fn mend(superuser: &sqlx::PgPool) {
    for statement in [
        "delete from inventory.receipt where key = 'planted'",
        "insert into inventory.stock (sku) values ('E') on conflict do nothing",
        "update inventory.stock set received = 9, adjusted = 0, shipped = 0, \
         reserved = case sku when 'A' then 2 when 'B' then 4 else 0 end, \
         on_hand = case sku when 'A' then 7 when 'B' then 5 else 9 end",
    ] {
        sqlx::query(statement).execute(superuser).await.expect(statement);
    }
}

#[tokio::test]
async fn facts_come_in_order_and_by_range() {
    let world = world().await;
    let mut orders = [order("held"), order("committed")];
    orders.sort();
    let first = "00000000-0000-0000-0000-000000000000".parse().expect("an id");
    let facts = world.inventory.facts(first, orders[1]).await.expect("facts");
    assert_eq!(facts.iter().map(|fact| fact.order).collect::<Vec<_>>(), orders);
    assert_eq!(world.inventory.facts(orders[0], orders[1]).await.expect("facts"), facts[1..]);
    assert_eq!(world.inventory.facts(first, orders[0]).await.expect("facts"), facts[..1]);
    for fact in facts {
        let held = fact.order == order("held");
        let state = if held { ReservationState::Held } else { ReservationState::Committed };
        assert_eq!((fact.state, fact.version, fact.orders_seen), (state, 1, 1));
        assert_eq!(fact.lines, inventory_api::testing::lines(&[("A", 1), ("B", 2)]));
    }
}
