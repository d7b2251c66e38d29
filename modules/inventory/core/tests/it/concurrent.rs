//! Two who decide at the same moment. A row lock holds the first up in the middle of its write, until the
//! second waits as well.

use std::{future::Future, time::Duration};

use banyan_kernel::Answer;
use inventory_api::{
    Inventory, refusals,
    testing::{context, order, receipt, reserve},
};
use sqlx::PgPool;

use crate::world::World;

const WAITING: &str = "select count(*) from pg_stat_activity \
     where datname = current_database() and usename = 'banyan_inventory' and wait_event_type = 'Lock'";

/// One of SKU A, and its administrator.
async fn world_of_one() -> (World, PgPool) {
    let world = World::new().await;
    world.inventory.receive(context(), vec![receipt("in", &[("A", 1)])]).await;
    let superuser = world.database.superuser_pool().await;
    (world, superuser)
}

/// Runs both such that the second begins while the first writes.
async fn meet<T>(
    superuser: &PgPool,
    first: impl Future<Output = T>,
    second: impl Future<Output = T>,
) -> (T, T) {
    let mut holding = superuser.begin().await.expect("a transaction");
    sqlx::query("select from inventory.stock for update").execute(&mut *holding).await.expect("held");
    let second = async {
        waiting(superuser, 1).await;
        second.await
    };
    let release = async {
        waiting(superuser, 2).await;
        holding.rollback().await.expect("let go");
    };
    let (first, second, ()) = tokio::join!(first, second, release);
    (first, second)
}

async fn waiting(superuser: &PgPool, many: i64) {
    let count = || sqlx::query_scalar::<_, i64>(WAITING).fetch_one(superuser);
    let all = async { while count().await.expect("a count") < many {} };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("they wait for each other");
}

#[tokio::test]
async fn two_orders_for_the_last_one() {
    let (world, superuser) = world_of_one().await;
    let ask = |name| world.inventory.reserve(vec![reserve(order(name), 1, &[("A", 1)], world.now())]);
    let (first, second) = meet(&superuser, ask("first"), ask("second")).await;
    assert!(matches!(first[..], [Answer::Done(_)]), "{first:?}");
    assert_eq!(second, [Answer::rejected(refusals::OUT_OF_STOCK, "A lacks 1")]);
}

#[tokio::test]
async fn one_command_asked_twice_at_once() {
    let (world, superuser) = world_of_one().await;
    let ask = || world.inventory.reserve(vec![reserve(order("same"), 1, &[("A", 1)], world.now())]);
    let (first, second) = meet(&superuser, ask(), ask()).await;
    assert!(matches!(first[..], [Answer::Done(_)]), "{first:?}");
    assert_eq!(first, second);
    assert_eq!(world.told().await.len(), 1);
}

#[tokio::test]
async fn two_reconcilers_find_the_same_hold() {
    let (world, superuser) = world_of_one().await;
    world.inventory.reserve(vec![reserve(order("due"), 1, &[("A", 1)], world.now())]).await;
    world.clock.advance_micros(60_000_000);
    assert_eq!(meet(&superuser, world.expire_once(), world.expire_once()).await, (1, 0));
    assert_eq!(world.told().await.len(), 2, "reserved once, released once");
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}
